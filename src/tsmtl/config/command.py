"""The training command: arguments through Hydra to checked settings, and on to the training."""

import gc
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsmtl.config.answer import answer, leave
from tsmtl.config.arguments import (
    GROUPS,
    as_typed,
    composing,
    options_first,
    plain_settings,
    prepare_arguments,
    typed_keys,
)
from tsmtl.config.errors import FailedError, Interrupted, UserError, first_line, reason_of
from tsmtl.config.location import config_dir
from tsmtl.config.logs import FILE_NAME, close_logs, set_up_logs
from tsmtl.config.torchrun import is_another, with_devices

if TYPE_CHECKING:  # hydra and pydantic take longer to import than some answers may take
    from omegaconf import DictConfig

    from tsmtl.config.schema import Settings

_STARTED = time.time() - 0.01  # folders touched later are this process's own; file systems keep coarse times
log = logging.getLogger(__name__)


def run_command(name: str, job: "Callable[[Settings, Path], Any]") -> None:
    """Compose the settings from the command line, check them and call ``job(settings, run_folder)``.

    Problems become lines on stderr and an exit code.
    """

    def help_text(name: str) -> str:
        from tsmtl.config.help import help_text

        return help_text(name)

    answer(name, help_text, lambda: _run_through_hydra(name, job))


def _run_through_hydra(name: str, job: "Callable[[Settings, Path], Any]") -> None:
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra raises instead of printing its own report
    try:
        with composing(sweeps=True):
            sys.argv[1:] = options_first(prepare_arguments(with_devices(sys.argv[1:])))
            _check_plain_run(sys.argv[1:])
            main = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")
            with _folder_of_rank_0_alone():
                main(_guarded(name, job))()
    except UserError:
        forget_sweep()
        raise
    except BrokenPipeError:
        raise
    except OSError as error:  # runs answer for their own; this one is Hydra's, making the folder, or a sweep's
        setting = "hydra.sweep.dir" if {"-m", "--multirun"} & {*sys.argv} else "hydra.run.dir"
        raise UserError(f"{setting}: cannot write {error.filename} ({error.strerror})") from error


@contextmanager
def _folder_of_rank_0_alone() -> Iterator[None]:
    """Let Hydra make the folder that it insists on for the other ranks of torchrun where it is gone afterwards."""
    if not is_another():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tsmtl-", ignore_cleanup_errors=True) as folder:
        others = [argument for argument in sys.argv[1:] if not argument.startswith("hydra.run.dir=")]
        sys.argv[1:] = [*others, f"hydra.run.dir={folder}/run"]
        yield


def _check_plain_run(arguments: list[str]) -> None:
    """Refuse wrong settings of a run without flags before Hydra composes them twice and makes the run folder."""
    if any(argument.startswith("-") for argument in arguments):
        return
    from hydra import compose, initialize_config_dir

    from tsmtl.config.schema import check

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        check(plain_settings(compose("train", arguments)), typed_keys(arguments))


def _guarded(name: str, job: "Callable[[Settings, Path], Any]") -> "Callable[[DictConfig], Any]":
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    from tsmtl.config.schema import check

    def task_function(config: "DictConfig") -> Any:
        gc.enable()
        hydra_config = HydraConfig.get()
        folder = Path(hydra_config.runtime.output_dir)
        sweeping = hydra_config.mode == RunMode.MULTIRUN
        set_up_logs(folder)
        try:
            chosen = {group: choice for group, choice in hydra_config.runtime.choices.items() if group in GROUPS}
            chosen.pop("experiment", None)  # its values are in the settings
            settings = check(plain_settings(config), typed_keys(list(hydra_config.overrides.task)), chosen)
            if sweeping:
                settings = replace(settings, sweep=Path(str(hydra_config.sweep.dir)).absolute())
            return job(settings, folder)
        except (UserError, OmegaConfBaseException) as error:
            if sweeping:
                raise  # the launcher goes on with the other jobs and names this one at the end
            close_logs()
            remove_traces(folder, "hydra.run.dir" not in typed_keys(list(hydra_config.overrides.hydra)))
            leave(2, name, error.lines if isinstance(error, UserError) else [first_line(error)])
        except Interrupted as stop:
            if not sweeping:
                raise
            where = Path(str(hydra_config.sweep.dir)).absolute()
            said = f"{stop.word} in {folder}; to go on, give the same command hydra.sweep.dir={where} resume=true"
            raise Interrupted(stop.signum, said) from stop
        except BrokenPipeError:  # the reader of the summary, such as head, has seen enough
            raise
        except Exception as error:
            hint = "" if isinstance(error, OSError | FailedError) else f"; the traceback is in {folder / FILE_NAME}"
            log.error("the run failed: %s%s", reason_of(error), hint, exc_info=error)
            if sweeping:
                raise
            leave(1, name, [])

    return task_function


_sweep: list[tuple[Path, bool]] = []  # of this process, which runs one command


def expect_sweep(config: "DictConfig") -> None:
    """Note the folder that a sweep is about to write to; a refused sweep leaves nothing in it."""
    typed = typed_keys(as_typed(config.hydra.overrides.hydra))
    _sweep.append((Path(str(config.hydra.sweep.dir)), "hydra.sweep.dir" not in typed))


def forget_sweep() -> None:
    """Remove what Hydra made for a sweep that does nothing."""
    while _sweep:
        remove_traces(*_sweep.pop())


def remove_traces(folder: Path, own_layout: bool) -> None:
    """Remove the empty folder that Hydra made for a refused run or sweep; nothing that was there before.

    Args:
        folder: The run's or sweep's folder.
        own_layout: Whether it lies in tsmtl's own ``outputs/<date>/<time>...``, whose empty parents go too.
    """
    if not folder.is_dir() or folder.stat().st_mtime < _STARTED:
        return
    ours = {folder / FILE_NAME, folder / "multirun.yaml"}  # the sweeper writes the latter before any check
    if set(folder.iterdir()) - ours:
        return
    for file in ours:
        if file.is_file() and file.stat().st_mtime >= _STARTED:
            file.unlink()
    for path in (folder, folder.parent, folder.parent.parent) if own_layout else (folder,):
        if any(path.iterdir()):
            return
        path.rmdir()
