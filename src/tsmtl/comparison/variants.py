"""The variants of a training that a comparison trains."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import yaml

from tsmtl.config.compare_settings import CompareSettings
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
        twins: What it is compared with: the single-task variant of each task that it is judged on.
        start: The variant whose model of the same seed it is fine-tuned from; None: it starts from scratch.
        x: Its alpha, or its share of labels.
    """

    name: str
    label: str
    kind: str
    flat: Mapping[str, Any]
    twins: Mapping[str, str] = field(default_factory=dict)
    start: str | None = None
    x: float | None = None


def variants_of(own: CompareSettings, training: Settings) -> list[Variant]:
    """Give the variants that are asked for, the single-task twins first."""
    base = _changed(training.flat, trainer={"monitor": JOINT})
    tasks = list(training.tasks)
    twins = {task: f"single_{task}" for task in tasks}
    found = [Variant(twins[task], f"{task} alone", "twin", alone(base, task)) for task in tasks]
    if "multi" in own.variants:
        found.append(Variant("multi", "all tasks", "multi", base, twins))
    if "transfer" in own.variants:
        finetune = base | {"stage": "finetune"}
        found += [
            Variant(f"{task}_to_multi", f"{task}, then all", "transfer", finetune, twins, start=twins[task])
            for task in tasks
        ]
    if "control" in own.variants:
        found += [_control(base, task, tasks, twins) for task in tasks]
    fixed = base | {"weighting": _weighting("fixed")}
    found += [
        Variant(f"alpha_{alpha:g}", f"alpha {alpha:g}", "alpha", fixed | {"alpha": alpha}, twins, x=alpha)
        for alpha in own.alphas
    ]
    found += [
        Variant(f"weighting_{name}", name, "weighting", base | {"weighting": _weighting(name)}, twins)
        for name in own.weightings
    ]
    return [*found, *_budget(own, base)]


def alone(base: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Give the settings of one task alone."""
    if task == "cls_2":  # alone it is the class of its data
        data = base["data"]
        base = _changed(base, data={"class_target": data["class_target_2"], "class_target_2": None})
        task = "cls"
    return settings_for_task(base, task)


def _control(base: Mapping[str, Any], task: str, tasks: list[str], twins: Mapping[str, str]) -> Variant:
    others = [other for other in tasks if other != task]
    flat = _changed(
        base,
        data={"shuffled_labels": others},
        trainer={"joint_weights": dict.fromkeys(others, 0.0)},  # what is learnt of noise chooses no epoch
    )
    label = f"all, {' and '.join(others)} shuffled"
    return Variant(f"control_{task}", label, "control", flat, {task: twins[task]})


def _budget(own: CompareSettings, base: Mapping[str, Any]) -> Iterator[Variant]:
    task = own.budget_task
    if task is None:
        return
    for share in own.label_shares:
        fewer = (
            base if share == 1 else _changed(base, data={"label_share": base["data"]["label_share"] | {task: share}})
        )
        single, said = f"budget_{share:g}_single_{task}", f"{100 * share:g} % of the labels of {task}"
        yield Variant(single, f"{task} alone, {said}", "budget", alone(fewer, task), x=share)
        yield Variant(f"budget_{share:g}_multi", f"all tasks, {said}", "budget", fewer, {task: single}, x=share)


def _changed(flat: Mapping[str, Any], **sections: Mapping[str, Any]) -> dict[str, Any]:
    changed = deepcopy(dict(flat))
    for name, changes in sections.items():
        changed[name] |= changes
    return changed


def _weighting(name: str) -> dict[str, Any]:
    content = yaml.safe_load((config_dir() / "weighting" / f"{name}.yaml").read_text(encoding="utf-8"))
    return dict(content)
