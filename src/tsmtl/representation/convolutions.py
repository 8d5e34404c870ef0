"""The 84 fixed kernels of MiniRocket at many dilations, and what is read off their outputs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.data.instances import FloatArray
from tsmtl.representation.method import TrainSeries

TAPS = 9
KERNELS = tuple(combinations(range(TAPS), 3))  # the taps of weight 2; the others have -1
N_KERNELS = len(KERNELS)
BLOCK = 2**16  # outputs of a kernel at a time: they stay in the cache of a core
Ints = npt.NDArray[np.int32]
Pool = Callable[[FloatArray, FloatArray], FloatArray]
"""Takes outputs (R, n) of a kernel and its biases (Q,), gives features (P, Q, n)."""


@dataclass(frozen=True)
class Convolutions:
    """Dilations, channels and biases of the kernels (Dempster et al. 2021, arXiv:2012.08791, section 3).

    Attributes:
        dilations: (D,) steps from tap to tap.
        counts: (D,) Q, the biases of each kernel at a dilation.
        channels: Of each dilation's kernels, one after another, the channels whose sum it reads.
        biases: (F,) by dilation, kernel and bias; F features of each pooling.
    """

    dilations: Ints
    counts: Ints
    channels: tuple[tuple[int, ...], ...]
    biases: FloatArray

    @classmethod
    def fit(
        cls,
        train: TrainSeries,
        n_features: int,
        max_dilations: int,
        rng: np.random.Generator,
        of: Callable[[FloatArray], FloatArray],
    ) -> "Convolutions":
        """Choose dilations by the longest train series, and biases from the outputs on random train series.

        Args:
            train: The train series.
            n_features: F at least, less what whole kernels leave.
            max_dilations: Most dilations of a kernel.
            rng: Draws channels and series.
            of: What is read of a series (C, T_i): itself, or its differences.
        """
        steps = of(np.zeros((1, train.longest), np.float32)).shape[1]
        dilations, counts = dilations_of(steps, n_features, max_dilations)
        n = len(dilations) * N_KERNELS
        channels = _draw_channels(len(train.channels), n, rng)
        picked = rng.integers(len(train), size=n)
        starts = np.concatenate([[0], np.cumsum(np.repeat(counts, N_KERNELS))])
        quantiles = golden_quantiles(int(starts[-1]))
        biases = np.empty(int(starts[-1]), dtype=np.float32)
        for place in np.unique(picked).tolist():
            series = of(train.series(place))
            for at in np.flatnonzero(picked == place).tolist():
                taps = _Taps(series[list(channels[at]), :, None], int(dilations[at // N_KERNELS]))
                ((_, outputs),) = taps.outputs(tuple(range(len(channels[at]))), [at % N_KERNELS])
                own = slice(starts[at], starts[at + 1])
                biases[own] = np.quantile(outputs[:, 0], quantiles[own])
        return cls(dilations, counts, channels, biases)

    @property
    def n_features(self) -> int:
        """F, of each pooling."""
        return len(self.biases)

    def pooled(self, x: FloatArray, pool: Pool, n_pools: int) -> FloatArray:
        """Give the features (N, P * F) of series (N, C, T); those of a kernel that fits nowhere are 0.

        As many threads as PyTorch uses share the dilations; each feature is computed by one, and does not hang on
        their number.
        """
        found = np.zeros((n_pools, self.n_features, len(x)), dtype=np.float32)
        at_once = max(BLOCK // max(1, x.shape[2]), 16)

        def fill(place: int) -> None:
            block, d = divmod(place, len(self.dilations))
            rows = slice(block * at_once, (block + 1) * at_once)
            series = np.ascontiguousarray(x[rows].transpose(1, 2, 0))  # (C, T, n): rows of n are added
            self._pool_dilation(series, d, pool, found[:, :, rows])

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(fill, range(-(-len(x) // at_once) * len(self.dilations))))
        by_series: FloatArray = found.transpose(2, 0, 1).reshape(len(x), -1)
        return by_series

    def _pool_dilation(self, series: FloatArray, d: int, pool: Pool, found: FloatArray) -> None:
        steps, dilation, count = series.shape[1], int(self.dilations[d]), int(self.counts[d])
        first = N_KERNELS * int(self.counts[:d].sum())
        of_channels: dict[tuple[int, ...], list[int]] = {}
        for kernel, channels in enumerate(self.channels[d * N_KERNELS : (d + 1) * N_KERNELS]):
            of_channels.setdefault(channels, []).append(kernel)
        taps = _Taps(series, dilation)
        for channels, kernels in of_channels.items():
            for kernel, outputs in taps.outputs(channels, kernels):
                own = slice(first + kernel * count, first + (kernel + 1) * count)
                edge = TAPS // 2 * dilation if (d + kernel) % 2 else 0  # every other one reads whole taps alone
                if steps > 2 * edge:
                    found[:, own] = pool(outputs[edge : steps - edge], self.biases[own])

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("dilations", "counts", "biases")}
        return arrays | {"channels": [list(chosen) for chosen in self.channels]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Convolutions":
        """Make what :meth:`state` described."""
        dilations, counts, biases = (state[name].numpy() for name in ("dilations", "counts", "biases"))
        return cls(dilations, counts, tuple(tuple(chosen) for chosen in state["channels"]), biases)


class _Taps:
    """Series (C, T, n) as the taps of dilated kernels see them, zeros beyond their ends."""

    def __init__(self, x: FloatArray, dilation: int) -> None:
        edge, self._steps, self._dilation = TAPS // 2 * dilation, x.shape[1], dilation
        padded = np.zeros((len(x), self._steps + 2 * edge, x.shape[2]), dtype=np.float32)
        padded[:, edge : edge + self._steps] = x
        self._others = -padded[:, : self._steps]  # the sum of all taps, each with the weight -1
        for tap in range(1, TAPS):
            self._others -= padded[:, tap * dilation : tap * dilation + self._steps]
        self._tripled = np.multiply(padded, np.float32(3), out=padded)

    def outputs(self, channels: tuple[int, ...], kernels: list[int]) -> Iterator[tuple[int, FloatArray]]:
        """Yield kernels, in their order, with their outputs (T, n) on the sum of channels; valid until the next."""
        others, tripled = (_sum_of(values, channels) for values in (self._others, self._tripled))
        taps = [tripled[tap * self._dilation : tap * self._dilation + self._steps] for tap in range(TAPS)]
        sums = [np.empty_like(others) for _ in range(3)]  # of the others with one tap, two, and all three
        known: list[int] = []
        for kernel in kernels:
            chosen = KERNELS[kernel]
            same = next((i for i in range(len(known)) if known[i] != chosen[i]), len(known))
            for i in range(min(same, 2), 3):  # neighbours among the kernels share taps
                np.add(others if i == 0 else sums[i - 1], taps[chosen[i]], out=sums[i])
            known = list(chosen)
            yield kernel, sums[2]


def _sum_of(values: FloatArray, channels: tuple[int, ...]) -> FloatArray:
    """Add the values (C, T, n) of channels, one after another."""
    total: FloatArray = values[channels[0]]
    for place, channel in enumerate(channels[1:]):
        total = np.add(total, values[channel], out=total if place else None)
    return total


def dilations_of(steps: int, n_features: int, max_dilations: int) -> tuple[Ints, Ints]:
    """Choose dilations, evenly on a logarithmic scale up to kernels as long as the series, and the biases of each."""
    per_kernel = n_features // N_KERNELS
    most = min(per_kernel, max_dilations)
    exponents = np.logspace(0, np.log2((steps - 1) / (TAPS - 1)), most, base=2)
    dilations, counts = np.unique(exponents.astype(np.int32), return_counts=True)
    biases: Ints = (counts * (per_kernel / most)).astype(np.int32)
    left = per_kernel - int(biases.sum())
    biases += left // len(biases)
    biases[: left % len(biases)] += 1
    return dilations, biases


def golden_quantiles(n: int) -> FloatArray:
    """Give the multiples of the golden ratio modulo 1: quantiles that lie evenly however many are taken."""
    multiples = np.arange(1, n + 1) * ((np.sqrt(5) + 1) / 2)
    return np.asarray(multiples % 1, dtype=np.float32)


def _draw_channels(c: int, n: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """Draw 1 to 9 channels for each of n kernels, few more often than many."""
    sizes = (2 ** rng.uniform(0, np.log2(min(c, TAPS) + 1), n)).astype(np.int64)
    return tuple(tuple(sorted(rng.choice(c, size, replace=False).tolist())) for size in sizes.tolist())
