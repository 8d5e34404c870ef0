"""``tsmtl-train``, and ``tsmtl.train`` in Python: the one entrypoint of training. It computes nothing itself."""

import gc
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tsmtl.config.garbage import importing
from tsmtl.config.processor import wait_briefly
from tsmtl.config.torchrun import is_another

if TYPE_CHECKING:
    from tsmtl.config.schema import Settings
    from tsmtl.run import TrainingResult

_ONE_AT_A_TIME = threading.RLock()


def train(overrides: Sequence[str] = ()) -> "TrainingResult":
    """Train as ``tsmtl-train`` does with the same words, ``train(["model=gru", "alpha=0.3"])``.

    Progress goes to :mod:`logging` (loggers ``tsmtl.*``, level INFO). Without ``hydra.run.dir=...`` the run folder is
    ``outputs/<date>/<time>_<model>_<task>`` below the current folder.

    Args:
        overrides: What would be typed behind ``tsmtl-train``; no flags, no sweep.

    Returns:
        Run folder, path of the best checkpoint, and the summary with the test metrics.

    Raises:
        UserError: A ValueError: if a setting or the data is wrong, with a line for each problem, or another thread is
            training; nothing is written.
        NotFiniteError: A RuntimeError: if the loss stops being finite; the best checkpoint so far stays.
        Interrupted: A KeyboardInterrupt: at Ctrl-C or SIGTERM in the main thread; ``resume=true`` goes on.
    """
    from tsmtl.config.errors import UserError
    from tsmtl.config.python_call import settings_and_folder

    if not isinstance(overrides, Sequence) or isinstance(overrides, str):
        raise UserError(f"overrides: must be a list of texts such as 'model=gru' (got {type(overrides).__name__})")
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise UserError(
            "another thread of this process is training, and random numbers are the process's; train one after "
            "another, or in processes of their own"
        )
    try:
        return _train(*settings_and_folder(list(overrides)))
    finally:
        _ONE_AT_A_TIME.release()


def _train(settings: "Settings", folder: Path) -> "TrainingResult":
    """Run one training in its run folder; torch is imported only now that the settings have passed."""
    wait_briefly()
    with importing():
        from tsmtl.devices import train_on_devices

    return train_on_devices(settings, folder)


def _train_and_show(settings: "Settings", folder: Path) -> None:
    result = _train(settings, folder)
    if is_another():
        return
    from tsmtl.report.terminal import best_epochs_lines, linear_probe_lines, show_summary

    paths = {"run folder": result.folder, "best model": result.best_model_path}
    more = [*linear_probe_lines(result.summary), *best_epochs_lines(result.summary)]
    show_summary(result.tasks, result.test, paths, more=more)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.command import run_command

        run_command("tsmtl-train", _train_and_show)
    finally:
        gc.enable()


class _CallableModule(ModuleType):
    """Lets ``tsmtl.train(...)`` be this module's function, also once the module itself is imported under that name."""

    def __call__(self, overrides: Sequence[str] = ()) -> "TrainingResult":
        return train(overrides)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    cli()
