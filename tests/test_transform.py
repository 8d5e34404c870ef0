"""A fitted transform gives its vectors whatever the process that it works in has done before."""

import threading

import numpy as np
import pytest
import torch

from tests.representation.conftest import small, train_of
from tsmtl.representation.method import BLOCK_VALUES, of_equal_length
from tsmtl.representation.registry import METHODS, TRAINED
from tsmtl.transform import Transform


@pytest.fixture
def series() -> tuple[np.ndarray, np.ndarray]:
    """(700, 2, 40) noise, and lengths: 400 have all steps, three 6 to 38 each."""
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(700) < 400, 40, 6 + np.arange(700) % 33)
    x = rng.normal(size=(700, 2, 40)).astype(np.float32)
    return np.where(np.arange(40) < lengths[:, None, None], x, 0), lengths


@pytest.fixture
def transform(series, tmp_path):
    """Give a function that fits a small method on 30 series."""

    def fit(method: str) -> Transform:
        x, lengths = (array[380:410] for array in series)
        representation = small(method, tmp_path)
        train = train_of(x, lengths, representation.takes_gaps)
        representation.fit(train, 0)
        described = {"channels": train.channels, "seq_len": 40, "nan_padding": False, "features": None}
        described["preparation"] = train.preparation.state()
        return Transform(representation, {"representation": {"name": method}, "settings": {}, "input": described})

    return fit


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_number_of_threads_does_not_move_a_bit(series, transform, method):
    x, lengths = series if method in TRAINED else (array[390:410] for array in series)
    fitted, found = transform(method), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            found.append(fitted.transform(x, lengths))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for vectors in found[1:]:
        np.testing.assert_array_equal(vectors, found[0])


@pytest.mark.parametrize("method", sorted(TRAINED))
def test_threads_share_the_series_and_each_works_alone(series, transform, monkeypatch, method):
    fitted, seen, sizes = transform(method), set(), []
    inside, both = fitted.representation.transform, threading.Barrier(2, timeout=60)

    def watched(x):
        sizes.append(len(x) * x.shape[2])
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            both.wait()  # for another thread that is at it
        assert torch.get_num_threads() == 1
        return inside(x)

    monkeypatch.setattr(fitted.representation, "transform", watched)
    monkeypatch.setattr("tsmtl.training.threads.core_count", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fitted.transform(*series)
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 2
    assert sum(sizes) == series[1].sum()
    assert max(sizes) <= fitted.representation.steps_of_a_thread < 400 * 40


def test_parts_have_all_rows_once_with_the_steps_of_their_length(series):
    x, lengths = series
    for valid in (None, lengths):
        for steps in (None, 1, 200):
            parts = list(of_equal_length(x, valid, steps))
            assert sorted(np.concatenate([part.rows for part in parts]).tolist()) == list(range(700))
            for part in parts:
                own = part.of(x)
                assert own.shape == (len(part.rows), 2, 40 if valid is None else part.length)
                np.testing.assert_array_equal(own, x[part.rows][:, :, : part.length])
                assert len(part.rows) == 1 or own[:, 0].size <= (BLOCK_VALUES if steps is None else steps)
                assert valid is None or set(valid[part.rows].tolist()) == {part.length}
