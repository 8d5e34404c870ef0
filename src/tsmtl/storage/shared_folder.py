"""A folder for what processes of one machine share for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from filelock import FileLock, Timeout

PREFIX, BEGUN, OWNER = ".shared-", ".begun-", "owner.lock"
A_DAY = 86400  # seconds


@contextmanager
def folder_to_share(place: Path) -> Iterator[Path]:
    """Give a folder in another one, removed at the end; so are those of processes that were killed before they could.

    Args:
        place: Where others, which may be on other machines, may have such folders too.
    """
    for left in place.glob(PREFIX + "*"):
        remove_if_left(left)
    for left in place.glob(BEGUN + "*"):
        with suppress(OSError):  # another process removes it, or goes on
            if time.time() - left.stat().st_mtime > A_DAY:
                rmtree(left, ignore_errors=True)
    folder = Path(mkdtemp(prefix=BEGUN, dir=place))
    try:
        with FileLock(folder / OWNER):
            folder = folder.rename(place / folder.name.replace(BEGUN, PREFIX))  # now that it is seen to be held
            yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def remove_if_left(folder: Path, patience: float = 0.0) -> None:
    """Remove such a folder if its process has died.

    Args:
        folder: The folder.
        patience: Seconds for a process that is dying, or for others that remove it.
    """
    if folder.is_dir():  # a lock would make it again
        with suppress(Timeout, OSError), FileLock(folder / OWNER).acquire(timeout=patience):  # held while it lives
            rmtree(folder, ignore_errors=True)
