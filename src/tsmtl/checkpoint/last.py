"""``last.pt``: all that a run needs to go on exactly where it was."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tsmtl.checkpoint.archive import read_archive, write_archive
from tsmtl.checkpoint.file import FORMAT_VERSION, checked_version
from tsmtl.config.errors import UserError

INTERVAL = 5.0  # seconds between writes at least, and
SHARE = 50  # so many times as long as a write takes: writing costs a fiftieth of the time at most
KEYS = (
    "settings",
    "data",
    "pretrained",
    "model",
    "optimizer",
    "schedule",
    "average",
    "balance",
    "fit",
    "each",
    "threads",
    "kernels",
    "random",
)


class LastState:
    """Keeps the state of a run on disk.

    Args:
        path: The file.
        collect: Gives the state, under :data:`KEYS`.
    """

    def __init__(self, path: Path, collect: Callable[[], dict[str, Any]]) -> None:
        self.path = path
        self.collect = collect
        self._next = float("-inf")

    @property
    def due(self) -> bool:
        """Whether it is time for the next write."""
        return time.monotonic() >= self._next

    def write(self) -> None:
        """Write the state as it is now.

        Raises:
            OSError: If the disk is full or not writable; the file stays as it was.
        """
        began = time.monotonic()
        content = self.collect()
        assert set(content) == set(KEYS), set(content) ^ set(KEYS)
        write_archive(self.path, {"format_version": FORMAT_VERSION, **content})
        now = time.monotonic()
        self._next = now + max(INTERVAL, SHARE * (now - began))


def read_last(path: Path) -> dict[str, Any]:
    """Read the state of a run.

    Raises:
        UserError: If it is damaged, of another kind, or of a newer format.
    """
    content = checked_version(path, read_archive(path))
    if missing := [key for key in KEYS if key not in content]:
        raise UserError(f"{path}: not the state of a run, it lacks {', '.join(missing)}")
    return content
