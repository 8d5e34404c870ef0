"""The features of MiniRocket's kernels by native code: NumPy's to the last bit, and taken where that costs less."""

import functools
import logging

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import needs_compiler
from tsmtl.config.processor import processor_flags
from tsmtl.native import Library
from tsmtl.native.build import AVX2, AVX512
from tsmtl.representation import convolutions as by_numpy
from tsmtl.representation import rocket_native
from tsmtl.representation.convolutions import N_KERNELS, Convolutions
from tsmtl.representation.poolings import FOUR, SHARE
from tsmtl.representation.rocket_native import ROCKET_KERNELS, WORTH_COMPILING, Choice, pooled, pooled_by

FLAGS_HERE = processor_flags() or set()
SETS = {"first": (), "avx2": AVX2, "avx512": (*AVX2, *AVX512)}


def fresh() -> Library:
    """The kernels as another process would ask for them."""
    return Library("rocket", ROCKET_KERNELS._functions, ROCKET_KERNELS._check)


@functools.cache
def kernels_for(instructions: str):
    """Load the kernels compiled for an instruction set, or skip where the processor lacks it."""
    if not FLAGS_HERE.issuperset(SETS[instructions]):
        pytest.skip(f"the processor has no {instructions}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsmtl.native.build.processor_flags", lambda: set(SETS[instructions]))
        return fresh().loaded


def assert_same_bits(kernels, fitted: Convolutions, x: np.ndarray) -> None:
    for pooling in (SHARE, FOUR):
        ours, numpys = pooled_by(kernels, fitted, x, pooling), fitted.pooled(x, pooling)
        assert ours.shape == numpys.shape == (len(x), len(pooling) * fitted.n_features)
        np.testing.assert_array_equal(ours.view(np.uint32), numpys.view(np.uint32), strict=True)


def drawn(rng: np.random.Generator, channels: int, dilations: list[int], counts: list[int], numbers) -> Convolutions:
    n = N_KERNELS * len(dilations)
    chosen = by_numpy._draw_channels(channels, n, rng)
    return Convolutions(
        np.array(dilations, np.int32), np.array(counts, np.int32), chosen, numbers(N_KERNELS * sum(counts))
    )


def normal(rng: np.random.Generator):
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


def whole(rng: np.random.Generator):
    """Outputs that are a bias often: above it and not below it are two things."""
    return lambda *shape: rng.integers(-3, 4, shape).astype(np.float32)


def of_all_sizes(rng: np.random.Generator):
    """From numbers below the normal ones to large ones, so that every sum rounds."""
    return lambda *shape: (rng.normal(size=shape) * 10.0 ** rng.uniform(-42, 25, shape)).astype(np.float32)


@needs_compiler
@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 35),
    channels=st.integers(1, 4),
    steps=st.integers(1, 60),
    dilations=st.lists(st.integers(1, 14), min_size=1, max_size=2, unique=True),
    each=st.integers(1, 19),
    numbers=st.sampled_from([normal, whole, of_all_sizes]),
    seed=st.integers(0, 2**32 - 1),
)
@example(n=1, channels=1, steps=1, dilations=[1], each=1, numbers=normal, seed=0)
@example(n=16, channels=2, steps=9, dilations=[2, 1], each=17, numbers=whole, seed=0)
def test_features_are_numpys_to_the_last_bit(n, channels, steps, dilations, each, numbers, seed):
    rng = np.random.default_rng(seed)
    values = numbers(rng)
    fitted = drawn(rng, channels, dilations, [each, 1][: len(dilations)], values)
    assert_same_bits(ROCKET_KERNELS.loaded, fitted, values(n, channels, steps))


@needs_compiler
@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize(
    ("n", "channels", "steps"),
    [
        (1, 1, 255),  # steps that a byte counts,
        (1, 1, 256),  # and more
        (5, 3, 257),  # fewer series than lie side by side
        (16, 1, 200),
        (37, 6, 100),
        (3, 1, 700),  # outputs that leave the first cache
        (18, 2, 1500),
        (1, 1, 9),
    ],
)
def test_on_every_instruction_set(instructions, n, channels, steps):
    rng = np.random.default_rng(steps)
    values = normal(rng)
    longest = (steps - 1) // 8
    fitted = drawn(
        rng, channels, sorted({1, 1 + longest // 3, longest}), [9, 4, 1][: len({1, 1 + longest // 3, longest})], values
    )
    assert_same_bits(kernels_for(instructions), fitted, values(n, channels, steps))


@needs_compiler
@pytest.mark.parametrize("instructions", SETS)
def test_places_in_a_long_series_are_added_without_loss(instructions, monkeypatch):
    monkeypatch.setattr(by_numpy, "BLOCK", 2**30)  # all kernels at once: NumPy goes through the steps once
    rng = np.random.default_rng(0)
    steps = 100_000  # the sum of whose places 32 bits do not hold
    fitted = drawn(rng, 1, [1000], [1], lambda n: np.full(n, -8.0, np.float32))
    x = normal(rng)(2, 1, steps)
    assert_same_bits(kernels_for(instructions), fitted, x)
    mean_places = pooled_by(kernels_for(instructions), fitted, x, FOUR)[:, 3 * N_KERNELS :]
    assert np.abs(mean_places - steps / 2).max() < steps / 10


@needs_compiler
@pytest.mark.parametrize("name", ["minirocket", "multirocket"])
@pytest.mark.parametrize("steps", [40, 33, 12, 5, 2])
def test_shorter_series_than_those_of_the_fit(fitted, series, name, steps):
    method = fitted(name, series, num_features=3000, max_dilations=32)
    parts = [method.convolutions] if name == "minirocket" else method._fitted.values()
    for part in parts:
        assert_same_bits(ROCKET_KERNELS.loaded, part, series[:, :, :steps])
        assert_same_bits(ROCKET_KERNELS.loaded, part, series[:, :, ::-1][:, :, :steps])  # not side by side in memory


@needs_compiler
@pytest.mark.parametrize("name", ["basic_motions", "arrow_head"])
def test_on_public_series(fitted, name):
    import aeon.datasets

    load = getattr(aeon.datasets, f"load_{name}")
    train, test = (np.asarray(load(split=split)[0], np.float32) for split in ("train", "test"))
    method = fitted("multirocket", train, num_features=2000, max_dilations=32)
    for part, x in zip(method._fitted.values(), (test, np.diff(test)), strict=True):
        assert_same_bits(ROCKET_KERNELS.loaded, part, x)


@needs_compiler
def test_a_series_has_its_features_whatever_stands_beside_it_and_whichever_threads_there_are(monkeypatch):
    rng = np.random.default_rng(0)
    fitted, x = drawn(rng, 2, [1, 3, 7], [5, 3, 2], normal(rng)), normal(rng)(21, 2, 90)
    threads = torch.get_num_threads()
    for pooling in (SHARE, FOUR):
        whole_block = pooled_by(ROCKET_KERNELS.loaded, fitted, x, pooling)
        for some in (slice(0, 1), slice(3, 5), slice(4, 21)):
            for way in (fitted.pooled, functools.partial(pooled_by, ROCKET_KERNELS.loaded, fitted)):
                np.testing.assert_array_equal(way(x[some], pooling), whole_block[some])
        with monkeypatch.context() as patch:
            patch.setattr(rocket_native, "SERIES", 90 * 16)  # two blocks
            torch.set_num_threads(3)
            try:
                np.testing.assert_array_equal(pooled_by(ROCKET_KERNELS.loaded, fitted, x, pooling), whole_block)
            finally:
                torch.set_num_threads(threads)


@needs_compiler
def test_kernels_that_give_other_numbers_are_refused():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rocket_native, "pooled_by", lambda *given: np.zeros((1, 1), np.float32))
        assert "are not NumPy's" in ROCKET_KERNELS._check(ROCKET_KERNELS.loaded)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path / "cache" / "tsmtl"


@needs_compiler
def test_they_are_compiled_once_the_work_of_a_process_is_worth_it_and_then_taken_for_any(cache):
    choice = Choice(fresh())
    assert choice.kernels_for(WORTH_COMPILING // 2) is None
    assert not cache.exists()
    assert choice.kernels_for(WORTH_COMPILING // 2) is not None
    assert [path.suffix for path in cache.iterdir()] == [".so"]
    assert choice.kernels_for(1) is not None
    assert Choice(fresh()).kernels_for(1) is not None, "another process finds them"


@pytest.mark.usefixtures("cache")
def test_without_a_compiler_numpy_does_all_quietly(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    choice = Choice(fresh())
    with caplog.at_level(logging.DEBUG, logger="tsmtl.representation.rocket_native"):
        assert choice.kernels_for(1) is None
        assert choice.kernels_for(10 * WORTH_COMPILING) is None
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]
    assert "there is no C++ compiler" in caplog.text


@needs_compiler
def test_where_the_cache_cannot_be_made_numpy_does_all_quietly(cache, caplog):
    cache.parent.write_text("no folder")
    choice = Choice(fresh())
    with caplog.at_level(logging.INFO):
        assert choice.kernels_for(1) is None
        assert choice.kernels_for(10 * WORTH_COMPILING) is None
    assert not caplog.records


@needs_compiler
@pytest.mark.parametrize("name", ["minirocket", "multirocket"])
def test_a_transform_takes_the_way_that_is_chosen(fitted, series, monkeypatch, name):
    method, ways = fitted(name, series), []
    monkeypatch.setattr(Convolutions, "pooled", lambda self, x, pooling: ways.append("numpy") or np.zeros((len(x), 1)))
    monkeypatch.setattr(
        rocket_native, "pooled_by", lambda kernels, own, x, pooling: ways.append("native") or np.zeros((len(x), 1))
    )
    _ = ROCKET_KERNELS.loaded
    method.transform(series)
    monkeypatch.setattr(rocket_native.CHOICE, "kernels_for", lambda work: None)
    method.transform(series)
    parts = 1 if name == "minirocket" else 2
    assert ways == ["native"] * parts + ["numpy"] * parts


@needs_compiler
def test_steps_that_single_precision_does_not_count_are_left_to_numpy(monkeypatch):
    rng = np.random.default_rng(0)
    fitted = drawn(rng, 1, [1], [1], normal(rng))
    _ = ROCKET_KERNELS.loaded
    monkeypatch.setattr(rocket_native, "LONGEST", 50)
    monkeypatch.setattr(rocket_native, "pooled_by", lambda *given: pytest.fail("too long"))
    assert pooled(fitted, normal(rng)(2, 1, 50), SHARE).shape == (2, N_KERNELS)
