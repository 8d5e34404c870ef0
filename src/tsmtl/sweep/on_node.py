"""A job of a sweep as a cluster carries it to one of its machines, and what is heard of it meanwhile.

The machine needs the same Python environment, and the sweep's folder and data under the same paths (a shared file
system). The job runs in a process of its own below the cluster's: it survives the job and says what became of it.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsmtl.config.errors import FailedError
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.pool import Pool

PROGRESS = "progress.jsonl"  # in the job's folder: what its process says while it runs, a line each


@dataclass(frozen=True)
class OnNode:
    """What a machine of a cluster is asked to do.

    Attributes:
        job: See :meth:`tsmtl.sweep.job.Job.message`; it has a folder.
        place: The folder in which the sweep was started; relative paths in settings start there.
        cores: The job's, of the machine's.
    """

    job: dict[str, Any]
    place: str
    cores: int

    def __call__(self) -> tuple[str, str]:
        """Run the job; gives status and reason of its :class:`tsmtl.sweep.job.Outcome`."""
        job = Job.from_message(self.job)
        try:
            os.chdir(self.place)
            teller = _Teller(job)
            Pool(1, most=1, left=1, needs=Needs(), cores=self.cores).run(iter([job]), teller)
        except FailedError as error:
            return "killed", f"on {socket.gethostname()}: {error}"
        except OSError as error:
            shared = "the machines of a cluster need the sweep's folder and data under the same paths"
            return "killed", f"on {socket.gethostname()}: {error.filename}: {error.strerror}; {shared}"
        return teller.outcome.status, teller.outcome.reason


class _Teller:
    """Keeps what happens to the job where the sweep reads it."""

    def __init__(self, job: Job) -> None:
        self.outcome = Outcome("killed", "its process was lost")
        assert job.folder is not None, "a job runs in its folder"
        self._path = job.folder / PROGRESS

    def started(self, job: Job, slot: int) -> None:
        """The sweep knows."""

    def event(self, job: Job, slot: int, event: dict[str, Any]) -> None:
        """Add a line."""
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:  # a bar is not worth a run
            file.write(json.dumps(event) + "\n")

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None:
        """Keep its outcome, which the cluster carries back."""
        self.outcome = outcome


class ProgressReader:
    """Reads what a job's process says, from whichever machine.

    Args:
        folder: The job's.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._read = folder / PROGRESS, 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Give what was said since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:  # nothing yet
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # two processes on two machines, one of them dying, may write into each other's lines
                continue
            if isinstance(event, dict):
                yield event

    def remove(self) -> None:
        """Remove the file: the job has not begun, or has ended. In between it only grows."""
        self._path.unlink(missing_ok=True)
