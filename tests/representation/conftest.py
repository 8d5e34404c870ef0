"""Small representations, fitted on series of the test's own."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tests.conftest import ROOT
from tsmtl.config.python_call import composed
from tsmtl.config.represent_settings import RepresentSettings
from tsmtl.config.representation_settings import REPRESENTATIONS
from tsmtl.data.preparation import InputPreparation
from tsmtl.represent_training import RepresentationTraining
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.registry import TRAINED, build_method
from tsmtl.training.threads import threads_put_back

SMALL: dict[str, dict[str, Any]] = {
    "minirocket": {"num_features": 300, "max_dilations": 4},
    "multirocket": {"num_features": 1400, "max_dilations": 4},
    "ts2vec": {"embed_dim": 12, "hidden_size": 8, "depth": 3, "steps": 8},
    "contrastive": {"features": 12, "heads": 2, "head_size": 4, "layers": 1, "steps": 8, "batch_size": 8},
    "masked": {"heads": 2, "head_size": 6, "layers": 2, "inner_size": 16, "steps": 8, "batch_size": 8},
}
CPU = torch.device("cpu")


def small(name: str, folder: Path | None = None, **changes: Any) -> Representation:
    """Give a method with the defaults of its YAML file, but few features; with a folder it can train a network."""
    defaults = yaml.safe_load((ROOT / "configs" / "representation" / f"{name}.yaml").read_text())
    section = REPRESENTATIONS[name].model_validate(defaults | SMALL.get(name, {}) | changes)
    learner = None
    if folder is not None and name in TRAINED:
        own = RepresentSettings(output=str(folder / "vectors.npz"), transform=None, resume=False)
        learner = RepresentationTraining(own, section, _settings(), "", CPU)
        learner.path.unlink(missing_ok=True)  # of an earlier fit
    return build_method(name, section.model_dump(exclude={"name"}), CPU, learner)


@pytest.fixture(autouse=True)
def _threads_put_back() -> Iterator[None]:
    """Leave PyTorch its number of threads: aeon's Numba, where it has worked, gives it one for each core."""
    with threads_put_back():
        yield


@pytest.fixture
def aeon_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python run aeon's kernels: compiling them takes Numba over 20 times as long where it has not done so yet."""
    from aeon.transformations.collection.convolution_based import _minirocket, _multirocket

    for module in (_minirocket, _multirocket):
        for name, function in vars(module).copy().items():
            if hasattr(function, "py_func"):
                monkeypatch.setattr(module, name, function.py_func)


@functools.cache
def _settings() -> Any:
    return composed(["device=cpu"])[0]


def train_of(x: np.ndarray, lengths: np.ndarray | None = None, takes_gaps: bool = False) -> TrainSeries:
    """Give series as a train split, as they are."""
    rows = np.arange(len(x))
    preparation = InputPreparation.fit(x, lengths, rows, "none", "interpolate")
    channels = [f"s{i + 1}" for i in range(x.shape[1])]
    return TrainSeries(x, lengths, rows, channels, preparation, takes_gaps)


@pytest.fixture
def fitted(tmp_path: Path) -> Callable[..., Representation]:
    """Fit a small method on series (N, C, T)."""

    def fit(
        name: str, x: np.ndarray, seed: int = 0, lengths: np.ndarray | None = None, **changes: Any
    ) -> Representation:
        method = small(name, tmp_path, **changes)
        method.fit(train_of(x, lengths, takes_gaps=method.takes_gaps), seed)
        return method

    return fit


@pytest.fixture
def series() -> np.ndarray:
    """(30, 3, 40): noise around sines of different frequency."""
    rng = np.random.default_rng(0)
    frequency = rng.uniform(0.02, 0.4, (30, 3, 1))
    return (np.sin(2 * np.pi * frequency * np.arange(40)) + rng.normal(0, 0.3, (30, 3, 40))).astype(np.float32)
