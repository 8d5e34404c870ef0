"""What a process does that :mod:`tsmtl.started_ranks` has started: its part of one training."""

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from tqdm import tqdm

from tsmtl.config.errors import first_line, raise_interrupted
from tsmtl.interruption import SIGNALS
from tsmtl.started_ranks import Failure, Job


class _Starter:
    """The process that started this one.

    Args:
        connection: Leads to it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def tell(self, kind: str, said: Any) -> None:
        """Say something, and wait until it is taken note of.

        Raises:
            Exception: What taking note of it has raised there.
        """
        try:
            with self._lock:
                self.connection.send((kind, said))
                refusal: Exception | None = self.connection.recv()
        except (EOFError, OSError):  # it is gone, which soon ends this process
            return
        if refusal is not None:
            raise refusal

    def end(self, outcome: Any) -> None:
        """Say how all ended; there is no answer."""
        with suppress(OSError):  # it may be gone
            self.connection.send(("outcome", outcome))

    def fail(self, error: BaseException, own: bool) -> None:
        """Say why this rank ends; ``own`` says whether the others do not raise the same."""
        said = f"{type(error).__name__}: {first_line(error)}"
        self.end(Failure(said, "".join(traceback.format_exception(error)), own))
        with suppress(Exception):  # an exception of a plugin may refuse in any way to be sent
            self.connection.send(("error", error))


class _LogOfStarter(QueueHandler):
    """Sends records to the process that started this one, whose log is the only one."""

    def __init__(self, starter: _Starter) -> None:
        super().__init__(SimpleQueue())  # not used: QueueHandler is what makes records ready to be sent
        self.starter = starter

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record; the progress bar stays out of its line."""
        with tqdm.external_write_mode(file=sys.stderr):
            self.starter.tell("record", record)


def main(descriptor: int) -> None:
    """Do the job that comes through a pipe; its outcome goes back the same way.

    Args:
        descriptor: Of this process's end of the pipe.
    """
    for signum in SIGNALS:
        signal.signal(signum, raise_interrupted)
    connection = Connection(descriptor)
    job: Job = connection.recv()
    threading.Thread(target=_end_with_starter, daemon=True).start()
    starter = _Starter(connection)
    _set_up_log(job, starter)
    own = [True]
    try:
        outcome = _train(job, starter, own)
    except BaseException as error:  # signals too; the starter knows what to make of it
        starter.fail(error, own[0])
        sys.stderr.flush()
        os._exit(1)  # without a word to ranks that may be gone
    starter.end(outcome)


def _train(job: Job, starter: _Starter, own: list[bool]) -> Any:
    """Train; give the result, of rank 0 alone. ``own[0]`` says of an exception whether it is this rank's own."""
    import torch

    from tsmtl.run import run_training
    from tsmtl.training.process_group import joined
    from tsmtl.training.ranks import RankLostError
    from tsmtl.training.watch import Watch

    class WatchOfStarter(Watch):
        def starts(self, data: str, epochs: int, done: int) -> None:
            starter.tell("starts", (data, epochs, done))

        def epoch_ends(self, row: dict[str, float]) -> None:
            starter.tell("epoch_ends", (row,))

    size = job.settings.run.devices
    torch.set_num_threads(max(1, (job.threads or torch.get_num_threads()) // size))
    try:
        with joined(f"file://{job.meeting}", job.rank, size, job.rank) as ranks:
            try:
                result = run_training(job.settings, job.folder, WatchOfStarter(), ranks)
            except Exception as error:
                own[0] = error is not ranks.shared
                raise
    except RankLostError:
        own[0] = False
        raise
    return result if job.rank == 0 else True


def _set_up_log(job: Job, starter: _Starter) -> None:
    if job.rank > 0:
        logging.disable(logging.CRITICAL)  # what they would say, rank 0 says
        return
    logging.captureWarnings(True)
    for name in ("tsmtl", "py.warnings"):
        logger = logging.getLogger(name)
        logger.addHandler(_LogOfStarter(starter))
        logger.propagate = False
    logging.getLogger("tsmtl").setLevel(job.log_level)


def _end_with_starter() -> None:
    """End as by SIGTERM when the process that started this one has ended, however it did."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
