import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsmtl.tasks.task import ClassPrediction, NumberPrediction, Task, fit_scaling

CLASSES = Task("cls", "cls", "fault", 3, ("ball", "inner", "outer"))
LOGARITHM = Task("reg", "reg", "gas", 1, (), "ppm", (1.0,), (2.0,), (None, 500.0), "log1p", ("phm08",))
NUMBERS = Task("reg", "reg", "wear", 2, unit="mm", shift=(100.0, -3.0), scale=(20.0, 0.5))


def test_numbers_are_scaled_by_hand():
    scaled = NUMBERS.scaled(np.array([[140.0, -3.5]], dtype=np.float32))
    assert scaled.tolist() == [[2.0, -1.0]]
    assert scaled.dtype == np.float32


def test_many_numbers_are_scaled_a_part_at_a_time_with_the_same_numbers():
    values = np.random.default_rng(0).normal(size=(70_000, 2)).astype(np.float32)
    np.testing.assert_array_equal(NUMBERS.scaled(values), NUMBERS.scaled_exactly(values).astype(np.float32))
    tracemalloc.start()
    scaled = NUMBERS.scaled(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * scaled.nbytes  # in double precision a part alone: all of them, and what is made of them, take 7


@given(arrays.arrays(np.float32, (5, 2), elements=st.floats(-1000, 1000, width=32)))
def test_decoding_inverts_scaling(values):
    decoded = NUMBERS.decode(NUMBERS.scaled(values))
    assert isinstance(decoded, NumberPrediction)
    assert decoded.values.dtype == np.float32
    np.testing.assert_allclose(decoded.values, values, rtol=1e-6, atol=1e-4)  # float32 around a shift of 100


def test_a_missing_number_stays_missing():
    assert np.isnan(NUMBERS.scaled(np.array([[np.nan, 1.0]], dtype=np.float32))).tolist() == [[True, False]]


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4, 3e38])
def test_probabilities_sum_to_1_whatever_the_size_of_the_logits(size):
    rng = np.random.default_rng(0)
    logits = (rng.uniform(-1, 1, (50, 3)) * size).astype(np.float32)
    prediction = CLASSES.decode(logits)
    assert isinstance(prediction, ClassPrediction)
    assert np.isfinite(prediction.probabilities).all()
    np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-6)
    assert (prediction.probabilities >= 0).all()
    assert prediction.ids.tolist() == logits.argmax(axis=1).tolist()


def test_decoding_logits_by_hand():
    logits = np.log(np.array([[1.0, 2.0, 5.0], [6.0, 1.0, 1.0]], dtype=np.float32))
    prediction = CLASSES.decode(logits)
    np.testing.assert_allclose(prediction.probabilities, [[0.125, 0.25, 0.625], [0.75, 0.125, 0.125]], atol=1e-6)
    assert prediction.ids.tolist() == [2, 0]
    assert prediction.labels.tolist() == ["outer", "ball"]


def test_a_number_is_clipped_then_transformed_then_scaled_by_hand():
    task = Task("reg", "reg", "gas", 1, shift=(2.0,), scale=(0.5,), clip=(0.0, math.e**3 - 1), transform="log1p")
    values = np.array([[-7.0], [0.0], [math.e**2 - 1], [1e6], [np.nan]], dtype=np.float32)
    scaled = task.scaled(values)  # the logarithms are 0, 0, 2 and 3
    np.testing.assert_allclose(scaled[:, 0], [-4, -4, 0, 2, np.nan], atol=1e-6)
    decoded = task.decode(np.array([[-9.0], [-4.0], [0.0], [4.0], [1e4]], dtype=np.float32))
    assert isinstance(decoded, NumberPrediction)
    high = math.e**3 - 1  # logarithms -2.5, 0, 2, 4 and 5002: the first and the last two lie outside of the range
    np.testing.assert_allclose(decoded.values[:, 0], [0, 0, math.e**2 - 1, high, high], rtol=1e-6, atol=1e-6)


@given(arrays.arrays(np.float32, (5, 1), elements=st.floats(-0.5, 1e6, width=32)))
def test_decoding_inverts_the_logarithm(values):
    task = Task("reg", "reg", "gas", 1, shift=(3.0,), scale=(2.0,), transform="log1p")
    decoded = task.decode(task.scaled(values))
    assert isinstance(decoded, NumberPrediction)
    np.testing.assert_allclose(decoded.values, values, rtol=1e-5, atol=1e-5)


def test_what_is_beyond_single_precision_is_decoded_as_infinite_and_warns_of_nothing():
    task = Task("reg", "reg", "gas", 1, shift=(0.0,), scale=(1.0,), transform="log1p")
    for output in (100.0, 1e4):  # beyond single, and beyond double precision
        decoded = task.decode(np.array([[output]], dtype=np.float32))
        assert isinstance(decoded, NumberPrediction)
        assert np.isposinf(decoded.values).all()


def test_a_state_of_before_clipping_and_transforms_is_read_as_without_them():
    state = NUMBERS.state()
    for key in ("clip", "transform", "metrics"):
        del state[key]
    assert Task.from_state(state) == NUMBERS


@pytest.mark.parametrize("task", [CLASSES, NUMBERS, LOGARITHM], ids=["cls", "reg", "log"])
def test_a_task_comes_back_from_its_state(task):
    state = task.state()
    assert Task.from_state(state) == task
    assert all(isinstance(value, str | int | list | None) for value in state.values())  # what a checkpoint may hold


def test_standard_scaling_is_mean_and_sd_of_the_numbers_that_are_there():
    values = np.array([[1.0, 10.0], [3.0, np.nan], [np.nan, 30.0], [5.0, 20.0]], dtype=np.float32)
    shift, scale = fit_scaling(values, "standard")
    assert shift == pytest.approx((3.0, 20.0))
    assert scale == pytest.approx((np.sqrt(8 / 3), np.sqrt(200 / 3)))  # of the population: divided by n


def test_scaling_survives_a_large_mean():
    values = np.float32(16_000_000) + np.arange(10, dtype=np.float32)[:, None]  # float32 sums would round this away
    shift, scale = fit_scaling(values, "standard")
    assert shift[0] == pytest.approx(16_000_004.5, abs=1e-6)
    assert scale[0] == pytest.approx(np.arange(10).std(), rel=1e-6)


def test_no_scaling_leaves_the_numbers_as_they_are():
    values = np.array([[1.0, 10.0], [3.0, np.nan]], dtype=np.float32)
    shift, scale = fit_scaling(values, "none")
    assert (shift, scale) == ((0.0, 0.0), (1.0, 1.0))
    plain = Task("reg", "reg", "wear", 2, shift=shift, scale=scale)
    np.testing.assert_array_equal(plain.scaled(values), values)


@given(
    values=arrays.arrays(np.float32, (7, 2), elements=st.floats(-0.5, 1000, width=32) | st.just(float("nan"))),
    clip=st.sampled_from([None, (0.0, 125.0), (None, 50.0), (1.0, None)]),
    transform=st.sampled_from(["none", "log1p"]),
)
def test_numbers_are_scaled_on_the_device_as_they_are_in_memory(values, clip, transform):
    task = Task("reg", "reg", "wear", 2, shift=(3.0, -1.5), scale=(7.0, 0.3), clip=clip, transform=transform)
    on_device = task.scaling_on(torch.device("cpu"))(torch.from_numpy(values))
    np.testing.assert_allclose(on_device.numpy(), task.scaled(values), rtol=1e-6)
