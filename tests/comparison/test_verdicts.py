"""When a comparison says helps, hurts, or cannot tell."""

import pytest

from tsmtl.comparison.differences import Compared, Difference, Figure, corrected
from tsmtl.comparison.variants import Variant
from tsmtl.comparison.verdicts import verdict_of
from tsmtl.sweep.statistics import p_of_mean, spread

COMPARED = Compared({"name": "reg", "kind": "reg", "unit": "bar"}, "rmse", False)
MULTI, TRANSFER = Variant("multi", "all tasks", "multi", {}), Variant("cls_to_multi", "cls, then all", "transfer", {})


def difference(values, sample=(0.1, 1.0), against="single_reg", p=None):
    own = p_of_mean(values)
    return Difference(against, spread(values), 1.0, sample, own, own if p is None else p)


def figure(values, sample=(0.1, 1.0), variant=MULTI):
    return Figure(variant, "reg", spread(values), difference(values, sample))


GAIN, LOSS, NOISE = [0.5, 0.6, 0.55, 0.5, 0.6], [-0.5, -0.6, -0.55, -0.5, -0.6], [0.9, -0.7, 0.4, -0.5, 0.3]


@pytest.mark.parametrize(
    ("values", "sample", "verdict"),
    [
        (GAIN, (0.1, 1.0), "helps"),
        (GAIN, (-0.1, 1.0), "cannot tell"),  # other test instances might say otherwise
        (LOSS, (-1.0, -0.1), "hurts"),
        (LOSS, (-1.0, 0.1), "cannot tell"),
        (NOISE, (0.01, 0.1), "cannot tell"),  # the seeds disagree
        ([0.0] * 5, (0.0, 0.0), "cannot tell"),
        ([0.2] * 5, (0.1, 0.3), "helps"),
    ],
)
def test_seeds_and_test_instances_must_both_agree(values, sample, verdict):
    assert difference(values, sample).verdict == verdict
    said = verdict_of("reg", [figure(values, sample)], COMPARED, None, 5)
    assert (said.verdict, said.sentence.count("bar")) == (verdict, 1)


def test_many_looks_make_chance_gains_likelier_and_the_verdict_more_careful():
    weak = [0.5, 0.1, 0.6, 0.2, 0.5]
    alone = corrected([figure(weak)])
    assert alone[0].difference.corrected == pytest.approx(p_of_mean(weak))
    assert alone[0].difference.verdict == "helps"
    among = corrected([figure(weak), *[figure(NOISE) for _ in range(5)]])
    assert among[0].difference.corrected == pytest.approx(6 * p_of_mean(weak))
    assert among[0].difference.verdict == "cannot tell"


def test_what_shuffled_labels_give_as_well_is_no_transfer():
    as_good = difference(NOISE, against="control_reg")
    said = verdict_of("reg", [figure(GAIN)], COMPARED, as_good, 5)
    assert said.verdict == "cannot tell"
    assert "regularisation and no transfer" in said.sentence
    better = difference(GAIN, against="control_reg")
    assert verdict_of("reg", [figure(GAIN)], COMPARED, better, 5).verdict == "helps"
    # A control cannot turn a loss into something else.
    assert verdict_of("reg", [figure(LOSS, (-1, -0.1))], COMPARED, as_good, 5).verdict == "hurts"


def test_why_it_cannot_tell_is_said():
    seeds = verdict_of("reg", [figure(NOISE)], COMPARED, None, 5).sentence
    half = spread(NOISE).high - spread(NOISE).mean
    assert f"a gain of about {half:.2g} would show" in seeds
    assert "other test instances might not" in verdict_of("reg", [figure(GAIN, (-1, 1))], COMPARED, None, 5).sentence


def test_a_transfer_that_helps_is_named_beside_and_alone_it_is_the_verdict():
    helping = figure(GAIN, variant=TRANSFER)
    beside = verdict_of("reg", [figure(NOISE), helping], COMPARED, None, 5)
    assert beside.verdict == "cannot tell"
    assert "cls, then all helps: rmse in bar 0.55 better than single_reg" in beside.sentence
    assert verdict_of("reg", [helping], COMPARED, None, 5).verdict == "helps"
    assert verdict_of("cls", [helping], COMPARED, None, 5) is None
