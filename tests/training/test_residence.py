"""Data that does not fit on a GPU stays in memory; a CPU asks nothing."""

import logging
from functools import partial

import numpy as np
import pytest
import torch

from tests.test_train import SMALL, TINY_MODEL, rows_of
from tsmtl.training import residence
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.residence import fits, free_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 2**30


def test_a_cpu_holds_what_is_in_its_memory_anyway():
    assert free_memory(CPU) is None
    assert fits(10**18, CPU)


@pytest.mark.parametrize(
    ("share", "ours", "kept", "free", "expected"),
    [
        (1.0, 0, 0, 60, 60),
        (1.0, 10, 15, 60, 65),  # what PyTorch keeps and nobody has is free too
        (0.25, 5, 5, 60, 15),  # a quarter of 80 GiB, less what is taken
        (0.25, 25, 25, 60, 0),
    ],
)
def test_the_memory_that_is_left_is_that_of_the_gpu_and_of_this_process(monkeypatch, share, ours, kept, free, expected):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free * GIB, 80 * GIB))
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: ours * GIB)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: kept * GIB)
    monkeypatch.setattr("torch.cuda.get_per_process_memory_fraction", partial(_share, share))
    assert free_memory(GPU) == expected * GIB


def _share(share: float, device: torch.device | int | None) -> float:
    """Stand in for PyTorch's, which refuses a device without a number."""
    torch.cuda._utils._get_device_index(0 if device is None else device)
    return share


def test_half_of_the_free_memory_is_for_data_and_more_is_said(monkeypatch, caplog):
    monkeypatch.setattr(residence, "free_memory", lambda device: 8 * GIB)
    with caplog.at_level(logging.INFO):
        assert fits(4 * GIB, GPU)
        assert not caplog.records
        assert not fits(4 * GIB + 1, GPU)
    assert [record.getMessage() for record in caplog.records] == [
        "data: 4.00 GiB of input are more than 50 % of the 8.00 GiB that are free on cuda; the input stays in memory, "
        "and batches are copied ahead of the steps"
    ]


@pytest.mark.parametrize("source", ["series", "unequal lengths", "windows"])
def test_a_run_whose_data_stays_in_memory_ends_with_the_numbers_of_one_whose_data_fits(
    tsmtl_train, tmp_path, monkeypatch, source
):
    rng = np.random.default_rng(0)
    x, n = rng.normal(size=(60, 2, 12)).astype(np.float32), 60
    arrays = {"X": x, "y_cls": np.arange(n) % 3, "y_reg": x[:, 0].mean(axis=1), "lengths": rng.integers(6, 13, n)}
    np.savez(tmp_path / "data.npz", **arrays)
    names = ["machine", "time", "a", "b", "state", "wear"]
    rows = [[i // 60, i % 60, *rng.normal(size=2), i // 7 % 3, rng.normal()] for i in range(600)]
    (tmp_path / "plant.csv").write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n")
    data = {
        "series": ["data=npz", "data.path=data.npz"],
        "unequal lengths": ["data=npz", "data.path=data.npz", "data.lengths_key=lengths"],
        "windows": [
            *("data=table", "data.path=plant.csv", "data.window=8", "data.entity=machine", "data.time=time"),
            *("data.class_target=state", "data.regression_target=wear"),
        ],
    }[source]
    words = ["model=gru", *TINY_MODEL["gru"], *data, SMALL[0], "num_epochs=2", "batch_size=8"]
    made: list[LazySplit] = []
    init = LazySplit.__init__

    def noted(self, *given, **named):
        init(self, *given, **named)
        self.reads_ahead = True  # as on a GPU
        made.append(self)

    monkeypatch.setattr(LazySplit, "__init__", noted)
    assert tsmtl_train(*words, "hydra.run.dir=fits").code == 0
    assert made == []
    monkeypatch.setattr("tsmtl.splits.fits", lambda size, device: False)
    assert tsmtl_train(*words, "hydra.run.dir=stays").code == 0
    assert len(made) == 3
    assert all(split.preparation is None for split in made)
    ours, theirs = (
        [dict(row, seconds="") for row in rows_of(tmp_path / run / "metrics.csv")] for run in ("stays", "fits")
    )
    if source == "windows":  # gathered with the channels of a step side by side: sums of another order
        for a, b in zip(ours, theirs, strict=True):
            losses = {key: float(value) for key, value in b.items() if key.endswith("loss")}
            assert {key: float(a[key]) for key in losses} == pytest.approx(losses, rel=1e-5)
        return
    assert ours == theirs
    assert (tmp_path / "stays/predictions_test.csv").read_bytes() == (
        tmp_path / "fits/predictions_test.csv"
    ).read_bytes()
