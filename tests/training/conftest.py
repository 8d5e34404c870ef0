"""Trainer settings from the shipped YAML file, a small two-task problem, and a fit of it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from tsmtl.config.location import config_dir
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.models.fc import FC
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.batches import TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.loop import Fit, Row, fit
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.weight_average import WeightAverage

BATCH, ALPHA, LR = 6, 0.3, 0.01  # 22 instances: batches of 6, 6, 6 and 4
LOSSES = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}


def criterion() -> Criterion:
    return Criterion(dict(LOSSES), {"cls": ALPHA, "reg": 1 - ALPHA})


@pytest.fixture
def trainer():
    """Give a function that reads the trainer's defaults and changes some."""

    def settings(**changes: Any) -> TrainerSettings:
        defaults = OmegaConf.to_container(OmegaConf.load(config_dir() / "trainer" / "default.yaml"))
        return TrainerSettings.model_validate({**defaults, **changes})

    return settings


@pytest.fixture
def split() -> TensorSplit:
    """22 vectors of 4 features; the number and the class depend on them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(22, 4, generator=generator)
    return TensorSplit(x, {"cls": (x[:, 0] > 0).long() + (x[:, 1] > 0).long(), "reg": x[:, 2:3] - x[:, 3:4]})


@pytest.fixture
def make_model():
    """Give a function that builds the same small model every time."""

    def made(dropout: float = 0.0, seed: int = 0) -> MultiTaskModel:
        torch.manual_seed(seed)
        return MultiTaskModel(FC(4, [8], dropout, bias=True), {"cls": 3, "reg": 1})

    return made


@pytest.fixture
def train(trainer, split):
    """Give a function that trains a model with the trainer's defaults, some of them changed."""

    def trained(
        model: MultiTaskModel,
        num_epochs: int = 1,
        *,
        validate: Callable[[], Row] | None = None,
        patience: int | None = None,
        take_each: bool = False,
        seed: int = 0,
        data: TensorSplit = split,
        lr: float = LR,
        losses: Criterion | None = None,
        gradient_clip: float | None = None,
        on_epoch: Callable[[Row], None] = lambda row: None,
        on_better: Callable[[Fit], None] = lambda result: None,
        unfreeze_at: int | None = None,
        average: WeightAverage | None = None,
        **changes: Any,
    ) -> Fit:
        settings = trainer(**changes)
        optimizer = build_optimizer(model.heads.parameters(), lr, settings, model.backbone.parameters())
        loss = losses or criterion()

        def measured() -> Row:
            total, parts = loss(outputs_of(model, data), data.targets)
            return {"val/loss": total.item()} | {f"val/{task}/loss": part.item() for task, part in parts.items()}

        return fit(
            model,
            loss,
            optimizer,
            Schedule(optimizer, settings, num_epochs, steps_per_epoch=4),
            data,
            validate or measured,
            BestEpoch(higher_is_better=False, patience=patience, take_each=take_each),
            "val/loss",
            num_epochs,
            Sampler(len(data), BATCH, data.device),
            torch.Generator().manual_seed(seed),
            gradient_clip,
            on_epoch,
            on_better,
            before_epoch=lambda epoch: model.freeze_backbone(epoch < unfreeze_at) if unfreeze_at else None,
            average=average,
        )

    return trained
