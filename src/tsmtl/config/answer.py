"""What every command answers: one line per problem on stderr, and an exit code.

Exit codes: 0 done; 1 a run failed; 2 a setting or the data is wrong; 130 Ctrl-C; 143 SIGTERM.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from tsmtl.config.errors import FailedError, Interrupted, UserError, first_line, raise_interrupted
from tsmtl.config.garbage import skip_last_search
from tsmtl.config.torchrun import is_another

TRACEBACK = "TSMTL_TRACEBACK"  # in the environment: unexpected errors show theirs
PATIENCE = 10.0  # seconds


def answer(name: str, help_text: Callable[[str], str], work: Callable[[], None]) -> None:
    """Do the work of the command ``name``, or give its help.

    Args:
        name: The command, as typed.
        help_text: Gives the help of a command.
        work: What to do.
    """
    signal.signal(signal.SIGTERM, raise_interrupted)
    skip_last_search()
    try:
        if any(argument in ("--help", "-h") for argument in sys.argv[1:]):
            sys.stdout.write(help_text(name))
        elif sys.argv[1:] == ["--version"]:
            from importlib.metadata import version

            sys.stdout.write(f"tsmtl {version('tsmtl')}\n")
        else:
            work()
        sys.stdout.flush()
    except UserError as error:
        leave(2, name, error.lines)
    except Interrupted as stop:
        leave(stop.exit_code, name, [str(stop)])
    except KeyboardInterrupt:
        leave(130, name, ["interrupted"])
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FailedError as failure:
        leave(1, name, [str(failure)])
    except Exception as error:  # a fault of ours, or of a user's plugin
        if TRACEBACK in os.environ:
            raise
        what = str(error.strerror) if isinstance(error, OSError) else first_line(error)
        leave(1, name, [f"failed: {type(error).__name__}: {what}; {TRACEBACK}=1 shows the traceback"])


def leave(code: int, name: str, lines: list[str]) -> None:
    """Say the lines on stderr, and end the process."""
    if is_another():
        if code in (1, 2):  # torchrun ends all when one has ended: rank 0 shall say first why
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(PATIENCE)
        sys.exit(code)
    for line in lines:
        sys.stderr.write(f"{name}: {line}\n")
    sys.exit(code)
