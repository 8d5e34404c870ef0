"""Keep the best checkpoint on disk without paying for a write in every epoch."""

import time
from pathlib import Path
from typing import Any

from tsmtl.checkpoint.file import write_checkpoint

INTERVAL = 1.0  # seconds between writes at least: a kill loses no more of the best than that


class BestCheckpoint:
    """Writes the newest offer, at most once per :data:`INTERVAL` until :meth:`finish`.

    Args:
        path: Where to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: dict[str, Any] | None = None
        self._written = float("-inf")

    def offer(self, content: dict[str, Any]) -> None:
        """Take a new best: the whole content of the checkpoint."""
        self._pending = content

    def tick(self) -> None:
        """Write the pending best if it is time; called once per epoch."""
        if self._pending is not None and time.monotonic() - self._written >= INTERVAL:
            self.finish()

    def finish(self) -> None:
        """Write the pending best now."""
        if self._pending is not None:
            write_checkpoint(self.path, self._pending)
            self._pending = None
            self._written = time.monotonic()
