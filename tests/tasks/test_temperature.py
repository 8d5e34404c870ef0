"""The temperature is that of the least log loss, and no class changes by it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import minimize_scalar

from tsmtl.tasks.task import ClassPrediction, Task
from tsmtl.tasks.temperature import FEWEST, LEAST, MOST, Temperature, fit_temperature

NAMES = tuple("abcdefgh")


def drawn(n: int, k: int, overconfidence: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and classes by the probabilities of the logits divided by ``overconfidence``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, k))
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    ids = np.array([rng.choice(k, p=row) for row in p])
    return (logits * overconfidence).astype(np.float32), ids


def log_loss(logits: np.ndarray, ids: np.ndarray, temperature: float) -> float:
    z = logits.astype(np.float64) / temperature
    z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(ids)), ids]).mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overconfidence", [0.2, 0.9, 3.0, 15.0])
@pytest.mark.parametrize("k", [2, 5])
def test_it_is_the_minimum_that_scipy_finds(k, overconfidence, seed):
    logits, ids = drawn(150, k, overconfidence, seed)
    found = fit_temperature(logits, ids)
    best = minimize_scalar(
        lambda log_t: log_loss(logits, ids, np.exp(log_t)),
        bounds=(np.log(LEAST), np.log(MOST)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found.note is None
    assert found.labelled == 150
    assert found.value == pytest.approx(np.exp(best.x), rel=1e-5)
    assert log_loss(logits, ids, found.value) <= best.fun + 1e-12


def test_the_temperature_that_logits_were_made_with_is_found_again():
    assert fit_temperature(*drawn(20_000, 4, 3.0, 0)).value == pytest.approx(3.0, rel=0.05)


CLASSES_OF_20 = np.arange(20) % 2
SURE = np.where(CLASSES_OF_20[:, None] == np.arange(2), 5.0, -5.0)


@pytest.mark.parametrize(
    ("logits", "ids", "note"),
    [
        (SURE, CLASSES_OF_20, "every class is right"),
        (SURE * 0, CLASSES_OF_20, "every class is right"),  # a tie is no mistake that a temperature could mend
        (SURE, np.zeros(20, int), "one class only"),
        (SURE, np.where(np.arange(20) < 1, -1, CLASSES_OF_20), "fewer than 20 labelled instances"),
        (SURE[:0], CLASSES_OF_20[:0], "fewer than 20 labelled instances"),
        (np.where(np.arange(20)[:, None] == 3, np.nan, SURE), CLASSES_OF_20, "logits that are not finite"),
        (np.where(np.arange(20)[:, None] == 3, np.inf, SURE), CLASSES_OF_20, "logits that are not finite"),
    ],
)
def test_where_nothing_can_be_fitted_it_is_1_and_says_why(logits, ids, note):
    assert fit_temperature(logits.astype(np.float32), ids) == Temperature(1.0, int((ids >= 0).sum()), note)


def test_missing_classes_are_left_out():
    logits, ids = drawn(100, 3, 2.0, 1)
    more = np.concatenate([logits, np.full((30, 3), np.nan, np.float32)])
    assert fit_temperature(more, np.concatenate([ids, np.full(30, -1)])) == fit_temperature(logits, ids)


def test_the_range_is_kept():
    rng = np.random.default_rng(0)
    wrong = (SURE + rng.normal(0, 0.1, SURE.shape)).astype(np.float32)  # the surer, the worse
    assert fit_temperature(wrong, 1 - CLASSES_OF_20).value == MOST
    ids = np.arange(100) % 2
    timid = (1e-5 * np.where(ids[:, None] == np.arange(2), 1.0, -1.0)).astype(np.float32)
    timid[0] *= -1  # one of a hundred is wrong, so that the best temperature is finite, but near 1e-5
    assert fit_temperature(timid, ids).value == pytest.approx(LEAST)


@given(
    logits=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(2, 8)),
        elements=st.floats(-100, 100, width=32) | st.sampled_from([0.0, 1.0, 1.0000001, 3e38, -3e38]),
    ),
    temperature=st.floats(LEAST, MOST),
)
def test_no_class_changes_ties_included(logits, temperature):
    task = Task("cls", "cls", "fault", logits.shape[1], NAMES[: logits.shape[1]])
    plain, calibrated = task.decode(logits), task.decode(logits, Temperature(temperature, 100))
    assert isinstance(plain, ClassPrediction)
    assert isinstance(calibrated, ClassPrediction)
    expected = logits.argmax(axis=1)  # of equals the first
    for prediction in (plain, calibrated):
        assert prediction.ids.tolist() == expected.tolist()
        assert prediction.labels.tolist() == [NAMES[i] for i in expected]
        assert prediction.probabilities.argmax(axis=1).tolist() == expected.tolist()  # as whoever reads them finds it
        np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-6)


@given(
    logits=arrays.arrays(np.float32, (40, 3), elements=st.floats(-50, 50, width=32)),
    ids=arrays.arrays(np.int64, 40, elements=st.integers(-1, 2)),
)
def test_the_log_loss_of_what_it_was_fitted_on_never_gets_worse(logits, ids):
    found = fit_temperature(logits, ids)
    assert LEAST <= found.value <= MOST
    known = ids >= 0
    if known.any():
        before, after = (log_loss(logits[known], ids[known], t) for t in (1.0, found.value))
        assert after <= before
    assert (found.value == 1) == (found.note is not None)
    assert known.sum() >= FEWEST or found.note is not None


def test_probabilities_by_hand():
    task = Task("cls", "cls", "fault", 2, ("a", "b"))
    found = task.decode(np.array([[np.log(9.0), 0.0]], dtype=np.float32), Temperature(2.0, 50))
    assert isinstance(found, ClassPrediction)
    np.testing.assert_allclose(found.probabilities, [[0.75, 0.25]], atol=1e-7)  # the root of 9 to 1


def test_it_comes_back_from_its_state():
    for fitted in (Temperature(1.5, 100), Temperature(1.0, 3, "one class only")):
        assert Temperature.from_state(fitted.state()) == fitted
