"""When a comparison says helps, hurts, or cannot tell."""

import math

import numpy as np
import pytest

from tsmtl.comparison.bootstrap import SampleSpread
from tsmtl.comparison.differences import Compared, Difference, Figure, corrected
from tsmtl.comparison.variants import Variant
from tsmtl.comparison.verdicts import verdict_of
from tsmtl.sweep.statistics import spread, with_both

COMPARED = Compared({"name": "reg", "kind": "reg", "unit": "bar"}, "rmse", False)
TASKS = {"cls": "cls", "reg": "reg"}
MULTI = Variant("multi", "all tasks", "multi", {}, TASKS)
TRANSFER = Variant("cls_to_multi", "cls, then all", "transfer", {}, TASKS)


def difference(values, sd=0.01, units=200, against="single_reg"):
    both = with_both(values, sd, units)
    sample = SampleSpread(units, sd, -1.0, 1.0)
    return Difference(against, spread(values), 1.0, sample, both, both.p)


def figure(values, sd=0.01, variant=MULTI, units=200):
    return Figure(variant, "reg", spread(values), difference(values, sd, units))


GAIN, LOSS, NOISE = [0.5, 0.6, 0.55, 0.5, 0.6], [-0.5, -0.6, -0.55, -0.5, -0.6], [0.9, -0.7, 0.4, -0.5, 0.3]


@pytest.mark.parametrize(
    ("values", "sd", "verdict"),
    [
        (GAIN, 0.01, "helps"),
        (GAIN, 0.4, "cannot tell"),  # other test instances might say otherwise
        (LOSS, 0.01, "hurts"),
        (LOSS, 0.4, "cannot tell"),
        (NOISE, 0.01, "cannot tell"),  # the seeds disagree
        ([0.0] * 5, 0.0, "cannot tell"),
        ([0.2] * 5, 0.0, "cannot tell"),  # nothing varies: chance cannot be judged
        ([0.2] * 5, 0.02, "helps"),
        ([0.2] * 5, math.nan, "cannot tell"),  # too few groups
    ],
)
def test_chance_of_seeds_and_of_test_instances_adds_up(values, sd, verdict):
    assert difference(values, sd).verdict == verdict
    said = verdict_of("reg", [figure(values, sd)], COMPARED, None, 5)
    assert (said.verdict, said.sentence.count("bar")) == (verdict, 1)


def test_many_looks_make_chance_gains_likelier_and_the_verdict_more_careful():
    weak = [0.5, 0.1, 0.6, 0.2, 0.5]
    alone = corrected([figure(weak)])
    assert alone[0].difference.corrected == pytest.approx(with_both(weak, 0.01, 200).p)
    assert alone[0].difference.verdict == "helps"
    among = corrected([figure(weak), *[figure(NOISE) for _ in range(5)]])
    assert among[0].difference.corrected == pytest.approx(6 * with_both(weak, 0.01, 200).p)
    assert among[0].difference.verdict == "cannot tell"


def test_what_shuffled_labels_give_as_well_is_no_transfer():
    as_good = difference(NOISE, against="control_reg")
    said = verdict_of("reg", [figure(GAIN)], COMPARED, as_good, 5)
    assert said.verdict == "cannot tell"
    assert "regularisation and no transfer" in said.sentence
    better = difference(GAIN, against="control_reg")
    assert verdict_of("reg", [figure(GAIN)], COMPARED, better, 5).verdict == "helps"
    # A control cannot turn a loss into something else.
    assert verdict_of("reg", [figure(LOSS)], COMPARED, as_good, 5).verdict == "hurts"


def test_why_it_cannot_tell_is_said():
    noise = figure(NOISE)
    seeds = verdict_of("reg", [noise], COMPARED, None, 5).sentence
    gain = noise.difference.both.detectable(1)
    assert f"most of the chance is in the seeds; a gain of {gain:.2g} would show four times of five" in seeds
    assert "in the choice of test instances" in verdict_of("reg", [figure(GAIN, 0.4)], COMPARED, None, 5).sentence
    few = verdict_of("reg", [figure(GAIN, math.nan, units=3)], COMPARED, None, 5).sentence
    assert "the test split has 3 groups or too few labels" in few
    assert "predict the same throughout" in verdict_of("reg", [figure([0.0] * 5, 0.0)], COMPARED, None, 5).sentence
    nan = verdict_of("reg", [figure([math.nan] * 5)], COMPARED, None, 5)
    assert (nan.verdict, "rmse is not defined in every run" in nan.sentence) == ("cannot tell", True)


def test_false_alarms_are_as_rare_as_they_are_said_to_be():
    """Differences of five seeds and of a test set of 400, both of chance alone: p is below 0.05 in about 5 %."""
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(4000):
        values = rng.normal(size=5) + rng.normal() / np.sqrt(5)  # the second part is the test set's, the same for all
        below += with_both(values.tolist(), 1 / np.sqrt(5), 400).p < 0.05
    assert below / 4000 == pytest.approx(0.05, abs=0.012)


def test_a_transfer_that_helps_is_named_beside_and_alone_it_is_the_verdict():
    helping = figure(GAIN, variant=TRANSFER)
    beside = verdict_of("reg", [figure(NOISE), helping], COMPARED, None, 5)
    assert beside.verdict == "cannot tell"
    assert "cls, then all helps: rmse in bar 0.55 better than single_reg" in beside.sentence
    assert verdict_of("reg", [helping], COMPARED, None, 5).verdict == "helps"
    assert verdict_of("cls", [helping], COMPARED, None, 5) is None
