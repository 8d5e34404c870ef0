"""Panels of a run's page."""

import math

import pytest
from matplotlib.figure import Figure

from tsmtl.report.run_panels import conflict_scale, curve_panel

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
