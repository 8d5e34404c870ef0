"""One training run, from settings to a run folder: data, model, training, checkpoint, report."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tsmtl.assembly import (
    build_model,
    choose_device,
    fit_preparation,
    make_criterion,
    make_splits,
    make_tasks,
    truth_of,
)
from tsmtl.checkpoint.best import BestCheckpoint
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.metric_names import monitor_choices
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash
from tsmtl.data.loading import load_bundle
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import import_plugins
from tsmtl.record import about_model, draw_run, say_what_starts, versions
from tsmtl.report.files import HistoryFile, write_config, write_json
from tsmtl.report.predictions import write_predictions
from tsmtl.report.terminal import show_summary
from tsmtl.tasks.losses import Criterion
from tsmtl.tasks.measure import details_by_task, measure
from tsmtl.tasks.task import ClassPrediction, NumberPrediction, Task
from tsmtl.training.batches import TensorSplit, steps_per_epoch
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.loop import Fit, Row, fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.schedule import Schedule
from tsmtl.training.seeding import seed_everything

log = logging.getLogger(__name__)


def run_training(settings: Settings, folder: Path) -> dict[str, Any]:
    """Train, test and report.

    Args:
        settings: Checked settings.
        folder: The run folder; made here, if the data and the model pass.

    Returns:
        What ``summary.json`` holds.

    Raises:
        UserError: If the data cannot be used, or contradicts the settings; nothing is written.
        NotFiniteError: If the loss stops being finite; the best checkpoint so far stays.
    """
    began = time.perf_counter()
    device = choose_device(settings.run.device, "device" in settings.typed)
    bundle = load_bundle(settings.data, settings.tasks)
    import_plugins(settings.run.plugins)
    generator = seed_everything(settings.run.seed)
    model = build_model(settings, bundle).to(device)
    tasks = make_tasks(settings, bundle)
    preparation = fit_preparation(settings, bundle)
    splits = make_splits(bundle, preparation, tasks, device)
    criterion = make_criterion(settings, tasks, splits)
    validate = _validation(model, criterion, splits["val"], tasks, truth_of(bundle, "val"))
    check_monitor(settings.trainer.monitor, validate())
    best_path = best_model_path(settings, folder)

    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder / "config.yaml", settings.flat, dict(settings.choices))
    say_what_starts(settings, bundle, model, device)
    checkpoint = BestCheckpoint(best_path)
    history = HistoryFile(folder / "metrics.csv")
    sha256 = data_hash(bundle)
    about = about_model(settings, bundle, preparation, tasks, sha256)

    def on_better(result: Fit) -> None:
        found = {"state": result.best_state, "epoch": result.best.epoch, "score": result.best.score}
        checkpoint.offer({**about, **found})

    def on_epoch(row: Row) -> None:
        history.write(row)
        checkpoint.tick()

    try:
        result = _train(settings, model, criterion, splits["train"], validate, generator, on_epoch, on_better)
    finally:
        checkpoint.finish()
    model.load_state_dict(result.best_state)
    predictions = predict(model, tasks, splits["test"])
    truth = truth_of(bundle, "test")
    test = {name: measure(truth[name], prediction) for name, prediction in predictions.items()}

    details = details_by_task(tasks, truth, predictions)
    write_predictions(folder / "predictions_test.csv", bundle.splits["test"], tasks, truth, predictions)
    summary = {
        "test": {name: metrics | details[name] for name, metrics in test.items()},
        "best": {"epoch": result.best.epoch, "monitor": settings.trainer.monitor, "score": result.best.score},
        "val": result.history[result.best.epoch - 1],
        "epochs": len(result.history),
        "instances": {name: len(rows) for name, rows in bundle.splits.items()},
        "data": {"where": bundle.instances.where, "sha256": sha256, "notes": bundle.notes},
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": {"training": result.seconds, "all": time.perf_counter() - began},
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "best_model_path": str(best_path),
    }
    write_json(folder / "summary.json", summary)
    draw_run(folder, tasks, result, truth, predictions)
    log.info("best epoch %d of %d, %.1f s", result.best.epoch, len(result.history), result.seconds)
    show_summary(tasks, test, {"run folder": folder, "best model": best_path})
    return summary


def _validation(
    model: MultiTaskModel, criterion: Criterion, val: TensorSplit, tasks: dict[str, Task], truth: dict[str, Any]
) -> Callable[[], Row]:
    """Make what measures the model on the val split: losses and metrics by ``val/...`` name."""

    def validate() -> Row:
        outputs = outputs_of(model, val)
        with torch.inference_mode():
            total, parts = criterion(outputs, val.targets)
        row = {"val/loss": total.item()} | {f"val/{name}/loss": part.item() for name, part in parts.items()}
        for name, task in tasks.items():
            metrics = measure(truth[name], task.decode(outputs[name].cpu().numpy()))
            row |= {f"val/{name}/{metric}": value for metric, value in metrics.items()}
        return row

    return validate


def check_monitor(monitor: str, row: Row) -> None:
    """Check that the score that chooses the best epoch is defined on this val split.

    Raises:
        UserError: If it is not a number before training although the loss is, as AUROC is with one class in val.
    """
    if math.isnan(row[monitor]) and math.isfinite(row["val/loss"]):
        raise UserError(f"trainer.monitor: {monitor} is not defined on this val split; take another, such as val/loss")


def _train(
    settings: Settings,
    model: MultiTaskModel,
    criterion: Criterion,
    train: TensorSplit,
    validate: Callable[[], Row],
    generator: torch.Generator,
    on_epoch: Callable[[Row], None],
    on_better: Callable[[Fit], None],
) -> Fit:
    trainer, batch_size = settings.trainer, settings.model.batch_size
    optimizer = build_optimizer(model.parameters(), settings.model.lr, trainer)
    schedule = Schedule(optimizer, trainer, settings.model.num_epochs, steps_per_epoch(len(train), batch_size))
    higher_is_better = monitor_choices(settings.tasks)[trainer.monitor]
    return fit(
        model,
        criterion,
        optimizer,
        schedule,
        train,
        validate,
        BestEpoch(higher_is_better, trainer.early_stopping_patience),
        trainer.monitor,
        settings.model.num_epochs,
        batch_size,
        generator,
        trainer.gradient_clip,
        on_epoch,
        on_better,
    )


def predict(
    model: MultiTaskModel, tasks: dict[str, Task], split: TensorSplit
) -> dict[str, ClassPrediction | NumberPrediction]:
    """Predict for a split, by task."""
    outputs = outputs_of(model, split)
    return {name: task.decode(outputs[name].cpu().numpy()) for name, task in tasks.items()}


def best_model_path(settings: Settings, folder: Path) -> Path:
    """Give the path of the best checkpoint, its folder made.

    Raises:
        UserError: If nothing can be written there.
    """
    path = Path(settings.run.best_model_path or folder / "best_model.pt").expanduser()
    if path.is_dir():
        raise UserError(f"best_model_path: {path} is a folder; name a file in it")
    if path.exists():
        try:
            read_checkpoint(path)
        except UserError as error:
            raise UserError(
                f"best_model_path: {path} is there and no checkpoint of tsmtl; name another file, or remove it first"
            ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(path.name + ".tmp")  # what a checkpoint is written to first
        probe.open("ab").close()
        probe.unlink()
    except OSError as error:
        raise UserError(f"best_model_path: cannot write {path} ({error.strerror})") from error
    return path
