"""Panels of a run's page."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from tsmtl.report.run_panels import MOST_POINTS, agreement_panel, conflict_scale, curve_panel, reliability_panel
from tsmtl.tasks.metrics import expected_calibration_error

GAP = math.nan


@pytest.mark.parametrize(
    ("values", "marker"),
    [
        ([3.0, 2.0, 1.0], "None"),
        ([GAP, 2.0, GAP], "o"),  # the only look of a conflict log: a line of one point would be nothing
        ([3.0, GAP, 1.0], "o"),
    ],
)
def test_a_curve_with_gaps_shows_where_its_values_are(values, marker):
    ax = Figure().subplots()
    curve_panel(ax, [1, 2, 3], {"here": values, "whole": [1.0, 1.0, 1.0]}, None, "title", "loss")
    here, whole = ax.get_lines()
    assert list(here.get_ydata()) == [value for value in values if not math.isnan(value)]
    assert here.get_marker() == marker
    assert whole.get_marker() == "None"


def test_a_curve_of_one_epoch_is_a_dot():
    ax = Figure().subplots()
    curve_panel(ax, [1], {"train": [0.5]}, 1, "title", "loss")
    assert ax.get_lines()[0].get_marker() == "o"
    assert [tick for tick in ax.get_xticks() if 0.5 < tick < 1.5] == [1]  # no fractions of an epoch


@pytest.mark.parametrize(
    ("measure", "even", "scale", "ends"),
    [("cosine", 0, "linear", (-1.05, 1.05)), ("norm_ratio", 1, "log", None), ("share", None, "linear", (-0.02, 1.02))],
)
def test_a_conflict_measure_has_the_same_scale_in_every_run(measure, even, scale, ends):
    ax = Figure().subplots()
    ax.plot([1, 2], [0.2, 0.3])
    conflict_scale(ax, measure)
    assert [line.get_ydata()[0] for line in ax.get_lines()[1:]] == ([] if even is None else [even])
    assert ax.get_yscale() == scale
    low, high = ax.get_ylim()
    assert (low, high) == ends or (ends is None and low < 0.2 and high > 1)


def test_reliability_is_that_of_the_calibration_error():
    ids, first = np.array([0, 0, 1, 1]), np.array([0.9, 0.6, 0.6, 0.2], dtype=np.float32)  # 0.6 is an edge of the bins
    probabilities = np.stack([first, 1 - first], axis=1)
    ax = Figure().subplots()
    reliability_panel(ax, ids, {"before": probabilities**2, "calibrated": probabilities}, "title")
    diagonal, _, calibrated = ax.get_lines()
    assert list(diagonal.get_xdata()) == [0, 1]
    np.testing.assert_allclose(calibrated.get_xydata(), [[0.6, 0.5], [0.8, 1], [0.9, 1]], rtol=1e-6)
    error = expected_calibration_error(ids, probabilities)
    assert error == pytest.approx((2 * 0.1 + 0.2 + 0.1) / 4)
    assert ax.get_legend_handles_labels()[1][2] == f"calibrated, ECE {error:.3f}"


@pytest.mark.parametrize("unit", ["mm", None])
def test_agreement_counts_what_the_intervals_hold_and_clips_those_without_end(unit):
    true, guess = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 1.0, 4.0, 3.0])
    ax = Figure().subplots()
    agreement_panel(ax, true, guess, (guess - 1, np.array([2.0, np.inf, 4.5, np.inf])), "title", unit, "90 % interval")
    assert ax.get_legend_handles_labels()[1] == ["90 % interval: holds 75.0 %", "within", "outside"]
    assert ax.get_xlabel() == ("true (mm)" if unit else "true")
    low, high = ax.get_xlim()
    assert -0.5 < low < 0
    assert 4 < high < 4.5


def test_a_band_of_many_instances_has_few_corners_and_the_same_ends():
    rng = np.random.default_rng(0)
    guess = rng.standard_cauchy(30_000).clip(-20, 20).astype(np.float32)  # most of them close together
    true = guess + rng.normal(size=30_000).astype(np.float32)
    low, high = guess - 1, np.minimum(guess + 2, 19.5)  # as a range cuts them
    ax = Figure().subplots()
    agreement_panel(ax, true, guess, (low, high), "title", None, "band")
    band, *dots = ax.collections
    assert len(band.get_paths()[0]) < 3 * MOST_POINTS
    assert sum(len(part.get_offsets()) for part in dots) == 30_000
    assert len(dots) == 3  # two of those within, one of those outside: none of more than 2^14
    assert ax.get_legend_handles_labels()[1][1:] == ["within", "outside"]
    corners = band.get_paths()[0].vertices
    height, step = corners[:, 1], 40 / MOST_POINTS
    for y in np.linspace(-19, 19, 50):
        near = corners[np.abs(height - y) <= 20 * step, 0] - height[np.abs(height - y) <= 20 * step]
        assert near.min() == pytest.approx(-1, abs=1e-5)
        assert near.max() == pytest.approx(2, abs=1e-5) if y < 17 else near.max() <= 2.00001


def test_a_prediction_that_is_not_finite_leaves_the_band_of_the_others():
    guess = np.linspace(0, 1, 3000, dtype=np.float32)
    true = guess.copy()
    guess[7] = np.nan
    ax = Figure().subplots()
    agreement_panel(ax, true, guess, (guess - 1, guess + 1), "title", None, "band")
    heights = [height for path in ax.collections[0].get_paths() for height in path.vertices[:, 1]]
    assert min(heights) == pytest.approx(0, abs=1e-3)
    assert max(heights) == pytest.approx(1, abs=1e-3)
