"""Train labels that are left out, to see what fewer are worth, or shuffled, to see what they never told."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import ClassTarget, Instances, IntArray, Target
from tsmtl.data.targets import MISSING

Groups = npt.NDArray[np.generic] | None


def with_changed_labels(
    instances: Instances, train: IntArray, share: Mapping[str, float], shuffled: Sequence[str], seed: int
) -> tuple[Instances, list[str]]:
    """Leave out or shuffle labels of the train split; val and test stay as they are.

    Args:
        instances: The data set.
        train: Its train rows.
        share: Share of a task's train labels that stays, by task. A smaller share is a part of every larger one. Whole
            groups stay, where there are groups; of classes each keeps its share, one label at least.
        shuffled: Tasks whose train labels are dealt out anew among the instances that have one.
        seed: Of both.

    Returns:
        The data set, and a note for each change.
    """
    targets, notes = dict(instances.targets), list[str]()
    for task, part in [(name, part) for name, part in share.items() if name in targets]:  # an evaluation reads fewer
        target = targets[task]
        labelled = train[target.labelled[train]]
        kept = _kept(target, labelled, instances.groups, part, _generator(seed, 0))
        targets[task] = _without(target, np.setdiff1d(labelled, kept))
        notes.append(f"{len(kept)} of {len(labelled)} train labels of {task} stay (data.label_share)")
    for task in [name for name in shuffled if name in targets]:
        target = targets[task]
        labelled = train[target.labelled[train]]
        targets[task] = _dealt(target, labelled, _generator(seed, 1).permutation(labelled))
        notes.append(f"{len(labelled)} train labels of {task} are shuffled (data.shuffled_labels)")
    return replace(instances, targets=targets), notes


def _generator(seed: int, use: int) -> np.random.Generator:
    return np.random.default_rng([seed, use])


def _kept(target: Target, labelled: IntArray, groups: Groups, share: float, rng: np.random.Generator) -> IntArray:
    if groups is not None:
        names, of_row, sizes = np.unique(groups[labelled], return_inverse=True, return_counts=True)
        order = rng.permutation(len(names))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), share * len(labelled) - 1e-9)) + 1
        return labelled[np.isin(of_row, order[:enough])]
    if isinstance(target, ClassTarget):
        rows = [labelled[target.ids[labelled] == k] for k in range(len(target.names))]
    else:
        rows = [labelled]
    return np.concatenate([rng.permutation(of_class)[: ceil(share * len(of_class) - 1e-9)] for of_class in rows])


def _without(target: Target, rows: IntArray) -> Target:
    if isinstance(target, ClassTarget):
        ids = target.ids.copy()
        ids[rows] = MISSING
        return replace(target, ids=ids)
    values = target.values.copy()
    values[rows] = np.nan
    return replace(target, values=values)


def _dealt(target: Target, rows: IntArray, donors: IntArray) -> Target:
    if isinstance(target, ClassTarget):
        ids = target.ids.copy()
        ids[rows] = target.ids[donors]
        return replace(target, ids=ids)
    values = target.values.copy()
    values[rows] = target.values[donors]
    return replace(target, values=values)
