"""Intervals hold what they promise: the rank rule by hand, coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsmtl.tasks.calibration import LEVELS, calibration_from_states, coverage, fit_calibration
from tsmtl.tasks.conformal import MOST, Errors, errors_of, least_labelled, rank_of
from tsmtl.tasks.task import NumberPrediction, Task, joined

PLAIN = Task("reg", "reg", "wear", 1, shift=(100.0,), scale=(20.0,), unit="mm")
LOG = Task("reg", "reg", "gas", 1, shift=(3.0,), scale=(1.5,), transform="log1p", clip=(0.0, 200.0))
LEVEL = st.floats(0.01, 0.995)


def fitted(errors: np.ndarray) -> Errors:
    return errors_of(np.zeros_like(errors), errors)


@pytest.mark.parametrize(
    ("level", "n", "rank"),
    [
        (0.9, 9, 9),  # 0.9 * 10 is 9, no more: nine instances are enough
        (0.9, 8, 9),  # 8.1: there is no ninth
        (0.95, 19, 19),
        (0.8, 4, 4),
        (0.5, 10, 6),  # 5.5
        (0.56, 99, 56),  # in binary, 0.56 * 100 is a little more than 56
        (0.29, 99, 29),  # and this a little less than 29
        (0.9, 0, 1),
    ],
)
def test_the_rank_by_hand(level, n, rank):
    assert rank_of(level, n) == rank


def test_half_widths_by_hand():
    errors = fitted(np.array([[5.0, 1.0], [-1.0, 1.0], [3.0, np.nan], [-4.0, np.nan], [2.0, -7.0]]))
    assert errors.labelled == (5, 3)
    # Of errors 1 2 3 4 5 and 1 1 7: level 0.5 takes ranks 3 and 2, 0.7 ranks 5 and 3, 0.8 rank 5 and a fourth of three.
    assert errors.half_widths(0.5).tolist() == [3, 1]
    assert errors.half_widths(0.7).tolist() == [5, 7]
    assert errors.half_widths(0.8).tolist() == [5, math.inf]


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_least_number_of_labels_that_gives_an_end(level, least):
    assert least_labelled(level) == least
    assert np.isfinite(fitted(np.ones((least, 1))).half_widths(level))
    assert np.isinf(fitted(np.ones((least - 1, 1))).half_widths(level))


def test_of_many_errors_a_fixed_number_is_kept_and_no_interval_gets_too_narrow():
    rng = np.random.default_rng(0)
    for n in (MOST - 1, MOST, MOST + 1, 3 * MOST + 7, 100 * MOST):
        exact = np.sort(rng.random(n))
        errors = fitted(exact[rng.permutation(n), None])
        assert len(errors.kept[0]) == min(n, MOST)
        assert errors.kept[0][-1] == exact[-1]
        for level in (0.001, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.9995):
            rank = rank_of(level, n)
            (half,) = errors.half_widths(level)
            if rank > n:
                assert math.isinf(half)
                continue
            taken = int(np.searchsorted(exact, half)) + 1
            assert rank <= taken < rank + max(n / MOST, 1)
            assert taken == rank or n > MOST


@given(
    values=arrays.arrays(np.float32, (30, 1), elements=st.floats(0, 250, width=32) | st.just(float("nan"))),
    outputs=arrays.arrays(np.float32, (30, 1), elements=st.floats(-3, 3, width=32)),
    levels=st.tuples(LEVEL, LEVEL),
    task=st.sampled_from([PLAIN, LOG]),
)
def test_intervals_hold_the_prediction_grow_with_the_level_and_stay_in_the_range(values, outputs, levels, task):
    calibration = fit_calibration(task, outputs, values)
    narrow, wide = (task.decode(outputs, calibration, level) for level in sorted(levels))
    plain = task.decode(outputs)
    assert isinstance(narrow, NumberPrediction)
    assert isinstance(wide, NumberPrediction)
    assert isinstance(plain, NumberPrediction)
    assert plain.low is plain.high is None
    np.testing.assert_array_equal(narrow.values, plain.values)
    for found in (narrow, wide):
        assert found.low.dtype == found.high.dtype == np.float32
        assert (found.low <= found.values).all()
        assert (found.values <= found.high).all()
    assert (wide.low <= narrow.low).all()
    assert (narrow.high <= wide.high).all()
    if task.clip is not None:
        assert wide.low.min() >= task.clip[0]
        assert wide.high.max() <= task.clip[1]


@given(
    values=arrays.arrays(np.float32, (40, 1), elements=st.floats(0, 190, width=32)),
    outputs=arrays.arrays(np.float32, (40, 1), elements=st.floats(-3, 3, width=32)),
    level=LEVEL,
    task=st.sampled_from([PLAIN, LOG]),
)
def test_they_hold_what_the_rank_says_of_the_instances_they_were_fitted_on(values, outputs, level, task):
    assume(rank_of(level, 40) <= 40)
    found = coverage(task, values, task.decode(outputs, fit_calibration(task, outputs, values), level))
    assert found["coverage"] * 40 >= rank_of(level, 40) - 1e-6


def test_an_output_beyond_the_range_is_as_far_off_as_the_end_of_the_range():
    outputs, values = np.full((10, 1), 9, np.float32), np.full((10, 1), 200, np.float32)
    (errors,) = fit_calibration(LOG, outputs, values).kept
    np.testing.assert_allclose(errors, 0, atol=1e-6)
    found = LOG.decode(outputs, Errors((np.full(20, 0.1),), (20,)), 0.9)
    assert found.high.tolist() == [[200]] * 10
    np.testing.assert_allclose(found.low, np.expm1(np.log1p(200) - 0.15), rtol=1e-5)


def test_a_logarithm_makes_intervals_that_reach_further_up_than_down():
    found = LOG.decode(np.zeros((1, 1), np.float32), Errors((np.ones(20) * 0.5,), (20,)), 0.9)
    assert isinstance(found, NumberPrediction)
    # The logarithm is 3, and 0.5 standard deviations of it are 0.75.
    assert found.low == pytest.approx(np.expm1(2.25), rel=1e-5)
    assert found.values == pytest.approx(np.expm1(3.0), rel=1e-5)
    assert found.high == pytest.approx(np.expm1(3.75), rel=1e-5)


def test_an_interval_without_ends_reaches_to_the_ends_of_the_range():
    few = Errors((np.ones(3),), (3,))
    plain, logarithm = (task.decode(np.zeros((1, 1), np.float32), few, 0.9) for task in (PLAIN, LOG))
    assert (plain.low, plain.high) == (-math.inf, math.inf)
    assert (logarithm.low, logarithm.high) == (0, 200)


def test_an_output_that_is_not_a_number_is_infinitely_off():
    outputs = np.array([[np.nan], [np.inf], *([0.0],) * 8], dtype=np.float32)
    errors = errors_of(outputs, np.ones((10, 1)))
    assert errors.half_widths(0.7).tolist() == [1]
    assert errors.half_widths(0.8).tolist() == [math.inf]
    found = PLAIN.decode(outputs, errors, 0.7)
    assert np.isnan(found.low[0])
    assert np.isnan(found.high[0])


def test_coverage_of_what_was_clipped_is_measured_beside_that_of_what_is():
    truth = np.array([[10.0], [190.0], [400.0], [np.nan]])
    prediction = NumberPrediction(
        *np.float32([[[9], [199], [200], [0]], [[5], [191], [150], [0]], [[15], [200], [200], [0]]])
    )
    found = coverage(LOG, truth, prediction)
    assert found == {"coverage": 1 / 3, "coverage_capped": 2 / 3, "width": pytest.approx((10 + 9 + 50) / 3)}


def test_several_numbers_have_intervals_of_their_own():
    task = Task("reg", "reg", "two", 2, shift=(0.0, 0.0), scale=(1.0, 10.0))
    errors = Errors((np.arange(1.0, 10.0), np.full(9, 0.5)), (9, 9))
    found = task.decode(np.zeros((2, 2), np.float32), errors, 0.9)
    np.testing.assert_allclose(found.high, [[9, 5], [9, 5]], rtol=1e-6)
    measured = coverage(task, np.array([[8.0, np.nan], [10.0, 3.0]]), found)
    assert [row["coverage"] for row in measured["per_output"]] == [0.5, 1]
    assert measured["coverage"] == 0.75
    again = joined([found, found])
    assert again.high.shape == (4, 2)
    assert joined([NumberPrediction(found.values)] * 2).low is None


def test_errors_come_back_from_their_state():
    errors = fitted(np.array([[5.0, 1.0], [1.0, np.nan]]))
    back = calibration_from_states({"reg": errors.state()})["reg"]
    assert isinstance(back, Errors)
    assert back.labelled == errors.labelled
    for ours, theirs in zip(back.kept, errors.kept, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy tails"])
@pytest.mark.parametrize("task", [PLAIN, LOG], ids=["plain", "log, clipped"])
def test_coverage_on_exchangeable_data_lies_within_2_points_of_the_level(task, noise):
    """400 fits on 150 instances, each tried on 500 new ones; the promise is level to level + 1 / 151."""
    rng = np.random.default_rng(7)
    repetitions, n_val, n_test = 400, 150, 500
    held = {level: [] for level in LEVELS}
    for _ in range(repetitions):
        n = n_val + n_test
        hidden = rng.normal(0, 1, n)
        error = {
            "normal": rng.normal(0, 0.4, n),
            "skewed": rng.exponential(0.4, n),
            "heavy tails": 0.2 * rng.standard_t(2, n),
        }[noise]
        truth = task.decode((hidden + error).astype(np.float32)[:, None]).values  # within the range, some at its ends
        outputs = hidden.astype(np.float32)[:, None]
        calibration = fit_calibration(task, outputs[:n_val], truth[:n_val])
        for level in LEVELS:
            found = task.decode(outputs[n_val:], calibration, level)
            held[level].append(coverage(task, truth[n_val:], found)["coverage"])
    for level, shares in held.items():
        assert abs(np.mean(shares) - level) < 0.02
        assert level - 0.005 < np.mean(shares) < level + 1 / (n_val + 1) + 0.005
