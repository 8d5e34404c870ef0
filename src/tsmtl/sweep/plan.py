"""Which jobs of a sweep are left to do: what the sweep's folder says of those that were there before."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tsmtl.config.errors import UserError
from tsmtl.sweep.job import Job
from tsmtl.sweep.record import JobRecord, read_record, records_in

log = logging.getLogger(__name__)
MOST_LETTERS = 100  # of the settings in a folder's name


@dataclass(frozen=True)
class Planned:
    """A job, its folder found, and what is there.

    Attributes:
        job: The job; its folder is set.
        status: ``new``, ``cut`` (goes on from its last state), ``done``, ``failed`` or ``pruned`` (by a search).
        reason: Why it failed or was pruned before.
    """

    job: Job
    status: str
    reason: str = ""


class Plan:
    """Finds each job's folder.

    Args:
        folder: The sweep's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, list[JobRecord]] = {}
        self._hashes: dict[str, str | None] = {}
        self._taken: set[Path] = set()
        for record in records_in(folder):
            self._known.setdefault(record.key, []).append(record)
            self._taken.add(record.folder)

    def place(self, job: Job) -> Planned:
        """Give a job its folder: that of the same settings and data, or a new one.

        Args:
            job: Without a folder.
        """
        folder = self.folder / self._name(job)
        since = read_record(folder)  # of another process, or made since this plan began
        known = self._known.setdefault(job.key, [])
        if since is not None and since.key == job.key and all(record.folder != folder for record in known):
            known.append(since)
        for record in known:
            record = read_record(record.folder) or record
            if record.data is None or record.data == self._data_hash(job):
                ended = record.status if record.status in ("failed", "pruned") else "cut"
                status = "done" if record.done else ended
                return Planned(self._at(job, record.folder), status, record.reason)
            log.info("%s: the data is not what it was in %s; the job is a new one", job.name, record.folder)
        folder, again = self.folder / self._name(job), 1
        while folder in self._taken or (folder / "last.pt").exists() or (folder / "summary.json").exists():
            again += 1
            folder = self.folder / f"{self._name(job)}_{again}"
        self._taken.add(folder)
        return Planned(self._at(job, folder), "new")

    def _at(self, job: Job, folder: Path) -> Job:
        return replace(job, folder=folder, sweep=self.folder.absolute())

    def _data_hash(self, job: Job) -> str | None:
        """Hash the data as it is now; None where it cannot be read, which the run will say."""
        settings = job.settings()
        asked = json.dumps([job.flat["data"], settings.tasks], sort_keys=True)
        if asked not in self._hashes:
            from tsmtl.data.checks import data_hash
            from tsmtl.data.loading import load_bundle

            try:
                self._hashes[asked] = data_hash(load_bundle(settings.data, settings.tasks))
            except UserError:
                self._hashes[asked] = None
        return self._hashes[asked]

    def _name(self, job: Job) -> str:
        said = re.sub(r"[^\w.=+-]+", "-", "_".join(f"{k}={v}" for k, v in job.swept.items()))[:MOST_LETTERS]
        return job.subdir.replace("{settings}", said or "job").replace("{hash}", job.key[:8])


def plan(jobs: Sequence[Job], folder: Path) -> list[Planned]:
    """Find the folder of every job; one that is the same as an earlier one is left out, and said.

    Args:
        jobs: The jobs, without folders.
        folder: The sweep's folder.
    """
    book, planned = Plan(folder), list[Planned]()
    seen: dict[str, str] = {}
    for job in jobs:
        if job.key in seen:
            log.warning("%s: the same as %s; run once", job.name, seen[job.key])
            continue
        seen[job.key] = job.name
        planned.append(book.place(job))
    return planned
