"""The training of a run, and what it keeps on disk: best checkpoint, history, and the state to go on from."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tsmtl.assembly import Parts, make_augmentation, make_sampler, truth_of
from tsmtl.checkpoint.best import BestCheckpoint
from tsmtl.checkpoint.last import NAME, LastState
from tsmtl.config.errors import Interrupted, UserError
from tsmtl.config.rules import monitors
from tsmtl.config.schema import Settings
from tsmtl.interruption import Interruption
from tsmtl.report.files import HistoryFile
from tsmtl.resume import random_state, set_random_state
from tsmtl.tasks.measure import measure
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.embedded import embedded
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.loop import Fit, NotFiniteError, Row, fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.schedule import Schedule
from tsmtl.training.watch import Watch
from tsmtl.training.weight_average import WeightAverage

log = logging.getLogger(__name__)


class Training:
    """A training from the start, or from an earlier state.

    Args:
        settings: Checked settings.
        parts: The parts of the run.
        generator: Draws the order of batches.
        earlier: State that an earlier process left, or None.

    Raises:
        UserError: If the score that chooses the best epoch is not defined on the val split.
    """

    def __init__(
        self, settings: Settings, parts: Parts, generator: torch.Generator, earlier: dict[str, Any] | None
    ) -> None:
        self.settings, self.generator, self.goes_on = settings, generator, earlier is not None
        once = settings.run.freeze and not settings.data.augment  # changed inputs have other embeddings in every epoch
        self.parts = _on_embeddings(parts) if once else parts
        self._truth = truth_of(parts.bundle, "val")
        trainer, model = settings.trainer, self.parts.model
        self.optimizer = build_optimizer(
            model.heads.parameters(), settings.model.lr, trainer, model.backbone.parameters()
        )
        train = self.parts.splits["train"]
        self.sampler, self.augmentation = make_sampler(settings, train), make_augmentation(settings, train)
        self.schedule = Schedule(self.optimizer, trainer, settings.model.num_epochs, self.sampler.steps)
        self.average = None if trainer.weight_average is None else WeightAverage(model, trainer.weight_average)
        higher_is_better = monitors(settings.task, settings.data)[trainer.monitor]
        best = BestEpoch(higher_is_better, trainer.early_stopping_patience, trainer.keep == "last")
        self.result = Fit(best)
        if earlier is None:
            check_monitor(trainer.monitor, self.validate())
        else:
            model.load_state_dict(earlier["model"])
            self.optimizer.load_state_dict(earlier["optimizer"])
            self.schedule.load_state(earlier["schedule"])
            if self.average is not None:
                self.average.load_state(earlier["average"])
            set_random_state(earlier["random"], generator)
            self.result = Fit.from_state(best, earlier["fit"], train.device)

    def validate(self) -> Row:
        """Measure the model, or its average, on the val split: losses and metrics by ``val/...`` name."""
        parts = self.parts
        val = parts.splits["val"]
        outputs = outputs_of(parts.model if self.average is None else self.average.model, val)
        with torch.inference_mode():
            total, losses = parts.criterion(outputs, val.targets)
        row = {"val/loss": total.item()} | {f"val/{name}/loss": loss.item() for name, loss in losses.items()}
        for name, task in parts.tasks.items():
            metrics = measure(task, self._truth[name], task.decode(outputs[name].cpu().numpy()))
            row |= {f"val/{name}/{metric}": value for metric, value in metrics.items()}
        return row

    def run(
        self,
        folder: Path,
        best_path: Path,
        about: dict[str, Any],
        identity: dict[str, Any],
        watch: Watch,
        on_kept: Callable[[], object] = lambda: None,
    ) -> Fit:
        """Train to the end; ends with the weights of the last epoch in the model.

        Args:
            folder: The run folder.
            best_path: Where the best checkpoint goes.
            about: What a checkpoint says beside weights, epoch and score.
            identity: What the state must say for another process to go on from it.
            watch: Is told of the start and of every epoch.
            on_kept: Called when the state so far is on disk: no process will train these epochs again.

        Raises:
            NotFiniteError: If the loss stops being finite; the best checkpoint so far stays.
            Interrupted: If a signal came; ``last.pt`` holds the state.
            OSError: If the disk is full; the old files stay.
        """
        settings, parts, result = self.settings, self.parts, self.result
        num_epochs = settings.model.num_epochs
        if self.goes_on:
            log.info("resume: going on in %s after %d of %d epochs", folder, len(result.history), num_epochs)
        best = BestCheckpoint(best_path)
        last = LastState(folder / NAME, lambda: {**identity, **self._state()})
        history = HistoryFile(folder / "metrics.csv")
        history.restart(result.history)

        def on_better(result: Fit) -> None:
            found = {"state": result.best_state, "epoch": result.best.epoch, "score": result.best.score}
            best.offer({**about, **found})

        def on_epoch(row: Row) -> None:
            history.write(row)
            best.tick()
            watch.epoch_ends(row)

        def keep() -> None:
            best.finish()  # first: what the state calls the best is then on disk
            last.write()
            on_kept()

        def on_step() -> None:
            if stop.signum is not None:
                keep()
                epoch = min(len(result.history) + 1, num_epochs)
                raise Interrupted(
                    stop.signum,
                    f"{Interrupted(stop.signum).word} in epoch {epoch} of {num_epochs}; to go on, give the same "
                    f"command hydra.run.dir={folder} resume=true",
                )
            if last.due:
                keep()

        if result.best.epoch:
            on_better(result)
        try:
            with Interruption() as stop:
                keep()
                watch.starts(identity["data"], num_epochs, len(result.history))
                fit(
                    parts.model,
                    parts.criterion,
                    self.optimizer,
                    self.schedule,
                    parts.splits["train"],
                    self.validate,
                    result.best,
                    settings.trainer.monitor,
                    num_epochs,
                    self.sampler,
                    self.generator,
                    settings.trainer.gradient_clip,
                    on_epoch,
                    on_better,
                    on_step,
                    settings.trainer.unfreeze_at,
                    self.augmentation,
                    result,
                    self.average,
                )
                keep()
        except NotFiniteError:
            last.path.unlink(missing_ok=True)  # going on would end the same way
            raise
        finally:
            best.finish()
            parts.model.reads_embeddings = False
        return result

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.parts.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "average": None if self.average is None else self.average.state(),
            "fit": self.result.state(),
            "random": random_state(self.generator),
        }


def _on_embeddings(parts: Parts) -> Parts:
    """Let the heads of a frozen backbone learn from embeddings made once, if they fit into memory."""
    splits = embedded(parts.model, {name: parts.splits[name] for name in ("train", "val")})
    if splits is None:
        return parts
    parts.model.reads_embeddings = True
    return replace(parts, splits={**parts.splits, **splits})


def check_monitor(monitor: str, row: Row) -> None:
    """Check that the score that chooses the best epoch is defined on this val split.

    Raises:
        UserError: If it is not a number before training although the loss is, as AUROC is with one class in val.
    """
    if math.isnan(row[monitor]) and math.isfinite(row["val/loss"]):
        raise UserError(f"trainer.monitor: {monitor} is not defined on this val split; take another, such as val/loss")
