"""Jobs of a sweep on the machines of a cluster, so many at a time; :mod:`tsmtl.sweep.slurm` and ``ray`` are two."""

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from tsmtl.config.errors import FailedError
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.on_node import ProgressReader
from tsmtl.sweep.pool import Follower

log = logging.getLogger(__name__)
PAUSE = 0.5  # seconds between two looks at the jobs


class RefusedError(FailedError):
    """The cluster does not take a job, now or ever."""


class Submission(Protocol):
    """A job that the cluster has taken."""

    def outcome(self) -> Outcome | None:
        """Give how it ended; None while it has not."""

    def cancel(self) -> None:
        """Ask it to end; it writes its state if there is time."""


class Cluster(AbstractContextManager["Cluster"], Protocol):
    """Takes jobs while its ``with`` block is open.

    Attributes:
        patience: Seconds to wait for cancelled jobs; 0 for a cluster that needs nobody to wait.
    """

    patience: float

    def room(self) -> int | None:
        """Say how many jobs may be with it at a time; None: any number."""

    def submit(self, job: Job, place: Path) -> Submission:
        """Take a job.

        Args:
            job: With a folder, which exists.
            place: The folder in which the sweep was started.

        Raises:
            RefusedError: If the cluster does not take it.
        """


@dataclass(frozen=True)
class _UnderWay:
    job: Job
    submission: Submission
    progress: ProgressReader


class ClusterRunner:
    """Runs the jobs of a sweep on a cluster; see :class:`tsmtl.sweep.runners.Runner`.

    Args:
        cluster: Where.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._under_way: dict[int, _UnderWay] = {}
        self._limit: int | None = None  # learnt from a refusal

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, asking for the next one when there is room.

        Raises:
            KeyboardInterrupt: If a signal came; the jobs under way are cancelled.
            FailedError: If the cluster takes no job at all.
        """
        first = next(jobs, None)
        if first is None:  # a cluster need not be there for that
            return
        with self.cluster:
            try:
                self._run(chain([first], jobs), follower)
            except BaseException:
                self._cancel()
                raise

    def _run(self, jobs: Iterator[Job], follower: Follower) -> None:
        held: Job | None = None
        more = True
        while more or self._under_way:
            while more and self._has_room():
                job = held or next(jobs, None)
                if job is None:
                    more = False
                elif (slot := self._submit(job)) is None:
                    held = job
                else:
                    held = None
                    follower.started(job, slot)
            if not self._look(follower):
                time.sleep(PAUSE)

    def _has_room(self) -> bool:
        limits = [limit for limit in (self.cluster.room(), self._limit) if limit is not None]
        return not limits or len(self._under_way) < min(limits)

    def _submit(self, job: Job) -> int | None:
        """Give a job to the cluster and say its place among the others; None where it must wait for one of them."""
        assert job.folder is not None, "a job runs in its folder"
        job.folder.mkdir(parents=True, exist_ok=True)
        progress = ProgressReader(job.folder)
        try:
            submission = self.cluster.submit(job, Path.cwd())
        except RefusedError as error:
            if not self._under_way:
                raise
            log.warning("%s; %d jobs at a time from now on", error, len(self._under_way))
            self._limit = len(self._under_way)
            return None
        slot = min(set(range(len(self._under_way) + 1)) - set(self._under_way))
        self._under_way[slot] = _UnderWay(job, submission, progress)
        return slot

    def _look(self, follower: Follower) -> bool:
        """Tell the follower what is new; gives whether a job has ended."""
        ended = False
        for slot, one in list(self._under_way.items()):
            outcome = one.submission.outcome()  # before its last words are read
            for event in one.progress.new():
                follower.event(one.job, slot, event)
            if outcome is not None:
                del self._under_way[slot]
                one.progress.remove()
                follower.ended(one.job, slot, outcome)
                ended = True
        return ended

    def _cancel(self) -> None:
        for one in self._under_way.values():
            one.submission.cancel()
        end = time.monotonic() + self.cluster.patience
        while time.monotonic() < end and any(one.submission.outcome() is None for one in self._under_way.values()):
            time.sleep(PAUSE)
        for one in self._under_way.values():
            one.progress.remove()
