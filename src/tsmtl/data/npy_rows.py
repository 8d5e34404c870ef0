"""Input that stays in .npy files: rows are read as they are asked for."""

import os
import weakref
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.single import to_single


class NpyFile:
    """One array of numbers in a .npy file.

    Plain reads and no memory map: what was read is the operating system's to keep or to drop, and a disk that fails
    raises an error where a map would end the process.

    Args:
        path: The file.

    Attributes:
        shape: Its shape, instances first.
        dtype: Its type on disk.

    Raises:
        UserError: If it is damaged, holds no numbers, or not its instances one after another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        form: Any = np.lib.format  # it has no types
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        weakref.finalize(self, self._file.close)
        try:
            read = form.read_array_header_1_0 if form.read_magic(self._file) == (1, 0) else form.read_array_header_2_0
            shape, fortran, dtype = read(self._file)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(error) from error
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype[Any] = dtype
        if dtype.hasobject:
            raise UserError(
                f"{path}: an object array, which could run code when read; save it with a plain type of numbers"
            )
        if fortran:
            raise UserError(
                f"{path}: saved in Fortran's order, where an instance lies all over the file; save "
                "numpy.ascontiguousarray(...) of it"
            )
        self._start = self._file.tell()
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        size = self._file.seek(0, os.SEEK_END)
        if shape and size < self._start + shape[0] * self._row_bytes:
            raise self._damaged("its size is not that of its header; was it cut off?")

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read_into(self, out: npt.NDArray[Any], start: int) -> None:
        """Fill an array of the file's type with consecutive rows."""
        left = memoryview(out.reshape(-1).view(np.uint8).data)
        try:
            self._file.seek(self._start + start * self._row_bytes)
            while left:
                if not (n := self._file.readinto(left)):
                    raise self._damaged("it was cut off while in use")
                left = left[n:]
        except OSError as error:
            raise self._damaged(error) from error

    def read_ahead(self, start: int, stop: int) -> None:
        """Ask the operating system, where it takes such wishes, to read rows that will be wanted soon."""
        if hasattr(os, "posix_fadvise"):
            where, length = self._start + start * self._row_bytes, (stop - start) * self._row_bytes
            with suppress(OSError):  # a wish that a file system does not know
                os.posix_fadvise(self._file.fileno(), where, length, os.POSIX_FADV_WILLNEED)

    def _damaged(self, error: object) -> UserError:
        return UserError(f"{self.path}: cannot be read, the file is damaged ({error})")


class NpyRows:
    """Series (N, C, T) or vectors (N, E) in one .npy file or several, joined; any rows come as a float32 array.

    Args:
        files: The files, alike but for their number of instances.
        steps: Time steps that are used; the others are padding. None for all.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, files: list[NpyFile], steps: int | None = None) -> None:
        self._files = files
        self._steps = steps
        self._starts = np.cumsum([0, *(len(file) for file in files)])

    @property
    def dtype_on_disk(self) -> np.dtype[Any]:
        """Type of the numbers in the files."""
        return np.result_type(*(file.dtype for file in self._files))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, T) or (N, E)."""
        inner = self._files[0].shape[1:]
        return (len(self), *(inner if self._steps is None else (*inner[:-1], self._steps)))

    @property
    def ndim(self) -> int:
        """3 for series, 2 for vectors."""
        return self._files[0].ndim

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: slice | IntArray) -> FloatArray:
        return to_single(self.raw(rows))

    def cut(self, steps: int) -> "NpyRows":
        """Give the same series without what lies behind the first ``steps`` time steps."""
        return NpyRows(self._files, steps)

    def raw(self, rows: slice | IntArray) -> npt.NDArray[Any]:
        """Read rows in the type that they have on disk."""
        wanted = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        out = np.empty((len(wanted), *self._files[0].shape[1:]), dtype=self.dtype_on_disk)
        order = np.argsort(wanted, kind="stable")  # a disk reads forward
        ascending = wanted[order]
        if len(wanted) and not 0 <= ascending[0] <= ascending[-1] < len(self):
            raise IndexError(f"rows {ascending[0]} to {ascending[-1]} of {len(self)}")
        straight = bool((order[1:] > order[:-1]).all())
        block = out if straight else np.empty_like(out)
        for number, file in enumerate(self._files):
            first, last = np.searchsorted(ascending, self._starts[number : number + 2])
            own = ascending[first:last] - self._starts[number]
            if not len(own):
                continue
            ends = np.flatnonzero(np.diff(own) != 1) + 1  # of runs of neighbours
            for begin, end in pairwise([0, *ends.tolist(), len(own)]):
                self._read(file, int(own[begin]), block[first + begin : first + end])
        if not straight:
            out[order] = block
        return out if self._steps is None else np.ascontiguousarray(out[:, :, : self._steps])

    def _read(self, file: NpyFile, start: int, out: npt.NDArray[Any]) -> None:
        if file.dtype == out.dtype:
            file.read_into(out, start)
        else:  # another type than that of a sister file, or another byte order
            own = np.empty(out.shape, dtype=file.dtype)
            file.read_into(own, start)
            out[:] = own

    def read_ahead(self, start: int, stop: int) -> None:
        """Say that the rows from ``start`` to ``stop`` will be wanted soon, in any order."""
        for file, first, last in zip(self._files, self._starts, self._starts[1:], strict=False):
            if (begin := max(start, int(first))) < (end := min(stop, int(last))):
                file.read_ahead(begin - int(first), end - int(first))
