"""The bootstrap over test instances against metrics of scikit-learn and what must hold of any bootstrap."""

import csv
import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, root_mean_squared_error

from tsmtl.comparison.bootstrap import Predicted, SampleSpread, _score, read_predicted, sample_spread
from tsmtl.tasks.metrics import label_metrics

CLASSES = {"name": "fault", "kind": "cls", "size": 3, "class_names": ["a", "b", "c"], "clip": None}
NUMBERS = {"name": "wear", "kind": "reg", "size": 2, "class_names": [], "clip": [None, 1.0]}
LABELS = {"name": "flags", "kind": "multilabel", "size": 3, "class_names": ["a", "b", "c"], "clip": None}


def classes(rng, runs=2, n=60):
    truth = rng.integers(-1, 3, n)
    return Predicted(truth, np.where(rng.random((runs, n)) < 0.6, truth.clip(0), rng.integers(0, 3, (runs, n))))


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("accuracy", accuracy_score),
        ("balanced_accuracy", balanced_accuracy_score),
        ("macro_f1", lambda t, p, sample_weight: f1_score(t, p, average="macro", sample_weight=sample_weight)),
    ],
)
def test_an_instance_that_is_drawn_twice_counts_twice_in_metrics_of_classes(metric, reference):
    rng = np.random.default_rng(0)
    own, times = classes(rng), rng.integers(0, 4, 60).astype(float)
    known = own.truth >= 0
    wanted = [reference(own.truth[known], run[known], sample_weight=times[known]) for run in own.predicted]
    assert _score(own, CLASSES, metric)(times) == pytest.approx(wanted)


def test_and_of_numbers_the_missing_ones_left_out_and_the_capped_ones_capped():
    rng = np.random.default_rng(0)
    truth, predicted, times = (
        rng.normal(size=(40, 2)),
        rng.normal(size=(3, 40, 2)),
        rng.integers(0, 4, 40).astype(float),
    )
    truth[:5, 1] = np.nan
    found = _score(Predicted(truth, predicted), NUMBERS, "rmse")(times)
    known = [~np.isnan(truth[:, d]) for d in range(2)]
    for run, value in zip(predicted, found, strict=True):
        parts = [root_mean_squared_error(truth[k, d], run[k, d], sample_weight=times[k]) for d, k in enumerate(known)]
        assert value == pytest.approx(np.mean(parts))
    capped = _score(Predicted(truth, predicted), NUMBERS, "mae_capped")(np.ones(40))
    assert capped[0] == pytest.approx(np.nanmean(np.abs(predicted[0] - truth.clip(max=1.0)), axis=0).mean())


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "subset_accuracy"])
def test_and_of_labels_those_left_out_that_are_not_known(metric):
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 3)) < 0.4).astype(float)
    truth[rng.random((40, 3)) < 0.2] = np.nan
    predicted, times = (rng.random((2, 40, 3)) < 0.4).astype(float), rng.integers(0, 4, 40)
    found = _score(Predicted(truth, predicted), LABELS, metric)(times.astype(float))
    wanted = [label_metrics(np.repeat(truth, times, axis=0), np.repeat(run, times, axis=0)) for run in predicted]
    assert found == pytest.approx([one[metric] for one in wanted])


def test_the_interval_is_about_that_of_a_normal_mean():
    """Errors 0 or 1 with the mean difference d: the sd of a mean of n differences is known."""
    rng = np.random.default_rng(0)
    n = 4000
    truth = np.zeros((n, 1))
    ours, theirs = (rng.random((1, n, 1)) < p for p in (0.2, 0.3))
    task = {"name": "x", "kind": "reg", "size": 1, "class_names": [], "clip": None}
    found = sample_spread(
        Predicted(truth, ours.astype(float)), Predicted(truth, theirs.astype(float)), task, "mae", False, None
    )
    mean = theirs.mean() - ours.mean()
    half = 1.96 * np.std(theirs.astype(float) - ours) / np.sqrt(n)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
    assert (found.units, found.sd) == (n, pytest.approx(half / 1.96, rel=0.1))


def test_equal_predictions_differ_by_nothing_and_better_ones_are_positive():
    rng = np.random.default_rng(1)
    own = classes(rng)
    assert sample_spread(own, own, CLASSES, "macro_f1", True, None) == SampleSpread(60, 0.0, 0.0, 0.0)
    perfect = Predicted(own.truth, np.stack([own.truth.clip(0)] * 2))
    found = sample_spread(perfect, own, CLASSES, "macro_f1", True, None)
    assert 0 < found.low < found.high


def test_groups_are_drawn_whole_and_give_a_wider_interval_where_their_instances_are_alike():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 50)
    wrong = np.repeat(rng.random(20) < 0.5, 50)
    truth = np.zeros(1000, dtype=int)
    ours, theirs = Predicted(truth, np.where(wrong, 1, 0)[None]), Predicted(truth, np.zeros((1, 1000), dtype=int))
    by_instance = sample_spread(ours, theirs, CLASSES, "accuracy", True, None)
    by_group = sample_spread(ours, theirs, CLASSES, "accuracy", True, groups)
    assert by_group.sd > 5 * by_instance.sd  # sqrt(50) = 7 times
    assert (by_group.units, by_instance.units) == (20, 1000)


def test_a_handful_of_groups_or_labels_says_nothing_of_chance():
    truth = np.zeros(100, dtype=int)
    ours, theirs = Predicted(truth, np.ones((1, 100), dtype=int)), Predicted(truth, np.zeros((1, 100), dtype=int))
    few = sample_spread(ours, theirs, CLASSES, "accuracy", True, np.arange(100) % 4)
    assert few.units == 4
    assert math.isnan(few.sd)
    unlabelled = np.where(np.arange(100) == 0, 0, -1)  # a draw misses the one label in 37 % of all cases
    ours, theirs = Predicted(unlabelled, ours.predicted), Predicted(unlabelled, theirs.predicted)
    assert math.isnan(sample_spread(ours, theirs, CLASSES, "accuracy", True, None).sd)


def test_other_instances_are_not_compared():
    ours, theirs = (Predicted(truth, np.zeros((1, 10), dtype=int)) for truth in (np.arange(10) % 2, np.arange(10) % 3))
    with pytest.raises(AssertionError, match="the same instances"):
        sample_spread(ours, theirs, CLASSES, "accuracy", True, None)


def test_predictions_are_read_by_the_names_of_the_classes(tmp_path):
    for run, guesses in enumerate((["a", "b", "c"], ["c", "b", "a"])):
        (tmp_path / str(run)).mkdir()
        with (tmp_path / str(run) / "predictions_test.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            names = ["wear_true_1", "wear_true_2", "wear_predicted_1", "wear_predicted_2"]
            writer.writerow(["instance", "fault_true", "fault_predicted", *names])
            for row, (true, guess) in enumerate(zip(["a", "", "c"], guesses, strict=True)):
                writer.writerow([row, true, guess, row, "", row + 0.5, run])
    folders = [tmp_path / "0", tmp_path / "1"]
    found = read_predicted(folders, CLASSES)
    assert found.truth.tolist() == [0, -1, 2]
    assert found.predicted.tolist() == [[0, 1, 2], [2, 1, 0]]
    numbers = read_predicted(folders, NUMBERS)
    assert numbers.truth[:, 0].tolist() == [0, 1, 2]
    assert np.isnan(numbers.truth[:, 1]).all()
    assert numbers.predicted[1].tolist() == [[0.5, 1], [1.5, 1], [2.5, 1]]
