"""What every source gives: the instances of a data set, before and after they are split."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tsmtl.data.features import RowContext

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.signedinteger]
SPLITS = ("train", "val", "test")
BLOCK = 1024  # instances worked on at a time at most, and
BLOCK_VALUES = 2**22  # values (32 MiB in double precision), so that memory stays near the size of the data


class Rows(Protocol):
    """Series (N, C, T) or vectors (N, E) of which any rows come as an array; an array is the plainest."""

    @property
    def shape(self) -> tuple[Any, ...]:
        """(N, C, T) or (N, E)."""

    @property
    def ndim(self) -> int:
        """3 for series, 2 for vectors."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arrays that come: float32."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: slice | IntArray, /) -> FloatArray:
        """Give rows as an array."""


@dataclass(frozen=True)
class ClassTarget:
    """A class per instance.

    Attributes:
        key: Name of the target in the data.
        ids: (N,) whole numbers, -1 where the class is missing.
        names: K class names, in the order of the ids.
    """

    key: str
    ids: npt.NDArray[np.signedinteger]
    names: list[str]

    @property
    def array(self) -> npt.NDArray[np.signedinteger]:
        """What is true of each instance: (N,) ids."""
        return self.ids

    @property
    def size(self) -> int:
        """K."""
        return len(self.names)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the class is there."""
        return self.ids >= 0

    def any_missing(self, rows: IntArray) -> bool:
        """Whether the class of any of some instances is missing."""
        return bool((self.ids[rows] < 0).any())


@dataclass(frozen=True)
class NumberTarget:
    """One or more numbers per instance.

    Attributes:
        key: Name of the target in the data.
        values: (N, D) float32 in the target's own units, NaN where a number is missing.
        unit: Unit for tables and pictures, or None.
    """

    key: str
    values: FloatArray
    unit: str | None = None

    @property
    def array(self) -> FloatArray:
        """What is true of each instance: (N, D) numbers."""
        return self.values

    @property
    def size(self) -> int:
        """D."""
        return int(self.values.shape[1])

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(N,) whether any of the numbers is there."""
        return np.asarray(~np.isnan(self.values).all(axis=1))

    def any_missing(self, rows: IntArray) -> bool:
        """Whether any number of some instances is missing."""
        return bool(np.isnan(self.values[rows]).any())


@dataclass(frozen=True)
class LabelTarget:
    """Labels per instance, any of which may be true.

    Attributes:
        key: Name of the target in the data.
        values: (N, L) float32: 1 where a label is true, 0 where it is not, NaN where that is not known.
        names: L names of labels.
    """

    key: str
    values: FloatArray
    names: list[str]

    @property
    def array(self) -> FloatArray:
        """What is true of each instance: (N, L)."""
        return self.values

    @property
    def size(self) -> int:
        """L."""
        return len(self.names)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(N,) whether any of the labels is known."""
        return np.asarray(~np.isnan(self.values).all(axis=1))

    def any_missing(self, rows: IntArray) -> bool:
        """Whether any label of some instances is not known."""
        return bool(np.isnan(self.values[rows]).any())


Target = ClassTarget | NumberTarget | LabelTarget


def blocks(n: int, x: Rows) -> Iterator[slice]:
    """Give slices that cover ``n`` instances shaped like those of ``x``, each small enough to copy."""
    size = max(1, min(BLOCK, BLOCK_VALUES // max(1, int(np.prod(x.shape[1:])))))
    return (slice(start, start + size) for start in range(0, n, size))


@dataclass(frozen=True)
class Instances:
    """A data set as its source gives it.

    Attributes:
        x: (N, C, T) series, padded where lengths differ, or (N, E) vectors; float32, NaN where a value is missing. No
            array where the source leaves it in its files.
        targets: Targets by task name.
        where: The file, for messages.
        channels: C (or E) names.
        lengths: (N,) valid time steps where they differ, else None.
        groups: (N,) group of each instance where there is one; a group is never divided between splits.
        nan_padding: Whether the lengths were read off NaN behind the shorter series.
        given: Rows of the splits that the source itself fixes; ``val`` may be missing.
        names: (N,) what each instance is called, where the source says it; else it is known by its row.
        places: What the instances of the given test split are called beside their row, by column.
        in_utc: Whether the times of ``places`` had time zones, and are in UTC.
        facts: What was measured of the splits; see :mod:`tsmtl.data.sharing`.
        notes: What the user should know of the source, a line each.
        context: What features need to know of the rows of a recording.
    """

    x: Rows
    targets: dict[str, Target]
    where: str
    channels: list[str]
    lengths: IntArray | None = None
    groups: npt.NDArray[np.generic] | None = None
    given: dict[str, IntArray] | None = None
    nan_padding: bool = False
    names: npt.NDArray[Any] | None = None
    places: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    in_utc: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    context: "RowContext | None" = None


@dataclass(frozen=True)
class Bundle:
    """Instances with their splits: what leaves the data layer.

    Attributes:
        instances: The data set.
        splits: Rows of ``train``, ``val`` and ``test``; disjoint, none empty.
        notes: What the user should know of the data, a line each.
    """

    instances: Instances
    splits: dict[str, IntArray]
    notes: list[str] = field(default_factory=list)
