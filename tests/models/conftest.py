"""Backbones built from the shipped YAML files."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from tsmtl.config.location import config_dir
from tsmtl.config.model_settings import FAMILIES
from tsmtl.models import Backbone
from tsmtl.models.registry import build_backbone

C, T = 3, 24


@pytest.fixture
def build():
    """Give a function that builds a backbone with the defaults of its YAML file, some of them changed."""

    def built(model: str, input_size: int = C, seq_len: int = T, **changes: Any) -> Backbone:
        defaults = OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{model}.yaml"))
        settings = FAMILIES[model].model_validate({**defaults, **changes})
        torch.manual_seed(0)
        return build_backbone(model, settings.backbone_arguments(), input_size, None if model == "fc" else seq_len)

    return built
