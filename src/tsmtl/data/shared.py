"""What several processes of one machine need and one of them has made: read once, and in memory once.

Arrays lie in a file that each process maps into its memory, so that they share its pages until one writes to them; what
is written stays with the process that wrote it.
"""

import mmap
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar, cast

import numpy as np
from filelock import FileLock

from tsmtl.storage.whole import whole_file

T = TypeVar("T")
LINE = 64  # bytes: arrays begin where a vector of the processor does
RESERVE = 2  # times its own size that what is shared leaves free on the disk, for the jobs' files
OWN = "own"  # in a folder: each makes its own


class _NotToShareError(Exception):
    """It lies in a file already, is nothing that another process could take, or the disk has little room."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap):
            raise _NotToShareError
        return NotImplemented


def shared(folder: Path, name: str, make: Callable[[], T]) -> T:
    """Give what ``make`` gives: from the folder, or made here and left there for others, who wait for it meanwhile.

    A process that dies while it is at it lets the next one do it. Each makes its own where there is no such folder, and
    from when on anything could not be written: it cannot be shared, or the disk has too little room.

    Args:
        folder: In one of :mod:`tsmtl.storage.shared_folder`, this user's alone: what lies there is unpickled.
        name: Same name, same thing.
        make: Makes it.
    """
    path, made = folder / name, list[T]()
    if not path.exists() and shares(folder):
        with _locked(folder / f"{name}.lock"):
            if not path.exists() and shares(folder):
                made.append(make())
                if not _write(path, made[0]):
                    with suppress(OSError):
                        (folder / OWN).touch()
    with suppress(OSError):  # it is not there
        return cast(T, _read(path))
    return made[0] if made else make()


def shares(folder: Path) -> bool:
    """Say whether anything is left there for others."""
    return folder.is_dir() and not (folder / OWN).exists()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Take a lock where the disk has room for one."""
    with ExitStack() as held:
        with suppress(OSError):
            held.enter_context(FileLock(path))
        yield


def _write(path: Path, value: Any) -> bool:
    """Write arrays first, then how to put them together: with that file all is there. Say whether it could be done."""
    arrays: list[pickle.PickleBuffer] = []
    try:
        with whole_file(path) as file, path.with_suffix(".arrays").open("wb") as raw:
            places = [raw.write(bytes(LINE))]  # a map needs something to map
            _Pickler(file, protocol=5, buffer_callback=arrays.append).dump(value)
            if disk_usage(path.parent).free < (1 + RESERVE) * sum(array.raw().nbytes for array in arrays):
                raise _NotToShareError
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
