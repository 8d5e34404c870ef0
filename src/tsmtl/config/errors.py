"""The exceptions that end a command, each with its exit code."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_NO_MEMORY = ("out of memory", "can't allocate memory")  # of a GPU, of the processor


class UserError(ValueError):
    """Settings or data that cannot be used; ends a command with exit code 2.

    Args:
        lines: One line per problem: where, what must hold, what came, how to mend it.
    """

    def __init__(self, lines: str | Iterable[str]) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("\n".join(self.lines))


class FailedError(RuntimeError):
    """What was asked for could not be done although settings and data were right; ends a command with exit code 1."""


class SweepError(FailedError):
    """Some jobs of a sweep failed; the others are done."""


class Pruned(Exception):  # noqa: N818  # no error: the trial has shown what it could
    """A search saw no use in going on with a job."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; ends a command with exit code 130 (Ctrl-C) or 143 (SIGTERM).

    Args:
        signum: The signal.
        message: What was kept, and how to go on; by default only what happened.
    """

    def __init__(self, signum: int, message: str = "") -> None:
        self.signum = signum
        super().__init__(message or self.word)

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int, str]]:
        return type(self), (self.signum, str(self))  # for another process

    @property
    def word(self) -> str:
        """What happened, for messages."""
        return "terminated" if self.signum == signal.SIGTERM else "interrupted"

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells say it."""
        return 128 + self.signum


def raise_interrupted(signum: int, frame: object) -> None:
    """Handle a signal by ending the command, its clean-up done on the way."""
    raise Interrupted(signum)


@contextmanager
def memory_told(message: str) -> Iterator[None]:
    """Say in one line that the memory did not suffice for a block, also where PyTorch says it by a RuntimeError.

    Raises:
        FailedError: With the message.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in _NO_MEMORY):
            raise
        raise FailedError(message) from error


def first_line(error: BaseException) -> str:
    """Give the first line of what an exception says, or its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def reason_of(error: Exception | SystemExit) -> str:
    """Say in one line why a run failed."""
    if isinstance(error, OSError) and error.filename:
        return f"cannot write {error.filename} ({error.strerror})"
    if isinstance(error, FailedError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
