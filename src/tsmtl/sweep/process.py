"""One process of a sweep, from the side of the sweep."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tsmtl.config.processor import wait_briefly
from tsmtl.sweep.job import Job

Event = dict[str, Any]
OUTPUT = "output.log"  # in a job's folder: what the run, or a plugin, printed
STOPPING = 60.0  # seconds that a job gets to write its state
VISIBLE = "CUDA_VISIBLE_DEVICES"  # tells a process its GPUs


def python() -> list[str]:
    """Begin a command of Python that looks for modules where this process does, in :func:`python_environment`."""
    return [sys.executable, "-P"]


def python_environment() -> dict[str, str]:
    """Give the environment of this process, with the places of its modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}


class Gpu(NamedTuple):
    """The GPU of a process.

    Attributes:
        name: As ``CUDA_VISIBLE_DEVICES`` takes it.
        jobs: Processes that share it; each may take as much of its memory.
    """

    name: str
    jobs: int


class WorkerProcess:
    """A process that runs ``tsmtl.sweep_worker``; it imports PyTorch, and waits for its place in a sweep.

    Args:
        gpu: The one GPU that it sees; None: all that there are.

    Attributes:
        slot: Its place in the sweep.
        job: What it is doing, or None.
        ready: Whether it has started.
        leaves: Whether it has said that it takes no more jobs.
    """

    def __init__(self, gpu: Gpu | None = None) -> None:
        self.slot, self.ready, self.leaves = 0, False, False
        self.job: Job | None = None
        self._printed = 0  # bytes that earlier processes printed in the job's folder
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        environment = python_environment() | ({} if gpu is None else {VISIBLE: gpu.name})
        wait_briefly(environment)
        self._process = subprocess.Popen(
            [*python(), "-m", "tsmtl.sweep_worker", "1" if gpu is None else str(gpu.jobs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # Ctrl-C comes to the sweep, which asks its processes to end
            text=True,
            encoding="utf-8",
        )
        self._reader: threading.Thread | None = None

    def join(
        self, slot: int, events: "queue.Queue[tuple[WorkerProcess, Event | None]]", cores: list[int] | None
    ) -> None:
        """Give it its place in a sweep.

        Args:
            slot: The place's number.
            events: Where what it says goes, with itself; None when it has died.
            cores: Numbers of those that it may run on; None: on all.
        """
        self.slot = slot
        self._send({"slot": slot, "cores": cores})
        self._reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        self._reader.start()

    def _read(self, events: "queue.Queue[tuple[WorkerProcess, Event | None]]") -> None:
        assert self._process.stdout is not None, "asked for above"
        with self._process.stdout as lines:
            for line in lines:
                self.ready = True
                with suppress(ValueError):  # half a line: it was killed while it wrote
                    events.put((self, json.loads(line)))
        self._process.wait()
        events.put((self, None))

    def give(self, job: Job, threads: int, shared: Path | None) -> None:
        """Give it a job, the most threads that it may take, and the folder of what jobs share."""
        self.job = job
        output = self._output()
        self._printed = output.stat().st_size if output is not None and output.exists() else 0
        self._send({"job": job.message(), "threads": threads, "shared": None if shared is None else str(shared)})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None, "asked for above"
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has died, and its end is on the way through the queue
            return

    def finished(self) -> Job:
        """Take back the job that it was doing."""
        job, self.job = self.job, None
        assert job is not None, "only a job ends"
        return job

    def let_go(self) -> None:
        """Tell it that there is nothing more to do."""
        assert self._process.stdin is not None, "asked for above"
        with suppress(BrokenPipeError):  # it has died
            self._process.stdin.close()

    def close(self) -> None:
        """Wait for its end, which comes by itself when there is nothing more to do."""
        self.let_go()
        if self._reader is not None:
            self._reader.join()
        elif self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def stop(self) -> None:
        """Ask it to end; a job under way writes its state first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if self.job is None else signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has ended, but not for ever."""
        try:
            self._process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.close()

    def cause_of_death(self) -> str:
        """Say in one line why it ended."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "killed by SIGKILL, as the kernel does when memory runs out"
        said = f"killed by {signal.Signals(-code).name}" if code < 0 else f"its process ended with exit code {code}"
        return f"{said} ({last})" if (last := self._last_words()) else said

    def _last_words(self) -> str:
        self._errors.seek(0)
        text = self._errors.read()
        output = self._output()
        if output is not None and output.exists():
            text += output.read_bytes()[self._printed :]
        lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        return (fatal or lines or [""])[-1]

    def _output(self) -> Path | None:
        return None if self.job is None or self.job.folder is None else self.job.folder / OUTPUT
