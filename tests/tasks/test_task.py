import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsmtl.tasks.conformal import Errors
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, NumberPrediction, Task, fit_scaling
from tsmtl.tasks.temperature import Temperature

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


def probabilities_of(logits: np.ndarray, temperature: float | None) -> np.ndarray:
    """Give the probabilities (K,) of an instance by the formula; the first of the largest logits has the largest."""
    exact = logits.astype(np.float64)
    if temperature is not None:
        exact = exact / temperature
    powers = np.exp(exact - max(exact))
    found = (powers / powers.sum()).astype(np.float32)
    best = list(logits).index(max(logits))
    if list(found).index(max(found)) != best:
        found[best] = np.nextafter(max(found), np.float32(1))
    return found


@given(
    outputs=arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(3)), elements=st.floats(-60, 60, width=32)),
    near=st.sampled_from([1.0, 1e-6, 0.0]),  # nearly the same: rounding makes probabilities equal
    temperature=st.sampled_from([None, 1.0, 0.01, 3.7, 100.0]),
)
def test_probabilities_have_the_bits_of_the_formula(outputs, near, temperature):
    outputs = (1 + outputs * np.float32(near)).astype(np.float32)
    prediction = CLASSES.decode(outputs, None if temperature is None else Temperature(temperature, 99))
    expected = np.stack([probabilities_of(row, temperature) for row in outputs])
    assert isinstance(prediction, ClassPrediction)
    np.testing.assert_array_equal(prediction.probabilities, expected)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.ids.dtype == np.int64
    assert prediction.ids.tolist() == [list(row).index(max(row)) for row in outputs]
    assert prediction.labels.tolist() == [CLASSES.class_names[i] for i in prediction.ids]
    assert prediction.probabilities.argmax(axis=1).tolist() == prediction.ids.tolist()


def test_the_surer_of_two_classes_has_the_larger_probability_where_rounding_makes_them_equal():
    more = np.nextafter(np.float32(1), np.float32(2))
    outputs = np.array([[1, more, 0], [more, 1, 0], [0, 1, more], [1, 1, 0]], dtype=np.float32)
    found = CLASSES.decode(outputs)
    assert isinstance(found, ClassPrediction)
    assert found.ids.tolist() == found.probabilities.argmax(axis=1).tolist() == [1, 0, 2, 0]
    assert found.probabilities.tolist() == [probabilities_of(row, None).tolist() for row in outputs]


@pytest.mark.parametrize("k", [2, 8, 130])  # sums of 8 and more numbers have an order of their own
def test_probabilities_of_many_classes_have_the_bits_of_the_formula(k):
    task = Task("cls", "cls", "fault", k, tuple(f"class {i}" for i in range(k)))
    outputs = np.random.default_rng(0).normal(0, 5, (300, k)).astype(np.float32)
    found = task.decode(outputs, Temperature(2.5, 99))
    assert isinstance(found, ClassPrediction)
    np.testing.assert_array_equal(found.probabilities, np.stack([probabilities_of(row, 2.5) for row in outputs]))


def test_outputs_that_are_no_numbers_have_the_first_of_them_as_class_and_no_probabilities():
    outputs = np.array([[0, 1, np.nan], [np.nan, np.nan, 2], [3, 2, 1]], dtype=np.float32)
    found = CLASSES.decode(outputs)
    assert isinstance(found, ClassPrediction)
    assert found.ids.tolist() == [2, 0, 0]
    assert np.isnan(found.probabilities).tolist() == [[True] * 3, [True] * 3, [False] * 3]


def test_labels_are_those_of_the_task_and_no_prediction_changes_those_of_another():
    outputs = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.float32)
    task = replace(CLASSES)
    first = task.decode(outputs)
    assert isinstance(first, ClassPrediction)
    first.labels[:] = "none"
    assert task.decode(outputs).labels.tolist() == ["outer", "ball"]
    renamed = replace(task, class_names=("a", "b", "longer than before"))
    assert renamed.decode(outputs).labels.tolist() == ["longer than before", "a"]
    assert task == CLASSES
    assert hash(task) == hash(CLASSES)


@given(
    outputs=arrays.arrays(np.float32, (6, 1), elements=st.floats(-200, 200, width=32)),
    clip=st.sampled_from([None, (0.0, 125.0), (None, 50.0), (1.0, None)]),
    transform=st.sampled_from(["none", "log1p"]),
    level=st.sampled_from([None, 0.5, 0.9, 0.99]),
)
def test_numbers_and_the_ends_of_their_intervals_have_the_bits_of_the_formulas(outputs, clip, transform, level):
    task = Task("reg", "reg", "wear", 1, shift=(3.0,), scale=(0.7,), clip=clip, transform=transform)
    errors = Errors((np.linspace(0.01, 2, 20),), (20,))
    low, high = clip or (None, None)

    def cut(value):
        return min(max(value, -math.inf if low is None else low), math.inf if high is None else high)

    def in_own_units(scaled):
        with np.errstate(over="ignore"):
            value = scaled * np.float64(0.7) + np.float64(3.0)
            return np.float32(cut(np.expm1(value) if transform == "log1p" else value))

    found = task.decode(outputs, errors, level)
    assert isinstance(found, NumberPrediction)
    assert found.values[:, 0].tolist() == [in_own_units(np.float64(output)) for output in outputs[:, 0]]
    if level is None:
        assert found.low is found.high is None
        return
    half = errors.half_widths(level)[0]
    for centre, below, above in zip(task.within_range(outputs)[:, 0], found.low, found.high, strict=True):
        wide = half + 8 * np.finfo(np.float64).eps * (np.abs(centre) + half + np.abs(np.float64(3.0) / 0.7))
        assert below == np.float32(cut(np.nextafter(in_own_units(centre - wide), np.float32(-np.inf))))
        assert above == np.float32(cut(np.nextafter(in_own_units(centre + wide), np.float32(np.inf))))


@given(arrays.arrays(np.float32, (6, 3), elements=st.floats(-300, 300, width=32)))
def test_probabilities_of_labels_have_the_bits_of_the_formula(outputs):
    found = Task("labels", "multilabel", "faults", 3, ("a", "b", "c")).decode(outputs)
    exact = outputs.astype(np.float64)
    tails = np.exp(-np.abs(exact))
    expected = [
        [np.float32((t if z < 0 else 1.0) / (1.0 + t)) for z, t in zip(*row, strict=True)]
        for row in zip(exact, tails, strict=True)
    ]
    assert isinstance(found, LabelPrediction)
    assert found.probabilities.tolist() == np.array(expected).tolist()
    np.testing.assert_array_equal(found.present, found.probabilities >= 0.5)
