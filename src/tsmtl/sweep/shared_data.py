"""Which data sets the jobs of a sweep share, and for how long."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from tsmtl.sweep.job import Job


class SharedData:
    """Folders, one for each data set that several jobs read; it is there as long as any of them is left.

    Args:
        place: Where they are; None: nothing is shared.
        jobs: All that are to run; None: they are not known yet, and a data set stays until a job of another one begins.
    """

    def __init__(self, place: Path | None, jobs: Sequence[Job] | None = None) -> None:
        self.place, self._known = place, jobs is not None
        self._left = Counter(folder for job in jobs or () for folder in self._folders(job))
        for folder, readers in self._left.items():
            if readers > 1:
                _make(folder)

    def _folders(self, job: Job) -> list[Path]:
        if self.place is None:
            return []
        settings = job.settings()
        read = [settings] if settings.pretraining is None else [settings, settings.pretraining]
        return [self.place / name for name in {one.data_name for one in read}]

    def begins(self, job: Job) -> None:
        """Let a job find its folders."""
        if not self._known:
            self._left.update(folders := self._folders(job))
            for folder in folders:
                _make(folder)
            self._remove_unread()

    def ended(self, job: Job) -> None:
        """Remove what no other job reads."""
        self._left.subtract(self._folders(job))
        if self._known:
            self._remove_unread()

    def _remove_unread(self) -> None:
        for folder in [folder for folder, readers in self._left.items() if not readers]:
            rmtree(folder, ignore_errors=True)
            del self._left[folder]


def _make(folder: Path) -> None:
    with suppress(OSError):  # a full disk: each job reads for itself
        folder.mkdir(exist_ok=True)
