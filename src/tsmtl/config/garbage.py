"""Python's search for garbage, which importing makes none of, and plugins may."""

import atexit
import gc
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PLUGINS: set[str] = set()  # modules of users that were imported
WRITTEN_LATER = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


@contextmanager
def importing() -> Iterator[None]:
    """Import without a search after every few hundred objects, a seventh of the time that PyTorch takes."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def skip_last_search() -> None:
    """Let the process end without a search through all of PyTorch, a fifth of a short training, if it has no plugins.

    Theirs may hold what is not written yet; and the search closes a file in a cycle before what it holds is written.
    """
    atexit.register(_end)


def _end() -> None:
    if not PLUGINS:
        gc.freeze()
        return
    gc.unfreeze()
    for thing in gc.get_objects():
        if issubclass(type(thing), WRITTEN_LATER):
            with suppress(OSError, ValueError):  # a full disk; one that is closed, or no file
                if stat.S_ISREG(os.fstat(thing.fileno()).st_mode):  # a pipe may have nobody who reads
                    thing.flush()
