"""MultiRocket: four poolings of MiniRocket's kernels, on series and on their differences."""

from typing import Any, ClassVar

import numpy as np

from tsmtl.data.instances import FloatArray
from tsmtl.representation.convolutions import TAPS, Convolutions
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.minirocket import check_length
from tsmtl.representation.poolings import FOUR
from tsmtl.representation.rocket_native import pooled


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
        each = self.num_features // (len(_READ) * len(FOUR))
        for name, of in _READ.items():
            self._fitted[name] = Convolutions.fit(train, each, self.max_dilations, rng, of)

    @property
    def names(self) -> list[str]:
        """What is pooled and how, numbered kernel by kernel of each dilation."""
        return [
            f"{name} {pool}{i + 1}"
            for name, fitted in self._fitted.items()
            for pool in FOUR.names
            for i in range(fitted.n_features)
        ]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the features (N, E) of series (N, C, T)."""
        parts = [pooled(self._fitted[name], of(x), FOUR) for name, of in _READ.items()]
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
