"""The training of a self-supervised representation: by the loop of every training, its state beside the vectors."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch

from tsmtl.assembly import warn_of_fallback
from tsmtl.checkpoint.last import LastState, read_last
from tsmtl.config.errors import FailedError, Interrupted, UserError, memory_told, reason_of
from tsmtl.config.identity import PLACES, differences
from tsmtl.config.represent_settings import RepresentSettings
from tsmtl.config.representation_settings import AnyRepresentation
from tsmtl.config.schema import Settings
from tsmtl.interruption import Interruption
from tsmtl.models.precision import NO_BF16, cost_of_bf16, float32_products, takes_bf16
from tsmtl.report.files import HistoryFile
from tsmtl.representation.method import TrainSeries
from tsmtl.representation.self_supervised import Pretext, Recipe, WeighedParts
from tsmtl.resume import shown
from tsmtl.storage.alone import alone_in
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.loop import Fit, NotFiniteError, Row, fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.seeding import seed_everything
from tsmtl.training.state import Moving
from tsmtl.training.threads import threads_for, threads_put_back
from tsmtl.training.weight_average import WeightAverage

log = logging.getLogger(__name__)


class RepresentationTraining:
    """Trains a network on the train series, or goes on where another process was.

    The last epoch is kept: val and test series are never looked at, so that nothing could tell a better one.

    Args:
        own: Where the files go, ``NAME.last.pt``, the state to go on from, and ``NAME.metrics.csv``, the losses; and
            whether to go on.
        method: Settings of the representation.
        settings: Of a training on the same data; ``trainer.threads`` is read.
        data_sha256: Of the data.
        device: Where to train.
    """

    def __init__(
        self,
        own: RepresentSettings,
        method: AnyRepresentation,
        settings: Settings,
        data_sha256: str,
        device: torch.device,
    ) -> None:
        self.path, self.resume, self.settings, self.device = own.state_path, own.resume, settings, device
        self.method, self.trained = method.name, False
        self.history = HistoryFile(own.metrics_path)
        self.identity: dict[str, Any] = {
            "settings": {
                "representation": method.model_dump(),
                "seed": settings.run.seed,
                "data": settings.flat["data"],
            },
            "data": data_sha256,
            "pretrained": None,
            "each": None,
        }

    @threads_put_back()
    def __call__(self, make: Callable[[], Pretext], train: TrainSeries, recipe: Recipe, seed: int) -> Pretext:
        """Train.

        Args:
            make: Makes the network.
            train: The train series.
            recipe: How it is trained.
            seed: Of initial weights and of all that is drawn.

        Returns:
            The network, or the mean of its weights, as the recipe says.

        Raises:
            UserError: If a state is there that is not to be gone on from, or cannot be.
            FailedError: If the loss stops being finite, or memory or disk does not suffice.
            Interrupted: If a signal came; the state is on disk.
        """
        with self._alone():
            earlier = self._earlier()
            generator = seed_everything(seed)
            with memory_told("not enough memory for the network; make it smaller"):
                pretext = make().to(self.device)
            self._set_threads(pretext, train, recipe, earlier)
            split = split_of(train, self.device)
            assert recipe.steps is not None, "the method's own rule has said"
            sampler = sampler_of(len(split), recipe.batch_size, recipe.steps, self.device)
            num_epochs = math.ceil(recipe.steps / sampler.steps)
            self._say_what_starts(pretext, recipe, num_epochs, sampler.steps)
            changes = {
                **{"optimizer": "adamw", "weight_decay": recipe.weight_decay, "schedule": "none", "warmup_epochs": 0},
                "lr_backbone_factor": 1.0,
            }
            trainer = self.settings.trainer.model_copy(update=changes)
            optimizer = build_optimizer(pretext.parameters(), recipe.lr, trainer)
            schedule = Schedule(optimizer, trainer, num_epochs, sampler.steps)
            average = None if recipe.weight_average is None else WeightAverage(pretext, recipe.weight_average)
            moving = Moving(pretext, optimizer, schedule, generator, average)
            best = BestEpoch(higher_is_better=False, patience=None, take_each=True)
            result = Fit(best) if earlier is None else moving.load_state(earlier, best, self.device)
            kept = self._files(moving, result, num_epochs)
            with self._told(recipe, result), float32_products(self.device), kept as on_step:
                fit(
                    pretext,
                    WeighedParts(pretext.weights),
                    optimizer,
                    schedule,
                    split,
                    _nothing,
                    best,
                    monitor="train/loss",
                    num_epochs=num_epochs,
                    sampler=sampler,
                    generator=generator,
                    gradient_clip=recipe.gradient_clip,
                    on_epoch=self.history.write,
                    on_step=on_step,
                    result=result,
                    average=average,
                )
        self.trained = True
        log.info("%s: trained for %.1f s", self.method, result.seconds)
        return pretext if average is None else average.model

    def check_place(self) -> None:
        """Check, before a method of any kind is fitted, that no unfinished training is in its way.

        Raises:
            UserError: If another process is at it, or there is a state that is not to be gone on from, or cannot be.
        """
        with self._alone():
            self._earlier()

    def finish(self) -> None:
        """Remove the state of what was trained here: what it was for is on disk."""
        if self.trained:
            self._remove()

    def _remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _alone(self) -> AbstractContextManager[None]:
        return alone_in(self.path.with_suffix(".lock"), "output", "fitting a representation in")

    def _earlier(self) -> dict[str, Any] | None:
        """Give the state that another process left; None where the training starts anew.

        Raises:
            UserError: If ``resume`` is false and there is one, or it is of another training.
        """
        if not self.path.exists():
            return None
        if not self.resume:
            raise UserError(
                f"output: {self.path} holds an unfinished training; resume=true goes on with it, or remove it to start "
                "anew"
            )
        try:
            state = read_last(self.path)
        except UserError as error:
            raise UserError(f"{error}, or remove it to start the training anew") from error
        theirs = state["settings"].get("representation", {}).get("name")
        if theirs != self.method:
            raise UserError(
                f"representation: {self.method} differs from the training in {self.path}, which is of {theirs}; remove "
                "it, or name another output"
            )
        problems = [
            f"{key}: {shown(ours)} differs from the training in {self.path}, where it is {shown(theirs)}; it goes on "
            "with its own settings"
            for key, ours, theirs in differences(self.identity["settings"], state["settings"])
            if key not in PLACES
        ]
        if not problems and state["data"] != self.identity["data"]:
            problems = [f"data.path: the data is not what the training in {self.path} began with"]
        if problems:
            raise UserError(problems)
        return state

    def _set_threads(
        self, pretext: Pretext, train: TrainSeries, recipe: Recipe, earlier: dict[str, Any] | None
    ) -> None:
        asked = self.settings.trainer.threads
        if earlier is not None:
            torch.set_num_threads(earlier["threads"])
        elif asked is not None:
            torch.set_num_threads(asked)
        elif self.device.type == "cpu":
            torch.set_num_threads(threads_for(pretext, recipe.batch_size, train.longest))

    def _say_what_starts(self, pretext: Pretext, recipe: Recipe, num_epochs: int, steps: int) -> None:
        warn_of_fallback(self.settings.run.device, self.device)
        if recipe.precision == "bf16" and not takes_bf16(self.device):
            log.warning("representation.precision: %s, so that everything stays float32", NO_BF16)
        elif recipe.precision == "bf16" and (cost := cost_of_bf16(self.device)) is not None:
            log.warning("representation.precision: %s", cost)
        parameters = sum(p.numel() for p in pretext.parameters())
        log.info(
            "%s: %s parameters, %d epochs of %d steps on %s",
            *(self.method, f"{parameters:,}", num_epochs, steps, self.device),
        )

    @contextmanager
    def _files(self, moving: Moving, result: Fit, num_epochs: int) -> Iterator[Callable[[], None]]:
        """Keep the state on disk while a block trains; give what is to be called after every step."""
        last = LastState(self.path, lambda: {**self.identity, **moving.state(result)})
        self.history.restart(result.history)

        def on_step() -> None:
            if stop.signum is not None:
                last.write()
                epoch = min(len(result.history) + 1, num_epochs)
                word = Interrupted(stop.signum).word
                raise Interrupted(
                    stop.signum,
                    f"{word} in epoch {epoch} of {num_epochs}; to go on, give the same command with resume=true",
                )
            if last.due:
                last.write()

        with Interruption() as stop:
            last.write()
            yield on_step
            last.write()

    @contextmanager
    def _told(self, recipe: Recipe, result: Fit) -> Iterator[None]:
        """Say in one line why a training failed."""
        try:
            with memory_told(
                f"not enough memory for representation.batch_size={recipe.batch_size}; take a smaller one"
            ):
                yield
        except NotFiniteError as error:
            self._remove()  # going on would end the same way
            what = str(error).partition(";")[0]
            raise FailedError(
                f"{what}; a smaller representation.lr or representation.gradient_clip may help"
            ) from error
        except Exception as error:
            if not result.history and not result.losses:
                self._remove()  # nothing was done: what failed, such as too large a batch, may be mended and begin anew
            if isinstance(error, OSError):
                raise FailedError(reason_of(error)) from error
            raise


def split_of(train: TrainSeries, device: torch.device) -> Split:
    """Give the train series as the loop reads them; an input that is no array is read a batch at a time."""
    lengths = None if train.lengths is None else train.lengths[train.rows]
    if not isinstance(train.x, np.ndarray):
        return LazySplit(train.x, train.rows, lengths, train, {}, device, None)
    x = torch.from_numpy(train.apply(train.x[train.rows], lengths)).to(device)
    return TensorSplit(x, {}, None if lengths is None else torch.from_numpy(lengths))


def sampler_of(n: int, batch_size: int, steps: int, device: torch.device) -> Sampler:
    """Draw each series once an epoch, or as many as the steps need where these are fewer than an epoch's."""
    sampler = Sampler(n, batch_size, device)
    return sampler if sampler.steps <= steps else Sampler(n, batch_size, device, steps * batch_size / n)


def _nothing() -> Row:
    """Measure nothing: no val series may be looked at."""
    return {}
