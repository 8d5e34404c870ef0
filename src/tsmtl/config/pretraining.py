"""The settings of a pretraining that runs in the same job as its fine-tuning."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from tsmtl.config.location import config_dir
from tsmtl.config.run_settings import TASKS, PretrainSettings

# What says how this run is fine-tuned, where it goes, and what it starts from.
_OWN = {
    **{"stage": "pretrain", "pretrained_path": None, "freeze": False, "overlap": "refuse"},
    **{"best_model_path": None, "resume": True},
}
_OF_SEVERAL = {"best_per_task": False, "conflict": "off"}  # nothing to compare in one task, nor in a start
_OWN_TRAINER = {"lr_backbone_factor": 1.0, "unfreeze_at": None, **_OF_SEVERAL}
SHARED = frozenset(
    {*_OWN, "pretrain", "device", "devices", "plugins", "model"}
)  # a pretraining has no own value of these
DROPOUTS = frozenset({"dropout", "lstm_drop_out", "fc_drop_out"})  # how a backbone is trained, not what it is
ROWS_OF_START = ("derive", "condition", "condition_clusters")
DRAWN = frozenset({"npz", "vectors", "table", "cmapss", "synthetic"})  # sources with several targets
_KINDS = {"cls": {"cls": "cls"}, "reg": {"reg": "reg"}, "multi": {"cls": "cls", "reg": "reg", "cls_2": "cls"}}


def pretraining_settings(flat: Mapping[str, Any], pretrain: PretrainSettings) -> dict[str, Any]:
    """Give the flat settings of the pretraining: the fine-tuning's own, but for the task and what ``pretrain`` changes.

    Args:
        flat: Flat settings of the fine-tuning.
        pretrain: The section ``pretrain``; its ``task`` is given.
    """
    settings = settings_for_task(flat, str(pretrain.task)) | _OWN
    settings["pretrain"] = {"task": None, "folder": pretrain.folder}
    if isinstance(settings.get("trainer"), dict):
        settings["trainer"] |= _OWN_TRAINER
    return merged(settings, pretrain.changes)


def settings_for_task(flat: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Give flat settings for another task: its own defaults, and the rest as it is, but for what that task has not.

    Args:
        flat: Flat settings of a run.
        task: ``cls``, ``reg`` or ``multi``; of a run with ``task=custom`` one of its tasks by name, or ``custom``.
    """
    task_keys = {key for section in TASKS.values() for key in section.model_fields}
    settings = {key: deepcopy(value) for key, value in flat.items() if key not in task_keys}
    settings |= _task_of(flat, task)
    kinds = _KINDS.get(settings["task"]) or {named["name"]: named["kind"] for named in settings["tasks"]}
    trainer, data = settings.get("trainer"), settings.get("data")
    if isinstance(trainer, dict):
        trainer |= _fitting(trainer, kinds)
        trainer["joint_weights"] = trainer.get("joint_weights") if len(kinds) > 1 else {}
    if isinstance(data, dict):
        if data.get("split_targets") is None and data.get("source") in DRAWN:
            data["split_targets"] = split_targets_of(flat)  # what one stage learns from, the other must not test on
        _keep_names(data, "label_share", kinds)
        _keep_names(data, "shuffled_labels", kinds)
    if len(kinds) == 1:
        settings["weighting"] = {"name": "fixed"}  # there is nothing to weigh
        if settings.get("model") == "lstm_fcn_multi" and settings["task"] != "custom":
            settings["model"] = "lstm_fcn"  # the same backbone, for one task
    return settings


def _task_of(flat: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Give the settings of a task: the file of its name, or of ``task=custom`` some of its ``tasks``."""
    tasks = flat["tasks"] if flat.get("task") == "custom" else []
    chosen = [{**named, "weight": 1.0} for named in tasks if named["name"] == task]  # alone it needs no weight
    if chosen or task == "custom":
        return {"task": "custom", "tasks": chosen or deepcopy(tasks)}
    return dict(yaml.safe_load((config_dir() / "task" / f"{task}.yaml").read_text(encoding="utf-8")))


def split_targets_of(flat: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give ``data.split_targets`` by which any of a run's tasks alone gets the splits of the run."""
    data, task = flat["data"], flat["task"]
    if task == "custom":
        named = [(one["kind"], one.get("target")) for one in flat["tasks"]]
    else:
        keys = {"cls": "class_target", "cls_2": "class_target_2", "reg": "regression_target"}
        second = "cls_2" if data.get("class_target_2") is not None else "reg"
        names = ["cls", second] if task == "multi" else [task]
        named = [(_KINDS["multi"][name], data.get(keys[name])) for name in names]
    return [
        {"kind": kind, "target": target if isinstance(target, list) else [] if target is None else [target]}
        for kind, target in named
    ]


def _keep_names(section: dict[str, Any], key: str, kinds: Mapping[str, str]) -> None:
    """Leave out of a list, or of a mapping, of tasks those that another task has not."""
    value = section.get(key)
    if isinstance(value, dict):
        section[key] = {name: part for name, part in value.items() if name in kinds}
    elif isinstance(value, list):
        section[key] = [name for name in value if name in kinds]


def _fitting(trainer: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Give the defaults of what a trainer's settings say of a task that is none of these."""
    fitting: dict[str, Any] = {} if len(kinds) > 1 else dict(_OF_SEVERAL)
    classes, numbers = "cls" in kinds.values(), "reg" in kinds.values()
    if not classes:
        fitting |= {"class_weights": "none", "label_smoothing": 0.0}
    if not numbers:
        fitting |= {"regression_weights": "none"}
    if (trainer.get("sampler") == "balanced" and not classes) or (
        trainer.get("sampler") == "both_tasks" and len(kinds) == 1
    ):
        fitting["sampler"] = "random"
    _, _, watched = str(trainer.get("monitor")).partition("/")
    if "/" in watched and watched.partition("/")[0] not in kinds:
        fitting["monitor"] = "val/loss"
    return fitting


def merged(settings: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes into nested settings."""
    for key, value in changes.items():
        old = settings.get(key)
        settings[key] = merged(dict(old), value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return settings


def own_keys(typed: frozenset[str]) -> frozenset[str]:
    """Give the keys that the user typed behind ``pretrain.``, of the settings that a pretraining has."""
    return frozenset(key.removeprefix("pretrain.") for key in typed if key.startswith("pretrain.")) - {"task", "folder"}


def pretraining_keys(typed: frozenset[str]) -> frozenset[str]:
    """Give the keys that the user typed for the pretraining: those of ``pretrain.``, and the others but its task's."""
    task_keys = {key for section in TASKS.values() for key in section.model_fields}
    shared = {key for key in typed if not key.startswith("pretrain.")} - task_keys - _OWN.keys()
    return frozenset(own_keys(typed) | shared)


def rows_of_start(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give of a start's settings of data those by which a tuning reads the rows of a table as well."""
    return {key: data[key] for key in ROWS_OF_START if key in data}
