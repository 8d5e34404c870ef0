"""The processes of a sweep on one machine: each imports PyTorch once, and runs job after job on cores of its own."""

import queue
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from tsmtl.config.errors import FailedError
from tsmtl.config.processor import core_count, usable_cores
from tsmtl.storage.shared_folder import folder_to_share
from tsmtl.sweep.gpus import visible_gpus
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.process import Event, Gpu, WorkerProcess
from tsmtl.sweep.shared_data import SharedData

MOST_STARTS = 3  # of one process, in a row, that fail before it is up
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # without any of them, Linux has no GPU that PyTorch could use


class Follower(Protocol):
    """Is told what happens to the jobs of a sweep."""

    def started(self, job: Job, slot: int) -> None:
        """A job was given to a process."""

    def event(self, job: Job, slot: int, event: dict[str, Any]) -> None:
        """It has begun to train (``starts``), or has ended an epoch (``epoch``)."""

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None:
        """It has ended, one way or another."""


class Pool:
    """Runs jobs in processes of this machine; one that dies takes its own job along and no other.

    Args:
        n_jobs: Jobs at a time; None: ``jobs_per_gpu`` on each GPU, where there are any and the jobs use them, or else
            one per core. Jobs on several devices: as many as there are cores for, and on GPUs, which they count from
            the first, one.
        most: Jobs that the sweep has, or None; fewer than processes share the cores. What is left of them does not
            count: sums over other numbers of threads differ in the last bit.
        left: Jobs that are to run, or None.
        needs: What each job takes.
        cores: To be divided; None: all that this process may use, and then each process stays on its share of them.
        folder: Where jobs share what one of them has read; None: nowhere.
        jobs_per_gpu: Jobs that share a GPU.
        early: Processes without a place; it takes them out before it starts others, and ends those that are too many.
        jobs: Those that are to run, to know which of them read the same; None: unknown.
    """

    def __init__(
        self,
        n_jobs: int | None,
        most: int | None,
        left: int | None,
        needs: Needs,
        cores: int | None = None,
        folder: Path | None = None,
        jobs_per_gpu: int = 1,
        early: list[WorkerProcess] | None = None,
        jobs: Sequence[Job] | None = None,
    ) -> None:
        usable = usable_cores()
        self.cores = cores or core_count()
        # Which cores are whose is not known where others take some of them: a cluster's jobs, or another container.
        self._own = usable if cores is None and self.cores == len(usable) and not may_have(needs.gpu) else []
        self.most, self.left, self.needs = most, left, needs
        self.gpus = visible_gpus() if left != 0 and may_have(needs.gpu) else []
        self.slots = n_jobs or self._slots(jobs_per_gpu)
        self._events: queue.Queue[tuple[WorkerProcess, Event | None]] = queue.Queue()
        self._workers: dict[int, WorkerProcess] = {}
        self._failed_starts = 0
        self._early = [] if early is None else early
        self._folder, self._jobs = folder, jobs
        self._shared = SharedData(None)

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, asking for the next one when a process is free.

        Raises:
            KeyboardInterrupt: If a signal came; the jobs under way have written their state.
            FailedError: If processes cannot even start.
        """
        with ExitStack() as held:
            if self._folder is not None:
                self._shared = SharedData(held.enter_context(folder_to_share(self._folder.absolute())), self._jobs)
            try:
                self._run(jobs, follower)
            except BaseException:
                for worker in self._workers.values():
                    worker.stop()
                for worker in self._workers.values():
                    worker.wait()
                raise
            for worker in self._workers.values():
                worker.let_go()
            for worker in self._workers.values():
                worker.close()

    def _run(self, jobs: Iterator[Job], follower: Follower) -> None:
        more = self.left != 0
        for slot in range(self.processes if more else 0):
            self._start(slot)
        end_all(self._early)
        while more or any(worker.job for worker in self._workers.values()):
            worker, event = self._next_event()
            if event is None:
                self._dead(worker, follower, go_on=more)
                continue
            if event["event"] == "ready":
                self._failed_starts = 0
            elif event["event"] == "ended":
                worker.leaves = event["leaves"]
                self._ended(worker, follower, Outcome(event["status"], event["reason"]))
            elif worker.job is not None:
                follower.event(worker.job, worker.slot, event)
            if worker.job is None and more and not worker.leaves:
                job = next(jobs, None)
                more = job is not None
                if job is not None:
                    self._shared.begins(job)
                    worker.give(job, self._threads(), self._shared.place)
                    follower.started(job, worker.slot)

    def _next_event(self) -> tuple[WorkerProcess, Event | None]:
        while True:
            with suppress(queue.Empty):  # not every way to interrupt a thread wakes one that waits for ever
                return self._events.get(timeout=1.0)

    def _slots(self, jobs_per_gpu: int) -> int:
        if self.gpus:
            return len(self.gpus) * jobs_per_gpu if self.needs.devices == 1 else 1
        return max(1, self.cores // self.needs.cores)

    @property
    def processes(self) -> int:
        """Processes that it starts at once."""
        return min(self.slots, *(n for n in (self.most, self.left) if n is not None), sys.maxsize)

    def _threads(self) -> int:
        return max(1, self.cores // min(self.slots, self.most or sys.maxsize))

    def _gpu_of(self, slot: int) -> Gpu | None:
        """Give the GPU of a process: one after another in turn; None where jobs use several, or there are none."""
        if not self.gpus or self.needs.devices > 1:
            return None
        here = range(slot % len(self.gpus), min(self.slots, self.most or sys.maxsize), len(self.gpus))
        return Gpu(self.gpus[slot % len(self.gpus)], max(1, len(here)))

    def _cores_of(self, slot: int) -> list[int] | None:
        """Give the cores of a process: its share, or None where there are not enough for all, or for a job."""
        share = self._threads()
        own = self._own[slot * share : (slot + 1) * share]
        enough = self.processes * share <= len(self._own) and self.needs.cores <= share
        return own if enough else None

    def _start(self, slot: int) -> None:
        gpu = self._gpu_of(slot)
        worker = self._early.pop() if self._early and gpu is None else WorkerProcess(gpu)
        worker.join(slot, self._events, self._cores_of(slot))
        self._workers[slot] = worker

    def _dead(self, worker: WorkerProcess, follower: Follower, go_on: bool) -> None:
        """Take note of a process that has died, and put another one in its place."""
        reason = worker.cause_of_death()
        worker.close()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts == MOST_STARTS:
                raise FailedError(f"a process of the sweep could not start: {reason}")
        if worker.job is not None:
            self._ended(worker, follower, Outcome("killed", reason))
        if go_on:
            self._start(worker.slot)

    def _ended(self, worker: WorkerProcess, follower: Follower, outcome: Outcome) -> None:
        job = worker.finished()
        self._shared.ended(job)
        follower.ended(job, worker.slot, outcome)


def end_all(waiting: list[WorkerProcess]) -> None:
    """Take processes without a place out of a list, and end them."""
    ended = [waiting.pop() for _ in range(len(waiting))]
    for worker in ended:
        worker.stop()
    for worker in ended:
        worker.wait()


def may_have(gpu: bool) -> bool:
    """Say whether jobs that use a GPU, if they do, may find one here; to count them takes seconds."""
    return gpu and (sys.platform != "linux" or any(Path(file).exists() for file in GPU_FILES))
