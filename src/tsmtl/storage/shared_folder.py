"""A folder for what processes of one machine share for a while."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from filelock import FileLock, Timeout

PREFIX, BEGUN, OWNER = ".shared-", ".begun-", "owner.lock"


@contextmanager
def folder_to_share(place: Path) -> Iterator[Path]:
    """Give a folder in another one, removed at the end; so are those of processes that were killed before they could.

    Args:
        place: Where others, which may be on other machines, may have such folders too.
    """
    for left in place.glob(PREFIX + "*"):
        with suppress(Timeout, OSError), FileLock(left / OWNER).acquire(timeout=0):  # held as long as its process lives
            rmtree(left, ignore_errors=True)
    folder = Path(mkdtemp(prefix=BEGUN, dir=place))
    try:
        with FileLock(folder / OWNER):
            folder = folder.rename(place / folder.name.replace(BEGUN, PREFIX))  # now that it is seen to be held
            yield folder
    finally:
        rmtree(folder, ignore_errors=True)
