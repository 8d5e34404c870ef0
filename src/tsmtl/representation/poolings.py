"""What is read off the outputs of a kernel: how often, how long and how far they are above a bias, and where."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsmtl.data.instances import FloatArray

MOST_ADDED = 255  # in a byte
MOST_BYTES = 2**19  # at a time: they stay in the cache of a core
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pooling:
    """What is read off outputs.

    Attributes:
        names: Of its P features.
        of: Takes outputs (K, R, n) of kernels, each of one piece, and their biases (K, Q), gives features (P, K, Q, n).
    """

    names: tuple[str, ...]
    of: Callable[[FloatArray, FloatArray], FloatArray]

    def __len__(self) -> int:
        return len(self.names)


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


def four_pools(outputs: FloatArray, biases: FloatArray) -> FloatArray:
    """Give the poolings (4, K, Q, n) of outputs (K, R, n) above biases (K, Q), in the order of :data:`FOUR`."""
    _, rows, n = outputs.shape
    found = np.empty((4, *biases.shape, n), dtype=np.float32)
    above = above_biases(outputs, biases)
    count = sum_of_bytes(above)  # (K, Q, n)
    some = np.maximum(count, 1)
    np.divide(count, np.float32(rows), out=found[0])
    found[1] = longest_stretch(outputs, biases)
    over = np.empty((biases.shape[1], above.shape[2] * above.shape[3], n), dtype=np.float32)
    over[:, rows:] = 0
    for output, own, total in zip(outputs, biases, found[2], strict=True):
        np.maximum(np.subtract(output, own[:, None, None], out=over[:, :rows]), 0, out=over[:, :rows])
        total[:] = _sum_in_order(_sum_in_order(over.reshape(len(own), *above.shape[2:])))
    found[2] = np.where(count, found[2] / some + 2 * biases[:, :, None], 0)  # of output plus bias
    found[3] = np.where(count, sum_of_places(above) / some, -1)
    return found


def _sum_in_order(values: FloatArray) -> FloatArray:
    """Add up (Q, L, ..., n) along L, one after another: of one series alone NumPy would add neighbours first."""
    alone = values.shape[-1] == 1
    total: FloatArray = np.add.accumulate(values, axis=1)[:, -1] if alone else np.add.reduce(values, axis=1)
    return total


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


SHARE = Pooling(("ppv",), share_above)
FOUR = Pooling(("ppv", "lspv", "mpv", "mipv"), four_pools)
