"""What a run records of itself: the words at its start, what its checkpoint says, its pictures, its trackers."""

import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import tsmtl
from tsmtl.assembly import head_bias, steps_of, warn_of_fallback
from tsmtl.calibrate import Seen
from tsmtl.config.processor import core_count
from tsmtl.config.schema import Settings
from tsmtl.config.torchrun import place
from tsmtl.config.unread import idle_targets
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle
from tsmtl.data.preparation import InputPreparation
from tsmtl.data.sharing import leak_lines
from tsmtl.models.convolution import FEW, unprotected
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.precision import NO_BF16, cost_of_bf16, has_tf32, takes_bf16
from tsmtl.tasks.calibration import LEVEL
from tsmtl.tasks.metrics import confusion_matrix, label_metrics_per_label, regression_metrics_per_output
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, Prediction, Task
from tsmtl.tracking.run_tracking import RunTracking, flat_settings
from tsmtl.tracking.tracker import TrackedRun
from tsmtl.tracking.trackers import TRACKERS
from tsmtl.training.balance import Balance
from tsmtl.training.conflict import Conflict
from tsmtl.training.conflict_summary import curves_of, looks_of, summary_of
from tsmtl.training.loop import Fit
from tsmtl.training.ranks import ALONE, Ranks

log = logging.getLogger(__name__)


def say_what_starts(settings: Settings, bundle: Bundle, model: MultiTaskModel, device: torch.device) -> None:
    """Log data, model and tasks before the first epoch."""
    for line in settings.model.advice():
        log.warning("%s", line)
    for line in idle_targets(settings.task.task, list(settings.tasks.values()), settings.typed):
        log.warning("%s", line)
    warn_of_fallback(settings.run.device, device)
    instances = bundle.instances
    shape = " x ".join(str(size) for size in instances.x.shape[1:])
    sizes = ", ".join(f"{name} {len(rows)}" for name, rows in bundle.splits.items())
    log.info("data: %s, %s (%s)", instances.where, shape, sizes)
    for note in bundle.notes:
        log.info("data: %s", note)
    for line in leak_lines(instances.facts):
        log.warning("data: %s; metrics will be better than on new data", line)
    for name, shares in labelled_shares(bundle).items():
        if min(shares.values()) < 1:
            said = ", ".join(f"{split} {100 * share:.3g} %" for split, share in shares.items())
            log.info("labels: %s (%s) of %s", name, instances.targets[name].key, said)
    parameters = sum(p.numel() for p in model.parameters())
    targets = ", ".join(f"{name} ({target.key})" for name, target in instances.targets.items())
    on = str(device) if settings.run.devices == 1 else f"{settings.run.devices} x {device.type}"
    if device.type == "cpu":
        _warn_of_many_threads(settings)
    log.info("model: %s, %s parameters, tasks %s, on %s", settings.model.model, f"{parameters:,}", targets, on)
    if settings.trainer.precision == "bf16":
        _say_bf16(settings, model, device)
    elif settings.trainer.precision == "tf32":
        _say_tf32(device)


def _warn_of_many_threads(settings: Settings) -> None:
    """Say so where threads outnumber cores, those of all processes that this training has started on them."""
    each, cores = torch.get_num_threads(), core_count()
    processes = settings.run.devices if place() is None else 1  # those of torchrun may have cores of their own
    if each * processes > cores:
        log.warning(
            "%s: %d threads%s take turns on %d cores, which is slower than one each",
            "trainer.threads" if each > 1 else "devices",
            each * processes,
            f" of {processes} processes" if processes > 1 else "",
            cores,
        )


def precision_of(settings: Settings, model: MultiTaskModel, device: torch.device) -> str:
    """Say what training steps do compute in."""
    if settings.trainer.precision == "tf32" and has_tf32(device):
        return "tf32"
    return "bf16" if model.bf16 and takes_bf16(device) else "float32"


def _say_tf32(device: torch.device) -> None:
    if has_tf32(device):
        log.info("precision: products of training steps are rounded to TF32; all that is measured is float32")
    else:
        log.warning(
            "trainer.precision: TF32 is of NVIDIA's GPUs from compute capability 8.0 on, and %s is none; everything "
            "stays float32",
            device,
        )


def _say_bf16(settings: Settings, model: MultiTaskModel, device: torch.device) -> None:
    slower = f"{settings.model.model} is slower in bfloat16"
    why = NO_BF16 if model.bf16 else "the backbone is frozen" if settings.run.freeze else slower
    if not (model.bf16 and takes_bf16(device)):
        log.warning("trainer.precision: %s, so that everything stays float32", why)
        return
    if device.type == "cpu":
        log.info("precision: the backbone trains in bfloat16; heads, losses and all that is measured are float32")
    else:
        log.info(
            "precision: convolutions and linear layers of the backbone train in bfloat16, other products of training "
            "steps are rounded to TF32 where the GPU has units for it; all that is measured is float32"
        )
    cost = cost_of_bf16(device)
    if cost is not None:
        log.warning(
            "trainer.precision: %s; trainer.precision=float32 gives more exact gradients for no more time", cost
        )
    elif device.type == "cpu" and (few := unprotected(model.backbone)):
        log.warning(
            "trainer.precision: PyTorch gives wrong sums for some convolutions of fewer than %d channels in bfloat16 "
            "(docs/precision.md); tsmtl.models.convolution.Convolution in the place of nn.Conv1d does not: %s",
            *(FEW, ", ".join(few)),
        )


def labelled_shares(bundle: Bundle) -> dict[str, dict[str, float]]:
    """Give the share of instances that have a task's target, by task and split."""
    return {
        name: {split: float(target.labelled[rows].mean()) for split, rows in bundle.splits.items()}
        for name, target in bundle.instances.targets.items()
    }


def about_model(
    settings: Settings,
    bundle: Bundle,
    features: Features | None,
    preparation: InputPreparation,
    tasks: dict[str, Task],
    data_sha256: str,
) -> dict[str, Any]:
    """Give what a checkpoint says beside weights, epoch and score."""
    x = bundle.instances.x
    return {
        "settings": settings.flat,
        "backbone": {
            "name": settings.model.model,
            "arguments": settings.model.backbone_arguments(),
            "input_size": x.shape[1],
            "seq_len": steps_of(bundle),
            "head_bias": head_bias(settings),
        },
        "input": {
            "kind": "series" if x.ndim == 3 else "vectors",
            "channels": bundle.instances.channels,
            "seq_len": steps_of(bundle),
            "nan_padding": bundle.instances.nan_padding,
            "features": None if features is None else features.state(),
            "preparation": preparation.state(),
            "data_sha256": data_sha256,
            "representation": bundle.instances.facts.get("representation"),
        },
        "tasks": {name: task.state() for name, task in tasks.items()},
        "monitor": settings.trainer.monitor,
        "versions": versions(),
    }


def about_weighting(settings: Settings, result: Fit, balance: Balance | None) -> dict[str, Any]:
    """Give how the tasks were weighed, and with what a method that adapts ended: mean weights of the last epoch."""
    if balance is None:
        return {**settings.weighting.model_dump(), "weights": settings.weights}
    weights = {name: result.history[-1][f"weight/{name}"] for name in settings.tasks}
    learnt = balance.record()
    return {**settings.weighting.model_dump(), "weights": weights, **({} if learnt is None else {"learnt": learnt})}


def about_conflict(result: Fit, conflict: Conflict | None) -> dict[str, Any] | None:
    """Give what the epochs say of the tasks' gradients, and say its reading; None where nothing was measured."""
    if conflict is None:
        return None
    summary, n_epochs, first = summary_of(conflict, result.history), len(result.history), conflict.plan.epochs[0]
    if n_epochs < first:
        log.warning("conflict: the training ended after %d epochs, before the first look at epoch %d", n_epochs, first)
    for line in summary["reading"]:
        log.info("conflict: %s", line)
    return summary


def draw_run(
    folder: Path,
    tasks: dict[str, Task],
    result: Fit,
    seen: Seen,
    predictions: dict[str, Prediction],
    conflict: Conflict | None,
    vectors: tuple[npt.NDArray[np.float64], str] | None = None,
) -> None:
    """Draw the curves, each task's pictures, how the tasks agree where that was measured, and vectors (N, 2).

    Args:
        folder: The run folder.
        tasks: By name.
        result: The epochs.
        seen: The test split.
        predictions: Of its instances, calibrated, by task.
        conflict: What compared the tasks' gradients, or None.
        vectors: Test vectors in two dimensions, and how they came there, or None.
    """
    # Here, not above: importing matplotlib takes longer than many a first epoch, which would wait for it.
    from tsmtl.report.conflict_picture import draw_conflict
    from tsmtl.report.drawing import style
    from tsmtl.report.pictures import (
        draw_confusion,
        draw_curves,
        draw_labels,
        draw_predicted_against_true,
        draw_reliability,
    )
    from tsmtl.report.vectors_picture import draw_vectors

    truth = seen.truth
    with style():
        if vectors is not None:
            draw_vectors(folder / "vectors.png", *vectors, truth, tasks)
        if conflict is not None and looks_of(conflict, result.history):
            draw_conflict(folder / "conflict.png", curves_of(conflict, result.history))
        draw_curves(folder / "curves.png", result.history, tasks, result.best.epoch)
        for name, task in tasks.items():
            prediction = predictions[name]
            if isinstance(prediction, ClassPrediction):
                matrix = confusion_matrix(truth[name], prediction.ids, task.size)
                draw_confusion(folder / f"confusion_{name}.png", matrix, task)
                before = task.decode(seen.outputs[name])  # as the model has learnt them
                assert isinstance(before, ClassPrediction)
                both = before.probabilities, prediction.probabilities
                draw_reliability(folder / f"reliability_{name}.png", truth[name], *both, task)
                del before, both  # not beside what the next picture takes
            elif isinstance(prediction, LabelPrediction):
                rows = label_metrics_per_label(truth[name], prediction.probabilities)
                draw_labels(folder / f"labels_{name}.png", rows, task)
            else:
                metrics = regression_metrics_per_output(truth[name], prediction.values)
                draw_predicted_against_true(
                    folder / f"predicted_{name}.png", truth[name], prediction, task, metrics, LEVEL
                )


def tracking_of(
    settings: Settings,
    folder: Path,
    data_sha256: str,
    goes_on: bool,
    history: list[dict[str, float]],
    ranks: Ranks = ALONE,
) -> RunTracking:
    """Give the trackers that the settings name, none by default.

    Args:
        settings: Checked settings.
        folder: The run folder.
        data_sha256: Hash of the data.
        goes_on: Whether an earlier process began the run.
        history: The epochs so far, a list that grows.
        ranks: The processes that train together, of which rank 0 tells trackers.
    """
    tags = {
        "folder": str(folder.absolute()),
        "data_sha256": data_sha256,
        "seed": str(settings.run.seed),
        "stage": settings.run.stage,
        "version": tsmtl.__version__,
    }
    run = TrackedRun(folder.absolute(), settings.sweep, flat_settings(settings.flat), tags, goes_on)
    names = settings.trainer.tracker if ranks.first else []
    return RunTracking({name: TRACKERS[name] for name in names}, run, history)


def versions() -> dict[str, str]:
    """Give the versions that a run was made with."""
    return {
        "tsmtl": tsmtl.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
