"""MultiRocket: four poolings of MiniRocket's kernels, on series and on their differences."""

from typing import Any, ClassVar

import numpy as np

from tsmtl.data.instances import FloatArray
from tsmtl.representation.convolutions import TAPS, Convolutions
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.minirocket import check_length, share_above

POOLS = ("ppv", "lspv", "mpv", "mipv")


class MultiRocket(Representation):
    """Share, longest stretch, mean and mean place of outputs above biases (Tan et al. 2022, arXiv:2102.00457).

    Each is read of the series and of the differences of neighbouring steps, whose kernels are fitted by themselves.
    The definitions are those of the authors' code: the mean is that of output plus bias, the stretch that between two
    outputs below.

    Args:
        num_features: E, less what whole kernels leave.
        max_dilations: Most dilations of a kernel.
    """

    shortest: ClassVar[int] = 2

    def __init__(self, num_features: int, max_dilations: int) -> None:
        self.num_features, self.max_dilations = num_features, max_dilations
        self._fitted: dict[str, Convolutions] = {}

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Choose dilations, channels and biases, for series and differences."""
        check_length(train, "multirocket", TAPS + 1)
        rng = np.random.default_rng(seed)
        each = self.num_features // (2 * len(POOLS))
        for name, of in _READ.items():
            self._fitted[name] = Convolutions.fit(train, each, self.max_dilations, rng, of)

    @property
    def names(self) -> list[str]:
        """What is pooled and how, numbered kernel by kernel of each dilation."""
        return [
            f"{name} {pool}{i + 1}"
            for name, fitted in self._fitted.items()
            for pool in POOLS
            for i in range(fitted.n_features)
        ]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the features (N, E) of series (N, C, T)."""
        parts = [self._fitted[name].pooled(of(x), four_pools, len(POOLS)) for name, of in _READ.items()]
        return np.concatenate(parts, axis=1)

    def state(self) -> dict[str, Any]:
        """Give the kernels."""
        return {name: fitted.state() for name, fitted in self._fitted.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the kernels."""
        self._fitted = {name: Convolutions.from_state(state[name]) for name in _READ}


def _itself(x: FloatArray) -> FloatArray:
    return x


def _differences(x: FloatArray) -> FloatArray:
    return np.diff(x, axis=-1)


_READ = {"series": _itself, "differences": _differences}


def four_pools(outputs: FloatArray, biases: FloatArray) -> FloatArray:
    """Give the poolings (4, Q, n) of outputs (R, n) above biases (Q,), in the order of :data:`POOLS`."""
    rows = len(outputs)
    found = np.empty((len(POOLS), len(biases), outputs.shape[1]), dtype=np.float32)
    found[0] = share_above(outputs, biases)[0]
    found[1] = longest_stretch(outputs, biases)
    for q, bias in enumerate(biases):
        above = outputs > bias  # (R, n)
        count = np.maximum(above.sum(axis=0), 1)
        total = np.where(above, outputs + bias, np.float32(0)).sum(axis=0, dtype=np.float64)
        place = (above * np.arange(rows, dtype=np.int64)[:, None]).sum(axis=0)
        found[2, q] = total / count
        found[3, q] = np.where(above.any(axis=0), place / count, -1)
    return found


def longest_stretch(outputs: FloatArray, biases: FloatArray) -> FloatArray:
    """Give the most steps (Q, n) from one output (R, n) below a bias (Q,) to the next; the ends count as such."""
    last = np.zeros((len(biases), outputs.shape[1]), dtype=np.int32)
    most = np.zeros_like(last)
    for step, row in enumerate(outputs):
        below = row < biases[:, None]
        np.maximum(most, step - last, out=most, where=below)
        np.copyto(last, step, where=below)
    return np.maximum(most, len(outputs) - 1 - last).astype(np.float32)
