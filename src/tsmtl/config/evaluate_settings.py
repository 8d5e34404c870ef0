"""Settings of ``tsmtl-evaluate``: any setting of the data may replace that of the training."""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, cast

import yaml
from pydantic import Field, create_model

from tsmtl.config.data_settings import DataSettings, TargetPlace
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.predict_settings import (
    ModelSettings,
    ending_problems,
    input_problems,
    unread_problems,
    weights_problems,
)
from tsmtl.config.rules import RULES
from tsmtl.config.run_settings import TASKS, CustomTaskSettings, TaskSettings
from tsmtl.config.schema import check_section
from tsmtl.config.section import Section, Text
from tsmtl.config.sources import SOURCES
from tsmtl.config.task_kinds import target_places, task_kinds
from tsmtl.config.words import must_be_one_of

_FITTED = (  # the model knows them
    *("source", "features", "signed_log", "scale", "input_limit", "scale_target", "missing"),
    *("clip_target", "transform_target", "regression_metrics"),
)
_OF_TRAINING = ("shuffle_block", "augment", "label_share", "shuffled_labels", "label_seed", "split_targets")
_READ_OF_A_FILE = {
    *("path", "input_key", "lengths_key", "instance_key", "class_names_key"),
    *("class_target", "class_target_2", "regression_target"),
}
_READ_OF_ROWS = {"test_windows", "stride", "separator", "columns", "entity", "time", "time_format", "duplicates"}
_OF_TARGETS = {"cls": "class_target", "cls_2": "class_target_2", "reg": "regression_target"}


class EvaluateSettings(ModelSettings):
    """Settings of ``tsmtl-evaluate``."""

    split: Literal["train", "val", "test", "all"] | None = Field(description="which instances")
    tasks: list[Text] | None = Field(description="which tasks of the model, by name")
    targets: dict[str, Text | list[Text]] = Field(
        description="task=custom: arrays or columns of the targets by task, where they are called otherwise than in "
        "training"
    )
    output: Text | None = Field(description="a .json file of the metrics")


class EvaluateDataSettings(Section):
    """The section ``data`` of ``tsmtl-evaluate``, beside the settings of the sources."""

    instance_key: Text = Field(description=".csv, .parquet: column that names the instance of each row")


@cache
def evaluate_data_settings() -> type[EvaluateDataSettings]:
    """Make the section ``data``: what says which data, of all sources, nothing required; and those of CSV files."""
    fields: dict[str, Any] = {}
    for source in SOURCES.values():
        for key, field in source.model_fields.items():
            if key in (*_FITTED, *_OF_TRAINING, *EvaluateDataSettings.model_fields):
                continue
            optional = copy(field)
            optional.default = None
            known, _ = fields.setdefault(key, (field.annotation, optional))
            if known != field.annotation:  # sources differ in it: checked with the source of the checkpoint
                optional.annotation, optional.metadata = Any, []
                fields[key] = (Any, optional)
    return cast(type[EvaluateDataSettings], create_model("AnyDataSettings", __base__=EvaluateDataSettings, **fields))


def evaluate_problems(settings: dict[str, Any], typed: frozenset[str]) -> list[str]:
    """Check what the checked sections of ``tsmtl-evaluate`` say of the files."""
    own = settings[""]
    problems = weights_problems(own)
    if own.output is not None:
        problems += ending_problems("output", own.output, (".json",))
    if own.tasks == []:
        problems.append("tasks: must name a task, or be null for all")
    if "data.path" in typed:
        path = settings["data"].path
        unknown = input_problems(path)
        if own.split is None:
            problems += unknown or unread_problems(path, typed)
            problems += [
                f"{key}: is not read for all instances of a file; name a split as well, or leave it out"
                for key in sorted(typed)
                if key.startswith("data.") and key.removeprefix("data.") not in _READ_OF_A_FILE | _READ_OF_ROWS
            ]
    elif "data.instance_key" in typed:
        problems.append("data.instance_key: is for .csv and .parquet files; name one with data.path")
    return problems


def data_of_checkpoint(
    flat: dict[str, Any],
    replaced: dict[str, Any],
    checkpoint: str,
    targets: Mapping[str, str | list[str]] = MappingProxyType({}),
) -> DataSettings:
    """Give the settings of the data that a model was trained on, some replaced.

    Args:
        flat: The settings that its checkpoint holds; what is newer than it has the default that ships.
        replaced: Settings of the data to replace, by name.
        checkpoint: The file, for messages.
        targets: Other targets of tasks of ``task=custom``, by task.

    Raises:
        UserError: With one line for every problem.
    """
    source = flat["data"]["source"]
    owner = f"{checkpoint} (data.source={source})"
    problems: list[str] = []
    task_section = TASKS[flat["task"]]
    own = {key: flat[key] for key in task_section.model_fields if key in flat}
    if flat["task"] == "custom":
        own["tasks"] = [{**named, "target": targets.get(named["name"], named["target"])} for named in own["tasks"]]
    sections = {
        "data": check_section(SOURCES[source], _defaults(source) | flat["data"] | replaced, "data", problems, owner),
        "task": check_section(task_section, own, "", problems, owner),
    }
    for rule, needed in RULES:
        if set(needed) <= set(sections) and not problems:
            problems += rule(*(sections[name] for name in needed))
    if problems:
        raise UserError(problems)
    return cast(DataSettings, sections["data"]).naming(target_places(cast(TaskSettings, sections["task"])))


def kinds_of_checkpoint(flat: dict[str, Any]) -> dict[str, str]:
    """Give the kinds of the tasks, by name, that a model or transform was fitted with.

    Args:
        flat: The settings that its file holds.

    Raises:
        UserError: If they cannot be read.
    """
    section = TASKS[flat["task"]]
    task = section.model_validate({key: flat[key] for key in section.model_fields if key in flat})
    return task_kinds(task, data_of_checkpoint(flat, {}, "the file"))


def place_in_file(
    flat: dict[str, Any], task: str, replaced: dict[str, Any], targets: Mapping[str, str | list[str]]
) -> TargetPlace:
    """Say where the target of a task stands in a file of any kind; no keys: as the target was called in training.

    Args:
        flat: The settings that the checkpoint holds.
        task: Name of the task.
        replaced: Settings of the data to replace, by name.
        targets: Other targets of tasks of ``task=custom``, by task.
    """
    if flat["task"] != "custom":
        setting = _OF_TARGETS[task]
        key = replaced.get(setting)
        return TargetPlace(f"data.{setting}", () if key is None else (key,) if isinstance(key, str) else tuple(key))
    keys = {key: flat[key] for key in CustomTaskSettings.model_fields}
    place = target_places(CustomTaskSettings.model_validate(keys))[task]
    if task not in targets:
        return place
    other = targets[task]
    return replace(place, setting=f"targets.{task}", keys=(other,) if isinstance(other, str) else tuple(other))


def target_problems(
    flat: dict[str, Any], replaced: dict[str, Any], targets: Mapping[str, str | list[str]], checkpoint: str
) -> list[str]:
    """Check that targets are named in the way of the model's task.

    Args:
        flat: The settings that the checkpoint holds.
        replaced: Settings of the data to replace, by name.
        targets: Other targets of tasks of ``task=custom``, by task.
        checkpoint: The file, for messages.
    """
    if flat["task"] != "custom":
        why = f"targets: {checkpoint} has task={flat['task']}, whose targets data.class_target and the like name"
        return [why] if targets else []
    names = [named["name"] for named in flat["tasks"]]
    problems = [f"targets: {must_be_one_of(names, name)}" for name in targets if name not in names]
    return problems + [
        f"data.{key}: {checkpoint} has task=custom, whose targets have other names by targets={{{names[0]}: NAME}}"
        for key in _OF_TARGETS.values()
        if key in replaced
    ]


def _defaults(source: str) -> dict[str, Any]:
    """Give the defaults of a source: its file's, over those of the files that it builds on."""
    content = yaml.safe_load((config_dir() / "data" / f"{source}.yaml").read_text(encoding="utf-8"))
    defaults: dict[str, Any] = {}
    for file in content.pop("defaults", []):
        defaults |= content if file == "_self_" else _defaults(file)
    return defaults or dict(content)
