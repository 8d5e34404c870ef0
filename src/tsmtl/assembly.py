"""From settings and data to the parts of a run: tasks, model, splits on the device, loss."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.compatibility import check_augment, check_input_kind, check_lengths, check_lone_series
from tsmtl.config.data_settings import DataSettings, RecordedSettings
from tsmtl.config.errors import UserError
from tsmtl.config.model_settings import FCSettings
from tsmtl.config.schema import Settings
from tsmtl.config.task_kinds import task_losses
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle, ClassTarget, LabelTarget, NumberTarget
from tsmtl.data.preparation import InputPreparation
from tsmtl.loaded import sharing
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import BACKBONES, build_backbone
from tsmtl.pretrained import Pretrained
from tsmtl.report.predictions import check_columns
from tsmtl.splits import make_splits, prepared, with_features
from tsmtl.tasks.losses import (
    Criterion,
    Loss,
    class_weight_values,
    cross_entropy,
    label_loss,
    labelled_rows,
    regression_loss,
)
from tsmtl.tasks.rare_numbers import RareNumberWeights
from tsmtl.tasks.task import Task, fit_scaling
from tsmtl.training.augmentation import Augmentation, channels_of
from tsmtl.training.balance import Balance
from tsmtl.training.batches import Split
from tsmtl.training.captured_step import CapturedSteps, CudaGraphs, why_not_captured
from tsmtl.training.conflict import Conflict
from tsmtl.training.ranks import Ranks
from tsmtl.training.sampling import BalancedSampler, BothTasksSampler, Sampler
from tsmtl.weighting.registry import build_weighting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The parts of a run.

    Attributes:
        bundle: The data, with derived channels where any are asked for; its input is prepared, where it is in memory.
        features: How these are made.
        load_report: What was loaded into the model, new, and left over; None of a model that starts anew.
    """

    bundle: Bundle
    model: MultiTaskModel
    tasks: dict[str, Task]
    features: Features | None
    preparation: InputPreparation
    splits: dict[str, Split]
    criterion: Criterion
    load_report: dict[str, Any] | None


def assemble(settings: Settings, bundle: Bundle, pretrained: Pretrained | None, device: torch.device) -> Parts:
    """Put the parts of a run together.

    Raises:
        UserError: If data, settings, model and checkpoint contradict each other.
    """
    bundle, features = with_features(bundle, None if pretrained is None else pretrained.features)
    if pretrained is not None:
        pretrained.check_input(bundle)
    check_augment(settings, bundle)
    model = build_model(settings, bundle, device)
    load_report = None
    if pretrained is not None:
        pretrained.check_length(bundle, model)
        load_report = pretrained.load_into(model)
        if settings.run.freeze or settings.trainer.unfreeze_at is not None:
            model.freeze_backbone()
    model = model.to(device)
    tasks = make_tasks(settings, bundle)
    check_columns(tasks)
    preparation = fit_preparation(settings, bundle) if pretrained is None else pretrained.preparation
    states = (preparation.state(), None if features is None else features.state())
    bundle, left = prepared(bundle, preparation, sharing(settings, "prepared", *states))
    splits = make_splits(settings.data, bundle, left, tasks, device)
    criterion = make_criterion(settings, bundle, tasks, splits)
    return Parts(bundle, model, tasks, features, preparation, splits, criterion, load_report)


def choose_device(device: str, typed: bool) -> torch.device:
    """Give the device: the default ``cuda`` falls back to the CPU; a typed one does not.

    Raises:
        UserError: If the user asked for CUDA and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        if typed:
            raise UserError("device: cuda was asked for, but PyTorch finds no CUDA device here; take device=cpu")
        return torch.device("cpu")
    return torch.device(device)


def warn_of_fallback(wanted: str, device: torch.device) -> None:
    """Log that another device than the wanted one does the work; said when the work begins, not beside a refusal."""
    if device.type != wanted:
        log.warning("device: no CUDA device here, working on the CPU (device=cpu says so from the start)")


def make_tasks(settings: Settings, bundle: Bundle) -> dict[str, Task]:
    """Describe the tasks; the scaling of numbers is learnt from the train split."""
    tasks = {}
    for name, target in bundle.instances.targets.items():
        if isinstance(target, ClassTarget):
            tasks[name] = Task(name, "cls", target.key, target.size, tuple(target.names))
        elif isinstance(target, LabelTarget):
            tasks[name] = Task(name, "multilabel", target.key, target.size, tuple(target.names))
        else:
            tasks[name] = _number_task(name, target, settings.data, bundle)
    return tasks


def _number_task(name: str, target: NumberTarget, data: DataSettings, bundle: Bundle) -> Task:
    clip = None if data.clip_target is None else (data.clip_target[0], data.clip_target[1])
    size, more = target.values.shape[1], tuple(data.regression_metrics)
    task = Task(
        name, "reg", target.key, size, unit=target.unit, clip=clip, transform=data.transform_target, metrics=more
    )
    where = bundle.instances.where
    learnt_from = () if task.transform == "none" else ("train", "val")
    for split in learnt_from:  # what is learnt from; the test split is measured in its own units
        rows = bundle.splits[split]
        values = target.values[rows]
        wrong = np.argwhere(~np.isfinite(task.transformed(values)) & ~np.isnan(values))
        if wrong.size:
            row, column = wrong[0]
            raise UserError(
                f"{where}: '{target.key}' is {values[row, column]:g} in instance {rows[row]} ({split} split); "
                f"data.transform_target={task.transform} needs numbers above -1; data.clip_target=[0,null] clips"
            )
    train = task.transformed(target.values[bundle.splits["train"]])
    if constant := [column for column in range(size) if np.nanmin(train[:, column]) == np.nanmax(train[:, column])]:
        said = f"'{target.key}'" + (f" column {constant[0]}" if size > 1 else "")
        raise UserError(f"{where}: data.clip_target leaves {said} one value only in the train split; widen the range")
    shift, scale = fit_scaling(train, data.scale_target)
    return replace(task, shift=shift, scale=scale)


def fit_preparation(settings: Settings, bundle: Bundle) -> InputPreparation:
    """Learn filling and scaling of the input from the train split; logarithms and what is cut are settings."""
    data, instances = settings.data, bundle.instances
    missing = data.missing if isinstance(data, RecordedSettings) else "error"  # a simulation misses nothing
    train = bundle.splits["train"]
    how = (data.scale, missing, data.input_limit, data.signed_log)
    return InputPreparation.fit(instances.x, instances.lengths, train, *how)


def truth_of(bundle: Bundle, split: str) -> dict[str, npt.NDArray[np.generic]]:
    """Give what is true of a split, by task: (N,) class ids, (N, D) numbers in their own units, or (N, L) labels."""
    rows = bundle.splits[split]
    return {task: target.array[rows] for task, target in bundle.instances.targets.items()}


def build_model(settings: Settings, bundle: Bundle, device: torch.device) -> MultiTaskModel:
    """Build backbone and heads for the sizes of the data, on the CPU, to be trained on ``device``.

    Raises:
        UserError: If data, settings and model contradict each other.
    """
    name, x = settings.model.model, bundle.instances.x
    if name in BACKBONES:
        check_input_kind(settings, bundle, BACKBONES[name])
    backbone = build_backbone(name, settings.model.backbone_arguments(), x.shape[1], steps_of(bundle))
    check_lengths(bundle, backbone, name)
    check_lone_series(settings, bundle, backbone)
    outputs = {task: target.size for task, target in bundle.instances.targets.items()}
    gains = backbone.gains_by_bf16 or device.type == "cuda"
    bf16 = settings.trainer.precision == "bf16" and gains and not settings.run.freeze
    return MultiTaskModel(backbone, outputs, head_bias(settings), bf16)


def steps_of(bundle: Bundle) -> int | None:
    """Give T of series, None of vectors."""
    x = bundle.instances.x
    return int(x.shape[2]) if x.ndim == 3 else None


def head_bias(settings: Settings) -> bool:
    """Say whether the heads have a bias: always, but where ``model=fc bias=false`` asks for none."""
    return settings.model.bias if isinstance(settings.model, FCSettings) else True


def make_criterion(settings: Settings, bundle: Bundle, tasks: dict[str, Task], splits: dict[str, Split]) -> Criterion:
    """Make the loss of all tasks; only targets with missing values pay for a mask.

    Raises:
        UserError: If the class weights are not as many as the classes.
    """
    trainer = settings.trainer
    losses: dict[str, Loss] = {}
    for name, task in tasks.items():
        train, target = splits["train"], bundle.instances.targets[name]
        masked = any(target.any_missing(bundle.splits[split]) for split in ("train", "val"))  # test decides nothing
        if task.kind == "cls":
            weights = None
            if trainer.class_weights != "none":
                ids = train.targets[name]
                weights = class_weight_values(trainer.class_weights, ids.cpu(), task.size).to(train.device)
            losses[name] = cross_entropy(weights, trainer.label_smoothing, masked)
        elif task.kind == "multilabel":
            losses[name] = label_loss(masked)
        else:
            rare = RareNumberWeights(train.targets[name]) if trainer.regression_weights == "rare" else None
            kind = task_losses(settings.task).get(name, trainer.regression_loss)
            losses[name] = regression_loss(kind, trainer.huber_delta, masked, rare)
    return Criterion(losses, settings.weights)


def make_sampler(settings: Settings, train: Split) -> Sampler:
    """Make what draws the batches of an epoch."""
    trainer, tasks = settings.trainer, settings.tasks
    how = (settings.model.batch_size, train.device, trainer.epoch_fraction)
    if trainer.sampler == "balanced":
        return BalancedSampler(train.targets[next(name for name, kind in tasks.items() if kind == "cls")], *how)
    if trainer.sampler == "both_tasks":
        return BothTasksSampler([labelled_rows(train.targets[name]) for name in tasks], *how)
    return Sampler(len(train), *how, train.shuffle_block)


def make_augmentation(settings: Settings, train: Split) -> Augmentation | None:
    """Make what changes each training batch; None where nothing does."""
    changes = settings.data.changes
    return Augmentation(changes, channels_of(train)) if changes else None


def make_balance(settings: Settings, model: MultiTaskModel, device: torch.device, ranks: Ranks) -> Balance | None:
    """Make what weighs the tasks; None with ``weighting=fixed``, which the criterion does."""
    tasks = settings.tasks
    method = build_weighting(settings.weighting, list(tasks.values()), settings.model.lr, device)
    return None if method is None else Balance(method, model, list(tasks), ranks)


def make_captured(
    settings: Settings, model: MultiTaskModel, train: Split, sampler: Sampler, balance: Balance | None, ranks: Ranks
) -> CapturedSteps | None:
    """Make what records the steps on a GPU; None on a CPU, and where they cannot be recorded, which is logged."""
    if train.device.type != "cuda" or settings.trainer.cuda_graph == "off":
        return None
    why_not = why_not_captured(model, train, balance, ranks, settings.trainer.conflict != "off")
    if why_not is not None:
        log.info("steps: each operation is launched by itself, as %s", why_not)
        return None
    log.info("steps: recorded as a CUDA graph (trainer.cuda_graph)")
    return CapturedSteps(CudaGraphs(train.device), sampler.sizes)


def make_conflict(settings: Settings, parts: Parts, steps: int) -> Conflict | None:
    """Make what compares the tasks' gradients after epochs; None where that is not asked for or not possible.

    Args:
        settings: Checked settings.
        parts: The parts of the run.
        steps: Training steps of an epoch.
    """
    trainer, model = settings.trainer, settings.model
    if trainer.conflict == "off":
        return None
    if settings.run.freeze or not list(parts.model.backbone.parameters()):
        log.warning("trainer.conflict: the backbone has nothing that learns, so that no gradients meet; not measured")
        return None
    train = parts.splits["train"]
    epochs = range(trainer.unfreeze_at or 1, model.num_epochs + 1)
    conflict = Conflict(parts.model, parts.criterion, train, model.batch_size, steps, epochs, settings.run.seed)
    if not conflict.plan.epochs:
        log.warning(
            "trainer.conflict: a look takes as long as %d epochs have time for, and there are %d: not measured",
            *(conflict.plan.time_of_one, len(epochs)),
        )
        return None
    return conflict
