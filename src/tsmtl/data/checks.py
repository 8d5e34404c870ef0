"""What data must be before a model may learn from it; every problem is found before training."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.features import RowContext
from tsmtl.data.instances import Bundle, ClassTarget, Instances, IntArray, LabelTarget, NumberTarget, Target, blocks
from tsmtl.data.windows import Windows


def check_input(instances: Instances, splits: dict[str, IntArray], missing: str) -> list[str]:
    """Check the series or vectors.

    Args:
        instances: The data set.
        splits: Rows of each split.
        missing: The setting ``data.missing``.

    Returns:
        Notes for the log: missing values and constant channels.

    Raises:
        UserError: For infinite values, a channel without any value in train, an instance without any, and NaN where
            ``missing=error``.
    """
    x, where = instances.x, instances.where
    problems = []
    n_missing, first_missing = 0, ""
    c = x.shape[1]
    seen = np.zeros(c, dtype=bool)
    low, high = np.full(c, np.inf), np.full(c, -np.inf)
    in_train = np.zeros(len(x), dtype=bool)
    in_train[splits["train"]] = True
    for rows in blocks(len(x), x):
        start = rows.start
        block = x[rows]
        block = block if x.ndim == 3 else block[:, :, None]  # (n, C, T)
        if instances.lengths is not None:
            block = block.copy()
            outside = np.arange(block.shape[2]) >= instances.lengths[rows, None, None]
            block[np.broadcast_to(outside, block.shape)] = np.nan
            beyond = int(outside.sum()) * c
        else:
            beyond = 0
        if (found := np.argwhere(np.isinf(block))).size:
            problems.append(
                f"{where}: {_place(instances, start, found[0])} is infinite in single precision; a missing value is NaN"
            )
            break
        nan = np.isnan(block)
        if (empty := np.flatnonzero(nan.reshape(len(block), -1).all(axis=1))).size:
            problems.append(f"{where}: instance {start + int(empty[0])} has no value at all; leave it out")
            break
        if (number := int(nan.sum()) - beyond) > 0:
            n_missing += number
            if not first_missing:
                inside = nan if instances.lengths is None else nan & ~outside
                first_missing = _place(instances, start, np.argwhere(inside)[0])
        train = block[in_train[rows]]
        seen |= (~np.isnan(train)).any(axis=(0, 2))
        low = np.fmin(low, np.fmin.reduce(train, axis=(0, 2), initial=np.inf))
        high = np.fmax(high, np.fmax.reduce(train, axis=(0, 2), initial=-np.inf))
    if problems:
        raise UserError(problems)
    if not seen.all():
        names = ", ".join(instances.channels[i] for i in np.flatnonzero(~seen)[:10])
        raise UserError(
            f"{where}: no value in the train split for {_noun(instances)} {names}; leave it out of the input, "
            "or mend the file"
        )
    if n_missing and missing == "error":
        raise UserError(f"{where}: {n_missing} missing values, the first: {first_missing} (data.missing=error)")
    notes = []
    if n_missing:
        notes.append(f"{n_missing} missing input values, {filled(missing)}; the first: {first_missing}")
    constant = np.flatnonzero(low == high)
    if constant.size:
        names = ", ".join(instances.channels[i] for i in constant[:10]) + (" ..." if constant.size > 10 else "")
        notes.append(f"{constant.size} constant in the train split and without information: {names}")
    return notes


def check_target(instances: Instances, task: str, target: Target, splits: dict[str, IntArray]) -> list[str]:
    """Check the target of one task.

    Returns:
        Notes for the log: missing labels.

    Raises:
        UserError: If a split has no label, train has one class or one value only, or a class is unknown to train.
    """
    where, key = instances.where, target.key
    noun = {ClassTarget: "class", NumberTarget: "number", LabelTarget: "label"}[type(target)]
    notes: list[str] = []
    labelled = {name: rows[target.labelled[rows]] for name, rows in splits.items()}
    for name, rows in labelled.items():
        if not len(rows):
            raise UserError(f"{where}: '{key}' is missing everywhere in the {name} split; task {task} needs it there")
    if isinstance(target, ClassTarget):
        known = np.unique(target.ids[labelled["train"]])
        if len(known) < 2:
            raise UserError(
                f"{where}: '{key}' has one class only in the train split ({target.names[known[0]]}); "
                "there is nothing to tell apart"
            )
        for name in ("val", "test"):
            unknown = np.setdiff1d(target.ids[labelled[name]], known)
            if unknown.size:
                names = ", ".join(target.names[i] for i in unknown[:10])
                raise UserError(
                    f"{where}: '{key}' has classes in the {name} split that train never has ({names}); "
                    "mend the split, or leave these instances out"
                )
    elif isinstance(target, LabelTarget):
        notes += _check_labels(where, task, target, labelled)
    else:
        for column in range(target.values.shape[1]):
            said = f"'{key}'" + (f" column {column}" if target.values.shape[1] > 1 else "")
            for name, rows in labelled.items():
                values = target.values[rows, column]
                if np.isnan(values).all():
                    raise UserError(f"{where}: {said} is missing everywhere in the {name} split")
            values = target.values[labelled["train"], column]
            if np.nanmin(values) == np.nanmax(values):
                raise UserError(
                    f"{where}: {said} has one value only in the train split ({np.nanmin(values):g}); "
                    "there is nothing to learn"
                )
    n_missing = sum(len(rows) for rows in splits.values()) - sum(len(rows) for rows in labelled.values())
    if n_missing:
        notes.append(f"{n_missing} instances without a {noun} '{key}'; task {task} learns from the others")
    return notes


def _check_labels(where: str, task: str, target: LabelTarget, labelled: dict[str, IntArray]) -> list[str]:
    """Check that some label is to be learnt; give a note for those that are not."""
    train = target.values[labelled["train"]]
    varied = (train == 1).any(axis=0) & (train == 0).any(axis=0)
    if not varied.any():
        raise UserError(
            f"{where}: '{target.key}' has no label in the train split that is true of some instances and false of "
            "others; there is nothing to learn"
        )
    same = [target.names[i] for i in np.flatnonzero(~varied)]
    if not same:
        return []
    said = ", ".join(same[:10]) + (" ..." if len(same) > 10 else "")
    return [f"task {task}: {len(same)} labels are always the same in the train split, and are not learnt: {said}"]


def filled(missing: str) -> str:
    """Say what becomes of missing values."""
    return f"filled (data.missing={missing})"


def data_hash(bundle: Bundle) -> str:
    """Give the SHA-256 of inputs, lengths, targets and splits."""
    digest = hashlib.sha256()
    instances = bundle.instances
    arrays: list[npt.NDArray[Any]] = [] if instances.lengths is None else [instances.lengths]
    x = instances.x
    if isinstance(x, Windows):
        arrays += _recorded(x, instances.context)
    else:
        digest.update(f"{x.dtype} {x.shape}".encode())
        for rows in blocks(len(x), x):
            digest.update(np.ascontiguousarray(x[rows]).data)
    for target in instances.targets.values():
        arrays.append(target.array)
    arrays += [bundle.splits[name] for name in sorted(bundle.splits)]
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _recorded(windows: Windows, context: RowContext | None) -> list[npt.NDArray[Any]]:
    conditions: list[npt.NDArray[Any]] = []
    if context is not None and context.condition is not None:
        numbers = context.condition.numbers
        conditions = [codes for codes, _ in context.condition.texts] if numbers is None else [numbers]
    said = np.array([windows.window, windows.stride, windows.horizon])
    return [windows.values, windows.start, windows.count, windows.offset, said, *conditions]


def _noun(instances: Instances) -> str:
    return "channel" if instances.x.ndim == 3 else "feature"


def _place(instances: Instances, start: int, found: IntArray) -> str:
    row, channel, step = (int(i) for i in found)
    said = f"instance {start + row}, {_noun(instances)} {instances.channels[channel]}"
    return said + (f", time step {step}" if instances.x.ndim == 3 else "")
