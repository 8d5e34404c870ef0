"""The training of a run: from its parts, or from the state that an earlier process left, to the end."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.assembly import Parts, make_augmentation, make_balance, make_captured, make_conflict, make_sampler, truth_of
from tsmtl.config.errors import Interrupted, UserError
from tsmtl.config.metric_names import JOINT
from tsmtl.config.schema import Settings
from tsmtl.config.trainer_rules import monitors, side_scores
from tsmtl.interruption import Interruption
from tsmtl.models.precision import float32_products
from tsmtl.record import precision_of
from tsmtl.run_files import NoFiles, RunFiles
from tsmtl.tasks.joint import JointScore
from tsmtl.tasks.measure import measure
from tsmtl.training.best_epoch import BestEpoch, BestOfEach, weights_of
from tsmtl.training.embedded import embedded
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.loop import Fit, NotFiniteError, Row, fit
from tsmtl.training.optimizers import build_optimizer, make_capturable
from tsmtl.training.ranks import Ranks
from tsmtl.training.schedule import Schedule
from tsmtl.training.state import Moving
from tsmtl.training.watch import Watch
from tsmtl.training.weight_average import WeightAverage

log = logging.getLogger(__name__)
NOT_JOINT = (  # a comparison takes joint whatever the user says
    "a trivial prediction is perfect there, or a metric has no value; take another of trainer.joint_metrics, or a val "
    "split with more classes or numbers (data.val_fraction, data.seed)"
)
MUCH = 10  # times the smallest loss: a ratio that learnt variances take long to reach


class Training:
    """A training from the start, or from an earlier state.

    Args:
        settings: Checked settings.
        parts: The parts of the run.
        generator: Draws the order of batches.
        earlier: State that an earlier process left, or None.
        ranks: The processes that share the work.

    Raises:
        UserError: If the score that chooses the best epoch is not defined on the val split.
    """

    def __init__(
        self, settings: Settings, parts: Parts, generator: torch.Generator, earlier: dict[str, Any] | None, ranks: Ranks
    ) -> None:
        self.settings, self.generator, self.goes_on, self.ranks = settings, generator, earlier is not None, ranks
        once = settings.run.freeze and not settings.data.augment  # changed inputs have other embeddings in every epoch
        self.parts = _on_embeddings(parts, ranks) if once else parts
        trainer, model = settings.trainer, self.parts.model
        self.optimizer = build_optimizer(
            model.heads.parameters(), settings.model.lr, trainer, model.backbone.parameters()
        )
        self.average = None if trainer.weight_average is None else WeightAverage(model, trainer.weight_average)
        train = self.parts.splits["train"]
        self.sampler = make_sampler(settings, train)
        augmentation = make_augmentation(settings, train)
        self.train, self.augmentation = ranks.spread(model, train, augmentation, settings.run.seed)
        self.balance = make_balance(settings, model, train.device, ranks)
        self.captured = make_captured(settings, model, self.train, self.sampler, self.balance, ranks)
        if self.captured is not None:
            make_capturable(self.optimizer)
        self.schedule = Schedule(self.optimizer, trainer, settings.model.num_epochs, self.sampler.steps)
        self.moving = Moving(model, self.optimizer, self.schedule, generator, self.average, self.balance, ranks)
        self.conflict = make_conflict(settings, self.parts, self.sampler.steps)
        higher_is_better = monitors(settings.task, settings.data)
        self.each = BestOfEach(side_scores(settings.task, settings.data, trainer), higher_is_better)
        best = BestEpoch(higher_is_better[trainer.monitor], trainer.early_stopping_patience, trainer.keep == "last")
        self.result = Fit(best)
        if earlier is None:
            row = self.validate()
            mend = NOT_JOINT if trainer.monitor == JOINT else "take another, such as val/loss"
            check_defined("trainer.monitor", trainer.monitor, row, mend)
            for score in self.each.scores.values():
                check_defined("trainer.best_per_task", score, row, "take another of trainer.joint_metrics")
            if self.balance is not None and self.balance.method.wants_like_losses:
                _warn_of_unlike_losses(settings.weighting.name, {t: row[f"val/{t}/loss"] for t in settings.tasks})
        else:
            self.each.load_state(earlier["each"])
            self.result = self.moving.load_state(earlier, best, train.device)

    @cached_property
    def _truth(self) -> dict[str, npt.NDArray[np.generic]]:
        return truth_of(self.parts.bundle, "val")

    @cached_property
    def _joint(self) -> JointScore:
        """Made where it is first asked for: on the rank that measures."""
        metrics, weights = self.settings.trainer.joint_metrics.model_dump(), self.settings.trainer.joint_weights
        return JointScore(self.parts.tasks, truth_of(self.parts.bundle, "train"), self._truth, metrics, weights)

    def validate(self) -> Row:
        """Measure the model, or its average, on the val split: losses and metrics by ``val/...`` name."""
        parts = self.parts
        val = parts.splits["val"]
        outputs = outputs_of(parts.model if self.average is None else self.average.model, val, ranks=self.ranks)

        def measured() -> Row:
            with torch.inference_mode():
                total, losses = parts.criterion(outputs, val.targets)
            row = {"val/loss": total.item()} | {f"val/{name}/loss": loss.item() for name, loss in losses.items()}
            by_task = {
                name: measure(task, self._truth[name], task.decode(outputs[name].cpu().numpy()))
                for name, task in parts.tasks.items()
            }
            for name, metrics in by_task.items():
                row |= {f"val/{name}/{metric}": value for metric, value in metrics.items()}
            return row | {JOINT: self._joint(by_task)}

        return self.ranks.from_first(measured)  # the best epoch and the learning rate follow from it on all

    def after_epoch(self) -> Row:
        """Measure the model on the val split, and where that is asked for how its tasks agree."""
        row, conflict = self.validate(), self.conflict
        if conflict is None:
            return row
        weights = self.settings.weights if self.balance is None else self.balance.means
        epoch = len(self.result.history) + 1
        with float32_products(self.train.device):
            return row | self.ranks.from_first(lambda: conflict.after_epoch(epoch, weights))

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
        settings, parts, result, ranks = self.settings, self.parts, self.result, self.ranks
        num_epochs = settings.model.num_epochs
        if self.goes_on:
            log.info("resume: going on in %s after %d of %d epochs", folder, len(result.history), num_epochs)

        def collect() -> dict[str, Any]:
            return {**identity, "each": self.each.state(), **self.moving.state(result)}

        files = RunFiles(folder, best_path, about, collect, self.each.scores) if ranks.first else NoFiles(collect)
        files.begin(result.history)

        def on_epoch(row: Row) -> None:
            for name in self.each.update(row, self._weights):
                files.better_by(name, self.each)
            files.epoch(row)
            ranks.from_first(lambda: watch.epoch_ends(row))

        def keep() -> None:
            files.keep()
            on_kept()

        def on_step() -> None:
            signum, due = ranks.agreed(stop.signum, files.due)
            if signum is not None:
                keep()
                epoch = min(len(result.history) + 1, num_epochs)
                raise Interrupted(
                    signum,
                    f"{Interrupted(signum).word} in epoch {epoch} of {num_epochs}; to go on, give the same "
                    f"command hydra.run.dir={folder} resume=true",
                )
            if due:
                keep()

        if result.best.epoch:
            files.better(result)
        for name in self.each.weights:
            files.better_by(name, self.each)
        try:
            tf32 = precision_of(settings, parts.model, self.train.device) != "float32"
            with Interruption() as stop, float32_products(self.train.device, tf32):
                keep()
                ranks.from_first(lambda: watch.starts(identity["data"], num_epochs, len(result.history)))
                fit(
                    parts.model,
                    parts.criterion,
                    self.optimizer,
                    self.schedule,
                    self.train,
                    self.after_epoch,
                    result.best,
                    monitor=settings.trainer.monitor,
                    num_epochs=num_epochs,
                    sampler=self.sampler,
                    generator=self.generator,
                    gradient_clip=settings.trainer.gradient_clip,
                    on_epoch=on_epoch,
                    on_better=files.better,
                    on_step=on_step,
                    before_epoch=self._unfreeze,
                    augmentation=self.augmentation,
                    result=result,
                    average=self.average,
                    ranks=ranks,
                    balance=self.balance,
                    captured=self.captured,
                )
                keep()
        except NotFiniteError:
            files.forget()  # going on would end the same way
            raise
        finally:
            files.finish()
            parts.model.reads_embeddings = False
        return result

    def _unfreeze(self, epoch: int) -> None:
        """Let a frozen backbone learn from the epoch on that was asked for."""
        model, at = self.parts.model, self.settings.trainer.unfreeze_at
        if model.frozen and at is not None and epoch >= at:
            model.freeze_backbone(False)

    def _weights(self) -> dict[str, torch.Tensor]:
        """Give a copy of the weights of the epoch that has just ended, once for all that keep it."""
        if self.result.best.epoch == len(self.result.history):
            return self.result.best_state
        return weights_of(self.parts.model if self.average is None else self.average.model)


def _on_embeddings(parts: Parts, ranks: Ranks) -> Parts:
    """Let the heads of a frozen backbone learn from embeddings made once, if they fit into memory."""
    splits = embedded(parts.model, {name: parts.splits[name] for name in ("train", "val")}, ranks)
    if splits is None:
        return parts
    parts.model.reads_embeddings = True
    return replace(parts, splits={**parts.splits, **splits})


def check_defined(setting: str, score: str, row: Row, mend: str) -> None:
    """Check that a score that chooses an epoch is defined on this val split.

    Raises:
        UserError: If it is not a number before training although the loss is, as AUROC is with one class in val.
    """
    if math.isnan(row[score]) and math.isfinite(row["val/loss"]):
        raise UserError(f"{setting}: {score} is not defined on this val split; {mend}")


def _warn_of_unlike_losses(weighting: str, losses: dict[str, float]) -> None:
    least, most = min(losses, key=lambda task: losses[task]), max(losses, key=lambda task: losses[task])
    if losses[most] > MUCH * losses[least]:
        log.warning(
            "weighting: before training the loss of %s is %.0f times that of %s, and %s closes such a gap by "
            "about its learning rate a step; data.scale_target=standard, a greater weighting.lr or weighting=bisector "
            "may serve better",
            *(most, losses[most] / losses[least], least, weighting),
        )
