"""What a worker says to who measures: a process that is kept alive and trains an epoch whenever it is told to.

Standard library alone: every environment runs it. Lines come on stdin: a case as JSON, then ``round`` as often as
wanted, then ``end``; or ``versions``, told by name. Lines of JSON go back on what was stdout: ``{}`` where a case is
ready, ``{"skip": reason}`` where it is not to be had, ``{"seconds": ..., "peak": ...}`` after a round, the peak in
bytes.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Case = dict[str, Any]


def clock_of(threads: int) -> Callable[[], float]:
    """Give the clock that rounds are measured with.

    With one thread it is that of the process, which stands still while other work has the core; with more, parts of the
    work go on at the same time, and only the wall knows how long they take.
    """
    return time.process_time if threads == 1 else time.perf_counter


CLOCK = clock_of(int(os.environ.get("OMP_NUM_THREADS", "1")))


def forget_peak() -> None:
    """Let the peak of this process's memory be what it has now; Linux alone can."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak() -> int | None:
    """Give the most memory in bytes that this process has had since; None where the system does not say."""
    with suppress(OSError), open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), None)
    return None


def versions(*packages: str) -> dict[str, str]:
    """Give the version of each package that is installed."""
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class SkipError(Exception):
    """The case cannot be measured here; its text says why."""


class EndError(Exception):
    """No more rounds of this case are wanted."""


class Rounds:
    """The rounds of a worker's case."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self.say, self.started = say, False

    def wait(self) -> None:
        """Wait until a round is wanted.

        Raises:
            EndError: If none is.
        """
        if not self.started:
            self.say({})
            self.started = True
        if sys.stdin.readline().strip() != "round":
            raise EndError

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Wait, then report how long the body takes, and the most memory that the process has had meanwhile."""
        self.wait()
        forget_peak()
        began = CLOCK()
        yield
        self.say({"seconds": CLOCK() - began, "peak": peak()})


def serve(train: Callable[[Case, Rounds], None], *packages: str) -> None:
    """Train each case that comes until its rounds end.

    Args:
        train: Prepares a case, and does each round within :meth:`Rounds.timed`, for ever; raises SkipError where it
            cannot.
        packages: Those whose versions count, besides torch and numpy.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for line in sys.stdin:
        if line.strip() == "versions":
            say(versions(*packages, "torch", "numpy"))
            continue
        rounds = Rounds(say)
        try:
            train(json.loads(line), rounds)
        except EndError:
            continue
        except SkipError as reason:
            say({"skip": str(reason)})
        except Exception as error:  # a peer may raise anything; the others go on
            say({"skip": f"{type(error).__name__}: {error}".splitlines()[0]})
