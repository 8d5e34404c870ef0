"""Trainer settings from the shipped YAML file, and a small two-task problem."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from tsmtl.config.location import config_dir
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.models.fc import FC
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import TensorSplit


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
