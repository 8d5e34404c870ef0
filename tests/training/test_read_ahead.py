"""Batches that a thread reads ahead: the same ones, and no thread left behind however the block ends."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tsmtl.data.npy_rows import NpyFile, NpyRows
from tsmtl.data.preparation import InputPreparation
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.read_ahead import Arrival, ReadAhead

CPU = torch.device("cpu")
X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
ROWS = np.flatnonzero(np.arange(50) % 5)
TARGETS = {"cls": torch.arange(40) % 3, "reg": torch.arange(40.0)[:, None]}
BATCHES = list(torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(7))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tsmtl read ahead"]


def lazy(tmp_path, ahead: bool, lengths: np.ndarray | None = None) -> LazySplit:
    x = X if lengths is None else np.repeat(X[:, :, None], 6, axis=2)
    np.save(tmp_path / "X.npy", x)
    of_all = None if lengths is None else np.resize(lengths, 50)
    preparation = InputPreparation.fit(x, of_all, ROWS, "standard", "mean")
    return LazySplit(NpyRows([NpyFile(tmp_path / "X.npy")]), ROWS, lengths, preparation, TARGETS, CPU, 8, ahead)


@pytest.mark.parametrize("lengths", [None, np.arange(40) % 5 + 2])
def test_batches_read_ahead_are_those_read_when_asked_for(tmp_path, lengths):
    ahead, plain = (lazy(tmp_path, which, lengths) for which in (True, False))
    with ahead.ahead(BATCHES):
        for rows in BATCHES:
            (x, n, targets), (x_, n_, targets_) = ahead.batch(rows), plain.batch(rows)
            assert torch.equal(x, x_)
            assert (n is None) == (lengths is None)
            assert n is None or torch.equal(n, n_)
            assert all(torch.equal(targets[task], targets_[task]) for task in TARGETS)
    again, one = ahead.batch(BATCHES[2]), plain.batch(BATCHES[2])  # behind the block: as they are asked for
    assert torch.equal(again[0], one[0])


def test_one_batch_is_made_while_another_is_used_and_no_more(tmp_path):
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with ReadAhead(numbers()) as coming:
        for number in range(4):
            assert coming.next() == number
            until = time.monotonic() + 5
            while len(made) < number + 2 and time.monotonic() < until:
                time.sleep(0.001)
            assert number + 2 <= len(made) <= number + 3, "one that waits, and one that is being made"
    assert len(made) < 10


def test_nothing_is_read_ahead_on_a_cpu_and_of_no_batches(tmp_path):
    plain = lazy(tmp_path, False)
    for split, batches in ((plain, BATCHES), (lazy(tmp_path, True), [])):
        with split.ahead(batches):
            assert not readers()
    x = LazySplit(X, ROWS, None, None, TARGETS, CPU, None)
    assert not x.reads_ahead


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for(tmp_path, monkeypatch):
    split, calls = lazy(tmp_path, True), iter(range(10))
    read = NpyRows.__getitem__

    def breaks(self, rows):
        if next(calls) == 2:
            raise OSError("the disk is gone")
        return read(self, rows)

    monkeypatch.setattr(NpyRows, "__getitem__", breaks)
    with pytest.raises(OSError, match="the disk is gone"), split.ahead(BATCHES):  # noqa: PT012  # the third one raises
        split.batch(BATCHES[0])
        split.batch(BATCHES[1])
        split.batch(BATCHES[2])
    assert split._coming is None


@pytest.mark.parametrize("taken", [0, 1, 3])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_block_that_is_left_early_leaves_no_thread(tmp_path, monkeypatch, taken, error):
    split, read = lazy(tmp_path, True), NpyRows.__getitem__
    monkeypatch.setattr(NpyRows, "__getitem__", lambda self, rows: time.sleep(0.05) or read(self, rows))
    with pytest.raises(error), split.ahead(BATCHES):  # noqa: PT012  # as a signal between two steps does
        for rows in BATCHES[:taken]:
            split.batch(rows)
        raise error
    assert not readers()
    assert torch.equal(split.batch(BATCHES[0])[0], lazy(tmp_path, False).batch(BATCHES[0])[0])


def test_asking_for_more_than_was_said_is_an_error_and_no_wait():
    with ReadAhead(iter([1])) as coming:
        assert coming.next() == 1
        with pytest.raises(IndexError):
            coming.next()


def test_a_batch_without_copies_is_there(tmp_path):
    x = torch.zeros(3, 2)
    arrival = Arrival.on_its_way(x, None, None)
    assert arrival.x() is x
    assert arrival.count == 3


def test_evaluation_reads_ahead_too(tmp_path, make_model, monkeypatch):
    model, started = make_model(), []
    run = ReadAhead.__enter__
    monkeypatch.setattr(ReadAhead, "__enter__", lambda self: started.append(self) or run(self))
    ours, theirs = (outputs_of(model, lazy(tmp_path, which), batch_size=7) for which in (True, False))
    assert len(started) == 1
    assert all(torch.equal(ours[task], theirs[task]) for task in theirs)


def test_an_evaluation_that_fails_leaves_no_thread(tmp_path, make_model, monkeypatch):
    model, seen = make_model().eval(), []

    def breaks(x):
        seen.append(len(x))
        if len(seen) == 2:
            raise ValueError("two are enough")
        return model(x)

    failing = torch.nn.Module()
    monkeypatch.setattr(failing, "forward", breaks)
    with pytest.raises(ValueError, match="two are enough"):
        outputs_of(failing, lazy(tmp_path, True), batch_size=7)
    assert not readers()
