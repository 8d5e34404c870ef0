"""The text of ``--help``: every setting with its meaning and range (schema) and its default (YAML files)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml

from tsmtl.config.launcher_settings import LAUNCHERS
from tsmtl.config.location import config_dir
from tsmtl.config.model_settings import FAMILIES
from tsmtl.config.run_settings import TASKS, NamedTask, PretrainSettings, RunSettings
from tsmtl.config.search_settings import SearchSettings
from tsmtl.config.section import Section, expectation
from tsmtl.config.sources import SOURCES
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.config.weighting_settings import WEIGHTINGS

_USAGE = """\
{name} trains one model on one task or on several at once, on time series or on representation vectors.

  {name}                                           the default run, on simulated data
  {name} model=gru task=reg hidden_size=32 lr=1e-3 num_epochs=5 device=cpu
  {name} data=npz data.path=mine.npz data.class_target=fault data.regression_target=wear
  {name} -m model=lstm,gru lr=1e-3,1e-4            a sweep over every combination

Groups, chosen by name:
"""
_MORE = """
Your own files: experiment=my.yaml takes settings from a file; --config-dir DIR adds a folder of groups.
--cfg job prints the composed settings; --hydra-help shows the options of Hydra, which composes them.
"""

_CHOSEN = ("weighting.name", "representation.name")


def help_text(name: str) -> str:
    """Give the help of the command ``name``."""
    groups = {group: _names(group) for group in ("task", "data", "model", "trainer", "weighting", "experiment")}
    lines = [_USAGE.format(name=name)]
    lines += [f"  {group + '=':<12} {', '.join(names)}\n" for group, names in groups.items() if names]
    lines.append(_block("The run", _rows({"train": (RunSettings, _defaults("train"))})))
    pretrain = {"train": (PretrainSettings, _defaults("train")["pretrain"])}
    lines.append(_block("A pretraining in the same job", _rows(pretrain, prefix="pretrain.")))
    lines.append(_block("The task", _rows({t: (c, _defaults(f"task/{t}")) for t, c in TASKS.items()})))
    optional = {k: None if f.is_required() else f.default for k, f in NamedTask.model_fields.items()}
    lines.append(_block("Each of the tasks of task=custom", _rows({"custom": (NamedTask, optional)}, prefix="tasks: ")))
    lines.append(_block("The model", _rows({m: (c, _defaults(f"model/{m}")) for m, c in FAMILIES.items()})))
    lines.append(_data_block())
    trainer = {"default": (TrainerSettings, _defaults("trainer/default"))}
    lines.append(_block("The training", _rows(trainer, prefix="trainer.")))
    methods = {w: (c, _defaults(f"weighting/{w}")) for w, c in WEIGHTINGS.items()}
    lines.append(_block("The weighting of the tasks", _rows(methods, prefix="weighting.")))
    launchers = {name: (c, _defaults(f"hydra/launcher/{name}")["launcher"]) for name, c in LAUNCHERS.items()}
    title = f"Where the jobs of a sweep (-m) run, hydra/launcher={' | '.join(LAUNCHERS)}"
    lines.append(_block(title, _rows(launchers, prefix="hydra.launcher.")))
    search = {"tsmtl_optuna": (SearchSettings, _defaults("hydra/sweeper/tsmtl_optuna"))}
    lines.append(_block("A search, hydra/sweeper=tsmtl_optuna", _rows(search, prefix="hydra.sweeper.")))
    lines.append(_MORE)
    return "".join(lines)


def sister_help_text(name: str, about: str, file: str, sections: Mapping[str, type[Section]]) -> str:
    """Give the help of a command whose settings stand in one YAML file.

    Args:
        name: The command.
        about: What it does; ``{name}`` stands for the command.
        file: Name of the YAML file.
        sections: Class of each group of settings by its prefix.
    """
    defaults, lines = _defaults(file), [about.format(name=name)]
    for prefix, section in sections.items():
        optional = {key: field.default for key, field in section.model_fields.items() if not field.is_required()}
        values = optional | (defaults[prefix] if prefix else defaults)
        rows = _rows({file: (section, values)}, prefix=f"{prefix}." if prefix else "")
        lines.append(_block(f"Settings of {prefix}" if prefix else "Settings", rows))
    return "".join(lines)


def help_with_data(
    name: str,
    about: str,
    file: str,
    section: type[Section],
    methods: Mapping[str, Mapping[str, type[Section]]] = MappingProxyType({}),
) -> str:
    """Give the help of a command that takes the words of a training: its own settings and those of the data.

    Args:
        name: The command.
        about: What it does; ``{name}`` stands for the command.
        file: Name of the YAML file of its own settings.
        section: Their class.
        methods: Classes of settings by choice, of each group that is the command's own.
    """
    own = sister_help_text(name, about, file, {"": section})
    groups = {group: list(choices) for group, choices in methods.items()} | {
        group: _names(group) for group in ("task", "data", "experiment")
    }
    wide = max(12, *(len(group) + 1 for group in groups))
    said = "".join(f"  {group + '=':<{wide}} {', '.join(names)}\n" for group, names in groups.items())
    for group, choices in methods.items():
        owners = {choice: (c, _defaults(f"{group}/{choice}")) for choice, c in choices.items()}
        own += _block(f"The {group}", _rows(owners, prefix=f"{group}."))
    return f"{own}\nGroups, chosen by name:\n{said}{_data_block()}"


def _data_block() -> str:
    return _block("The data", _rows({s: (c, _of_source(s)) for s, c in SOURCES.items()}, prefix="data."))


def _names(group: str) -> list[str]:
    return sorted(file.stem for file in (config_dir() / group).glob("*.yaml"))


def _of_source(name: str) -> dict[str, Any]:
    """Give the defaults of a source; of a known set with a reader of its own only what others have not."""
    defaults = _defaults(f"data/{name}")
    if "defaults" not in defaults:
        return defaults
    others = {key for other, section in SOURCES.items() if other != name for key in section.model_fields}
    return {key: value for key, value in defaults.items() if key not in others}


def _defaults(file: str) -> dict[str, Any]:
    return dict(yaml.safe_load((config_dir() / f"{file}.yaml").read_text(encoding="utf-8")))


def _rows(owners: Mapping[str, tuple[type[Section], dict[str, Any]]], prefix: str = "") -> list[tuple[str, ...]]:
    """Give one row a key: name, meaning, range, and its default or its defaults by owner."""
    rows: list[tuple[str, ...]] = []
    keys = dict.fromkeys(key for section, _ in owners.values() for key in section.model_fields)
    for key in keys:
        having = {o: d[key] for o, (section, d) in owners.items() if key in section.model_fields and key in d}
        section = next(section for section, _ in owners.values() if key in section.model_fields)
        chosen = (key in ("model", "task", "source") and prefix != "pretrain.") or prefix + key in _CHOSEN
        if chosen or not having:
            continue
        field = section.model_fields[key]
        shown = {owner: _show(value) for owner, value in having.items()}
        if len(set(shown.values())) == 1:
            default = next(iter(shown.values()))
            if len(having) < len(owners):
                default += f"  ({', '.join(shown)})"
        else:
            by_value: dict[str, list[str]] = {}
            for owner, value in shown.items():
                by_value.setdefault(value, []).append(owner)
            default = "; ".join(f"{value} ({', '.join(who)})" for value, who in by_value.items())
        expected = expectation(field)
        missing = set(shown.values()) == {"null"} and not expected.endswith("or null")
        said = default.replace("null", "required", 1) if missing else f"default {default}"
        rows.append((prefix + key, field.description or "", expected, said))
    return rows


def _show(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _block(title: str, rows: list[tuple[str, ...]]) -> str:
    text = f"\n{title}:\n"
    for key, meaning, values, default in rows:
        text += f"  {key:<32} {meaning}\n  {'':<32} {values}; {default}\n"
    return text
