"""A process that runs jobs of a sweep, one after another: ``python -m tsmtl.sweep_worker SHARING``.

SHARING is the number of processes that share its GPU. The sweep starts it, sends it its place and then a job a line on
standard input, and reads a line for each thing that happens to the job from its standard output, all JSON. The place
is its number among the others, and the numbers of the cores that it may run on; null: all.
"""

import atexit
import faulthandler
import gc
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tsmtl.config.errors import Interrupted, raise_interrupted, reason_of
from tsmtl.config.garbage import PLUGINS, importing, skip_last_search
from tsmtl.storage.shared_folder import remove_if_left

with importing():
    import torch

    from tsmtl.run_job import run_job
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.process import OUTPUT

FAREWELL = 10.0  # seconds, for a sweep that is dying, and for other processes of it that tidy up


def main() -> None:
    """Run jobs until the sweep closes the line, or a signal comes; a sweep that dies takes its workers along."""
    signal.signal(signal.SIGTERM, raise_interrupted)
    faulthandler.enable()
    inbox = _Inbox()
    tell = _line_of_our_own(inbox.die)
    skip_last_search()
    gc.freeze()  # the search behind each job passes over PyTorch
    with suppress(Interrupted):  # before a job, or between two: nothing is lost
        if (place := inbox.next()) is not None:
            _stay_on(place["cores"])
            _use_gpu(place["slot"], int(sys.argv[1]))
            inbox.busy = False
            tell({"event": "ready"})
            _work(inbox, tell)
    _leave()


def _work(inbox: "_Inbox", tell: Callable[[dict[str, Any]], None]) -> None:
    """Run job after job."""
    while (message := inbox.next()) is not None:
        torch.set_num_threads(min(message["threads"], torch.get_num_threads()))
        inbox.shared = None if message["shared"] is None else Path(message["shared"])
        outcome = _run(Job.from_message(message["job"]), tell, inbox.shared)
        inbox.busy = False
        gc.collect()
        # What failed on a GPU may have left it unusable for this process.
        leaves = outcome.status == "cut" or (outcome.status == "failed" and torch.cuda.is_initialized())
        tell({"event": "ended", "status": outcome.status, "reason": outcome.reason, "leaves": leaves})
        if leaves:
            return


def _leave() -> None:
    """End without taking PyTorch's modules apart, which takes over half a second, unless there is a plugin's left."""
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if PLUGINS or not all(thread.daemon for thread in others):
        return
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _stay_on(cores: list[int] | None) -> None:
    """Keep this process, and those that it starts, on some cores: what it has in their caches stays there."""
    if cores and sys.platform == "linux":
        with suppress(OSError):  # a container that has just been given other cores
            os.sched_setaffinity(0, cores)


def _use_gpu(slot: int, sharing: int) -> None:
    """Take one of the GPUs that this process sees; of its memory a part, where others have theirs."""
    if devices := torch.cuda.device_count():
        torch.cuda.set_device(slot % devices)
        if sharing > 1:
            torch.cuda.set_per_process_memory_fraction(1 / sharing)


def _run(job: Job, tell: Callable[[dict[str, Any]], None], shared: Path | None) -> Outcome:
    try:
        with _printing_to(job):
            return run_job(job, tell, shared)
    except OSError as error:  # its folder cannot be made
        return Outcome("failed", reason_of(error))


def _line_of_our_own(die: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """Keep standard output for messages; what a plugin prints goes to standard error."""
    line = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # last words of a process that crashes

    def tell(message: dict[str, Any]) -> None:
        try:
            line.write(json.dumps(message) + "\n")
            line.flush()
        except BrokenPipeError:  # the sweep has died: no reason for the job to fail
            die()

    return tell


@contextmanager
def _printing_to(job: Job) -> Iterator[None]:
    """Keep what the run, a plugin or a library prints in the job's folder; no file where that is nothing."""
    assert job.folder is not None, "a job runs in its folder"
    job.folder.mkdir(parents=True, exist_ok=True)
    path, before = job.folder / OUTPUT, os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(before, 1)
        os.dup2(before, 2)
        os.close(before)
        if not path.stat().st_size:
            path.unlink()


class _Inbox:
    """The place and the jobs from the sweep, read by a thread of its own, which also sees a sweep that has died.

    Attributes:
        busy: Whether something of it is being done.
        shared: The folder of what jobs share.
    """

    def __init__(self) -> None:
        self.busy = False
        self.shared: Path | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Any:
        """Wait for the next message; None when there are no more."""
        line = self._lines.get()
        return None if line is None else json.loads(line)

    def _read(self) -> None:
        for line in sys.stdin:
            self.busy = True
            self._lines.put(line)
        if self.busy:
            self.die()
        if self.shared is not None:  # the sweep removes it itself, unless it was killed between two jobs
            remove_if_left(self.shared)
        self._lines.put(None)

    def die(self) -> None:
        """End as the sweep has, with files whole and the last state on disk; but what it shared is of no more use."""
        if self.shared is not None:
            remove_if_left(self.shared, FAREWELL)
        os._exit(1)


if __name__ == "__main__":
    main()
