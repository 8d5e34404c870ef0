"""The features of MiniRocket's kernels by native code (``native/rocket.cpp``) where that costs less, else by NumPy.

Both give the same numbers, to the last bit, so that no setting names the way.
"""

import ctypes
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from tsmtl.data.instances import FloatArray
from tsmtl.native import Library, NativeError
from tsmtl.representation.convolutions import N_KERNELS, SERIES, Convolutions
from tsmtl.representation.poolings import FOUR, SHARE, Pooling

log = logging.getLogger(__name__)
WORTH_COMPILING = 10**10  # N x T x E: NumPy takes 2.5 seconds or more, kernels a third at most and their compiler one
LONGEST = 2**24  # steps, which single precision counts
MOST_ROOM = 2**28  # floats of all threads together; few long series of many channels are left to NumPy
TILE = 16  # series; the kernels take as many at a time, or a half or quarter of them
_NUMBER, _ARRAY = ctypes.c_int64, ctypes.c_void_p


def pooled(convolutions: Convolutions, x: FloatArray, pooling: Pooling) -> FloatArray:
    """Give what :meth:`Convolutions.pooled` gives."""
    kernels = CHOICE.kernels_for(len(x) * x.shape[2] * convolutions.n_features * len(pooling))
    if kernels is None or x.shape[2] >= LONGEST or largest_room(kernels, convolutions, x, pooling) > MOST_ROOM:
        return convolutions.pooled(x, pooling)
    return pooled_by(kernels, convolutions, x, pooling)


def largest_room(kernels: ctypes.CDLL, convolutions: Convolutions, x: FloatArray, pooling: Pooling) -> int:
    """Give the floats that a thread needs beside the series, at most."""
    n, channels, steps = x.shape
    found = []
    for dilation, count in zip(convolutions.dilations, convolutions.counts, strict=True):
        sizes = min(n, TILE), channels, steps, int(dilation), int(count)
        kernels.rocket_room(len(pooling), *sizes, ctypes.byref(floats := _NUMBER()))
        found.append(floats.value)
    return max(found)


def pooled_by(kernels: ctypes.CDLL, convolutions: Convolutions, x: FloatArray, pooling: Pooling) -> FloatArray:
    """Give what :meth:`Convolutions.pooled` gives, by the loaded :data:`ROCKET_KERNELS`."""
    x, all_biases = (np.ascontiguousarray(values, dtype=np.float32) for values in (x, convolutions.biases))
    (n, channels, steps), pools = x.shape, len(pooling)
    assert max(map(max, convolutions.channels)) < channels
    found = np.zeros((n, pools, convolutions.n_features), dtype=np.float32)
    at_once = max(SERIES // steps // TILE, 1) * TILE
    starts = range(0, n, at_once)

    def fill(place: int) -> None:
        block, d = divmod(place, len(convolutions.dilations))
        some, own = slice(starts[block], starts[block] + at_once), convolutions.features_of(d)
        series, biases, features = x[some], all_biases[own], found[some, :, own]
        sizes = len(series), channels, steps, int(convolutions.dilations[d]), int(convolutions.counts[d])
        kernels.rocket_room(pools, *sizes, ctypes.byref(floats := _NUMBER()))
        room = np.empty(floats.value, dtype=np.float32)
        arrays = [array.ctypes.data for array in (*convolutions.in_order[d], room, features)]
        apart = features.strides[0] // features.itemsize, features.strides[1] // features.itemsize
        kernels.rocket_pool(pools, *sizes, series.ctypes.data, biases.ctypes.data, d % 2, *arrays, *apart)

    fit = max(MOST_ROOM // largest_room(kernels, convolutions, x, pooling), 1)
    with ThreadPoolExecutor(min(fit, torch.get_num_threads())) as threads:
        list(threads.map(fill, range(len(starts) * len(convolutions.dilations))))
    return found.reshape(n, -1)


@dataclass
class Choice:
    """Chooses the kernels as soon as they are at hand, or the work of this process is worth compiling them.

    Attributes:
        library: The kernels.
        work: N x T x E so far; series come in blocks.
    """

    library: Library
    work: int = 0

    def kernels_for(self, work: int) -> ctypes.CDLL | None:
        """Give the loaded kernels for that much more work, or None where NumPy shall do it."""
        self.work += work
        if self.work < WORTH_COMPILING and not self.library.at_hand:
            return None
        try:
            return self.library.loaded
        except NativeError as error:
            log.debug("representation: by NumPy, not by native kernels: %s", error)
            return None


def _check(kernels: ctypes.CDLL) -> str | None:
    """Compare features with NumPy's, of more series than lie side by side and of fewer."""
    rng = np.random.default_rng(0)
    dilations, counts = np.array([1, 3], np.int32), np.array([1, 2], np.int32)
    channels = tuple((k % 3,) if k % 2 else (0, 2) for k in range(2 * N_KERNELS))
    biases = rng.normal(size=3 * N_KERNELS).astype(np.float32)
    convolutions = Convolutions(dilations, counts, channels, biases)
    for pooling in (SHARE, FOUR):
        for n in (19, 1):
            x = rng.normal(size=(n, 3, 27)).astype(np.float32)
            ours, numpys = pooled_by(kernels, convolutions, x, pooling), convolutions.pooled(x, pooling)
            if different := np.count_nonzero(ours != numpys):
                return f"{different} of {ours.size} features of {n} series are not NumPy's"
    return None


_SIZES = [ctypes.c_int, *[_NUMBER] * 5]
ROCKET_KERNELS = Library(
    "rocket",
    {
        "rocket_room": [*_SIZES, _ARRAY],
        "rocket_pool": [*_SIZES, *[_ARRAY] * 2, ctypes.c_int, *[_ARRAY] * 5, *[_NUMBER] * 2],
    },
    _check,
)
CHOICE = Choice(ROCKET_KERNELS)
