"""What every command shares: arguments in, one line per problem out, exit codes.

Exit codes: 0 done; 1 a run failed; 2 a setting or the data is wrong; 130 Ctrl-C.
"""

import gc
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.logs import FILE_NAME, close_logs, set_up_logs

if TYPE_CHECKING:  # hydra and pydantic take longer to import than some answers may take
    from omegaconf import DictConfig

    from tsmtl.config.schema import Settings

GROUPS = ("task", "data", "model", "trainer", "experiment")
_SETTING = re.compile(r"^(?P<key>[A-Za-z_]\w*(\.\w+)*)=")
_STARTED = time.time() - 0.01  # folders touched later are this process's own; file systems keep coarse times
log = logging.getLogger(__name__)


def run_command(name: str, job: "Callable[[Settings, Path], Any]") -> None:
    """Compose the settings from the command line, check them and call ``job(settings, run_folder)``.

    Problems become lines on stderr and an exit code.
    """
    try:
        if any(argument in ("--help", "-h") for argument in sys.argv[1:]):
            from tsmtl.config.help import help_text

            sys.stdout.write(help_text(name))
        else:
            _run_through_hydra(name, job)
        sys.stdout.flush()
    except UserError as error:
        _exit(2, name, error.lines)
    except KeyboardInterrupt:
        _exit(130, name, ["interrupted"])
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SweepError as failure:
        _exit(1, name, [str(failure)])


def _run_through_hydra(name: str, job: "Callable[[Settings, Path], Any]") -> None:
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra raises instead of printing its own report
    try:
        sys.argv[1:] = prepare_arguments(sys.argv[1:])
        _check_plain_run(sys.argv[1:])
        main = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")
        main(_guarded(name, job))()
    except UserError:
        _remove_sweep()
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # hydra raises plain ValueErrors too
        _remove_sweep()
        raise UserError(_hydra_line(error)) from error


def _check_plain_run(arguments: list[str]) -> None:
    """Refuse wrong settings of a run without flags before Hydra composes them twice and makes the run folder."""
    if any(argument.startswith("-") for argument in arguments):
        return
    from hydra import compose, initialize_config_dir

    from tsmtl.config.schema import check

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        check(plain_settings(compose("train", arguments)))


class SweepError(Exception):
    """Some jobs of a sweep failed; the others are done."""


def prepare_arguments(arguments: list[str]) -> list[str]:
    """Turn what users type into what Hydra takes.

    ``key=value`` becomes ``++key=value``: Hydra would stop at the first unknown key, the schema reports all at once.
    ``experiment=path/file.yaml`` registers the file as an experiment. ``experiment=null`` becomes ``~experiment``.
    """
    prepared = []
    for argument in arguments:
        match = _SETTING.match(argument)
        key = match["key"] if match else ""
        if key == "experiment":
            values = argument.removeprefix("experiment=").split(",")
            if values == ["null"]:
                prepared.append("~experiment")
                continue
            if "null" in values:
                raise UserError("experiment: null is no choice beside others; make an experiment file without settings")
            names = [_register_experiment(v) if v.endswith((".yaml", ".yml")) else v for v in values]
            prepared.append("experiment=" + ",".join(names))
        elif match and key not in GROUPS and key.partition(".")[0] != "hydra":
            prepared.append("++" + argument)
        else:
            prepared.append(argument)
    return prepared


def _register_experiment(path: str) -> str:
    from hydra.core.config_store import ConfigStore
    from omegaconf import DictConfig, OmegaConf

    file = Path(path.strip("'\""))
    if not file.is_file():
        raise UserError(f"experiment: no file {file}")
    try:
        node = OmegaConf.load(file)
    except Exception as error:  # yaml raises many kinds
        raise UserError(f"experiment: {file} is not a YAML file: {_first_line(error)}") from error
    if not isinstance(node, DictConfig):
        raise UserError(f"experiment: {file} must hold settings, 'key: value' on each line")
    _keys_to_choices(node)
    name = "user_" + re.sub(r"\W", "_", str(file.resolve()))  # a shipped experiment of the same name would win
    ConfigStore.instance().store(group="experiment", name=name, package="_global_", node=node)
    return name


def _keys_to_choices(node: "DictConfig") -> None:
    """Let an experiment file say ``model: gru`` for ``defaults: [override /model: gru]``."""
    chosen = [group for group in GROUPS if isinstance(node.get(group), str)]
    if chosen:
        defaults = [{f"override /{group}": node.pop(group)} for group in chosen]
        rest = [d for d in node.get("defaults", []) if d != "_self_"]
        node["defaults"] = [*rest, *defaults, "_self_"]


def plain_settings(config: "DictConfig") -> dict[str, Any]:
    """Give a composed config as plain values, interpolations resolved, without Hydra's own part."""
    from omegaconf import OmegaConf

    visible = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return dict(OmegaConf.to_container(visible, resolve=True))  # type: ignore[arg-type]  # keys are text


def typed_keys(overrides: list[str]) -> frozenset[str]:
    """Give the keys that a list of Hydra overrides sets."""
    return frozenset(o.lstrip("+~").partition("=")[0] for o in overrides)


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
            return job(settings, folder)
        except (UserError, OmegaConfBaseException) as error:
            if sweeping:
                raise  # the launcher goes on with the other jobs and names this one at the end
            close_logs()
            remove_traces(folder, "hydra.run.dir" not in typed_keys(list(hydra_config.overrides.hydra)))
            _exit(2, name, error.lines if isinstance(error, UserError) else [_first_line(error)])
        except Exception as error:
            reason = f"{type(error).__name__}: {_first_line(error)}"
            log.error("the run failed: %s; the traceback is in %s", reason, folder / FILE_NAME, exc_info=error)
            if sweeping:
                raise
            sys.exit(1)

    return task_function


_sweep: list[tuple[Path, bool]] = []  # of this process, which runs one command


def expect_sweep(folder: Path, own_layout: bool) -> None:
    """Note the folder that a sweep is about to write to; a refused sweep leaves nothing in it."""
    _sweep.append((folder, own_layout))


def _remove_sweep() -> None:
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
    for file in (folder / FILE_NAME, folder / "multirun.yaml"):  # the sweeper writes the latter before any check
        if file.is_file() and file.stat().st_mtime >= _STARTED:
            file.unlink()
    for path in (folder, folder.parent, folder.parent.parent) if own_layout else (folder,):
        if any(path.iterdir()):
            return
        path.rmdir()


def _exit(code: int, name: str, lines: list[str]) -> None:
    for line in lines:
        sys.stderr.write(f"{name}: {line}\n")
    sys.exit(code)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _hydra_line(error: Exception) -> str:
    from hydra.errors import MissingConfigException

    from tsmtl.config.rules import did_you_mean

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        options = list(error.options or [])
        if group and options:
            return f"{group}: must be one of {', '.join(options)} (got '{choice}'){did_you_mean(choice, options)}"
    if "HydraConfig was not set" in str(error):
        return "settings: ${hydra:...} is for Hydra's own settings; without best_model_path the run folder is taken"
    return _first_line(error)
