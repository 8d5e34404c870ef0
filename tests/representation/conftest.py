"""Small representations, fitted on series of the test's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT
from tsmtl.data.preparation import InputPreparation
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.registry import METHODS

SMALL: dict[str, dict[str, Any]] = {
    "minirocket": {"num_features": 300, "max_dilations": 4},
    "multirocket": {"num_features": 1400, "max_dilations": 4},
}


def small(name: str) -> Representation:
    """Give a method with the defaults of its YAML file, but few features."""
    defaults = yaml.safe_load((ROOT / "configs" / "representation" / f"{name}.yaml").read_text())
    del defaults["name"]
    return METHODS[name](**defaults | SMALL.get(name, {}))


def train_of(x: np.ndarray, lengths: np.ndarray | None = None, takes_gaps: bool = False) -> TrainSeries:
    """Give series as a train split, as they are."""
    rows = np.arange(len(x))
    preparation = InputPreparation.fit(x, lengths, rows, "none", "interpolate")
    channels = [f"s{i + 1}" for i in range(x.shape[1])]
    return TrainSeries(x, lengths, rows, channels, preparation, takes_gaps)


@pytest.fixture
def fitted() -> Callable[..., Representation]:
    """Fit a small method on series (N, C, T)."""

    def fit(name: str, x: np.ndarray, seed: int = 0) -> Representation:
        method = small(name)
        method.fit(train_of(x, takes_gaps=method.takes_gaps), seed)
        return method

    return fit


@pytest.fixture
def series() -> np.ndarray:
    """(30, 3, 40): noise around sines of different frequency."""
    rng = np.random.default_rng(0)
    frequency = rng.uniform(0.02, 0.4, (30, 3, 1))
    return (np.sin(2 * np.pi * frequency * np.arange(40)) + rng.normal(0, 0.3, (30, 3, 40))).astype(np.float32)
