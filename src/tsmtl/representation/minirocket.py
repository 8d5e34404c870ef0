"""MiniRocket: shares of positive outputs of fixed kernels."""

from typing import Any

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray
from tsmtl.representation.convolutions import TAPS, Convolutions
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.poolings import SHARE
from tsmtl.representation.rocket_native import pooled


class MiniRocket(Representation):
    """Shares of steps at which kernels exceed biases (Dempster et al. 2021, arXiv:2012.08791).

    Each kernel reads the sum of some channels, drawn once. Dilations follow from the longest train series; of a shorter
    one, what kernels see beyond its end is 0, as at every end.

    Args:
        num_features: E, less what whole kernels leave.
        max_dilations: Most dilations of a kernel.
    """

    def __init__(self, num_features: int, max_dilations: int) -> None:
        self.num_features, self.max_dilations = num_features, max_dilations
        self._convolutions: Convolutions | None = None

    @property
    def convolutions(self) -> Convolutions:
        """The fitted kernels."""
        assert self._convolutions is not None, "not fitted"
        return self._convolutions

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Choose dilations, channels and biases."""
        check_length(train, "minirocket", TAPS)
        rng = np.random.default_rng(seed)
        self._convolutions = Convolutions.fit(train, self.num_features, self.max_dilations, rng, lambda series: series)

    @property
    def names(self) -> list[str]:
        """Numbered: kernel by kernel of each dilation."""
        return [f"ppv{i + 1}" for i in range(self.convolutions.n_features)]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the shares (N, E) of series (N, C, T)."""
        return pooled(self.convolutions, x, SHARE)

    def state(self) -> dict[str, Any]:
        """Give the kernels."""
        return self.convolutions.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the kernels."""
        self._convolutions = Convolutions.from_state(state)


def check_length(train: TrainSeries, name: str, fewest: int) -> None:
    """Check that the longest train series is long enough for kernels, or other features.

    Raises:
        UserError: If not.
    """
    if train.longest < fewest:
        raise UserError(
            f"representation: {name} needs series of {fewest} time steps or more (the longest of train has "
            f"{train.longest}); representation=summary takes any"
        )
