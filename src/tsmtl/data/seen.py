"""The instances that a model was trained and chosen on, told again by their values in any other split or file."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsmtl.data.instances import BLOCK_VALUES, Bundle, FloatArray, IntArray, Rows, blocks
from tsmtl.data.windows import Windows

KEPT = 2**14  # codes of a split that a checkpoint holds, 128 KiB; of more instances those with the smallest codes
MOST = 8 * KEPT  # instances that are hashed as a whole, where many look alike at first sight
FEATURES = 16  # of vectors that are looked at first
LOW = np.uint64(48)  # bits of a code that come from all values; those above from the values looked at first
Codes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class SeenInstances:
    """What is known of the instances of a training.

    Codes are hashes of an instance's values, not of what pads a shorter series. Of many those with the smallest codes
    stand for all, so that any two sets of codes keep the same ones of what they share (the bottom-k sketch of Broder
    1997, On the resemblance and containment of documents).

    Attributes:
        train: (k,) codes of the train split, ascending.
        val: (k,) codes of the val split.
    """

    train: Codes
    val: Codes

    @classmethod
    def of(cls, bundle: Bundle) -> "SeenInstances":
        """Take down the train and val split of a data set that is not scaled yet."""
        x, lengths = bundle.instances.x, bundle.instances.lengths
        return cls(*(_kept(x, lengths, bundle.splits[name]) for name in ("train", "val")))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "SeenInstances":
        """Make what :meth:`state` described."""
        return cls(state["train"].numpy().view(np.uint64), state["val"].numpy().view(np.uint64))

    def state(self) -> dict[str, Tensor]:
        """Give tensors that :meth:`from_state` takes."""
        return {name: torch.from_numpy(getattr(self, name).view(np.int64)) for name in ("train", "val")}

    def __or__(self, other: "SeenInstances") -> "SeenInstances":
        """Give what two trainings, one after the other, have seen."""
        both = (np.union1d(getattr(self, name), getattr(other, name)) for name in ("train", "val"))
        return SeenInstances(*(codes[:KEPT] for codes in both))

    def overlap(self, bundle: Bundle) -> tuple[int, int]:
        """Count the test instances that were trained or chosen on, and the val instances that were trained on."""
        x, lengths = bundle.instances.x, bundle.instances.lengths
        test, val = bundle.splits["test"], bundle.splits["val"]
        of_test = self.trained_on(x, test, lengths) | self.chosen_by(x, test, lengths)
        return int(of_test.sum()), int(self.trained_on(x, val, lengths).sum())

    def trained_on(self, x: Rows, rows: IntArray, lengths: IntArray | None = None) -> npt.NDArray[np.bool_]:
        """Say of some instances, (n,), which were trained on, as far as the codes that are kept tell."""
        return _among(x, lengths, rows, self.train)

    def chosen_by(self, x: Rows, rows: IntArray, lengths: IntArray | None = None) -> npt.NDArray[np.bool_]:
        """Say of some instances, (n,), by which the epoch was chosen, as far as the codes that are kept tell."""
        return _among(x, lengths, rows, self.val)


def _kept(x: Rows, lengths: IntArray | None, rows: IntArray) -> Codes:
    """Give the codes of some instances that stand for all of them."""
    sight = _first_sight(x, lengths, rows)
    reach = np.partition(sight, KEPT - 1)[KEPT - 1] if len(rows) > KEPT else sight.max()
    near = np.flatnonzero(sight <= reach)[:MOST]
    return np.unique(_codes(x, lengths, rows[near], sight[near]))[:KEPT]


def _among(x: Rows, lengths: IntArray | None, rows: IntArray, kept: Codes) -> npt.NDArray[np.bool_]:
    """Say of some instances, (n,), whose codes are among some that were kept."""
    sight = _first_sight(x, lengths, rows)
    near = np.flatnonzero(sight <= (kept[-1] >> LOW))[:MOST]
    found = np.zeros(len(rows), dtype=bool)
    found[near] = np.isin(_codes(x, lengths, rows[near], sight[near]), kept)
    return found


def _codes(x: Rows, lengths: IntArray | None, rows: IntArray, sight: Codes) -> Codes:
    """Give the codes (n,) of instances that were looked at."""
    codes = sight << LOW
    for block in blocks(len(rows), x):
        for at, whole in enumerate(_plain(x[rows[block]]), block.start):
            one = whole if lengths is None else whole[:, : lengths[rows[at]]]
            codes[at] |= np.uint64(int.from_bytes(blake2b(one.tobytes(), digest_size=6).digest(), "big"))
    return codes


def _first_sight(x: Rows, lengths: IntArray | None, rows: IntArray) -> Codes:
    """Give 16 bits (n,) of a few values of each instance: three time steps, or the first features."""
    sight = np.empty(len(rows), dtype=np.uint64)
    in_memory = isinstance(x, np.ndarray | Windows)
    size = BLOCK_VALUES // (16 * x.shape[1]) + 1 if in_memory else next(blocks(len(rows), x)).stop
    for at in range(0, len(rows), size):
        bits = _plain(_few_values(x, lengths, rows[at : at + size])).view(np.uint32).astype(np.uint64)  # (n, values)
        salt = np.arange(1, bits.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (bits + salt) * (salt | np.uint64(1))  # modulo 2^64
        mixed ^= mixed >> np.uint64(29)
        total = mixed.sum(axis=1, dtype=np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
        sight[at : at + size] = total >> LOW
    return sight


def _few_values(x: Rows, lengths: IntArray | None, rows: IntArray) -> FloatArray:
    if x.ndim == 2:
        return x[rows][:, :FEATURES]
    if lengths is not None:
        length = lengths[rows]
        of_each = np.stack([np.zeros_like(length), length // 2, length - 1], axis=1)  # (n, 3)
        held, at = (x, rows) if isinstance(x, np.ndarray) else (x[rows], np.arange(len(rows)))
        return held[at[:, None], :, of_each].reshape(len(rows), -1)  # as below, step by step
    steps = [0, x.shape[2] // 2, x.shape[2] - 1]
    if isinstance(x, Windows):
        first, floor = x.first_rows(rows)
        return np.concatenate([x.values[np.maximum(first + step, floor)] for step in steps], axis=1)
    if isinstance(x, np.ndarray):
        return np.concatenate([x[rows, :, step] for step in steps], axis=1)
    read = x[rows]
    return np.concatenate([read[:, :, step] for step in steps], axis=1)


def _plain(values: FloatArray) -> FloatArray:
    """Give values with one kind of NaN and one kind of zero."""
    return np.ascontiguousarray(np.where(np.isnan(values), np.float32(np.nan), values + np.float32(0)))
