"""``job.json``: what a job's folder says of the job, for the sweep that comes again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tsmtl.storage.run_folder import SUMMARY, sha256_of
from tsmtl.storage.whole import temporary_of, whole_file
from tsmtl.sweep.job import Job, Outcome

NAME = "job.json"


@dataclass(frozen=True)
class JobRecord:
    """A job as its folder tells of it.

    Attributes:
        folder: The run folder.
        key: Hash of the job's settings.
        swept: The settings that tell it from the others.
        settings: All its settings.
        monitor: The score by which jobs are compared.
        higher_is_better: Which way.
        status: ``cut`` until it has ended otherwise; see :class:`tsmtl.sweep.job.Outcome`.
        reason: Why it ended so.
        data: SHA-256 of its data; None where it never came to read it.
        start: SHA-256 of the checkpoint that it is fine-tuned from; None where it starts from none.
        typed: Keys that the user gave.
        trial: Number of the trial of a search, or None.
    """

    folder: Path
    key: str
    swept: dict[str, str]
    settings: dict[str, Any]
    monitor: str
    higher_is_better: bool
    status: str = "cut"
    reason: str = ""
    data: str | None = None
    start: str | None = None
    typed: list[str] = field(default_factory=list)
    trial: int | None = None

    @property
    def done(self) -> bool:
        """Whether the run was finished, tested and reported."""
        return self.summary() is not None

    def ended(self, outcome: Outcome) -> "JobRecord":
        """Give the record of the job's end."""
        return replace(self, status=outcome.status, reason=outcome.reason)

    def summary(self) -> dict[str, Any] | None:
        """Give what the run reported; None where it did not, or the file is damaged."""
        try:
            return dict(json.loads((self.folder / SUMMARY).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    @property
    def half_written(self) -> bool:
        """Whether a process died while it wrote the record anew; the old one is whole."""
        return temporary_of(self.folder / NAME).exists()

    def write(self) -> None:
        """Write the record into the job's folder, which is made.

        Raises:
            OSError: If the disk is full or not writable.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        said = {name: value for name, value in asdict(self).items() if name != "folder"}
        with whole_file(self.folder / NAME) as file:
            file.write((json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode())


def record_of(job: Job) -> JobRecord:
    """Give the record of a job that has a folder, as it begins.

    Raises:
        UserError: If its settings are refused.
    """
    from tsmtl.config.trainer_rules import monitors

    assert job.folder is not None, "a job is recorded in its folder"
    settings = job.settings()
    monitor = settings.trainer.monitor
    return JobRecord(
        job.folder,
        job.key,
        dict(job.swept),
        dict(job.flat),
        monitor,
        monitors(settings.task, settings.data)[monitor],
        start=checkpoint_hash(job.flat),
        typed=sorted(job.typed),
        trial=None if job.search is None else job.search["trial"],
    )


def checkpoint_hash(flat: Mapping[str, Any]) -> str | None:
    """Give the SHA-256 of the checkpoint that a job is fine-tuned from; None where it has none, or none is there."""
    path = flat.get("pretrained_path")
    try:
        return None if path is None else sha256_of(Path(path).expanduser())
    except OSError:
        return None


def read_record(folder: Path) -> JobRecord | None:
    """Give what a folder says of a job; None where it says nothing that can be read."""
    try:
        said = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return JobRecord(folder=folder, **said)
    except (OSError, ValueError, TypeError):
        return None


def records_in(folder: Path) -> Iterator[JobRecord]:
    """Give the jobs of a sweep's folder, by the names of their folders."""
    for path in sorted(folder.rglob(NAME)):
        record = read_record(path.parent)
        if record is not None:
            yield record
