"""What a trained model reads, and whether new data are that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.given_arrays import numbers_of
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.padding import lengths_of_nan_padding, pad, without_common_padding

Series = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]
Names = Sequence[int] | Sequence[str]


@dataclass(frozen=True)
class InputContract:
    """What a trained model reads.

    Attributes:
        kind: ``series`` (N, C, T) or ``vectors`` (N, E).
        channels: Names of the C channels, or E features, in order.
        seq_len: T of the training, None for vectors.
        nan_padding: Whether lengths were read off NaN behind the shorter series.
        missing: What became of NaN in training; ``error`` allows none.
        takes_lengths: Whether the model reads series of any length; else T is ``seq_len`` alone.
        shortest: Fewest time steps it can read.
        scaled_per_step: Whether each time step has a scaling of its own, so that T is ``seq_len`` alone too.
        otherwise: What else can be done with the other kind, for messages.
    """

    kind: str
    channels: list[str]
    seq_len: int | None
    nan_padding: bool
    missing: str
    takes_lengths: bool
    shortest: int
    scaled_per_step: bool = False
    otherwise: str = ""

    @property
    def any_length(self) -> bool:
        """Whether series of other lengths than ``seq_len`` can be read."""
        return self.kind == "series" and self.takes_lengths and not self.scaled_per_step

    def check(
        self, x: Series, lengths: npt.NDArray[np.integer] | None, where: str = "x", names: Names | None = None
    ) -> tuple[FloatArray, IntArray | None]:
        """Give new data as the model's preparation takes them.

        Args:
            x: Raw series (N, C, T), vectors (N, E), or a list of (C, T_i) series of different lengths; what a masked
                array hides is missing. Of a table whose columns are named like features these are taken by name.
            lengths: (N,) valid steps of padded series, or None.
            where: Where they come from, for messages.
            names: What each instance is called in messages; its row without them.

        Returns:
            (N, C, T) or (N, E), and the lengths (N,) where series are padded.

        Raises:
            UserError: If they are not what the model was trained on, with the first instance that is not.
        """

        def place(row: int) -> str:
            return f"{where}: instance {row if names is None else names[row]}"

        if hasattr(x, "__array__"):  # tensors and tables too
            array = _single(numbers_of(self._by_name(x, where), where))
        elif not isinstance(x, Sequence) or isinstance(x, str):
            raise UserError(f"{where}: must be an array, or a list of series (got {type(x).__name__})")
        elif lengths is not None:
            raise UserError("lengths: a list holds the length of each series itself; give lengths with (N, C, T)")
        else:
            array, lengths = self._padded(x, where, place)
        if lengths is not None and array.ndim == 3:
            lengths = checked_lengths(lengths, len(array), array.shape[2], "lengths")
            array, lengths = without_common_padding(array, lengths)
        self.check_shape(array.shape, where)
        if lengths is None and self.kind == "series" and self.nan_padding:
            lengths = lengths_of_nan_padding(array)
            if lengths is not None and (lengths == 0).any():
                raise UserError(f"{place(int(np.argmin(lengths)))} has no value at all; leave it out")
        if lengths is not None and not self.any_length:
            why = "; each time step has a scaling of its own" if self.scaled_per_step else ""
            raise UserError(f"{where}: this model reads series of equal lengths only{why}")
        steps = None if lengths is None else checked_lengths(lengths, len(array), array.shape[-1], "lengths")
        if steps is not None and steps.min() < self.shortest:
            row = int(np.argmin(steps))
            raise UserError(f"{place(row)} has {steps[row]} time steps; the model reads {self.shortest} or more")
        self._check_values(array, steps, place)
        return array, steps

    def _by_name(self, x: Any, where: str) -> Any:
        """Give the features of a table in their order, as of a file; what has no such columns as it is."""
        columns = {name for name in getattr(x, "columns", ()) if isinstance(name, str)}
        if self.kind == "series" or columns.isdisjoint(self.channels):
            return x
        if missing := [name for name in self.channels if name not in columns]:
            raise UserError(f"{where}: no column '{missing[0]}', which the model was trained on")
        return x[self.channels]

    def _check_values(self, array: FloatArray, steps: IntArray | None, place: Callable[[int], str]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(array.sum()):  # no value is infinite or missing, or the sum would be
                return
        refused: list[tuple[np.ufunc, str]] = [(np.isinf, "is infinite in single precision; a missing value is NaN")]
        if self.missing == "error":
            refused.append((np.isnan, "is missing, and the model was trained with data.missing=error"))
        if np.isnan(array).any():
            there = ~np.isnan(array)
            if steps is not None:
                there &= np.arange(array.shape[2]) < steps[:, None, None]
            if (empty := np.flatnonzero(~there.reshape(len(array), -1).any(axis=1))).size:
                raise UserError(f"{place(int(empty[0]))} has no value at all; leave it out")
        valid = True if steps is None else np.arange(array.shape[2]) < steps[:, None, None]  # padding may hold anything
        for wrong, what in refused:
            if (found := np.argwhere(wrong(array) & valid)).size:
                row, channel, *step = (int(i) for i in found[0])
                noun = "channel" if step else "feature"
                said = f"{place(row)}, {noun} {self.channels[channel]}" + "".join(f", time step {i}" for i in step)
                raise UserError(f"{said} {what}")

    def check_shape(self, shape: tuple[int, ...], where: str = "x") -> None:
        """Check the shape of an array of instances.

        Raises:
            UserError: If the model does not read such.
        """
        wanted = "(N, C, T)" if self.kind == "series" else "(N, E)"
        if 0 in shape:
            raise UserError(f"{where}: is empty (shape {shape})")
        if len(shape) != (3 if self.kind == "series" else 2):
            raise UserError(f"{where}: the model reads {self.kind} {wanted} (got shape {shape}){self.otherwise}")
        if shape[1] != len(self.channels):
            letter = "C" if self.kind == "series" else "E"
            raise UserError(
                f"{where}: the model was trained with {letter} = {len(self.channels)} (got {shape[1]}, shape {shape})"
            )
        if self.kind != "series":
            return
        if not self.any_length and shape[2] != self.seq_len:
            raise UserError(f"{where}: {self._one_length()} (got {shape[2]})")
        if shape[2] < self.shortest:
            raise UserError(f"{where}: the model reads series of {self.shortest} time steps or more (got {shape[2]})")

    def _one_length(self) -> str:
        why = " (data.scale=standard_per_step)" if self.scaled_per_step else ""
        return f"the model was trained with {self.seq_len} time steps and reads no other length{why}"

    def check_channels(self, names: list[str], where: str) -> None:
        """Check the names of the channels of a file that names them.

        Raises:
            UserError: At the first that is another than in training: a model knows its channels by their places.
        """
        for place, (name, wanted) in enumerate(zip(names, self.channels, strict=False), 1):
            if name != wanted:
                raise UserError(f"{where}: {place}. is {name}, the model was trained with {wanted} there")

    def _padded(
        self, x: Sequence[npt.NDArray[Any]], where: str, place: Callable[[int], str]
    ) -> tuple[FloatArray, IntArray | None]:
        if self.kind != "series":
            raise UserError(f"{where}: the model reads vectors (N, E), not a list of series")
        series = [_single(numbers_of(s, place(row))) for row, s in enumerate(x)]
        if not series or any(s.ndim != 2 for s in series):
            raise UserError(f"{where}: a list must hold series of shape (C, T), one at least")
        if len({len(s) for s in series}) > 1:
            raise UserError(f"{where}: the series of a list must have the same number of channels")
        if self.nan_padding:  # each by itself: what is predicted for one does not hang on those beside it
            whole = [s.shape[1] for s in series]
            found = [lengths_of_nan_padding(s[None]) for s in series]
            ends = [n if end is None else int(end[0]) for n, end in zip(whole, found, strict=True)]
            if 0 in ends and whole[ends.index(0)]:
                raise UserError(f"{place(ends.index(0))} has no value at all; leave it out")
            series = [s[:, :end] for s, end in zip(series, ends, strict=True)]
        if not self.any_length and len(series[0]) == len(self.channels):
            for row, s in enumerate(series):
                if s.shape[1] != self.seq_len:
                    raise UserError(f"{place(row)} has {s.shape[1]} time steps; {self._one_length()}")
        return pad(series)


def _single(array: npt.NDArray[Any]) -> FloatArray:
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused with its place
        return np.asarray(array, dtype=np.float32)


def checked_lengths(lengths: npt.NDArray[Any], n: int, t: int, said: str) -> IntArray:
    """Check the lengths of ``n`` series padded to ``t`` steps.

    Args:
        lengths: (n,) valid steps.
        n: Number of series.
        t: Steps of the padded series.
        said: What the lengths are called in messages.

    Raises:
        UserError: If they are no whole numbers in [1, t].
    """
    steps = numbers_of(lengths, said)
    if steps.shape != (n,) or steps.dtype.kind not in "iu":
        raise UserError(f"{said}: must be whole numbers of shape ({n},) (got {steps.dtype} of shape {steps.shape})")
    if n and (steps.min() < 1 or steps.max() > t):
        raise UserError(f"{said}: must lie in [1, {t}] (got {steps.min()} to {steps.max()})")
    return steps.astype(np.int64)
