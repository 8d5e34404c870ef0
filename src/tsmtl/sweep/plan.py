"""Which jobs of a sweep are left to do: what the sweep's folder says of those that were there before."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsmtl.config.errors import UserError
from tsmtl.config.identity import sha256_of_values, without_places
from tsmtl.config.pretraining import rows_of_start
from tsmtl.config.schema import Settings
from tsmtl.storage.run_folder import LAST, SUMMARY
from tsmtl.sweep.job import Job
from tsmtl.sweep.record import JobRecord, checkpoint_hash, read_record, records_in

log = logging.getLogger(__name__)
MOST_BYTES = 120  # of the settings in a folder's name; file systems end at 255


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
        self._found: dict[Path, str] = {}
        for record in records_in(folder):
            self._known.setdefault(_hash(record.settings), []).append(record)
            self._taken.add(record.folder)

    def place(self, job: Job) -> Planned:
        """Give a job its folder: that of the same settings, data and pretrained checkpoint, or a new one.

        Args:
            job: Without a folder.
        """
        own = self.folder / self._name(job)
        known = self._known.setdefault(_hash(job.flat), [])
        since = read_record(own)  # of another process, or made since this plan began
        if since is not None and since.key == job.key and all(record.folder != own for record in known):
            known.append(since)
        for record in sorted(known, key=lambda record: record.key != job.key):
            if self._found.get(record.folder, job.key) != job.key:  # of the same content, and another job's already
                continue
            record = read_record(record.folder) or record
            if self._is_of(job, record):
                self._found[record.folder] = job.key
                ended = record.status if record.status in ("failed", "pruned") else "cut"
                return Planned(self._at(job, record.folder), "done" if record.done else ended, record.reason)
            if record.key == job.key:
                log.info("%s: a new job, since files are not what they were in %s", job.name, record.folder)
        folder, again = own, 1
        while folder in self._taken or (folder / LAST).exists() or (folder / SUMMARY).exists():
            again += 1
            folder = own.with_name(f"{own.name}_{again}")
        self._taken.add(folder)
        return Planned(self._at(job, folder), "new")

    def _at(self, job: Job, folder: Path) -> Job:
        return replace(job, folder=folder, sweep=self.folder.absolute())

    def _is_of(self, job: Job, record: JobRecord) -> bool:
        """Say whether a record of the same settings is that of a job: of the same files, or of the same content."""
        own = record.key == job.key
        if record.data is None:  # it never came to read them
            return own
        now = [self.data_hash(job), checkpoint_hash(job.flat)]
        return all(a == b or (own and a is None) for a, b in zip(now, [record.data, record.start], strict=True))

    def data_hash(self, job: Job) -> str | None:
        """Hash the data as it is now; None where it cannot be read, which the run will say."""
        try:
            settings = _as_read(job.settings())
        except UserError:  # the checkpoint that it starts from is gone
            return None
        asked = settings.data_name
        if asked not in self._hashes:
            from tsmtl.data.checks import data_hash
            from tsmtl.data.loading import load_bundle

            try:
                self._hashes[asked] = data_hash(load_bundle(settings.data, settings.tasks))
            except UserError:
                self._hashes[asked] = None
        return self._hashes[asked]

    def _name(self, job: Job) -> str:
        said = re.sub(r"[^\w.=+-]+", "-", "_".join(f"{k}={v}" for k, v in job.swept.items())).strip("-")
        said = said.encode()[:MOST_BYTES].decode(errors="ignore")
        return job.subdir.replace("{settings}", said or "job").replace("{hash}", job.key[:8])


def _as_read(settings: Settings) -> Settings:
    """Give settings whose data is what the run reads: a fine-tuning takes the conditions of a table from its start."""
    start, path = settings.pretraining, settings.run.pretrained_path
    if "condition" not in settings.flat["data"]:
        return settings
    if start is not None:
        theirs = start.flat["data"]
    elif path is not None:
        from tsmtl.checkpoint.file import read_checkpoint  # PyTorch takes a while to import

        theirs = read_checkpoint(Path(path).expanduser())["settings"]["data"]
    else:
        return settings
    return replace(settings, data=settings.data.model_copy(update=rows_of_start(theirs)))


def _hash(flat: Mapping[str, Any]) -> str:
    """Hash what decides a result beside the content of files."""
    return sha256_of_values(without_places(flat))


def plan(jobs: Sequence[Job], folder: Path) -> list[Planned]:
    """Find the folder of every job; one that is the same as an earlier one is left out, and said.

    Args:
        jobs: The jobs, without folders.
        folder: The sweep's folder.
    """
    book, planned = Plan(folder), list[Planned]()
    seen: set[str] = set()
    for job in jobs:
        if job.key in seen:
            log.warning("%s: asked for twice; run once", job.name)
            continue
        seen.add(job.key)
        planned.append(book.place(job))
    return planned
