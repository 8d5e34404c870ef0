"""How far the numbers of two runtimes lie apart."""

import numpy as np
import pytest

from tsmtl.onnx_comparison import difference
from tsmtl.tasks.task import ClassPrediction, NumberPrediction, Task


def test_a_difference_is_a_share_of_the_standard_deviation_beyond_one_rounding_step():
    scaled = Task("reg", "reg", "wear", 1, shift=(100.0,), scale=(4.0,))
    expected = NumberPrediction(np.array([[100.0], [102.0]], dtype=np.float32))
    off = np.array([[101.0], [102.0]], dtype=np.float32)
    assert difference(scaled, off, expected) == pytest.approx(1 / 4, abs=1e-4)
    assert difference(scaled, np.nextafter(expected.values, np.float32(np.inf)), expected) == 0
    unscaled = Task("reg", "reg", "wear", 1, shift=(0.0,), scale=(1.0,))
    assert difference(unscaled, off, expected) == pytest.approx(1 / 102, abs=1e-4)
    assert np.isnan(difference(scaled, np.full((2, 1), np.nan, dtype=np.float32), expected))


def test_a_difference_of_a_logarithm_is_a_share_of_its_own_standard_deviation():
    task = Task("reg", "reg", "gas", 1, shift=(4.0,), scale=(0.5,), transform="log1p")
    expected = NumberPrediction(np.array([[999.0]], dtype=np.float32))
    off = np.array([[1000.0]], dtype=np.float32)  # log(1001 / 1000) = 0.001, of a deviation of 0.5
    assert difference(task, off, expected) == pytest.approx(0.002, rel=1e-2)


def test_a_difference_of_probabilities_is_absolute():
    task = Task("cls", "cls", "fault", 2, ("a", "b"))
    half = np.full((1, 2), 0.5, dtype=np.float32)
    expected = ClassPrediction(np.array([0]), np.array(["a"]), half)
    assert difference(task, half + np.array([[0.125, -0.125]], dtype=np.float32), expected) == 0.125
