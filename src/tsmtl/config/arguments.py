"""From what users type to what Hydra takes, and from what Hydra composes to plain values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsmtl.config.errors import UserError, first_line

if TYPE_CHECKING:  # hydra takes longer to import than some answers may take
    from omegaconf import DictConfig, ListConfig
    from omegaconf.errors import ConfigIndexError

GROUPS = ("task", "data", "model", "trainer", "weighting", "experiment")
_SETTING = re.compile(r"^(?P<key>[A-Za-z_]\w*(\.\w+)*)=")
_FREE_TEXT = re.compile(  # keys whose value is any text
    r"(path|root|folder|checkpoint|output|transform|fitted|unit|_dir|_key|(class|regression)_target(_2)?"
    r"|^data\.(entity|time|time_format|separator|name))$"
)
_NAMES = re.compile(  # keys whose value may be a list of any texts
    r"^data\.(channels|columns|condition|class_bin_names|features|regression_target)$"
)
_LIST = re.compile(r"(?<![^,])\[([^\[\]'\"]*)\](?![^,])")  # without quotes; by itself, or one of several in a sweep
_PLAIN = r"[\w/\\.:+%*@?$ |-]"  # what Hydra's grammar takes without quotes
_PLAIN_VALUE = re.compile(rf"({_PLAIN}|\$\{{{_PLAIN}*\}})*", re.ASCII)  # sign by sign: no text is tried in many ways
_NO_PLACE = re.compile(r"(?:^invalid literal for int\(\) with base 10: |^Index )'(.*?)'")  # omegaconf, of a list
_SEVERAL = re.compile(r"^Ambiguous value for argument '\+*(.+?)=(.*)'$", re.MULTILINE)
_WITH_VALUE = {  # options of Hydra's
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--cfg", "-c", "--package", "-p"),
    "--experimental-rerun",
}
_INFO = ("--info", "-i")  # with a word of its own, or none
_OPEN = ("hydra.launcher.sbatch", "hydra.sweeper.params")  # mappings that take any key, which Hydra refuses


def options_first(arguments: list[str]) -> list[str]:
    """Give Hydra's options before the settings: its parser takes settings in one place alone."""
    options, settings = [], []
    for before, argument, behind in zip(["", *arguments], arguments, [*arguments[1:], "-"], strict=False):
        if argument in _INFO and not _is_word(behind):
            options.append("--info=all")  # alone it would take the first setting for its word
        elif argument.startswith("-") or before in _WITH_VALUE or (before in _INFO and _is_word(argument)):
            options.append(argument)
        else:
            settings.append(argument)
    return [*options, *settings]


def _is_word(argument: str) -> bool:
    """Say whether something typed is neither an option nor a setting."""
    return "=" not in argument and not argument.startswith(("-", "~"))


def prepare_arguments(
    arguments: list[str], groups: tuple[str, ...] = GROUPS, goes_on_in_folder: bool = True
) -> list[str]:
    """Turn what users type into what Hydra takes.

    ``key=value`` becomes ``++key=value``: Hydra would stop at the first unknown key, the schema reports all at once.
    ``experiment=path/file.yaml`` registers the file as an experiment. ``experiment=null`` becomes ``~experiment``.

    Args:
        arguments: What was typed.
        groups: The config groups, whose choices stay as they are.
        goes_on_in_folder: Whether ``resume=true`` goes on with a run, in a folder that has to be named.
    """
    if any(flag in arguments for flag in ("--shell-completion", "-sc")):
        return arguments
    if sum(argument.startswith("experiment=") for argument in arguments) > 1:
        raise UserError("experiment: given twice, and the last alone would count; type the settings of the other one")
    sweeping = "-m" in arguments or "--multirun" in arguments
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
        elif match and key not in groups and key.partition(".")[0] != "hydra":
            value = argument.partition("=")[2]
            if _NAMES.search(key) and value.startswith("[") and value.endswith("]"):
                value = _LIST.sub(_quoted_names, value)
            elif _FREE_TEXT.search(key):
                value = _quoted(value, sweeping)
            prepared.append(f"++{key}={value}")
        elif key in ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"):
            prepared.append(f"{key}={_quoted(argument.partition('=')[2], sweeping)}")
        elif key.startswith(_OPEN):
            prepared.append(f"++{argument}")
        else:
            prepared.append(argument)
    place = "hydra.sweep.dir" if sweeping else "hydra.run.dir"
    named = any(argument.startswith(f"{place}=") for argument in prepared)
    if goes_on_in_folder and "++resume=true" in prepared and not named:
        raise UserError(f"resume: true goes on with the run of a folder; name it with {place}=FOLDER")
    return prepared


def _quoted(value: str, sweeping: bool) -> str:
    """Quote a path or name with signs that Hydra's grammar would take for its own, such as ``=``, ``#`` or a comma.

    In a sweep a comma parts values, each quoted by itself.
    """
    if _PLAIN_VALUE.fullmatch(value) or value[:1] in ("'", '"'):
        return value
    if sweeping and "," in value:
        grammar = any(sign in value for sign in "()[]'\"")  # choice(a,b), a list, or quoted already
        return value if grammar else ",".join(_quoted(one, False) for one in value.split(","))
    return "'" + value.replace("'", r"\'") + "'"


def _quoted_names(found: re.Match[str]) -> str:
    """Quote the names of a list, each by itself."""
    return "[" + ",".join(_quoted(name.strip(), False) for name in found[1].split(",")) + "]"


def _register_experiment(path: str) -> str:
    from hydra.core.config_store import ConfigStore
    from omegaconf import DictConfig, OmegaConf

    file = Path(path.strip("'\""))
    if not file.is_file():
        raise UserError(f"experiment: no file {file}")
    try:
        node = OmegaConf.load(file)
    except Exception as error:  # yaml raises many kinds
        raise UserError(f"experiment: {file} is not a YAML file: {first_line(error)}") from error
    if not isinstance(node, DictConfig):
        raise UserError(f"experiment: {file} must hold settings, 'key: value' on each line")
    if odd := [key for key in node if not isinstance(key, str)]:
        raise UserError(f"experiment: {file}: {odd[0]!r} is no name of a setting")
    if "experiment" in node:
        raise UserError(f"experiment: {file} names an experiment itself; put its settings in, or run it instead")
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise UserError(f"experiment: {file}: {missing[0]}: ??? stands for a value that must be given")
    for default in node.get("defaults", []):
        for key in map(str, default if isinstance(default, DictConfig) else ()):
            if "hydra/" in key:
                typed = f"{key.removeprefix('override ').strip('/ ')}={default[key]}"
                raise UserError(f"experiment: {file}: '{key}' is for the command line; type {typed}")
    _keys_to_choices(node)
    name = "user_" + re.sub(r"\W", "_", str(file.resolve()))  # a shipped experiment of the same name would win
    ConfigStore.instance().store(group="experiment", name=name, package="_global_", node=node)
    _experiment_files[name] = path
    return name


_experiment_files: dict[str, str] = {}


def experiment_as_typed(name: str) -> str:
    """Give what the user typed for an experiment's name: his file, where it is one."""
    return _experiment_files.get(name, name)


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
    if missing := OmegaConf.missing_keys(visible):
        raise UserError([f"{key}: ??? stands for a value that must be given" for key in sorted(missing)])
    return dict(OmegaConf.to_container(visible, resolve=True))  # type: ignore[arg-type]  # keys are text


def as_typed(overrides: "ListConfig") -> list[str]:
    """Give the overrides that Hydra keeps of a command line, with interpolations as they were typed."""
    from omegaconf import OmegaConf

    return list(OmegaConf.to_container(overrides, resolve=False))  # type: ignore[arg-type]  # a list of text


def typed_keys(overrides: list[str]) -> frozenset[str]:
    """Give the keys that a list of Hydra overrides sets."""
    return frozenset(o.lstrip("+~").partition("=")[0] for o in overrides)


@contextmanager
def composing(sweeps: bool = False) -> Iterator[None]:
    """Turn what Hydra raises of arguments that it cannot compose into a line for the user.

    Args:
        sweeps: Whether the command runs several jobs with ``-m``.

    Raises:
        UserError: With that line.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except UserError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # hydra raises plain ValueErrors too
        raise UserError(_hydra_line(error, sweeps)) from error
    except TypeError as error:
        if not _NO_PLACE.search(str(error)):
            raise
        raise UserError(_hydra_line(error, sweeps)) from error


def _hydra_line(error: Exception, sweeps: bool) -> str:
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigIndexError

    from tsmtl.config.words import did_you_mean

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        options = list(error.options or [])
        if group and options:
            return f"{group}: must be one of {', '.join(options)} (got '{choice}'){did_you_mean(choice, options)}"
    if match := re.search(r"Could not override '(hydra\.launcher\.\w+)'", str(error)):
        from tsmtl.config.launcher_settings import unknown_setting

        return unknown_setting(match[1])
    if match := re.search(r"Could not override '(hydra\.sweeper\.\w+)'", str(error)):
        return f"{match[1]}: unknown setting; tsmtl-train --help lists those of hydra.sweeper"
    if isinstance(error.__cause__, ConfigIndexError):
        return _beyond_the_list(error.__cause__)
    if match := _NO_PLACE.search(str(error)):
        return f"settings: '{match[1]}' is no place in a list; its entries count from 0, as in tasks.0.weight=2"
    if match := _SEVERAL.search(str(error)):
        each = "-m trains with each of several, and " if sweeps else ""
        return f"{match[1]}: must be one value (got {match[2]}); {each}a list is written [{match[2]}]"
    if isinstance(error, OverrideParseException) and "=" in error.override:
        return _unreadable(error.override)
    if "does not support sweep type" in str(error):
        return "hydra/sweeper: an interval is searched, not swept; hydra/sweeper=tsmtl_optuna does that"
    if "HydraConfig was not set" in str(error):
        return "settings: ${hydra:...} is for Hydra's own settings; without best_model_path the run folder is taken"
    return first_line(error)


def _unreadable(override: str) -> str:
    key, _, value = override.lstrip("+~").partition("=")
    return (
        f"{key}: cannot be read (got {value}); every bracket and quote must be closed, and a text with other signs "
        "than plain letters, digits and _ stands in quotes of its own within those of the shell, as in \"['Größe']\""
    )


def _beyond_the_list(error: "ConfigIndexError") -> str:
    place = re.sub(r"\[(\d+)\]", r".\1", str(error.full_key))  # omegaconf writes tasks[2]
    key, n = place.rpartition(".")[0], len(error.parent_node or ())
    if not n:
        return f"{place}: the list is empty"
    what = "task" if key == "tasks" else "entry"
    counted = f"is 1 {what}" if n == 1 else f"are {n} {'tasks' if what == 'task' else 'entries'}"
    places = f"{key}.0" + {1: "", 2: f", {key}.1"}.get(n, f" to {key}.{n - 1}")
    return f"{place}: there {counted}, counted from 0 ({places})"
