"""When a comparison says helps, hurts, or cannot tell."""

import math

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


def figure(values, sd=0.01, variant=MULTI, units=200, control=None):
    """A variant with an RMSE of about 5, so much better than its twin."""
    own = spread([5 - value for value in values])
    return Figure(variant, "reg", own, difference(values, sd, units), control)


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
    said = verdict_of("reg", [figure(values, sd)], COMPARED, 5)
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
    as_good, better = difference(NOISE, against="control_reg"), difference(GAIN, against="control_reg")
    said = verdict_of("reg", [figure(GAIN, control=as_good)], COMPARED, 5)
    assert said.verdict == "cannot tell"
    assert "regularisation and no transfer" in said.sentence
    assert verdict_of("reg", [figure(GAIN, control=better)], COMPARED, 5).verdict == "helps"
    # A control cannot turn a loss into something else.
    assert verdict_of("reg", [figure(LOSS, control=as_good)], COMPARED, 5).verdict == "hurts"


@pytest.mark.parametrize("kind", ["multi", "transfer", "alpha", "weighting"])
def test_the_control_counts_for_every_variant_that_learns_from_the_other_labels(kind):
    as_good = difference(NOISE, against="control_reg")
    variant = Variant("one", "one", kind, {}, TASKS)
    assert figure(GAIN, variant=variant).verdict == "helps"
    assert figure(GAIN, variant=variant, control=as_good).verdict == "cannot tell"
    said = verdict_of("reg", [figure(NOISE), figure(GAIN, variant=TRANSFER, control=as_good)], COMPARED, 5)
    assert "cls, then all" not in said.sentence


def test_differences_from_the_control_are_corrected_for_their_number():
    weak = difference([0.5, 0.1, 0.6, 0.2, 0.5], against="control_reg")
    alone = corrected([figure(GAIN, control=weak)])[0]
    among = corrected([figure(GAIN, control=weak)] + [figure(GAIN, control=difference(NOISE)) for _ in range(5)])[0]
    assert (alone.verdict, among.verdict) == ("helps", "cannot tell")
    assert among.control.corrected == pytest.approx(6 * alone.control.corrected)


def test_why_it_cannot_tell_is_said():
    noise = figure(NOISE)
    seeds = verdict_of("reg", [noise], COMPARED, 5).sentence
    gain = noise.difference.both.detectable(1)
    assert f"most of the chance is in the seeds; a gain of {gain:.2g} would show four times of five" in seeds
    assert "in the choice of test instances" in verdict_of("reg", [figure(GAIN, 0.4)], COMPARED, 5).sentence
    few = verdict_of("reg", [figure(GAIN, math.nan, units=3)], COMPARED, 5).sentence
    assert "the test split has too few groups (3) or labels" in few
    assert "predict the same throughout" in verdict_of("reg", [figure([0.0] * 5, 0.0)], COMPARED, 5).sentence
    nan = verdict_of("reg", [figure([math.nan] * 5)], COMPARED, 5)
    assert (nan.verdict, "rmse is not defined in every run" in nan.sentence) == ("cannot tell", True)


def test_a_gain_beyond_a_perfect_model_is_not_asked_for():
    wild = figure([4.0, -3.0, 2.0, -4.0, 1.0])
    assert wild.difference.both.detectable(1) > 5
    said = verdict_of("reg", [wild], COMPARED, 5).sentence
    assert "no gain up to a perfect model would show four times of five" in said


def test_a_transfer_that_helps_is_named_beside_and_alone_it_is_the_verdict():
    helping = figure(GAIN, variant=TRANSFER)
    beside = verdict_of("reg", [figure(NOISE), helping], COMPARED, 5)
    assert beside.verdict == "cannot tell"
    assert "cls, then all helps: rmse in bar 0.55 better than single_reg" in beside.sentence
    assert verdict_of("reg", [helping], COMPARED, 5).verdict == "helps"
    assert verdict_of("cls", [helping], COMPARED, 5) is None
