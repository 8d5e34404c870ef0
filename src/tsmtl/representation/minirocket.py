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
MOST_BYTES = 2**19  # at a time: they stay in the cache of a core
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
    """Give the share (1, K, Q, n) of outputs (K, R, n) above biases (K, Q)."""
    _, rows, n = outputs.shape
    at_once = max(1, MOST_BYTES // (biases.shape[1] * rows * n))
    parts = (slice(at, at + at_once) for at in range(0, len(outputs), at_once))
    counts = [sum_of_bytes(above_biases(outputs[own], biases[own])) for own in parts]
    share: FloatArray = np.divide(np.concatenate(counts), np.float32(rows), dtype=np.float32)
    return share[None]


def above_biases(outputs: FloatArray, biases: FloatArray) -> Bytes:
    """Give which outputs (K, R, n) exceed biases (K, Q), 1 or 0, as (K, Q, L, S, n): L stretches of S steps.

    What the last stretch has beyond R is 0.
    """
    _, rows, n = outputs.shape
    steps = steps_of_stretch(rows)
    stretches = -(-rows // steps)
    above = np.empty((*biases.shape, stretches * steps, n), dtype=np.bool_)
    above[:, :, rows:] = False
    np.greater(outputs[:, None], biases[:, :, None, None], out=above[:, :, :rows])
    return above.view(np.uint8).reshape(*biases.shape, stretches, steps, n)


def steps_of_stretch(rows: int) -> int:
    """Give S: about as many steps as there are stretches, of which there are 255 at most."""
    return max(math.isqrt(rows), -(-rows // MOST_ADDED))


def sum_of_bytes(ones: Bytes) -> npt.NDArray[np.integer]:
    """Add up (K, Q, L, S, n) along L and S.

    Bytes are added four times as fast as whole numbers, and hold 255. Stretches are added first: few long additions.
    """
    stretches, steps = ones.shape[2:4]
    fits = stretches * steps <= MOST_ADDED
    by_place = np.add.reduce(ones, axis=2, dtype=np.uint8)  # (K, Q, S, n)
    return np.asarray(np.add.reduce(by_place, axis=2, dtype=np.uint8 if fits else np.int32))


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
