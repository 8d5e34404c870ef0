"""The joint score, by hand."""

import math

import numpy as np
import pytest

from tsmtl.tasks.joint import JointScore
from tsmtl.tasks.task import Task

TASKS = {
    "cls": Task("cls", "cls", "state", 3, ("a", "b", "c")),
    "reg": Task("reg", "reg", "wear", 1),
}
TRAIN = {"cls": np.array([0, 0, 1, 2, -1, -1, -1]), "reg": np.array([[1.0], [3.0], [np.nan], [5.0]])}
VAL = {"cls": np.array([0, 0, 1, 1, -1]), "reg": np.array([[3.0], [7.0], [np.nan]])}
METRICS = {"cls": "accuracy", "reg": "rmse"}


def joint(**changes) -> JointScore:
    given = {"metrics": METRICS, "weights": {}, "val": VAL, **changes}
    return JointScore(TASKS, TRAIN, given["val"], given["metrics"], given["weights"])


def test_each_metric_lies_between_the_trivial_prediction_and_a_perfect_one():
    # Class a is right for 2 of 4; the mean 3 is wrong by 0 and 4: an RMSE of sqrt(8).
    score = joint()
    assert score.trivial == pytest.approx({"cls": 0.5, "reg": math.sqrt(8)})
    assert score({"cls": {"accuracy": 0.5}, "reg": {"rmse": math.sqrt(8)}}) == pytest.approx(0)
    assert score({"cls": {"accuracy": 1.0}, "reg": {"rmse": 0.0}}) == pytest.approx(1)
    assert score({"cls": {"accuracy": 0.75}, "reg": {"rmse": 0.0}}) == pytest.approx((0.5 + 1) / 2)
    assert score({"cls": {"accuracy": 0.0}, "reg": {"rmse": 2 * math.sqrt(8)}}) == pytest.approx(-1)


def test_weights_count_and_a_task_of_weight_0_may_be_anything():
    found = {"cls": {"accuracy": 0.75}, "reg": {"rmse": 0.0}}
    assert joint(weights={"cls": 3.0})(found) == pytest.approx((3 * 0.5 + 1) / 4)
    assert joint(weights={"reg": 0.0})({**found, "reg": {"rmse": math.nan}}) == pytest.approx(0.5)
    assert math.isnan(joint()({**found, "reg": {"rmse": math.nan}}))


def test_the_trivial_prediction_knows_the_range_of_the_numbers():
    task = Task("reg", "reg", "life", 1, clip=(None, 4.0))
    score = JointScore({"reg": task}, TRAIN, VAL, {"reg": "rmse_capped"}, {})
    # Trained on 1, 3 and 4, whose mean is 8/3; true are 3 and, clipped, 4.
    assert score.trivial["reg"] == pytest.approx(math.sqrt(((1 / 3) ** 2 + (4 / 3) ** 2) / 2), rel=1e-6)


def test_where_the_trivial_prediction_is_perfect_there_is_no_score():
    score = joint(val={**VAL, "cls": np.array([0, 0])})
    assert math.isnan(score({"cls": {"accuracy": 1.0}, "reg": {"rmse": 0.0}}))
