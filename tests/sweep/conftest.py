"""A backbone whose runs end in every way, and a SLURM."""

import os
import sys
from pathlib import Path

import pytest
import submitit
from submitit.slurm.slurm import SlurmInfoWatcher

STAND_IN = Path(__file__).with_name("slurm_stand_in.py")

BACKBONE = """
import os, signal, time
import torch
from torch import nn
from tsmtl.models import Backbone, register_backbone

@register_backbone("moody")
class Moody(Backbone):
    def __init__(self, input_size: int, mood: str) -> None:
        super().__init__()
        self.layer, self.embed_dim, self.mood = nn.Linear(input_size, 4), 4, mood
        if mood == "sulky":
            raise ValueError("no layers today")

    def forward(self, x, lengths=None):
        if self.mood == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "slow" and os.path.exists("slow"):
            time.sleep(0.1)
        return self.layer(x.mean(dim=2)) * (torch.nan if self.mood == "undefined" else 1)
"""
SETTINGS = """\
# @package _global_
model: moody
plugins: [tsmtl_test_moody]
mood: fine
num_epochs: 1
batch_size: 16
lr: 1.0e-3
"""


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``--config-dir . model=moody`` be a model whose mood is fine, undefined, sulky, deadly or slow."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/moody.yaml").write_text(SETTINGS)
    (tmp_path / "tsmtl_test_moody.py").write_text(BACKBONE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let other programs stand in for SLURM's; gives the folder of their state."""
    place = tmp_path_factory.mktemp("slurm")
    (place / "bin").mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel", "scontrol", "daemon"):
        (place / "bin" / name).write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
        (place / "bin" / name).chmod(0o755)
    monkeypatch.setenv("SLURM", str(place))
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(submitit.SlurmJob, "watcher", SlurmInfoWatcher(delay_s=600))  # it remembers for ever
    return place
