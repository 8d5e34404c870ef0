"""What the splits of a data set share, whatever its source: measured on the splits, and in words."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import Instances, IntArray, blocks
from tsmtl.data.overlap import BY_ENTITY, PAIRS
from tsmtl.data.windows import Windows

_KINDS = {"instances": "instance", "rows": "row", "groups": "group", "entities": "entity"}


def splits_measured(instances: Instances, splits: dict[str, IntArray]) -> dict[str, Any]:
    """Measure what each split holds and what two of them share.

    Args:
        instances: The data set; of windows, with what :func:`tsmtl.data.overlap.split_facts` measured of their rows.
        splits: Rows of each split.

    Returns:
        ``rule``: what decided the splits; ``splits``: instances and groups of each; ``overlap``: for each two splits
        the instances in both, the groups in both (None where there are none) and the instances of the second that have
        the same values as one of the first; ``leaks``: whether anything is shared that must not be. Of windows, rows,
        entities and distances stand in place of groups and equal values.
    """
    facts = {"rule": _rule(instances), **instances.facts}
    facts["splits"] = {name: {"instances": len(rows)} | _of(facts, "splits", name) for name, rows in splits.items()}
    overlap = {pair: _shared(instances, splits[pair[0]], splits[pair[1]]) for pair in PAIRS}
    if not isinstance(instances.x, Windows):
        groups = instances.groups
        for name, rows in splits.items():
            facts["splits"][name]["groups"] = None if groups is None else len(np.unique(groups[rows]))
        content = {name: _content(instances, rows) for name, rows in splits.items()}
        for a, b in PAIRS:
            overlap[a, b]["identical"] = count_among(content[b], content[a])
    facts["overlap"] = {f"{a}-{b}": overlap[a, b] | _of(facts, "overlap", f"{a}-{b}") for a, b in PAIRS}
    shared = any(found["instances"] or found.get("groups") for found in overlap.values())
    facts["leaks"] = bool(shared or facts.get("leaks", False))
    return facts


def leak_lines(facts: dict[str, Any]) -> list[str]:
    """Say what is shared that must not be, a line for each two splits."""
    if not facts["leaks"]:
        return []
    by_entity, lines = facts["rule"] in BY_ENTITY, []
    for a, b in PAIRS:
        found = facts["overlap"][f"{a}-{b}"]
        kinds = [kind for kind in _KINDS if found.get(kind) and (kind != "entities" or by_entity)]
        said = [f"{found[kind]} {_KINDS[kind] if found[kind] == 1 else kind}" for kind in kinds]
        if said:
            lines.append(f"{a} and {b} share {' and '.join(said)}")
        elif not found.get("apart", True):
            between = f"{found['time_between']:g} ({facts['time_unit']})"
            lines.append(f"{b} begins {between} after the end of {a}, sooner than split={facts['rule']} promises")
    if n := facts.get("test_files", {}).get("copied_windows", 0):
        lines.append(f"{n} test {'window is a copy' if n == 1 else 'windows are copies'} of rows of train or val")
    return lines


def sharing_notes(facts: dict[str, Any]) -> list[str]:
    """Say what is shared that may be: equal instances, and entities on both sides of a split that the user gives."""
    notes = []
    equal = {(a, b): facts["overlap"][f"{a}-{b}"].get("identical", 0) for a, b in PAIRS}
    if any(equal.values()):
        said = ", ".join(f"{n} of {b} are in {a} too" for (a, b), n in equal.items() if n)
        notes.append(f"instances with exactly the same values in two splits: {said}")
    if n := facts.get("test_files", {}).get("equal_rows", 0):
        of = facts["splits"]["test"]["rows"]
        notes.append(f"{n} of {of} rows of the test files have exactly the values and targets of one of train or val")
    if facts["rule"].startswith("given") and (n := facts.get("on_both_sides", 0)):
        notes.append(f"given split: {n} {'entity is' if n == 1 else 'entities are'} on both sides")
    return notes


def _of(facts: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return dict(facts.get(kind, {}).get(name, {}))


def _rule(instances: Instances) -> str:
    """Say what decided the splits of arrays: their source, groups, or a draw stratified by the target."""
    drawn = "stratified" if instances.groups is None else "group"
    given = instances.given or {}
    if not given:
        return drawn
    carved = [name for name in ("test", "val") if name not in given]
    return f"given, {' and '.join(carved)} {drawn}" if carved else "given"


def _shared(instances: Instances, a: IntArray, b: IntArray) -> dict[str, Any]:
    inside = np.zeros(len(instances.x), dtype=bool)
    inside[a] = True
    shared: dict[str, Any] = {"instances": int(inside[b].sum())}
    if not isinstance(instances.x, Windows):
        groups = instances.groups
        shared["groups"] = None if groups is None else len(np.intersect1d(groups[a], groups[b]))
    return shared


def _content(instances: Instances, rows: IntArray) -> npt.NDArray[np.uint64]:
    """Give a number per instance, the same for the same values within its length; ascending."""
    codes = np.empty(len(rows), dtype=np.uint64)
    for block in blocks(len(rows), instances.x):
        part = rows[block]
        values = instances.x[part] + np.float32(0)  # a copy, in which -0 is 0
        values[np.isnan(values)] = np.nan  # of the many NaN one
        steps = [values.shape[-1]] * len(part) if instances.lengths is None else instances.lengths[part]
        for i, (value, length) in enumerate(zip(values, steps, strict=True)):
            digest = hashlib.blake2b(np.ascontiguousarray(value[..., :length]).data, digest_size=8).digest()
            codes[block.start + i] = np.frombuffer(digest, dtype=np.uint64)[0]
    codes.sort()
    return codes


def count_among(codes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> int:
    """Count the codes that are among others, both ascending; ``np.isin`` takes several times the room."""
    first, end = (np.searchsorted(others, codes, side) for side in ("left", "right"))
    return int(np.count_nonzero(first != end))
