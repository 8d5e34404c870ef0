"""One process at a time in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tsmtl.config.errors import UserError


@contextmanager
def alone_in(lock: Path, setting: str, doing: str) -> Iterator[None]:
    """Keep other processes out of a folder; a process that dies gives it free.

    Args:
        lock: The file that tells; it is there as long as a process is.
        setting: What names the folder.
        doing: What the other process does there, for the message.

    Raises:
        UserError: If another process is at it, or the folder cannot be written.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{setting}: another process is {doing} {lock.parent}; name another folder") from error
    except OSError as error:
        raise UserError(f"{setting}: cannot write {lock.parent} ({error.strerror})") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        held.release()
