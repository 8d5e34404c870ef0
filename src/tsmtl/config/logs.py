"""Where log records go: short lines to the terminal, everything with tracebacks to the run folder."""

import logging
import sys
from pathlib import Path

from tsmtl.config.torchrun import is_another

FILE_NAME = "train.log"


class OneLineFormatter(logging.Formatter):
    """Terminal format: the message alone, behind its level from WARNING on; tracebacks go to the file."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line."""
        message = record.getMessage().partition("\n")[0]  # a warning shows its line of code behind it
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


class _RunLog(logging.FileHandler):
    """The log of a run, which a full disk must not turn into pages of its own on the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; the file is opened by the first, which may be refused."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """Pass over a record that cannot be written."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up_logs(folder: Path | None, console: bool = True) -> None:
    """Send records to stderr and, where there is a run folder, to ``train.log`` in it; its first record makes it.

    Handlers of an earlier run in this process are closed and replaced; a host's own handlers stay.

    Args:
        folder: The run folder, or None.
        console: Whether stderr gets them; a job of a sweep leaves the terminal to the sweep.
    """
    root = logging.getLogger()
    close_logs()
    handlers: list[logging.Handler] = []
    if console:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(OneLineFormatter())
        handlers.append(terminal)
        if is_another():  # what the other ranks of torchrun would say, rank 0 says
            terminal.setLevel(logging.CRITICAL)
            folder = None
    if folder is not None:
        file = _RunLog(folder / FILE_NAME, delay=True, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handlers.append(file)
    for handler in handlers:
        handler.set_name(__name__)
        root.addHandler(handler)
    for name in ("tsmtl", "hydra_plugins"):  # other libraries are heard from WARNING on
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what fails there is told by tsmtl.tracking, once
    logging.captureWarnings(True)


def close_logs() -> None:
    """Close and remove the handlers of :func:`set_up_logs`."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.get_name() == __name__]:
        root.removeHandler(handler)
        handler.close()
