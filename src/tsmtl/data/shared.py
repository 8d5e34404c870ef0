"""What several processes of one machine need and one of them has made: read once, and in memory once.

Arrays lie in a file that each process maps into its memory, so that they share its pages until one writes to them; what
is written stays with the process that wrote it.
"""

import mmap
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock

from tsmtl.storage.whole import whole_file

T = TypeVar("T")
LINE = 64  # bytes: arrays begin where a vector of the processor does


class _NotToShareError(Exception):
    """It lies in a file already, or is nothing that another process could take."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap):
            raise _NotToShareError
        return NotImplemented


def shared(folder: Path, name: str, make: Callable[[], T]) -> T:
    """Give what ``make`` gives: from the folder, or made here and left there for others, who wait for it meanwhile.

    A process that dies while it is at it lets the next one do it. What cannot be shared each makes for itself, and so
    does each where the folder is full.

    Args:
        folder: Of :mod:`tsmtl.storage.shared_folder`, this user's alone: what lies there is unpickled.
        name: Same name, same thing.
        make: Makes it.
    """
    path, own = folder / name, folder / f"{name}.own"
    if not path.exists() and not own.exists():
        with FileLock(folder / f"{name}.lock"):
            if not path.exists() and not own.exists():
                made = make()
                if not _write(path, made):
                    with suppress(OSError):
                        own.touch()
                return made
    return make() if own.exists() else _read(path)


def _write(path: Path, value: Any) -> bool:
    """Write arrays first, then how to put them together: with that file all is there. Say whether it could be done."""
    arrays: list[pickle.PickleBuffer] = []
    try:
        with whole_file(path) as file, path.with_suffix(".arrays").open("wb") as raw:
            places = [raw.write(bytes(LINE))]  # a map needs something to map
            _Pickler(file, protocol=5, buffer_callback=arrays.append).dump(value)
            for array in arrays:
                raw.write(array.raw())
                places.append(raw.seek(-(-raw.tell() // LINE) * LINE))
            raw.truncate()
            file.write(np.array([*places[:-1], *(array.raw().nbytes for array in arrays)]).tobytes())
            file.write(len(arrays).to_bytes(8, "little"))
    except (_NotToShareError, pickle.PicklingError, TypeError, AttributeError, OSError):
        path.with_suffix(".arrays").unlink(missing_ok=True)
        return False
    return True


def _read(path: Path) -> Any:
    told = path.read_bytes()
    count = int.from_bytes(told[-8:], "little")
    places, sizes = np.frombuffer(told[-8 - 16 * count : -8], dtype=np.int64).reshape(2, count)
    with path.with_suffix(".arrays").open("rb") as raw:
        mapped = memoryview(mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_COPY))
    return pickle.loads(told, buffers=[mapped[at : at + n] for at, n in zip(places, sizes, strict=True)])
