"""A comparison as a page: verdicts, gains over the twins, frontier, label budget, every figure and every run."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from tsmtl.config.errors import UserError
from tsmtl.report.comparison_picture import (
    MOST_PAIRS,
    Comparison,
    draw_budget,
    draw_delta_m,
    draw_differences,
    draw_frontier,
    judged,
    labels_of,
    metric_of,
    signed,
)
from tsmtl.report.data_card import data_card
from tsmtl.report.drawing import style
from tsmtl.report.page import command, listing, pairs, paragraph, pictures, section, table, write_page
from tsmtl.report.run_contents import read_json
from tsmtl.report.svg import Pictures
from tsmtl.report.table import Table

FORMAT = 1  # of comparison.json
_KINDS = {"helps": "good", "hurts": "bad"}


def read_comparison(path: Path) -> dict[str, Any]:
    """Read ``comparison.json``.

    Raises:
        UserError: If it is damaged, or of a format that this version does not know.
    """
    comparison = read_json(path)
    if comparison.get("format") != FORMAT:
        got = comparison.get("format")
        raise UserError(
            f"{path}: has format {got}, this version of tsmtl reads {FORMAT}; compare again, or use that one"
        )
    return comparison


def write_comparison_page(path: Path, comparison: Comparison) -> None:
    """Write the page of a comparison.

    Args:
        path: The file.
        comparison: What ``comparison.json`` holds.

    Raises:
        OSError: If it cannot be written; an old file stays.
    """
    failures = [f"{failure['run']}: {failure['reason']}" for failure in comparison.get("failures", [])]
    with style():
        drawn = _pictures(comparison)
    blocks = [
        command(str(comparison["command"])),
        *(block for task in comparison["verdicts"] for block in _verdict(comparison, task)),
        *drawn,
        *section("Figures", table(_figures(comparison)), _delta_m(comparison), _control(comparison)),
        *section("Runs that failed", listing(failures)),
        *section("Runs", table(_runs(comparison), sortable=True)),
        *section("Settings of each variant", table(_variants(comparison))),
        *section("How it was made", pairs(_about(comparison))),
        *data_card(comparison["data"], comparison["data"].get("labelled", {})),
    ]
    write_page(path, f"Do the tasks help each other? {comparison['model']} on {comparison['data']['where']}", blocks)


def _verdict(comparison: Comparison, task: str) -> list[str]:
    """Give the verdict on a task, and behind it what its twin was not given: that may make the verdict wrong."""
    verdict = comparison["verdicts"][task]
    twins = [v for v in comparison["variants"] if v["kind"] == "twin" and task in v["tasks"]]
    return [
        paragraph(f"{task}: {verdict['sentence']}", _KINDS.get(verdict["verdict"], "open")),
        *(paragraph(f"But {twin['label']}: {line}", "open") for twin in twins for line in twin["warnings"]),
    ]


def _pictures(comparison: Comparison) -> list[str]:
    svg, level = Pictures(), f"{100 * comparison['level']:g} %"
    gains = [
        svg.add(draw_differences(comparison, [task]), _gains_said(comparison, task, level))
        for task in comparison["tasks"]
        if judged(comparison, task)
    ]
    known = [row for row in comparison["delta_m"] if row["mean"] is not None]
    delta = [svg.add(draw_delta_m(comparison), _delta_said(comparison, level))] if known else []
    note = (
        f"Dot: mean over {len(comparison['seeds'])} seeds of the gain over the twin of the same seed. Thick line: its "
        f"{level} interval over seeds. Thin line: {level} interval over seeds and test instances together. Both are of "
        "one difference by itself; the word beside it is its verdict, which is corrected for the number of differences."
    )
    frontier = [
        svg.add(draw_frontier(comparison, pair), _frontier_said(comparison, pair))
        for pair in list(combinations(comparison["tasks"], 2))[:MOST_PAIRS]
        if any(all(entry["values"].get(task) is not None for task in pair) for entry in comparison["frontier"])
    ]
    budgets = dict.fromkeys(entry["task"] for entry in comparison["budget"])
    budget = [svg.add(draw_budget(comparison, [task]), _budget_said(comparison, task)) for task in budgets]
    return [
        *section("Gain over one task alone", pictures(*gains, *delta), paragraph(note) if gains else ""),
        *section("What one task costs the other", pictures(*frontier)),
        *section("With fewer labels", pictures(*budget)),
    ]


def _gains_said(comparison: Comparison, task: str, level: str) -> str:
    about, labels = comparison["tasks"][task], labels_of(comparison)
    rows = [
        f"{labels[row['variant']]} {signed(row['difference']['mean'])}"
        f"{_after(' ', ends(row['difference'], '+', 'total_'))}{_after(', ', row['verdict'])}"
        for row in judged(comparison, task)
    ]
    said = f"{task} ({about['target']}): gain in {metric_of(about)} over its twin, {level} intervals of seeds and test "
    return f"{said}instances together: {'; '.join(rows)}"


def _delta_said(comparison: Comparison, level: str) -> str:
    labels = labels_of(comparison)
    rows = [
        f"{labels[row['variant']]} {signed(row['mean'])} %{_after(' ', ends(row, '+'))}"
        for row in comparison["delta_m"]
        if row["mean"] is not None
    ]
    return f"Delta-m, mean gain over all tasks, {level} intervals of the seeds alone: {'; '.join(rows)}"


def _frontier_said(comparison: Comparison, pair: tuple[str, str]) -> str:
    labels = labels_of(comparison)
    rows = []
    for entry in comparison["frontier"]:
        values = [entry["values"].get(task) for task in pair]
        if entry["non_dominated"] and None not in values:
            said = " and ".join(f"{task} {value:.4g}" for task, value in zip(pair, values, strict=True))
            rows.append(f"{labels.get(entry['variant'], entry['variant'])} {said}")
    metrics = " and ".join(f"{task} {metric_of(comparison['tasks'][task])}" for task in pair)
    return f"{metrics} of {len(comparison['frontier'])} variants; not dominated: {'; '.join(rows)}"


def _budget_said(comparison: Comparison, task: str) -> str:
    rows = [
        f"{_budget_labels(entry)}: alone {number(entry['single'])}, with the others "
        f"{number(entry['multi'])}{_after(', ', entry['verdict'])}"
        for entry in sorted(comparison["budget"], key=lambda entry: float(entry["share"]))
        if entry["task"] == task
    ]
    return f"{task}, {metric_of(comparison['tasks'][task])}: {'; '.join(rows)}"


def _budget_labels(entry: Mapping[str, Any]) -> str:
    kept = f" ({100 * entry['kept']:.3g} % kept)" if abs(entry["kept"] - entry["share"]) >= 0.005 else ""
    return f"{100 * entry['share']:g} % of the labels{kept}"


def _figures(comparison: Comparison) -> Table:
    labels, tasks = labels_of(comparison), comparison["tasks"]
    level = f"{100 * comparison['level']:g} % interval"
    header = ["variant", "task", "metric", "mean", "sd", level, "better than alone by", level, "%", "p", "verdict"]
    rows = []
    for row in comparison["figures"]:
        cells = [labels[row["variant"]], row["task"], metric_of(tasks[row["task"]]), number(row["mean"])]
        cells += [number(row["sd"]), ends(row)]
        found = row["difference"]
        if found is None:
            cells += [""] * 4
        else:
            gain = "" if found["mean"] is None else signed(found["mean"])
            relative = "" if found["relative"] is None else f"{found['relative']:+.2g}"
            cells += [gain, ends(found, "+", "total_"), relative, number(found["p_corrected"], 2)]
        rows.append([*cells, row["verdict"] or ""])
    return Table("", header, rows)


def _delta_m(comparison: Comparison) -> str:
    labels = labels_of(comparison)
    header = ["variant", "Delta-m, %", "sd", f"{100 * comparison['level']:g} % interval"]
    rows = [
        [labels[row["variant"]], number(row["mean"]), number(row["sd"]), ends(row, "+")]
        for row in comparison["delta_m"]
    ]
    return table(Table("Delta-m: mean gain over all tasks, of the seeds alone", header, rows), level=3) if rows else ""


def _control(comparison: Comparison) -> str:
    labels = labels_of(comparison)
    header = ["variant", "task", "better than the control by", f"{100 * comparison['level']:g} % interval", "p"]
    rows = [
        [
            *(labels[row["variant"]], row["task"], signed(found["mean"])),
            *(ends(found, "+", "total_"), number(found["p_corrected"], 2)),
        ]
        for row in comparison["figures"]
        if (found := row.get("control")) and found["mean"] is not None
    ]
    title = "Against the control, where the other task's labels are shuffled"
    return table(Table(title, header, rows), level=3) if rows else ""


def _runs(comparison: Comparison) -> Table:
    labels = labels_of(comparison)
    names = list(dict.fromkeys(name for run in comparison["runs"] for name in run["metrics"]))
    header = ["variant", "seed", *names, "lr", "epochs", "best epoch", "seconds", "folder"]
    rows = []
    for run in comparison["runs"]:
        metrics = [number(run["metrics"].get(name)) for name in names]
        how = [number(run["lr"]), str(run["num_epochs"]), str(run["best_epoch"]), number(run["seconds"], 3)]
        rows.append([labels[run["variant"]], str(run["seed"]), *metrics, *how, str(run["folder"])])
    return Table("", header, rows)


def _variants(comparison: Comparison) -> Table:
    rows = [
        [v["label"], v["name"], v["kind"], ", ".join(v["tasks"])]
        + ["" if v["settings"] is None else str(v["settings"][key]) for key in ("lr", "num_epochs")]
        + ["; ".join(v["warnings"])]
        for v in comparison["variants"]
    ]
    return Table("", ["variant", "name", "kind", "tasks", "lr", "epochs", "its search"], rows)


def _about(comparison: Comparison) -> dict[str, str]:
    search = comparison["search"]
    return {
        "model": str(comparison["model"]),
        "seeds": ", ".join(map(str, comparison["seeds"])),
        "learning rates searched, times the default": ", ".join(f"{f:g}" for f in search["lr_factors"]),
        "epochs searched, times the default": ", ".join(f"{f:g}" for f in search["epoch_factors"]),
        "runs of the search": str(search["runs"]),
        "seconds of training, all runs": f"{comparison['training_seconds']:.4g}",
        "seconds of the last process": f"{comparison['process_seconds']:.4g}",
        "tsmtl": str(comparison["version"]),
    }


def number(value: float | None, digits: int = 4) -> str:
    """Write a figure short; nothing for one that is not there."""
    return "" if value is None else f"{value:.{digits}g}"


def ends(spread: Mapping[str, Any], sign: str = "", of: str = "") -> str:
    """Write an interval short; nothing for one without ends.

    Args:
        spread: With ``low`` and ``high``.
        sign: ``+`` where it is one of differences.
        of: Which interval, such as ``total_``, where there are several.
    """
    found = [spread[f"{of}{end}"] for end in ("low", "high")]
    return "" if None in found else "[" + ", ".join(f"{end:{sign}.3g}" for end in found) + "]"


def _after(sign: str, words: str | None) -> str:
    return sign + words if words else ""
