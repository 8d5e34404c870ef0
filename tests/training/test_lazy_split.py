"""A split that is read batch by batch gives the batches of one that lies in memory."""

import numpy as np
import pytest
import torch

from tsmtl.data.npy_rows import NpyFile, NpyRows
from tsmtl.data.preparation import InputPreparation
from tsmtl.training.batches import TensorSplit
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.order import TOGETHER

CPU = torch.device("cpu")
X = np.random.default_rng(0).normal(size=(50, 2, 6)).astype(np.float32)
ROWS = np.flatnonzero(np.arange(50) % 5)
TARGETS = {"cls": torch.arange(40), "reg": torch.arange(80.0).view(40, 2)}


@pytest.fixture
def rows_on_disk(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return NpyRows([NpyFile(tmp_path / "X.npy")])


@pytest.mark.parametrize("lengths", [None, np.arange(40) % 5 + 2])
@pytest.mark.parametrize("method", ["standard", "per_instance"])
def test_its_batches_are_those_of_the_tensors_to_the_last_bit(rows_on_disk, lengths, method):
    of_all = None if lengths is None else np.arange(50) % 5 + 2
    preparation = InputPreparation.fit(X, of_all, ROWS, method, "interpolate")
    prepared = torch.from_numpy(preparation.apply(X[ROWS], lengths))
    whole = TensorSplit(prepared, TARGETS, None if lengths is None else torch.from_numpy(lengths))
    lazy = LazySplit(rows_on_disk, ROWS, lengths, preparation, TARGETS, CPU, 4096)
    assert len(lazy) == len(whole) == 40
    for wanted in (torch.tensor([7, 3, 39]), torch.arange(40), torch.tensor([0, 0])):
        ours, theirs = lazy.batch(wanted), whole.batch(wanted)
        assert torch.equal(ours[0], theirs[0])
        assert (ours[1] is None) == (lengths is None)
        assert lengths is None or torch.equal(ours[1], theirs[1])
        assert all(torch.equal(ours[2][task], theirs[2][task]) for task in TARGETS)


def test_a_block_is_asked_for_once_and_again_when_it_comes_again_later(rows_on_disk, monkeypatch):
    asked = []
    monkeypatch.setattr(NpyRows, "read_ahead", lambda self, start, stop: asked.append((start, stop)))
    rows = np.arange(50)
    preparation = InputPreparation.fit(X, None, rows, "none", "mean")
    split = LazySplit(rows_on_disk, rows, None, preparation, {}, CPU, 2)
    split.batch(torch.tensor([0, 5, 4]))
    assert asked == [(0, 2), (4, 6)]
    split.batch(torch.tensor([1, 4]))
    assert asked == [(0, 2), (4, 6)]
    for block in range(5, 5 + 2 * TOGETHER):
        split.batch(torch.tensor([2 * block]))
    del asked[:]
    split.batch(torch.tensor([0]))
    assert asked == [(0, 2)]
