"""The settings of a pretraining that runs in the same job as its fine-tuning."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from tsmtl.config.location import config_dir
from tsmtl.config.run_settings import TASKS, PretrainSettings

# What says how this run is fine-tuned, where it goes, and what it starts from.
_OWN = {"stage": "pretrain", "pretrained_path": None, "freeze": False, "best_model_path": None, "resume": True}
_OF_SEVERAL = {"best_per_task": False, "conflict": "off"}  # nothing to compare in one task, nor in a start
_OWN_TRAINER = {"lr_backbone_factor": 1.0, "unfreeze_at": None, **_OF_SEVERAL}
SHARED = frozenset(
    {*_OWN, "pretrain", "device", "devices", "plugins", "model"}
)  # a pretraining has no own value of these
DROPOUTS = frozenset({"dropout", "lstm_drop_out", "fc_drop_out"})  # how a backbone is trained, not what it is
_KINDS = {"cls": ("cls",), "reg": ("reg",), "multi": ("cls", "reg", "cls_2")}


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
        task: ``cls``, ``reg`` or ``multi``.
    """
    task_keys = {key for section in TASKS.values() for key in section.model_fields}
    settings = {key: deepcopy(value) for key, value in flat.items() if key not in task_keys}
    settings |= yaml.safe_load((config_dir() / "task" / f"{task}.yaml").read_text(encoding="utf-8"))
    trainer, data = settings.get("trainer"), settings.get("data")
    if isinstance(trainer, dict):
        trainer |= _fitting(trainer, task)
        trainer["joint_weights"] = trainer.get("joint_weights") if task == "multi" else {}
    if isinstance(data, dict):
        _keep_names(data, "label_share", task)
        _keep_names(data, "shuffled_labels", task)
    if task != "multi":
        settings["weighting"] = {"name": "fixed"}  # there is nothing to weigh
        if settings.get("model") == "lstm_fcn_multi":
            settings["model"] = "lstm_fcn"  # the same backbone, for one task
    return settings


def _keep_names(section: dict[str, Any], key: str, task: str) -> None:
    """Leave out of a list, or of a mapping, of tasks those that another task has not."""
    value = section.get(key)
    if isinstance(value, dict):
        section[key] = {name: part for name, part in value.items() if name in _KINDS[task]}
    elif isinstance(value, list):
        section[key] = [name for name in value if name in _KINDS[task]]


def _fitting(trainer: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Give the defaults of what the fine-tuning's trainer says of a task that the pretraining has not."""
    fitting: dict[str, Any] = {} if task == "multi" else dict(_OF_SEVERAL)
    if task == "reg":
        fitting |= {"class_weights": "none", "label_smoothing": 0.0}
    if task == "cls":
        fitting |= {"regression_weights": "none"}
    if trainer.get("sampler") in {"reg": ("balanced", "both_tasks"), "cls": ("both_tasks",)}.get(task, ()):
        fitting["sampler"] = "random"
    _, _, watched = str(trainer.get("monitor")).partition("/")
    if "/" in watched and watched.partition("/")[0] not in _KINDS[task]:
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
