"""Train in several processes of this machine, started and watched from here.

They are started as programs of their own, not by :mod:`multiprocessing`, which would import the caller's script again
in each: a script without the guard ``if __name__ == "__main__"`` would start processes without end, and what is typed
into an interpreter cannot be imported at all.
"""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsmtl.config.errors import FailedError, Interrupted
from tsmtl.config.schema import Settings
from tsmtl.config.torchrun import VARIABLES
from tsmtl.interruption import Interruption

if TYPE_CHECKING:  # it imports torch, which this process has no use for before the end
    from tsmtl.run import TrainingResult
    from tsmtl.training.watch import Watch

POLL = 0.2  # seconds between looks for a signal
GRACE = 5.0  # seconds that a rank has to end when another has
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tsmtl.rank import main; main(int(sys.argv[2]))"


class RankDiedError(FailedError):
    """A process of the training was ended from outside, or by a fault below Python."""


@dataclass(frozen=True)
class Job:
    """What a started process is to do.

    Attributes:
        settings: Checked settings.
        folder: The run folder.
        rank: Its number.
        meeting: Path of the file where the ranks find each other.
        threads: Of all ranks together; None: as many as PyTorch takes.
        log_level: From which on records are of use.
    """

    settings: Settings
    folder: Path
    rank: int
    meeting: str
    threads: int | None
    log_level: int


@dataclass
class Failure:
    """Why a rank failed.

    Attributes:
        said: What its exception says.
        traceback: Where it was raised.
        own: Whether it is this rank's own, and not one that all raise.
        error: The exception; None where it is of a plugin, which only ranks import.
    """

    said: str
    traceback: str
    own: bool
    error: BaseException | None = None

    @property
    def exception(self) -> BaseException:
        """The exception, with the rank's traceback as its cause."""
        error = self.error or RuntimeError(self.said)
        error.__cause__ = RuntimeError("in a rank:\n" + self.traceback)
        return error


class _Rank:
    """A started process.

    Attributes:
        outcome: Its result or :class:`Failure`; None as long as it runs, and if it has died.
        ended: Whether it has.
    """

    def __init__(self, job: Job) -> None:
        self.number = job.rank
        self.outcome: Any = None
        self.ended = self.killed = False
        self.connection, theirs = multiprocessing.Pipe()
        # Rank 0 draws the progress bar; of the others only the last words are of interest, should they die.
        self._words = None if job.rank == 0 else tempfile.TemporaryFile()  # noqa: SIM115  # closed in close()
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # that a peer is gone is told once, and here
        path = json.dumps([entry or os.getcwd() for entry in sys.path])
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE, path, str(theirs.fileno())],
            stdin=subprocess.PIPE,  # open as long as this process lives, by which the rank knows that it does
            stdout=None if job.rank == 0 else subprocess.DEVNULL,
            stderr=self._words,
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # Ctrl-C comes here alone, and is passed on once
        )
        theirs.close()
        with suppress(OSError):  # it has died, which is noticed where it is waited for
            self.connection.send(job)

    def hear(self, watch: "Watch | None") -> None:
        """Take what the rank says: something to pass on, its outcome, or, by its silence, that it has ended."""
        try:
            kind, said = self.connection.recv()
        except (EOFError, OSError):
            self.ended = True
            return
        except Exception:  # an exception of a class that cannot be imported here; what it says came before it
            return
        if kind == "outcome":
            self.outcome = said
        elif kind == "error":
            self.outcome.error = said
        else:
            self._pass_on(kind, said, watch)

    def _pass_on(self, kind: str, said: Any, watch: "Watch | None") -> None:
        """Pass on what the rank waits for, and answer with what that has raised."""
        refusal: Exception | None = None
        if kind == "record":
            logging.getLogger(said.name).handle(said)
        elif watch is not None:
            try:
                getattr(watch, kind)(*said)
            except Exception as error:  # a search that prunes the run, for one
                refusal = error
        with suppress(OSError):
            self.connection.send(refusal)

    def signal(self, signum: int) -> None:
        """Pass a signal on."""
        if self.process.poll() is None:
            self.process.send_signal(signum)

    def end(self) -> None:
        """See that the process is gone; kill it where it does not go by itself."""
        try:
            self.process.wait(GRACE if self.ended else 0)
        except subprocess.TimeoutExpired:
            self.killed = True
            self.process.kill()
            self.process.wait()
        self.ended = True

    def close(self) -> None:
        """Close what belongs to the process."""
        self.connection.close()
        for stream in (self.process.stdin, self._words):
            if stream is not None:
                stream.close()

    @property
    def died(self) -> str | None:
        """Say how it ended, if that was without a word."""
        code = self.process.returncode
        if self.outcome is not None or self.killed or code is None:
            return None
        if not code:
            return f"rank {self.number} ended without a result, as by os._exit"
        if code < 0:
            why = ", as the kernel does where memory runs out" if code == -signal.SIGKILL else ""
            return f"rank {self.number} was ended by {signal.Signals(-code).name}{why}"
        words = b""
        if self._words is not None:
            self._words.seek(0)
            words = self._words.read()
        last = (words.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        return f"rank {self.number} ended with exit code {code}: {last}"


def train_on_ranks(settings: Settings, folder: Path, watch: "Watch | None" = None) -> "TrainingResult":
    """Train in ``devices`` processes; ends with the last of them.

    Args:
        settings: Checked settings.
        folder: The run folder.
        watch: Is told of the run's start and of every epoch, in this process.

    Raises:
        RankDiedError: If one was killed.
        Interrupted: At Ctrl-C or SIGTERM, which the ranks are told, and end together.
        Exception: What a rank raised, as a training in this process would.
    """
    torch: Any = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()  # as the host of this process has set them
    level = logging.getLogger("tsmtl").getEffectiveLevel()
    ranks: list[_Rank] = []
    with tempfile.TemporaryDirectory(prefix="tsmtl-") as meeting, Interruption() as stop, ExitStack() as at_the_end:
        try:
            for number in range(settings.run.devices):
                ranks.append(_Rank(Job(settings, folder, number, f"{meeting}/ranks", threads, level)))
                at_the_end.callback(ranks[-1].close)
            _wait_for(ranks, stop, watch)
        finally:
            for rank in ranks:
                rank.end()
        return _outcome(ranks, stop.signum)


def _wait_for(ranks: list[_Rank], stop: Interruption, watch: "Watch | None") -> None:
    """Hear the ranks until all have ended, or had their time after one has failed."""
    told, until = False, float("inf")
    while running := {rank.connection: rank for rank in ranks if not rank.ended}:
        for connection in wait(list(running), POLL):
            assert isinstance(connection, Connection)
            running[connection].hear(watch)
        if stop.signum is not None and not told:
            told = True
            for rank in ranks:
                rank.signal(stop.signum)
        if until == float("inf") and any(_failed(rank) or (rank.ended and rank.number == 0) for rank in ranks):
            until = time.monotonic() + GRACE
        if time.monotonic() > until:
            return


def _failed(rank: _Rank) -> bool:
    return isinstance(rank.outcome, Failure) or (rank.ended and rank.outcome is None)


def _outcome(ranks: list[_Rank], signum: int | None) -> "TrainingResult":
    """Give the result, or raise the reason why there is none: a rank's own before what others made of it."""
    failures = [rank.outcome for rank in ranks if isinstance(rank.outcome, Failure)]
    stops = [error for error in (failure.exception for failure in failures) if isinstance(error, Interrupted)]
    if stops:
        raise stops[0]
    if signum is not None and (failures or any(rank.died for rank in ranks)):
        raise Interrupted(signum)
    for failure in failures:
        if failure.own:
            raise failure.exception
    for rank in ranks:
        if rank.died:
            raise RankDiedError(rank.died)
    if failures:
        raise failures[0].exception
    result: TrainingResult = ranks[0].outcome
    return result
