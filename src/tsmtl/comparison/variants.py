"""The variants of a training that a comparison trains."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import yaml

from tsmtl.config.compare_settings import CompareSettings
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.metric_names import JOINT
from tsmtl.config.pretraining import settings_for_task
from tsmtl.config.schema import Settings


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        name: For folders and tables.
        label: For people.
        kind: ``twin`` (one task), ``multi``, ``transfer``, ``control``, ``alpha``, ``weighting`` or ``budget``.
        flat: Its settings; learning rate, epochs and seed are still those of the training.
        tasks: The tasks that it is judged on, and what its own runs call them.
        twins: What it is compared with: the single-task variant of each of these; none of a twin.
        start: The variant whose model of the same seed it is fine-tuned from; None: it starts from scratch.
        x: Its alpha, or its share of labels.
    """

    name: str
    label: str
    kind: str
    flat: Mapping[str, Any]
    tasks: Mapping[str, str]
    twins: Mapping[str, str] = field(default_factory=dict)
    start: str | None = None
    x: float | None = None


def variants_of(own: CompareSettings, training: Settings) -> list[Variant]:
    """Give the variants that are asked for, the single-task twins first.

    Raises:
        UserError: If two would have the same name.
    """
    base = _changed(training.flat, trainer={"monitor": JOINT})
    tasks = {task: task for task in training.tasks}
    twins = {task: f"single_{task}" for task in tasks}
    found = [
        Variant(twins[task], f"{task} alone", "twin", alone(base, task), {task: _name_alone(base, task)})
        for task in tasks
    ]
    if "multi" in own.variants:
        found.append(Variant("multi", "all tasks", "multi", base, tasks, twins))
    if "transfer" in own.variants:
        finetune = base | {"stage": "finetune"}
        found += [
            Variant(f"{task}_to_multi", f"{task}, then all", "transfer", finetune, tasks, twins, start=twins[task])
            for task in tasks
        ]
    if "control" in own.variants:
        found += [_control(base, task, list(tasks), twins) for task in tasks]
    fixed = base | {"weighting": _weighting("fixed")}
    found += [
        Variant(f"alpha_{alpha:g}", f"alpha {alpha:g}", "alpha", fixed | {"alpha": alpha}, tasks, twins, x=alpha)
        for alpha in own.alphas
    ]
    found += [
        Variant(f"weighting_{name}", name, "weighting", _weighed(base, name), tasks, twins) for name in own.weightings
    ]
    found += _budget(own, base)
    names = [variant.name for variant in found]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UserError(f"compare: two variants would be called {twice[0]}; change a value or the name of a task")
    return found


def alone(base: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Give the settings of one task alone, on the splits of all tasks together."""
    own = _name_alone(base, task)
    settings = settings_for_task(base, own)
    if own != task:
        data = base["data"]
        settings["data"] |= {
            "class_target": data["class_target_2"],
            "class_target_2": None,
            "label_share": {own: data["label_share"][task]} if task in data["label_share"] else {},
            "shuffled_labels": [own] if task in data["shuffled_labels"] else [],
        }
    return settings


def _name_alone(base: Mapping[str, Any], task: str) -> str:
    """Give what a task is called where it is alone: the second class of ``task=multi`` is then the class."""
    return "cls" if base["task"] == "multi" and task == "cls_2" else task


def _control(base: Mapping[str, Any], task: str, tasks: list[str], twins: Mapping[str, str]) -> Variant:
    others = [other for other in tasks if other != task]
    flat = _changed(
        base,
        data={"shuffled_labels": others},
        trainer={"joint_weights": dict.fromkeys(others, 0.0)},  # what is learnt of noise chooses no epoch
    )
    label = f"all, {' and '.join(others)} shuffled"
    return Variant(f"control_{task}", label, "control", flat, {task: task}, {task: twins[task]})


def _budget(own: CompareSettings, base: Mapping[str, Any]) -> Iterator[Variant]:
    task = own.budget_task
    if task is None:
        return
    for share in own.label_shares:
        fewer = (
            base if share == 1 else _changed(base, data={"label_share": base["data"]["label_share"] | {task: share}})
        )
        single, said = f"budget_{share:g}_single_{task}", f"{100 * share:g} % of the labels of {task}"
        of_twin = {task: _name_alone(base, task)}
        yield Variant(single, f"{task} alone, {said}", "budget", alone(fewer, task), of_twin, x=share)
        both, name = {task: task}, f"budget_{share:g}_multi"
        yield Variant(name, f"all tasks, {said}", "budget", fewer, both, {task: single}, x=share)


def _changed(flat: Mapping[str, Any], **sections: Mapping[str, Any]) -> dict[str, Any]:
    changed = deepcopy(dict(flat))
    for name, changes in sections.items():
        changed[name] |= changes
    return changed


def _weighed(base: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give the settings of all tasks with a weighting: with the user's own where it is that of the training."""
    if base["weighting"]["name"] == name:
        return dict(base)
    own: dict[str, Any] = {"weighting": _weighting(name)}
    if base["task"] == "custom" and name != "fixed":  # which finds weights of its own
        own["tasks"] = [{key: value for key, value in one.items() if key != "weight"} for one in base["tasks"]]
    return {**base, **own}


def _weighting(name: str) -> dict[str, Any]:
    content = yaml.safe_load((config_dir() / "weighting" / f"{name}.yaml").read_text(encoding="utf-8"))
    return dict(content)
