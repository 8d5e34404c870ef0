"""What the epochs of a run say together of the conflict between its tasks."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations, product
from math import isnan, nan, sqrt
from statistics import fmean, median, stdev
from typing import Any

from tsmtl.training.conflict import AHEAD, WHOLE, Conflict, affinity_column, column, share_column
from tsmtl.training.probe import LEAST_LOOKS

NOTABLE = 0.1  # of what a step for a task gains for itself: less is not called help or harm
History = Sequence[Mapping[str, float]]


def summary_of(conflict: Conflict, history: History) -> dict[str, Any]:
    """Sum up the looks of a run: means of cosines and shares, medians of norm ratios, and the early affinity.

    Args:
        conflict: What looked.
        history: Rows of all epochs.
    """
    tasks, looks = conflict.tasks, looks_of(conflict, history)
    blocks = [WHOLE, *conflict.blocks]
    pairs = {
        f"{one}-{other}": {
            **_pair(looks, one, other, WHOLE),
            "conflicting": _mean(looks, column(one, other, "conflicting")),
            "blocks": {block: _pair(looks, one, other, block) for block in blocks if block != WHOLE},
        }
        for one, other in combinations(tasks, 2)
    }
    early = looks[: conflict.plan.early]
    affinity: dict[str, dict[str, float]] = {task: {} for task in tasks}
    for source, target in product(tasks, repeat=2):
        affinity[source][target] = _mean(early, affinity_column(source, target))
    return {
        "probe": {
            "instances": conflict.instances,
            "batches": conflict.plan.batches,
            "planned": len(conflict.plan.epochs),
            "looks": len(looks),
        },
        "pairs": pairs,
        "share": {task: _mean(looks, share_column(task)) for task in tasks},
        "affinity": {"looks": len(early), "of": affinity},
        "reading": [reading(source, target, early) for source, target in permutations(tasks, 2)] if looks else [],
    }


def looks_of(conflict: Conflict, history: History) -> list[Mapping[str, float]]:
    """Give the rows of the epochs after which the probe was looked at."""
    columns = conflict.columns()
    return [row for row in history if not all(isnan(row[name]) for name in columns)]


def reading(source: str, target: str, looks: History) -> str:
    """Say what steps for one task do to another, where that stands out from how it varies over the looks.

    Args:
        source: The task of the step.
        target: The task whose loss is compared.
        looks: Rows of the early looks.
    """
    gains = _values(looks, affinity_column(source, target))
    if len(gains) < LEAST_LOOKS:
        return f"{source} for {target}: cannot tell from {len(gains)} look{'' if len(gains) == 1 else 's'}"
    mean, error = fmean(gains), stdev(gains) / sqrt(len(gains))
    clear = abs(mean) > 2 * error and abs(mean) >= NOTABLE * AHEAD
    verdict = f"{'helps' if mean > 0 else 'hurts'} {target}" if clear else f"for {target}: not clear"
    return (
        f"{source} {verdict}; a step that should lower the loss of {source} by {100 * AHEAD:g} % changes that of "
        f"{target} by {-100 * mean:+.2g} % (standard error {100 * error:.1g}, {len(gains)} looks at train instances)"
    )


def curves_of(conflict: Conflict, history: History) -> dict[str, Any]:
    """Give what is drawn: epochs of the looks, and values over them of each pair, by block, and by task."""
    looks, blocks = looks_of(conflict, history), [WHOLE, *conflict.blocks]
    return {
        "epochs": [row["epoch"] for row in looks],
        "pairs": [
            {
                "tasks": pair,
                **{
                    what: {block: [row[column(*pair, what, block)] for row in looks] for block in blocks}
                    for what in ("cosine", "norm_ratio")
                },
            }
            for pair in combinations(conflict.tasks, 2)
        ],
        "share": {task: [row[share_column(task)] for row in looks] for task in conflict.tasks},
    }


def _pair(looks: History, one: str, other: str, block: str) -> dict[str, float]:
    ratios = _values(looks, column(one, other, "norm_ratio", block))
    cosine = _mean(looks, column(one, other, "cosine", block))
    return {"cosine": cosine, "norm_ratio": median(ratios) if ratios else nan}


def _mean(looks: History, name: str) -> float:
    values = _values(looks, name)
    return fmean(values) if values else nan


def _values(looks: History, name: str) -> list[float]:
    return [row[name] for row in looks if not isnan(row[name])]
