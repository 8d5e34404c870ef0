"""Instances are told again by their values."""

import numpy as np
import pytest

from tsmtl.data import seen
from tsmtl.data.instances import Bundle, Instances
from tsmtl.data.npy_rows import NpyFile, NpyRows
from tsmtl.data.seen import SeenInstances
from tsmtl.data.windows import Windows


def series(n: int, seed: int = 0, steps: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2, steps)).astype(np.float32)


def bundle_of(x, train, val, test=(), lengths=None) -> Bundle:
    rows = {"train": np.asarray(train), "val": np.asarray(val), "test": np.asarray(test, dtype=np.int64)}
    return Bundle(Instances(x, {}, "file", ["a", "b"], lengths), rows)


def windows(values: np.ndarray) -> Windows:
    """All windows of four rows, one row apart, of one recording."""
    zero, count = np.array([0]), np.array([len(values) - 3])
    return Windows(values, zero, count, zero, window=4, stride=1)


@pytest.mark.parametrize("x", [series(40), series(40)[:, :, 0], windows(series(43)[:, :, 0])], ids=str)
def test_exactly_the_instances_of_each_split_are_told_again(x):
    known = SeenInstances.of(bundle_of(x, range(10, 20), range(30, 34)))
    everything = np.arange(40)
    assert np.flatnonzero(known.trained_on(x, everything)).tolist() == list(range(10, 20))
    assert np.flatnonzero(known.chosen_by(x, everything)).tolist() == list(range(30, 34))


def test_the_same_instances_have_the_same_codes_wherever_they_lie(tmp_path):
    values = series(43)[:, :, 0]
    held = windows(values)
    x = held[np.arange(40)]
    np.save(tmp_path / "x.npy", x)
    found = [
        SeenInstances.of(bundle_of(one, range(10), [12])) for one in (x, held, NpyRows([NpyFile(tmp_path / "x.npy")]))
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.train, found[0].train)


def test_they_are_told_in_another_order_with_another_missing_value_and_after_a_round_trip():
    x = series(40)
    x[3, 0, 2], x[4, 1, 0] = np.nan, 0.0
    known = SeenInstances.from_state(SeenInstances.of(bundle_of(x, range(10), [12])).state())
    other = np.concatenate([series(7, seed=1), x[::-1]])
    other[np.isnan(other)] = np.array([0xFFC00001], dtype=np.uint32).view(np.float32)[0]
    other[other == 0] = -0.0
    found = known.trained_on(other, np.arange(47))
    assert np.flatnonzero(found).tolist() == [47 - 1 - i for i in reversed(range(10))]


@pytest.mark.parametrize("in_files", [False, True])
def test_padding_is_no_part_of_an_instance(tmp_path, in_files):
    x, lengths = series(40), np.arange(40) % 4 + 2
    known = SeenInstances.of(bundle_of(x, range(10), [12], lengths=lengths))
    wider = np.concatenate([x, np.full((40, 2, 3), 7, dtype=np.float32)], axis=2)[::-1]
    wider[np.broadcast_to(np.arange(8) >= lengths[::-1, None, None], wider.shape)] = np.nan
    np.save(tmp_path / "wider.npy", wider)
    given = NpyRows([NpyFile(tmp_path / "wider.npy")]) if in_files else wider
    found = known.trained_on(given, np.arange(40), lengths[::-1])
    assert np.flatnonzero(found).tolist() == list(range(30, 40))
    threes = np.flatnonzero(lengths == 3)  # alone they are of equal length, and need no padding
    assert known.trained_on(x[threes][:, :, :3], np.arange(10)).tolist() == (threes < 10).tolist()


def test_one_value_makes_another_instance():
    x = series(30)
    known, near = SeenInstances.of(bundle_of(x, range(30), [0])), x.copy()
    near[np.arange(30), np.arange(30) % 2, np.arange(30) % 5] += np.float32(1e-3)
    assert not known.trained_on(near, np.arange(30)).any()


@pytest.mark.parametrize("x", [series(3000, steps=9), series(3000)[:, :, 0]], ids=["series", "vectors"])
def test_of_many_instances_those_kept_are_the_same_in_any_two_sets(monkeypatch, x):
    monkeypatch.setattr(seen, "KEPT", 256)
    known = SeenInstances.of(bundle_of(x, range(2000), range(2000, 2010)))
    assert len(known.train) == 256
    found = known.trained_on(x, np.arange(1000, 3000))
    # 256 of the 2000 are kept, so that about 128 of the 1000 asked for are told, and none of the others.
    assert 90 < found[:1000].sum() < 170
    assert not found[1000:].any()
    whole = known | SeenInstances.of(bundle_of(x, range(1500, 3000), [0]))
    np.testing.assert_array_equal(whole.train, SeenInstances.of(bundle_of(x, range(3000), [0])).train)


def test_instances_that_look_alike_at_first_sight_are_told_apart(monkeypatch):
    monkeypatch.setattr(seen, "KEPT", 64)
    x = series(400, steps=9)
    x[:, :, [0, 4, 8]] = 0
    known = SeenInstances.of(bundle_of(x, range(200), [399]))
    found = known.trained_on(x, np.arange(400))
    assert found[:200].sum() == 64
    assert not found[200:].any()
