"""MultiRocket: four poolings of MiniRocket's kernels, on series and on their differences."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import FloatArray
from tsmtl.representation.convolutions import TAPS, Convolutions
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.minirocket import MOST_ADDED, Bytes, above_biases, check_length, sum_of_bytes

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
    """Give the poolings (4, K, Q, n) of outputs (K, R, n) above biases (K, Q), in the order of :data:`POOLS`."""
    _, rows, n = outputs.shape
    found = np.empty((len(POOLS), *biases.shape, n), dtype=np.float32)
    above = above_biases(outputs, biases)
    count = sum_of_bytes(above)  # (K, Q, n)
    some = np.maximum(count, 1)
    np.divide(count, np.float32(rows), out=found[0])
    found[1] = longest_stretch(outputs, biases)
    over = np.empty((biases.shape[1], above.shape[2] * above.shape[3], n), dtype=np.float32)
    over[:, rows:] = 0
    for output, own, total in zip(outputs, biases, found[2], strict=True):
        np.maximum(np.subtract(output, own[:, None, None], out=over[:, :rows]), 0, out=over[:, :rows])
        np.add.reduce(np.add.reduce(over.reshape(len(own), *above.shape[2:]), axis=1), axis=1, out=total)
    found[2] = np.where(count, found[2] / some + 2 * biases[:, :, None], 0)  # of output plus bias
    found[3] = np.where(count, sum_of_places(above) / some, -1)
    return found


def sum_of_places(ones: Bytes) -> npt.NDArray[np.float64]:
    """Add up the steps (K, Q, n) at which (K, Q, L, S, n) is 1: the first of each stretch, and the places in it."""
    stretches, steps = ones.shape[2:4]
    wide = steps > MOST_ADDED  # more than a byte counts
    of_stretch = np.add.reduce(ones, axis=3, dtype=np.int64 if wide else np.uint8)  # (K, Q, L, n)
    of_place = np.add.reduce(ones, axis=2, dtype=np.uint8)  # (K, Q, S, n)
    starts, places = steps * np.arange(stretches, dtype=np.float64), np.arange(steps, dtype=np.float64)
    return np.asarray(starts @ of_stretch + places @ of_place)


def longest_stretch(outputs: FloatArray, biases: FloatArray) -> FloatArray:
    """Give the most steps (K, Q, n) from an output (K, R, n) below a bias (K, Q) to the next; the ends are such."""
    rows = outputs.shape[1]
    kind = np.uint8 if rows <= MOST_ADDED else np.uint16 if rows < 2**16 else np.uint32
    kept = (outputs.swapaxes(0, 1)[:, :, None] >= biases[:, :, None]).astype(kind)  # (R, K, Q, n)
    since, most = np.zeros_like(kept[0]), np.zeros_like(kept[0])
    for row in kept[1:]:
        since += kind(1)
        np.maximum(most, since, out=most)
        since *= row
    return np.asarray(most, dtype=np.float32)
