"""Signals that ask a run to end, kept until it is ready to."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from tsmtl.config.errors import raise_interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Holds Ctrl-C and SIGTERM back inside a ``with`` block; a second one ends it at once.

    Attributes:
        signum: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # others cannot take signals
            for signum in SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:  # a background job of a shell ignores Ctrl-C
                    self._before[signum] = signal.signal(signum, self._take)
        return self

    def _take(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise_interrupted(signum, frame)
        self.signum = signum

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        if error is None and self.signum is not None:  # came too late for the block to see
            raise_interrupted(self.signum, None)
