"""The processes of a sweep on one machine: each imports PyTorch once, and runs job after job."""

import os
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tsmtl.config.errors import FailedError
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.process import Event, WorkerProcess

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
        n_jobs: Processes; None: one per GPU, where there are any and the jobs may use them, or else one per core.
        most: Most jobs that there will be, or None. What is left of them does not count: how the cores are divided
            must not depend on what was done before, since sums over threads differ in the last bit.
        gpu: Whether jobs may use a GPU.
    """

    def __init__(self, n_jobs: int | None, most: int | None, gpu: bool) -> None:
        self.cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        self.most = most
        self.slots = n_jobs if n_jobs is not None or _may_have(gpu) else self.cores
        self._events: queue.Queue[tuple[WorkerProcess, Event | None]] = queue.Queue()
        self._workers: dict[int, WorkerProcess] = {}

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, asking for the next one when a process is free.

        Raises:
            KeyboardInterrupt: If a signal came; the jobs under way have written their state.
            FailedError: If a process cannot even start.
        """
        try:
            self._run(jobs, follower)
        except BaseException:
            for worker in self._workers.values():
                worker.stop()
            for worker in self._workers.values():
                worker.wait()
            raise
        for worker in self._workers.values():
            worker.close()

    def _run(self, jobs: Iterator[Job], follower: Follower) -> None:
        job = next(jobs, None)
        for slot in range(0 if job is None else self._bounded(self.slots or 1)):
            self._start(slot)
        while job is not None or any(worker.job for worker in self._workers.values()):
            worker, event = self._events.get()
            if event is None:
                self._dead(worker, follower, go_on=job is not None)
                continue
            if event["event"] == "ready" and self.slots is None:
                self.slots = self._bounded(event["gpus"] or self.cores)
                for slot in range(1, self.slots):
                    self._start(slot)
            elif event["event"] == "ended":
                follower.ended(worker.finished(), worker.slot, Outcome(event["status"], event["reason"]))
            elif event["event"] != "ready" and worker.job is not None:
                follower.event(worker.job, worker.slot, event)
            if job is not None and worker.job is None:
                worker.give(job, threads=max(1, self.cores // self._bounded(self.slots or 1)))
                follower.started(job, worker.slot)
                job = next(jobs, None)

    def _bounded(self, slots: int) -> int:
        return slots if self.most is None else min(slots, self.most)

    def _start(self, slot: int) -> None:
        self._workers[slot] = WorkerProcess(slot, self._events)

    def _dead(self, worker: WorkerProcess, follower: Follower, go_on: bool) -> None:
        """Take note of a process that has died, and put another one in its place."""
        reason = worker.cause_of_death()
        worker.close()
        if not worker.ready:
            raise FailedError(f"a process of the sweep could not start: {reason}")
        if worker.job is not None:
            follower.ended(worker.finished(), worker.slot, Outcome("killed", reason))
        if go_on:
            self._start(worker.slot)


def _may_have(gpu: bool) -> bool:
    return gpu and (sys.platform != "linux" or any(Path(file).exists() for file in GPU_FILES))
