"""Backbones built from the shipped YAML files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from tsmtl.config.location import config_dir
from tsmtl.config.model_settings import FAMILIES
from tsmtl.config.processor import processor_flags
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


@pytest.fixture(params=["sse2", "sse2 avx2 fma"])
def older(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be a processor that has no more than these flags, with an empty cache of kernels; give the flags.

    Skips where the processor has not even them.
    """
    flags: str = request.param
    here = processor_flags() or set()
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    if not here.issuperset(flags.split()):
        pytest.skip(f"this processor has not {flags}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return flags
