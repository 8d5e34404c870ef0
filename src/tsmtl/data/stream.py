"""Instances of a file in blocks: what a trained model is given without the file ever being in memory as a whole."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.contract import InputContract, Names
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.targets import class_word

# What the data of the training named, and a new file has by the same name; instance_key is named with data=vectors.
NAMED_IN_TRAINING = ("input_key", "lengths_key", "channels_key", "instance_key")


@dataclass(frozen=True)
class WantedTarget:
    """A target to read beside the input.

    Attributes:
        task: The task it belongs to.
        kind: ``cls``, ``reg`` or ``multilabel``.
        key: Name of the array or column.
        setting: The setting that names it, for messages.
        size: D of numbers, L of labels.
        ids_key: Array of the class names for ids 0 ... K - 1, where classes were ids with names in training.
        ids_key_typed: Whether the user named that array, so that it must be there, and the classes be ids.
        more_keys: Further arrays or columns, of numbers and labels that stand in several.
        ids_have_names: Whether classes were ids 0 ... K - 1 in training, which the settings named.
    """

    task: str
    kind: str
    key: str
    setting: str
    size: int = 1
    ids_key: str | None = None
    ids_key_typed: bool = False
    more_keys: tuple[str, ...] = ()
    ids_have_names: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """All arrays or columns, the first one first."""
        return (self.key, *self.more_keys)


@dataclass(frozen=True)
class Request:
    """What to read of a file.

    Attributes:
        path: The file.
        contract: What the model reads.
        size: Instances per block.
        input_key: npz: name of the input array as typed, or None.
        lengths_key: npz: name of the array of lengths as typed, or None.
        trained: Names of the arrays and columns in training, by setting (:data:`NAMED_IN_TRAINING`).
        instance_key: CSV, Parquet: the column that names the instance.
        instance_key_typed: Whether the user named that column, so that it must be there.
        targets: Targets to read too.
        made_by: Of a model of vectors: what made those of its training, as their manifest said; None: not known.
    """

    path: Path
    contract: InputContract
    size: int
    input_key: str | None = None
    lengths_key: str | None = None
    trained: dict[str, str | None] = field(default_factory=dict)
    instance_key: str = "instance"
    instance_key_typed: bool = False
    targets: list[WantedTarget] = field(default_factory=list)
    made_by: dict[str, Any] | None = None


@dataclass(frozen=True)
class Block:
    """Consecutive instances of a file.

    Attributes:
        names: What each is called: its row in the file, or the name that the file gives.
        x: (n, C, T) or (n, E) as the file has them, or a list of (C, T_i) series.
        lengths: (n,) valid steps of padded series, or None.
        targets: Raw columns (n,) or (n, D) by task: texts ("" is missing), ids (-1), or numbers (NaN).
    """

    names: Names
    x: npt.NDArray[Any] | list[FloatArray]
    lengths: IntArray | None = None
    targets: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """The instances of a file.

    Attributes:
        where: The file, for messages.
        total: How many there are, None where only reading tells.
        blocks: They come in blocks of the requested size; the last may be smaller.
    """

    where: str
    total: int | None
    blocks: Generator[Block]


def class_ids(
    values: npt.NDArray[Any], class_names: tuple[str, ...], ids_have_names: bool, where: str, names: Names
) -> IntArray:
    """Find the classes of a block among those of a model.

    Args:
        values: (n,) texts or whole numbers; "" and, unless it is a class, -1 or NaN is a missing class. A text that is
            no class is taken without the blanks around it, and then as what it says: 2.0 for 2, true for 1.
        class_names: The K classes.
        ids_have_names: Whether a whole number is the place of a class among them, not its name.
        where: The file, for messages.
        names: What each instance is called.

    Returns:
        (n,) ids, -1 where missing.

    Raises:
        UserError: For a class that the model does not know.
    """
    places = {name: i for i, name in enumerate(class_names)}
    ids = np.full(len(values), -1, dtype=np.int64)
    for row, value in enumerate(values.tolist()):
        number = isinstance(value, int | float)
        if number and float(value).is_integer():
            value = int(value)  # 2.0 is class 2, true is class 1
        text = str(value)
        for otherwise in (str.strip, class_word):
            if not number and text not in places:
                text = otherwise(text)
        as_id = ids_have_names and text.isdecimal() and int(text) < len(class_names)
        if as_id and (number or text not in places):
            ids[row] = int(text)
        elif text in places and not (number and ids_have_names):
            ids[row] = places[text]
        elif text.lower() not in ("", "-1", "nan"):
            known = ", ".join(class_names[:20]) + (" ..." if len(class_names) > 20 else "")
            raise UserError(f"{where}: instance {names[row]}: class '{text}' is unknown to the model (it has {known})")
    return ids
