"""MiniRocket: shares of positive outputs of fixed kernels."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray
from tsmtl.representation.convolutions import TAPS, Convolutions
from tsmtl.representation.method import Representation, TrainSeries

MOST_ADDED = 255  # in a byte
Bytes = npt.NDArray[np.uint8]


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
        return self.convolutions.pooled(x, share_above, 1)

    def state(self) -> dict[str, Any]:
        """Give the kernels."""
        return self.convolutions.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the kernels."""
        self._convolutions = Convolutions.from_state(state)


def share_above(outputs: FloatArray, biases: FloatArray) -> FloatArray:
    """Give the share (1, Q, n) of outputs (R, n) above biases (Q,)."""
    rows, n = outputs.shape
    above = np.empty((len(biases), rows, n), dtype=np.bool_)
    for q, bias in enumerate(biases):
        np.greater(outputs, bias, out=above[q])  # with one number at a time: four times as fast as with all
    return np.asarray(_count(above.view(np.uint8))[None] / rows, dtype=np.float32)


def _count(ones: Bytes) -> npt.NDArray[np.int32]:
    """Add up (Q, R, n) along R: bytes are added four times as fast as whole numbers, and hold 255."""
    count = np.zeros((len(ones), ones.shape[2]), dtype=np.int32)
    for at in range(0, ones.shape[1], MOST_ADDED):
        part = ones[:, at : at + MOST_ADDED]
        each = math.isqrt(part.shape[1])  # whole stretches of steps are added first: few long additions
        whole = part.shape[1] // each * each
        stretches = part[:, :whole].reshape(len(part), each, -1)
        count += _added(_added(stretches).reshape(len(part), -1, part.shape[2]))
        if whole < part.shape[1]:
            count += _added(part[:, whole:])
    return count


def _added(ones: Bytes) -> Bytes:
    return np.asarray(np.add.reduce(ones, axis=1, dtype=np.uint8))


def check_length(train: TrainSeries, name: str, fewest: int) -> None:
    """Check that kernels fit into the longest train series.

    Raises:
        UserError: If not.
    """
    if train.longest < fewest:
        raise UserError(
            f"representation: {name} needs series of {fewest} time steps or more (the longest of train has "
            f"{train.longest}); representation=summary takes any"
        )
