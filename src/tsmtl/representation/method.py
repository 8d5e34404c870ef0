"""What every representation is: fitted on the train split, then the same for every series."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray, Rows
from tsmtl.data.preparation import InputPreparation


class Representation(ABC):
    """A way from series (N, C, T) to vectors (N, E).

    A series gives the same vector whatever stands beside it, and however far it is padded.

    Attributes:
        shortest: Fewest time steps that it can read.
        takes_gaps: Whether it reads missing values itself, as NaN; else they are filled as ``data.missing`` says.
        of_gaps: What it does with them itself, in words; empty where it does nothing.
        takes_raw: Whether it fills and scales series itself; else they come filled and scaled.
    """

    shortest: ClassVar[int] = 1
    takes_gaps: ClassVar[bool] = False
    of_gaps: ClassVar[str] = ""
    takes_raw: ClassVar[bool] = False

    @property
    def steps_of_a_thread(self) -> int | None:
        """Steps of all series that one thread is to transform at a time; None: threads share what they all transform.

        Where PyTorch's threads share an operation their number moves the last bits.
        """
        return None

    @abstractmethod
    def fit(self, train: "TrainSeries", seed: int) -> None:
        """Learn from the series of the train split.

        Args:
            train: The only series that it may see.
            seed: Of all that is drawn at random.

        Raises:
            UserError: If they are too few or too short.
        """

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """E names of features; known once it is fitted."""

    @abstractmethod
    def transform(self, x: FloatArray) -> FloatArray:
        """Give the vectors (N, E) of prepared series (N, C, T) of one length, without padding."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Give what was learnt, as tensors and plain values."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` gave."""


@dataclass(frozen=True)
class Part:
    """Some series of one length.

    Attributes:
        rows: (n,) which.
        length: T_i, their steps.
    """

    rows: IntArray
    length: int

    def of(self, x: FloatArray) -> FloatArray:
        """Give the series (n, C, T_i) of all (N, C, T), padding cut off."""
        return x[self.rows][:, :, : self.length]


@dataclass(frozen=True)
class TrainSeries:
    """The series of the train split, prepared as they are asked for.

    Attributes:
        x: (N, C, T) all series.
        lengths: (N,) their valid steps, or None.
        rows: The train rows.
        channels: C names.
        preparation: What is done to them first.
        takes_gaps: Whether missing values stay NaN.
    """

    x: Rows
    lengths: IntArray | None
    rows: IntArray
    channels: list[str]
    preparation: InputPreparation
    takes_gaps: bool

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def longest(self) -> int:
        """Steps of the longest series."""
        return int(self.x.shape[2] if self.lengths is None else self.lengths[self.rows].max())

    def series(self, place: int) -> FloatArray:
        """Give one series (C, T_i), without its padding."""
        row = self.rows[place : place + 1]
        steps = self.x.shape[2] if self.lengths is None else int(self.lengths[row[0]])
        found: FloatArray = prepared(self.preparation, self.x[row][:, :, :steps], self.takes_gaps)[0]
        return found

    def apply(self, x: FloatArray, lengths: IntArray | None = None) -> FloatArray:
        """Prepare raw series (N, C, T) as those of :meth:`series` are; padding becomes 0."""
        return prepared(self.preparation, x, self.takes_gaps, lengths)


def prepared(
    preparation: InputPreparation, x: FloatArray, takes_gaps: bool, lengths: IntArray | None = None
) -> FloatArray:
    """Prepare series (N, C, T); missing values are filled, or stay NaN, and padding becomes 0."""
    filled = preparation.apply(x, lengths)
    if takes_gaps:
        gaps = np.isnan(x)
        if lengths is not None:
            gaps &= np.arange(x.shape[2]) < lengths[:, None, None]
        filled[gaps] = np.nan
    return filled


def of_equal_length(x: FloatArray, lengths: IntArray | None, steps: int | None = None) -> Iterator[Part]:
    """Yield the rows of each length in blocks of bounded memory.

    Args:
        x: (N, C, T) series.
        lengths: (N,) their valid steps, or None.
        steps: Of all series of a block at most, where a series has not more.
    """
    valid = np.full(len(x), x.shape[2]) if lengths is None else lengths
    most = BLOCK_VALUES // x.shape[1] if steps is None else steps
    for length in np.unique(valid).tolist():
        rows = np.flatnonzero(valid == length)
        size = max(1, most // length)
        for at in range(0, len(rows), size):
            yield Part(rows[at : at + size], length)
