"""One training run, from settings to a run folder: data, model, training, checkpoint, report."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tsmtl.assembly import Parts, assemble, build_model, choose_device, truth_of
from tsmtl.chain import pretrain
from tsmtl.checkpoint.best import BestCheckpoint
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import NAME as LAST
from tsmtl.checkpoint.last import LastState
from tsmtl.config.errors import Interrupted, UserError
from tsmtl.config.metric_names import monitor_choices
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash
from tsmtl.data.loading import load_bundle
from tsmtl.destination import best_model_path
from tsmtl.interruption import Interruption
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import import_plugins
from tsmtl.pretrained import Pretrained, read_pretrained, say_what_was_loaded
from tsmtl.record import about_model, draw_run, say_what_starts, versions
from tsmtl.report.files import HistoryFile, write_config, write_json
from tsmtl.report.predictions import write_predictions
from tsmtl.resume import SUMMARY, earlier_state, finished_summary, random_state, set_random_state
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


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves.

    Attributes:
        folder: The run folder.
        best_model_path: The best checkpoint, for :func:`tsmtl.load_model`.
        summary: What ``summary.json`` holds.
        tasks: The tasks, by name, with class names and units.
    """

    folder: Path
    best_model_path: Path
    summary: dict[str, Any]
    tasks: dict[str, Task]

    @property
    def test(self) -> dict[str, dict[str, float]]:
        """Metrics of the test split: ``result.test["cls"]["macro_f1"]``, numbers in the target's own units."""
        return {
            task: {name: value for name, value in metrics.items() if not isinstance(value, dict | list)}
            for task, metrics in self.summary["test"].items()
        }


def run_training(asked: Settings, folder: Path) -> TrainingResult:
    """Train, test and report; or go on with what the folder holds, if ``resume`` is true.

    Args:
        asked: Checked settings; a fine-tuning takes its architecture from the checkpoint.
        folder: The run folder; made here, if the data and the model pass.

    Raises:
        UserError: If the data cannot be used, or contradicts the settings; nothing is written.
        NotFiniteError: If the loss stops being finite; the best checkpoint so far stays.
        Interrupted: If a signal came; ``last.pt`` holds the state, the best checkpoint stays.
        OSError: If the disk is full; the best checkpoint stays.
    """
    began = time.perf_counter()
    device = choose_device(asked.run.device, "device" in asked.typed)
    import_plugins(asked.run.plugins)
    pretrained = _what_to_start_from(asked)
    settings = asked if pretrained is None else pretrained.settings_of(asked)
    bundle = load_bundle(settings.data, settings.tasks)
    data, start = data_hash(bundle), None if pretrained is None else pretrained.sha256
    earlier = earlier_state(asked, data, start, folder)
    if earlier is not None and (summary := finished_summary(folder)) is not None:
        log.info("%s: finished before; nothing is left to do", folder)
        path = Path(summary["best_model_path"])
        tasks = {name: Task.from_state(state) for name, state in read_checkpoint(path)["tasks"].items()}
        return TrainingResult(folder, path, summary, tasks)
    generator = seed_everything(settings.run.seed)
    parts = assemble(settings, bundle, pretrained, device)
    validate = _validation(parts.model, parts)
    if earlier is None:
        check_monitor(settings.trainer.monitor, validate())
    best_path = best_model_path(asked, folder)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)  # of an earlier run; this one is not finished
    write_config(folder / "config.yaml", asked.flat, dict(asked.choices))
    say_what_starts(settings, bundle, parts.model, device)
    if parts.load_report is not None:
        say_what_was_loaded(parts.load_report)
    best = BestCheckpoint(best_path)
    about = about_model(settings, bundle, parts.preparation, parts.tasks, data)
    try:
        result = _train(
            settings,
            parts,
            validate,
            generator,
            {"settings": asked.flat, "data": data, "pretrained": start},
            earlier,
            folder,
            best,
            about,
        )
    finally:
        best.finish()
    parts.model.load_state_dict(result.best_state)
    predictions = predict(parts.model, parts.tasks, parts.splits["test"])
    truth = truth_of(bundle, "test")
    test = {name: measure(truth[name], prediction) for name, prediction in predictions.items()}

    details = details_by_task(parts.tasks, truth, predictions)
    write_predictions(folder / "predictions_test.csv", bundle.splits["test"], parts.tasks, truth, predictions)
    draw_run(folder, parts.tasks, result, truth, predictions)
    summary = {
        "test": {name: metrics | details[name] for name, metrics in test.items()},
        "best": {"epoch": result.best.epoch, "monitor": settings.trainer.monitor, "score": result.best.score},
        "val": result.history[result.best.epoch - 1],
        "epochs": len(result.history),
        "instances": {name: len(rows) for name, rows in bundle.splits.items()},
        "data": {"where": bundle.instances.where, "sha256": data, "notes": bundle.notes},
        "stage": settings.run.stage,
        "pretrained": parts.load_report,
        "parameters": sum(p.numel() for p in parts.model.parameters()),
        "seconds": {"training": result.seconds, "all": time.perf_counter() - began},
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "best_model_path": str(best_path),
    }
    write_json(folder / SUMMARY, summary)
    log.info("best epoch %d of %d, %.1f s", result.best.epoch, len(result.history), result.seconds)
    return TrainingResult(folder, best_path, summary, parts.tasks)


def _what_to_start_from(settings: Settings) -> Pretrained | None:
    if settings.run.pretrained_path is not None:
        return read_pretrained(Path(settings.run.pretrained_path).expanduser())
    if settings.pretraining is None:
        return None
    build_model(settings, load_bundle(settings.data, settings.tasks))  # what is wrong with it is said before the wait
    return pretrain(settings.pretraining, Path(settings.pretrain.folder).expanduser(), run_training)


def _validation(model: MultiTaskModel, parts: Parts) -> Callable[[], Row]:
    """Make what measures the model on the val split: losses and metrics by ``val/...`` name."""
    val, truth = parts.splits["val"], truth_of(parts.bundle, "val")

    def validate() -> Row:
        outputs = outputs_of(model, val)
        with torch.inference_mode():
            total, losses = parts.criterion(outputs, val.targets)
        row = {"val/loss": total.item()} | {f"val/{name}/loss": loss.item() for name, loss in losses.items()}
        for name, task in parts.tasks.items():
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
    parts: Parts,
    validate: Callable[[], Row],
    generator: torch.Generator,
    identity: dict[str, Any],
    earlier: dict[str, Any] | None,
    folder: Path,
    best: BestCheckpoint,
    about: dict[str, Any],
) -> Fit:
    """Train from the start or from an earlier state, and keep best checkpoint, history and state on disk."""
    model, train, trainer = parts.model, parts.splits["train"], settings.trainer
    num_epochs, batch_size = settings.model.num_epochs, settings.model.batch_size
    optimizer = build_optimizer(model.heads.parameters(), settings.model.lr, trainer, model.backbone.parameters())
    schedule = Schedule(optimizer, trainer, num_epochs, steps_per_epoch(len(train), batch_size))
    watch = BestEpoch(monitor_choices(settings.tasks)[trainer.monitor], trainer.early_stopping_patience)
    result = Fit(watch)
    if earlier is not None:
        model.load_state_dict(earlier["model"])
        optimizer.load_state_dict(earlier["optimizer"])
        schedule.load_state(earlier["schedule"])
        set_random_state(earlier["random"], generator)
        result = Fit.from_state(watch, earlier["fit"], train.x.device)
        log.info("resume: going on in %s after %d of %d epochs", folder, len(result.history), num_epochs)
    history = HistoryFile(folder / "metrics.csv")
    history.restart(result.history)

    def on_better(result: Fit) -> None:
        found = {"state": result.best_state, "epoch": result.best.epoch, "score": result.best.score}
        best.offer({**about, **found})

    def on_epoch(row: Row) -> None:
        history.write(row)
        best.tick()

    def state() -> dict[str, Any]:
        return {
            **identity,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state(),
            "fit": result.state(),
            "random": random_state(generator),
        }

    last = LastState(folder / LAST, state)

    def keep() -> None:
        best.finish()  # first: what the state calls the best is then on disk
        last.write()

    def on_step() -> None:
        if stop.signum is not None:
            keep()
            epoch = min(len(result.history) + 1, num_epochs)
            raise Interrupted(
                stop.signum,
                f"{Interrupted(stop.signum).word} in epoch {epoch} of {num_epochs}; to go on, give the same command "
                f"hydra.run.dir={folder} resume=true",
            )
        if last.due:
            keep()

    if result.best.epoch:
        on_better(result)
    with Interruption() as stop:
        keep()
        fit(
            model,
            parts.criterion,
            optimizer,
            schedule,
            train,
            validate,
            watch,
            trainer.monitor,
            num_epochs,
            batch_size,
            generator,
            trainer.gradient_clip,
            on_epoch,
            on_better,
            on_step,
            trainer.unfreeze_at,
            result,
        )
        keep()
    return result


def predict(
    model: MultiTaskModel, tasks: dict[str, Task], split: TensorSplit
) -> dict[str, ClassPrediction | NumberPrediction]:
    """Predict for a split, by task."""
    outputs = outputs_of(model, split)
    return {name: task.decode(outputs[name].cpu().numpy()) for name, task in tasks.items()}
