"""Calls to a tracker, made in a thread of their own: a server that is slow or away is not the training's business."""

import logging
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from textwrap import shorten

from tsmtl.config.errors import first_line

FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0  # seconds before a call that failed is made again; doubled each time
log = logging.getLogger(__name__)


def say_that_it_failed(name: str, error: Exception, what_next: str) -> None:
    """Warn in one line, the traceback behind it; an address is shown without name and password."""
    said = shorten(f"{type(error).__name__}: {first_line(error)}", 200, placeholder=" ...")
    text = f"{name}: {said}; {what_next}\n{''.join(traceback.format_exception(error))}"
    log.warning("%s", re.sub(r"://[^/@\s]*@", "://", text).rstrip())


class Background:
    """Makes calls one after another, in their order; what fails is made again later, and told once.

    Args:
        name: Of the tracker, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._calls: deque[Callable[[], None]] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._failed = False
        self._began: float | None = None  # the call under way, by the clock of time.monotonic
        self._thread = threading.Thread(target=self._work, name=f"tracking {name}", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Have a call made, soon."""
        with self._change:
            self._calls.append(function)
            self._change.notify()

    def finish(self, patience: float) -> None:
        """Wait for the calls that are left; one that fails now is not made again, nor are those behind it.

        Args:
            patience: Seconds after which a call that has not returned is given up.
        """
        with self._change:
            self._closing = True
            self._change.notify()
        while self._thread.is_alive() and (left := patience - self._seconds()) > 0:
            self._thread.join(left)
        with self._change:
            stuck, missing = self._thread.is_alive(), bool(self._calls)
            self._calls.clear()
        if stuck and not self._failed:
            log.warning("%s: does not answer; not all of the run is tracked", self.name)
        elif missing:
            log.info("%s: not all of the run is tracked", self.name)

    def _seconds(self) -> float:
        """Say for how long the call under way has been."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def _work(self) -> None:
        wait = FIRST_WAIT
        while True:
            with self._change:
                self._change.wait_for(lambda: self._calls or self._closing)
                if not self._calls:
                    return
                call, self._began = self._calls[0], time.monotonic()
            try:
                call()
            except Exception as error:
                self._began = None
                if not self._failed:
                    say_that_it_failed(self.name, error, "the run goes on; it is tried again")
                    self._failed = True
                with self._change:
                    if self._closing:
                        return
                    self._change.wait_for(lambda: self._closing, wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                self._began, wait = None, FIRST_WAIT
                with self._change:
                    if self._calls:  # else given up
                        self._calls.popleft()
