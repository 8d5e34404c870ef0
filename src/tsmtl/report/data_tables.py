"""What settings make of the data, as tables of text, for the terminal and for a page."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.data.description import ChannelStatistics, NumberStatistics, describe_classes, describe_numbers
from tsmtl.data.instances import SPLITS, Bundle, ClassTarget, LabelTarget, NumberTarget
from tsmtl.report.table import Table

MOST_ROWS = 20  # of channels and of classes on the terminal
NONE = "-"


def data_tables(bundle: Bundle, channels: dict[str, ChannelStatistics]) -> list[Table]:
    """Give the tables of a data set: splits, what they share, channels, and each task's target."""
    facts = bundle.instances.facts
    tables = [splits_table(facts), overlap_table(facts), _channels(bundle, channels)]
    for task, target in bundle.instances.targets.items():
        if isinstance(target, ClassTarget):
            tables.append(_classes(task, target, bundle))
        elif isinstance(target, LabelTarget):
            tables.append(_labels(task, target, bundle))
        else:
            tables.append(_numbers(task, target, bundle))
    return tables


def splits_table(facts: Mapping[str, Any]) -> Table:
    """Give the sizes of the splits, as ``summary.json`` has them under ``data``."""
    splits = facts["splits"]
    total = sum(held["instances"] for held in splits.values())
    kinds = [kind for kind in splits["train"] if kind != "instances" and splits["train"][kind] is not None]
    rows = [
        [name, str(splits[name]["instances"]), _share(splits[name]["instances"], total)]
        + [str(splits[name][kind]) for kind in kinds]
        for name in SPLITS
    ]
    return Table(f"Splits (rule: {facts['rule']})", ["split", "instances", "share", *kinds], rows)


def overlap_table(facts: Mapping[str, Any]) -> Table:
    """Give what two splits share, likewise."""
    unit = facts.get("time_unit", "")
    said: dict[str, tuple[str, Callable[[Any], str]]] = {
        "instances": ("instances", str),
        "rows": ("rows", str),
        "entities": ("entities", str),
        "groups": ("groups", str),
        "identical": ("equal values", str),
        "smallest_distance": ("nearest rows of an entity", lambda v: _distance(v, unit)),
        "time_between": ("end to begin", lambda v: _distance(v, unit)),
    }
    every = list(facts["overlap"].values())
    kinds = [kind for kind in said if any(found.get(kind) is not None for found in every)]
    rows = []
    for pair, found in facts["overlap"].items():
        cells = [NONE if found.get(kind) is None else said[kind][1](found[kind]) for kind in kinds]
        rows.append([pair.replace("-", " and "), *cells])
    return Table("In both splits, as measured", ["splits", *(said[kind][0] for kind in kinds)], rows)


def _channels(bundle: Bundle, channels: dict[str, ChannelStatistics]) -> Table:
    names = bundle.instances.channels
    shifts = {name: channels[name].shift(channels["train"]) for name in SPLITS[1:]}
    lost = any(channels[name].missing.any() for name in SPLITS)
    header = ["", *(f"{name} mean (sd)" for name in SPLITS), *(f"{name} shift" for name in shifts)]
    header += [f"{name} missing" for name in SPLITS] if lost else []
    rows = []
    for i, channel in enumerate(names):
        cells = [f"{_number(channels[s].mean[i], 5)} ({_number(channels[s].sd[i])})" for s in SPLITS]
        cells += [NONE if np.isnan(shift[i]) else f"{shift[i]:+.2f}" for shift in shifts.values()]
        cells += [_percent(channels[s].missing[i]) for s in SPLITS] if lost else []
        rows.append([channel, *cells])
    noun = "channels" if bundle.instances.x.ndim == 3 else "features"
    title = f"{len(names)} {noun}" + ("" if lost else ", no value missing")
    title += "; shift: difference of the means in sd of train"
    if len(names) <= MOST_ROWS:
        return Table(title, header, rows)
    largest = np.nan_to_num(np.abs(np.stack(list(shifts.values()))), nan=0.0).max(axis=0)
    brief = np.argsort(-largest, kind="stable")[:MOST_ROWS].tolist()
    return Table(title, header, rows, brief, "the largest shift")


def _classes(task: str, target: ClassTarget, bundle: Bundle) -> Table:
    counts = describe_classes(target, bundle.splits)
    labelled = {s: int(counts[s].sum()) for s in SPLITS}
    header = ["", *(cell for s in SPLITS for cell in (s, "share"))]

    def row(name: str, values: dict[str, int], of: dict[str, int]) -> list[str]:
        return [name, *(cell for s in SPLITS for cell in (str(values[s]), _share(values[s], of[s])))]

    rows = [row("labelled", labelled, {s: len(bundle.splits[s]) for s in SPLITS})]
    rows += [row(name, {s: int(counts[s][i]) for s in SPLITS}, labelled) for i, name in enumerate(target.names)]
    title = f"Task {task}: {target.key}, {len(target.names)} classes"
    if len(rows) - 1 <= MOST_ROWS:
        return Table(title, header, rows)
    most: npt.NDArray[np.int64] = np.argsort(-counts["train"], kind="stable")[:MOST_ROWS] + 1
    return Table(title, header, rows, [0, *most.tolist()], "the most instances in train")


def _labels(task: str, target: LabelTarget, bundle: Bundle) -> Table:
    header = ["", *(cell for s in SPLITS for cell in (s, "share"))]
    of_split = {s: target.values[bundle.splits[s]] for s in SPLITS}
    known = {s: ~np.isnan(values) for s, values in of_split.items()}
    labelled = [(int(k.any(axis=1).sum()), len(k)) for k in known.values()]
    rows = [["labelled", *(cell for n, of in labelled for cell in (str(n), _share(n, of)))]]
    for i, name in enumerate(target.names):
        true = [(int((of_split[s][:, i] == 1).sum()), int(known[s][:, i].sum())) for s in SPLITS]
        rows.append([name, *(cell for n, of in true for cell in (str(n), _share(n, of)))])
    title = f"Task {task}: {target.key}, {target.size} labels, instances of which each is true"
    brief = list(range(MOST_ROWS + 1)) if len(rows) > MOST_ROWS + 1 else None
    return Table(title, header, rows, brief, "the first")


def _numbers(task: str, target: NumberTarget, bundle: Bundle) -> Table:
    found = describe_numbers(target, bundle.splits)
    size = target.values.shape[1]

    def row(split: str, d: int, of: NumberStatistics) -> list[str]:
        values = (of.mean, of.sd, of.least, of.median, of.most)
        name = split if size == 1 else f"{d + 1}, {split}"
        return [name, str(of.labelled), _share(of.labelled, len(bundle.splits[split])), *map(_number, values)]

    rows = [row(split, d, found[split][d]) for d in range(size) for split in SPLITS]
    unit = f", {target.unit}" if target.unit else ""
    header = ["", "labelled", "share", "mean", "sd", "least", "median", "most"]
    brief = list(range(MOST_ROWS)) if len(rows) > MOST_ROWS else None
    return Table(f"Task {task}: {target.key}{unit}", header, rows, brief, "the first")


def _number(value: float, digits: int = 4) -> str:
    return NONE if np.isnan(value) else f"{value:.{digits}g}"


def _percent(share: float) -> str:
    return "<0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


def _share(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else NONE


def _distance(value: float, unit: str) -> str:
    if unit == "seconds":
        for size, sign in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= size:
                return f"{value / size:.4g} {sign}"
        return f"{value:.4g} s"
    return f"{value:.12g} rows" if unit == "rows" else f"{value:.12g}"
