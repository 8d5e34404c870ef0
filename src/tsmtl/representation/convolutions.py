"""The 84 fixed kernels of MiniRocket at many dilations, and what is read off their outputs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.data.instances import FloatArray
from tsmtl.representation.method import TrainSeries
from tsmtl.representation.poolings import Pooling

TAPS = 9
KERNELS = tuple(combinations(range(TAPS), 3))  # the taps of weight 2; the others have -1
N_KERNELS = len(KERNELS)
SERIES = 2**16  # steps of series at a time, and
BLOCK = 2**16  # outputs of some kernels on them: they stay in the cache of a core
LEAST_BUFFER = 16  # values
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


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
                outputs = np.empty((1, series.shape[1], 1), dtype=np.float32)
                taps.fill(outputs, [at % N_KERNELS], [tuple(range(len(channels[at])))])
                own = slice(starts[at], starts[at + 1])
                biases[own] = np.quantile(outputs[0, :, 0], quantiles[own])
        return cls(dilations, counts, channels, biases)

    @property
    def n_features(self) -> int:
        """F, of each pooling."""
        return len(self.biases)

    def pooled(self, x: FloatArray, pooling: Pooling) -> FloatArray:
        """Give the features (N, P * F) of series (N, C, T), by NumPy; those of a kernel that fits nowhere are 0.

        As many threads as PyTorch uses share the dilations; each feature is computed by one, and does not hang on
        their number.
        """
        found = np.zeros((len(pooling), self.n_features, len(x)), dtype=np.float32)
        n_blocks = -(-len(x) // max(SERIES // x.shape[2], 16))
        ends = np.linspace(0, len(x), n_blocks + 1).astype(int).tolist()

        def fill(place: int) -> None:
            block, d = divmod(place, len(self.dilations))
            rows = slice(ends[block], ends[block + 1])
            series = np.ascontiguousarray(x[rows].transpose(1, 2, 0))  # (C, T, n): rows of n are added
            self._pool_dilation(series, d, pooling, found[:, :, rows])

        # NumPy copies short rows that meet one number into its buffer, unless that is shorter still.
        buffer = LEAST_BUFFER if ends[1] * x.shape[2] < np.getbufsize() else np.getbufsize()
        with ThreadPoolExecutor(torch.get_num_threads(), initializer=np.setbufsize, initargs=(buffer,)) as threads:
            list(threads.map(fill, range(n_blocks * len(self.dilations))))
        by_series: FloatArray = found.transpose(2, 0, 1).reshape(len(x), -1)
        return by_series

    @cached_property
    def in_order(self) -> list[tuple[Longs, Longs, Longs]]:
        """Of each dilation an order of its kernels (84,), those of the same channels side by side, and these.

        The third array has their channels, kernel by kernel; the second (85,) where those of each begin and all end.
        """
        found = []
        for d in range(len(self.dilations)):
            channels = self.channels[d * N_KERNELS : (d + 1) * N_KERNELS]
            order = sorted(range(N_KERNELS), key=lambda kernel: channels[kernel])
            ends = np.cumsum([0, *map(len, channels)], dtype=np.int64)
            found.append((np.array(order, np.int64), ends, np.array([*chain.from_iterable(channels)], np.int64)))
        return found

    def features_of(self, d: int) -> slice:
        """Give which of F are those of a dilation."""
        return slice(N_KERNELS * int(self.counts[:d].sum()), N_KERNELS * int(self.counts[: d + 1].sum()))

    def _pool_dilation(self, series: FloatArray, d: int, pooling: Pooling, found: FloatArray) -> None:
        _, steps, n = series.shape
        dilation, count = int(self.dilations[d]), int(self.counts[d])
        channels = self.channels[d * N_KERNELS : (d + 1) * N_KERNELS]
        own = self.features_of(d)
        biases = self.biases[own].reshape(N_KERNELS, count)
        features = found[:, own].reshape(len(found), N_KERNELS, count, n)  # a view
        taps = _Taps(series, dilation)
        at_once = min(max(1, BLOCK // (steps * n)), N_KERNELS)
        room = np.empty((at_once, steps, n), dtype=np.float32)
        for some in _orders(channels, d, at_once):
            taps.fill(room, some, [channels[kernel] for kernel in some])
            for odd in (0, 1):  # every other kernel reads whole taps alone
                edge = TAPS // 2 * dilation * odd
                places = [place for place, kernel in enumerate(some) if (d + kernel) % 2 == odd]
                if places and steps > 2 * edge:
                    step = places[1] - places[0] if len(places) > 1 else 1
                    chosen = room[places[0] : places[-1] + 1 : step, edge : steps - edge]  # no copy
                    if len(places) > 1:
                        these = [some[place] for place in places]
                        features[:, these] = pooling.of(chosen, biases[these])
                    else:  # without copies of lists of one
                        kernel = some[places[0]]
                        features[:, kernel] = pooling.of(chosen, biases[kernel : kernel + 1])[:, 0]

    def state(self) -> dict[str, Any]:
        """Give tensors and plain values."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("dilations", "counts", "biases")}
        return arrays | {"channels": [list(chosen) for chosen in self.channels]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Convolutions":
        """Make what :meth:`state` described."""
        dilations, counts, biases = (state[name].numpy() for name in ("dilations", "counts", "biases"))
        return cls(dilations, counts, tuple(tuple(chosen) for chosen in state["channels"]), biases)


def _orders(channels: Sequence[tuple[int, ...]], d: int, at_once: int) -> list[list[int]]:
    """Give the kernels of a dilation, some at a time.

    Neighbours of the same channels share sums; where channels differ, those that read whole taps alone stand together.
    """
    kernels = list(range(N_KERNELS))
    if len(set(channels)) > 1:
        kernels.sort(key=lambda kernel: ((d + kernel) % 2, channels[kernel]))
    return [kernels[at : at + at_once] for at in range(0, N_KERNELS, at_once)]


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
        self._sums = np.empty((2, *x.shape[1:]), dtype=np.float32)
        self._summed: tuple[int, ...] = ()  # the channels whose sums these are
        self._known: list[int] = []  # the taps in them

    def fill(self, outputs: FloatArray, kernels: Sequence[int], channels: Sequence[tuple[int, ...]]) -> None:
        """Write the outputs (K or more, T, n) of K kernels, each on the sum of its channels."""
        for output, kernel, own in zip(outputs, kernels, channels, strict=False):
            if own != self._summed:
                self._summed, self._known = own, []
                self._of_own, self._of_taps = (_sum_of(values, own) for values in (self._others, self._tripled))
            one, two, three = KERNELS[kernel]
            first, second = self._sums  # of the others with one tap, and with two
            if self._known[:1] != [one]:
                np.add(self._of_own, self._tap(one), out=first)
            if self._known != [one, two]:
                np.add(first, self._tap(two), out=second)
            np.add(second, self._tap(three), out=output)
            self._known = [one, two]

    def _tap(self, tap: int) -> FloatArray:
        return self._of_taps[tap * self._dilation :][: self._steps]


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
