"""One training run, from settings to a run folder: data, model, training, checkpoint, report."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tsmtl.assembly import Parts, assemble, choose_device, steps_of
from tsmtl.calibrate import Seen, about_calibration, decoded, fit_on, say_calibration, seen_on, states_of
from tsmtl.chain import found, pretrain
from tsmtl.checkpoint.file import SEEN, write_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings
from tsmtl.data.instances import Bundle
from tsmtl.destination import best_model_path
from tsmtl.kernels import say_kernels, take_kernels
from tsmtl.linear_probe import about_probe, linear_probe
from tsmtl.loaded import load
from tsmtl.models.kernels import kernels_of
from tsmtl.models.registry import import_plugins
from tsmtl.pretrained import Pretrained, read_pretrained, say_what_was_loaded, seen_by
from tsmtl.record import (
    about_conflict,
    about_model,
    about_weighting,
    draw_run,
    labelled_shares,
    precision_of,
    say_what_starts,
    tracking_of,
    versions,
)
from tsmtl.report.files import write_config, write_json, write_vectors_2d
from tsmtl.report.predictions import write_predictions
from tsmtl.report.run_contents import VECTORS_2D
from tsmtl.resume import check_same, clear, finished_summary, saved_state, stamp_of
from tsmtl.run_files import checkpoint_of
from tsmtl.side_by_side import test_each_best
from tsmtl.storage.alone import alone_in
from tsmtl.storage.run_folder import BEST, LOCK, SUMMARY, sha256_of
from tsmtl.tasks.calibration import LEVEL
from tsmtl.tasks.measure import details_by_task, measure
from tsmtl.tasks.task import Task
from tsmtl.training.ranks import ALONE, Ranks
from tsmtl.training.seeding import seed_everything
from tsmtl.training.threads import threads_for, threads_put_back
from tsmtl.training.watch import Watch
from tsmtl.training_run import Training

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


@threads_put_back()
def run_training(asked: Settings, folder: Path, watch: Watch | None = None, ranks: Ranks = ALONE) -> TrainingResult:
    """Train, test and report; or go on with what the folder holds, if ``resume`` is true.

    Args:
        asked: Checked settings; a fine-tuning takes its architecture from the checkpoint.
        folder: The run folder; made here, if the data and the model pass. That of rank 0 counts.
        watch: Is told of the run's start and of every epoch; that of rank 0.
        ranks: The processes that share the work, each of which calls this.

    Raises:
        UserError: If the data cannot be used, or contradicts the settings; nothing is written.
        NotFiniteError: If the loss stops being finite; the best checkpoint so far stays.
        Interrupted: If a signal came; ``last.pt`` holds the state, the best checkpoint stays.
        RankLostError: If another rank has ended.
        OSError: If the disk is full; the best checkpoint stays.
    """
    began = time.perf_counter()
    device = ranks.use(ranks.together(lambda: choose_device(asked.run.device, "device" in asked.typed)))
    ranks.together(lambda: import_plugins(asked.run.plugins))
    folder, stamp, state, summary = ranks.from_first(lambda: _found_in(folder, asked))
    if state is not None and summary is not None:
        known = _start_still_there(asked, ranks)
        start = state["pretrained"] if known is None else known.identity
        check_same(state, _loaded(asked if known is None else known.settings_of(asked), ranks)[1], start, folder)
        return ranks.from_first(lambda: _finished(asked, folder, summary))
    pretrained = _what_to_start_from(asked, folder, device, ranks)
    settings = asked if pretrained is None else pretrained.settings_of(asked)
    bundle, data = _loaded(settings, ranks)
    start = None if pretrained is None else pretrained.identity
    if state is not None:
        check_same(state, data, start, folder)
    instances = ranks.together(lambda: seen_by(bundle, pretrained, settings.run.overlap))
    generator = seed_everything(settings.run.seed)
    parts = ranks.together(lambda: assemble(settings, bundle, pretrained, device))
    torch.set_num_threads(ranks.from_first(lambda: _threads(settings, parts, device, state)))
    why_torch = ranks.together(lambda: take_kernels(settings, parts, device, state, folder))
    training = Training(settings, parts, generator, state, ranks)
    best_path = ranks.from_first(
        lambda: best_model_path(asked, folder, None if pretrained is None else pretrained.path)
    )

    with ExitStack() as held:

        def take() -> None:
            held.enter_context(_taken(folder, stamp, state is None))
            write_config(folder / "config.yaml", settings.flat, dict(asked.choices))

        ranks.from_first(take)
        say_what_starts(settings, parts.bundle, parts.model, device)
        say_kernels(settings, parts.model, why_torch)
        if pretrained is not None and parts.load_report is not None:
            say_what_was_loaded(parts.load_report, pretrained.overruled(asked))
        about = about_model(settings, parts.bundle, parts.features, parts.preparation, parts.tasks, data)
        about[SEEN] = instances.state()
        identity = {"settings": asked.flat, "data": data, "pretrained": start}
        with tracking_of(settings, folder, data, state is not None, training.result.history, ranks) as tracking:
            fitted = training.run(folder, best_path, about, identity, watch or Watch(), tracking.kept)
            side = test_each_best(parts, training.each, settings.trainer.calibrate, folder, about, ranks)
            parts.model.load_state_dict(fitted.best_state)
            seen = {split: seen_on(parts, split, ranks) for split in ("val", "test")}
            of_tasks = {
                "weighting": about_weighting(settings, fitted, training.balance),
                "conflict": about_conflict(fitted, training.conflict),
                "best_per_task": side,
            }
            result = ranks.from_first(
                lambda: _test_and_report(
                    settings, parts, training, seen, about, of_tasks, folder, best_path, data, began
                )
            )
            tracking.results(fitted.best.epoch, result.test, best_path)
        return result


def _found_in(
    folder: Path, asked: Settings
) -> tuple[Path, tuple[int, int] | None, dict[str, Any] | None, dict[str, Any] | None]:
    """Give the run folder, the stamp of what is in it, and state and summary that an earlier process left there."""
    stamp, state = stamp_of(folder), saved_state(asked, folder)
    return folder, stamp, state, None if state is None else finished_summary(folder)


def _loaded(settings: Settings, ranks: Ranks) -> tuple[Bundle, str]:
    """Load the data, which every rank reads itself; give it with its hash."""
    loaded = ranks.together(lambda: load(settings, settings.typed))
    different = "data.path: rank {rank} finds other data there than rank 0; all machines need the same"
    ranks.check_alike(loaded.sha256, different)
    return loaded.bundle, loaded.sha256


def _threads(settings: Settings, parts: Parts, device: torch.device, state: dict[str, Any] | None) -> int:
    """Give the number of threads: what the run began with, what is asked for, or by the rule."""
    if state is not None:
        return int(state["threads"])
    if settings.trainer.threads is not None:
        return settings.trainer.threads
    if device.type != "cpu":
        return torch.get_num_threads()
    learning = parts.model.heads if settings.run.freeze else parts.model
    rows = -(-settings.model.batch_size // settings.run.devices)
    return threads_for(learning, rows, steps_of(parts.bundle) or 1)


@contextmanager
def _taken(folder: Path, stamp: tuple[int, int] | None, anew: bool) -> Iterator[None]:
    """Keep the run folder for this run, without what an earlier one left there that it would not go on with."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder / LOCK, "hydra.run.dir", "training in"):
        if stamp_of(folder) != stamp:
            raise UserError(f"hydra.run.dir: another process has just trained in {folder}; give the command again")
        if anew:
            clear(folder)
        (folder / SUMMARY).unlink(missing_ok=True)  # this run is not finished
        yield


def _test_and_report(
    settings: Settings,
    parts: Parts,
    training: Training,
    seen: dict[str, Seen],
    about: dict[str, Any],
    of_tasks: dict[str, Any],
    folder: Path,
    best_path: Path,
    data: str,
    began: float,
) -> TrainingResult:
    """Calibrate the best weights on val, and measure what they predict for the test split.

    Writes the checkpoint anew, with its calibration; then tables, pictures and, last, the summary.
    """
    trainer, bundle, result, truth = settings.trainer, parts.bundle, training.result, seen["test"].truth
    calibration = fit_on(seen["val"], parts.tasks) if trainer.calibrate else {}
    calibrated = None
    if calibration:
        calibrated = about_calibration(parts.tasks, calibration, seen["val"], seen["test"])
        write_checkpoint(best_path, checkpoint_of(about, result, states_of(calibration)))
    del seen["val"]  # its last reader was the calibration
    predictions = decoded(seen["test"], parts.tasks, calibration, LEVEL)
    test = {name: measure(parts.tasks[name], truth[name], prediction) for name, prediction in predictions.items()}
    details = details_by_task(parts.tasks, truth, predictions)
    places = {"instance": bundle.splits["test"], **bundle.instances.places}
    write_predictions(folder / "predictions_test.csv", places, parts.tasks, truth, predictions, bundle.instances.in_utc)
    probe = linear_probe(parts, truth, trainer.logistic_probe, trainer.vectors_picture, settings.run.seed)
    if probe is not None:
        write_vectors_2d(folder / VECTORS_2D, bundle.splits["test"], probe.coordinates)
    vectors = None if probe is None else (probe.coordinates, probe.picture)
    if trainer.pictures:
        draw_run(folder, parts.tasks, result, seen["test"], predictions, training.conflict, vectors)
    summary = {
        "test": {name: metrics | details[name] for name, metrics in test.items()},
        "calibration": calibrated,
        "best": {"epoch": result.best.epoch, "monitor": trainer.monitor, "score": result.best.score},
        "val": result.history[result.best.epoch - 1],
        "epochs": len(result.history),
        "instances": {name: len(rows) for name, rows in bundle.splits.items()},
        "labelled": labelled_shares(bundle),
        "data": {"where": bundle.instances.where, "sha256": data, "notes": bundle.notes, **bundle.instances.facts},
        "stage": settings.run.stage,
        "pretrained": parts.load_report,
        **about_probe(probe),
        **of_tasks,
        "parameters": sum(p.numel() for p in parts.model.parameters()),
        "seconds": {"training": result.seconds, "all": time.perf_counter() - began},
        "device": str(parts.splits["test"].device),
        "devices": settings.run.devices,
        "threads": torch.get_num_threads(),
        "kernels": kernels_of(parts.model),
        "precision": precision_of(settings, parts.model, training.train.device),
        "captured": training.captured is not None and training.captured.replayed > 0,
        "versions": versions(),
        "tasks": {name: task.state() for name, task in parts.tasks.items()},
        "best_model_path": str(best_path),
        "best_model_sha256": sha256_of(best_path),
    }
    write_json(folder / SUMMARY, summary)
    log.info("best epoch %d of %d, %.1f s", result.best.epoch, len(result.history), result.seconds)
    if calibrated is not None:
        say_calibration(parts.tasks, calibrated)
    return TrainingResult(folder, best_path, summary, parts.tasks)


def _start_still_there(settings: Settings, ranks: Ranks) -> Pretrained | None:
    """Give the checkpoint that a finished run would start from now; None where it starts from none, or it is gone."""
    if settings.pretraining is not None:
        return found(settings.pretraining, Path(settings.pretrain.folder).expanduser(), ranks)
    path = None if settings.run.pretrained_path is None else Path(settings.run.pretrained_path).expanduser()
    return None if path is None else ranks.from_first(lambda: read_pretrained(path) if path.exists() else None)


def _finished(settings: Settings, folder: Path, summary: dict[str, Any]) -> TrainingResult:
    """Give the result of a run that was finished before."""
    log.info("%s: finished before; nothing is left to do", folder)
    path = Path(settings.run.best_model_path or folder / BEST).expanduser()
    if not path.is_file() or sha256_of(path) != summary["best_model_sha256"]:
        log.warning("best_model_path: %s is gone, or not what the run ended with", path)
    tasks = {name: Task.from_state(state) for name, state in summary["tasks"].items()}
    return TrainingResult(folder, path, summary, tasks)


def _what_to_start_from(settings: Settings, folder: Path, device: torch.device, ranks: Ranks) -> Pretrained | None:
    if settings.run.pretrained_path is not None:
        path = Path(settings.run.pretrained_path).expanduser()
        return ranks.from_first(lambda: read_pretrained(path))
    if settings.pretraining is None:
        return None
    # What is wrong with the fine-tuning is said before the wait; nobody trains on what this prepares.
    bundle = ranks.together(lambda: load(settings, settings.typed)).bundle
    model = ranks.together(lambda: assemble(replace(settings, shared=None), bundle, None, device)).model
    ranks.from_first(lambda: best_model_path(settings, folder, None))
    kept = Path(settings.pretrain.folder).expanduser()

    def train(settings: Settings, folder: Path) -> TrainingResult:
        return run_training(settings, folder, ranks=ranks)

    return pretrain(settings.pretraining, kept, bundle, model.backbone, train, ranks)
