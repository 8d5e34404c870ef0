"""Windows of a recording: instances that overlap, and are held once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray


@dataclass(frozen=True)
class Windows:
    """N windows of T rows, each a view into one array of R rows; indexed like an array (N, C, T).

    Attributes:
        values: (R, C) float32, rows in order.
        start: (P,) first row of each piece; a window never leaves its piece.
        count: (P,) windows in each piece.
        offset: (P,) row of each piece's first window, counted from ``start``: negative where the piece is shorter than
            a window, whose first row then stands for the rows that are missing before it.
        window: T.
        stride: Rows from one window to the next.
        horizon: Rows behind a window, in the same piece, that its targets come from.
    """

    values: FloatArray
    start: IntArray
    count: IntArray
    offset: IntArray
    window: int
    stride: int
    horizon: int = 0

    @cached_property
    def ends(self) -> IntArray:
        """(P,) windows in this piece and all before it."""
        return np.cumsum(self.count)

    @property
    def padded(self) -> bool:
        """Whether any window begins before its piece."""
        return bool((self.offset < 0).any())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, T)."""
        return int(self.ends[-1]) if len(self.ends) else 0, self.values.shape[1], self.window

    ndim = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def piece_of(self, rows: IntArray) -> IntArray:
        """Give the piece of each window."""
        return np.searchsorted(self.ends, rows, side="right")

    def first_rows(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Give where windows begin in ``values``, and where their pieces do: what lies before repeats that row."""
        piece = self.piece_of(rows)
        within = np.asarray(rows, dtype=np.int64) - (self.ends[piece] - self.count[piece])
        return self.start[piece] + self.offset[piece] + within * self.stride, self.start[piece]

    def __getitem__(self, rows: Any) -> FloatArray:
        """Give windows as an array (n, C, T)."""
        chosen = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        first, floor = self.first_rows(chosen)
        steps = np.maximum(first[:, None] + np.arange(self.window), floor[:, None])  # (n, T)
        return np.ascontiguousarray(self.values[steps].transpose(0, 2, 1))  # (n, C, T)

    def target_rows(self, rows: IntArray) -> tuple[IntArray, int]:
        """Give the first of the rows that targets come from, (n,), and how many they are; never before the piece."""
        first, floor = self.first_rows(rows)
        if self.horizon:
            return first + self.window, self.horizon
        return np.maximum(first, floor), self.window

    def rows_read(self, rows: IntArray, horizon: bool = True, back: bool = False) -> IntArray:
        """Give the runs of rows, (runs, 2) first and end, that windows read.

        Args:
            rows: The windows.
            horizon: Whether the rows of their targets count too.
            back: Whether all rows of the piece before a window count too, as channels derived from them carry them on.
        """
        reach = self.window + (self.horizon if horizon else 0)
        runs: list[IntArray] = []
        for some in np.array_split(rows, max(1, len(rows) // 2**17)):
            first, floor = self.first_rows(some)
            begin, end = floor if back else np.maximum(first, floor), first + reach
            order = np.argsort(begin, kind="stable")
            runs.append(_joined(begin[order], np.maximum.accumulate(end[order])))
        every = np.concatenate(runs)
        order = np.argsort(every[:, 0], kind="stable")
        return _joined(every[order, 0], np.maximum.accumulate(every[order, 1]))

    def value_blocks(self, rows: IntArray) -> Iterator[FloatArray]:
        """Give the input that windows read, each row once, in blocks (1, C, n)."""
        size = max(1, BLOCK_VALUES // max(1, self.values.shape[1]))
        for first, end in self.rows_read(rows, horizon=False):
            for at in range(int(first), int(end), size):
                yield self.values[at : min(at + size, int(end))].T[None]

    def over(self, values: FloatArray) -> "Windows":
        """Give the same windows of other values of the same rows."""
        return replace(self, values=values)


def _joined(begin: IntArray, end: IntArray) -> IntArray:
    """Join runs, sorted by their first row, that touch or overlap; ``end`` never falls."""
    new = np.append(True, begin[1:] > end[:-1])
    last = np.append(np.flatnonzero(new)[1:] - 1, len(begin) - 1)
    return np.stack([begin[new], end[last]], axis=1)


def cut(
    start: IntArray,
    stop: IntArray,
    window: int,
    stride: int,
    horizon: int,
    pad_short: bool,
    last_only: npt.NDArray[np.bool_],
) -> tuple[IntArray, IntArray]:
    """Count the windows of pieces, and say where the first one begins.

    Args:
        start: (P,) first row.
        stop: (P,) row behind the last.
        window: T.
        stride: Rows from one window to the next.
        horizon: Rows behind a window that must be there too.
        pad_short: Whether a piece shorter than a window gives one, whose first row is repeated; it must hold the
            horizon and a row more.
        last_only: (P,) whether only the last window is wanted.

    Returns:
        (P,) number of windows, and (P,) offset of the first one.
    """
    room = stop - start - horizon  # rows in which a window may end
    count = np.where(room >= window, (room - window) // stride + 1, 0)
    offset = np.zeros(len(start), dtype=np.int64)
    if pad_short:
        short = (count == 0) & (room > 0)
        count[short] = 1
        offset[short] = room[short] - window
    whole = last_only & (count > 0)
    offset[whole] = (room - window)[whole]
    count[whole] = 1
    return count.astype(np.int64), offset
