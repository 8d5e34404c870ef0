"""Write a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of ``path`` when the block ends.

    Killed at any moment, the old file or the new one is there whole; where anything fails, the old one stays.

    Args:
        path: Where to; the folder exists. Where it is a link, the file that it leads to is replaced.

    Raises:
        OSError: With ``path`` as its file name, if the disk is full or not writable.
    """
    target = path.resolve()
    temporary = temporary_of(target)
    file: IO[bytes] | None = None
    try:
        file = temporary.open("wb")
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        temporary.replace(target)
    except BaseException as error:
        if file is not None:
            with suppress(OSError):  # what a full disk still holds back; it is told below
                file.close()
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):  # not of what is read meanwhile
            raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say which file
        raise


def temporary_of(path: Path) -> Path:
    """Give where a file is written until it is whole; a fixed name: a kill leaves one file, not one per try."""
    return path.with_name(path.name + ".tmp")
