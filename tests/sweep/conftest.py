"""Models of the user's own that sweeps of these tests train: tiny, and able to fail in every way; and a SLURM."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import submitit
from submitit.slurm.slurm import SlurmInfoWatcher

from tests.conftest import Answer

PLUGIN = """
import ctypes
import os
import signal
import sys
from pathlib import Path

import tsmtl.checkpoint.best
import tsmtl.checkpoint.last
import tsmtl.run
import tsmtl.training.loop
import tsmtl.training_run
from torch import nn
from tsmtl.models import Backbone, register_backbone

tsmtl.run.draw_run = lambda *given: None  # pictures take longer than these trainings
if os.environ.get("STATES") == "all":  # a state after every step, so that a kill costs no more than that
    tsmtl.checkpoint.last.INTERVAL = tsmtl.checkpoint.last.SHARE = tsmtl.checkpoint.best.INTERVAL = 0
run, train_epoch, where = tsmtl.training_run.Training.run, tsmtl.training.loop.train_epoch, []


def noted_run(self, folder, *given):
    where.append(folder.name)
    return run(self, folder, *given)


def noted_epoch(*given):
    (result,) = [one for one in given if isinstance(one, tsmtl.training.loop.Fit)]
    with open(os.environ["EPOCHS"], "a") as file:  # every epoch that is begun, of any process
        file.write(f"{where[-1]} {len(result.history) + 1} {os.getpid()}\\n")
    return train_epoch(*given)


tsmtl.training_run.Training.run, tsmtl.training.loop.train_epoch = noted_run, noted_epoch


@register_backbone("tiny")
class Tiny(Backbone):
    def __init__(self, input_size: int, width: int, trouble: str) -> None:
        super().__init__()
        self.layer, self.embed_dim, self.drop = nn.Linear(input_size, width), width, nn.Dropout(0.2)
        self.trouble = "" if Path("healed").exists() else trouble
        if self.trouble == "size":
            raise ValueError("width: fits no input of this kind")

    def forward(self, x, lengths=None):
        embedding = self.drop(self.layer(x.mean(dim=2)))  # (N, E)
        if not self.training:
            return embedding
        match self.trouble:
            case "loss":
                return embedding * float("nan")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                ctypes.string_at(0)
            case "raise":
                raise LookupError("no such thing")
            case "exit":
                sys.exit("enough")
            case "leave":
                print("a last word")
                os._exit(3)
            case "print":
                print("{\\"event\\": \\"ended\\"}")
        return embedding
"""
SETTINGS = """\
# @package _global_
model: tiny
plugins: [tiny_plugin]
width: 4
trouble: "no"
num_epochs: 2
batch_size: 16
lr: 1.0e-2
"""


def write_series(path: Path, seed: int) -> None:
    """Write 40 series (N, C, T) with a class and a number."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 2, 3)).astype(np.float32)
    np.savez(path, X=x, y_cls=(x[:, 0, 0] > 0).astype(int), y_reg=3 * x[:, 1, 0])


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that train the tiny model on ``data.npz``; ``epochs`` in the test's folder lists every epoch begun."""
    (tmp_path / "tiny_plugin.py").write_text(PLUGIN)
    (tmp_path / "model").mkdir()
    write_series(tmp_path / "data.npz", seed=0)
    (tmp_path / "model" / "tiny.yaml").write_text(SETTINGS)
    monkeypatch.setenv("EPOCHS", str(tmp_path / "epochs"))
    return ["--config-dir", ".", "model=tiny", "data=npz", "data.path=data.npz", "device=cpu"]


@pytest.fixture
def sweep(own_model: list[str], tsmtl_train: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-train -m`` on the tiny model with the sweep's folder ``s``."""
    return lambda *arguments: tsmtl_train("-m", *own_model, "hydra.sweep.dir=s", *arguments)


@pytest.fixture
def sweep_here(jobs_here: None, tmp_path: Path, tsmtl_train: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-train -m`` on a tiny gru and ``data.npz`` with the sweep's folder ``s``, its jobs in this process."""
    write_series(tmp_path / "data.npz", seed=0)
    words = ["model=gru", "data=npz", "data.path=data.npz", "device=cpu", "num_epochs=1", "hydra.sweep.dir=s"]
    return lambda *arguments: tsmtl_train("-m", *words, *arguments)


STAND_IN = Path(__file__).with_name("slurm_stand_in.py")
MOODY = """
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
MOODY_SETTINGS = """\
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
    (tmp_path / "model/moody.yaml").write_text(MOODY_SETTINGS)
    (tmp_path / "tsmtl_test_moody.py").write_text(MOODY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
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
