"""Every metric against scikit-learn, or by hand where scikit-learn has none."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from tsmtl.config.metric_names import CAPPED, CLASSIFICATION, ON_REQUEST, REGRESSION, metrics_of_numbers
from tsmtl.tasks.measure import measure
from tsmtl.tasks.metrics import (
    auroc,
    classification_metrics,
    confusion_matrix,
    expected_calibration_error,
    f1_per_class,
    phm08,
    regression_metrics,
    regression_metrics_per_output,
    reliability,
)
from tsmtl.tasks.task import ClassPrediction, NumberPrediction, Task

EXACT = 1e-9  # both count in double precision


def random_classification(k: int, seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.concatenate([np.arange(k), rng.choice(k, n - k, p=rng.dirichlet(np.full(k, 3.0)))]))
    logits = rng.normal(size=(n, k)) + 1.5 * (np.arange(k) == ids[:, None])
    powers = np.exp(logits)
    return ids, powers / powers.sum(axis=1, keepdims=True)


def one_against_the_rest(ids: np.ndarray, probabilities: np.ndarray) -> float:
    return float(np.mean([sk.roc_auc_score(ids == c, probabilities[:, c]) for c in np.unique(ids)]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 3, 6])
def test_classification_metrics_are_those_of_scikit_learn(k, seed):
    ids, probabilities = random_classification(k, seed)
    predicted = probabilities.argmax(axis=1)
    area = sk.roc_auc_score(ids, probabilities[:, 1] if k == 2 else probabilities, multi_class="ovr")
    found = classification_metrics(ids, probabilities)
    found.pop("ece")
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(ids, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(ids, predicted),
            "macro_f1": sk.f1_score(ids, predicted, average="macro"),
            "auroc": area,
            "log_loss": sk.log_loss(ids, probabilities),
        },
        abs=EXACT,
    )
    assert f1_per_class(ids, probabilities) == pytest.approx(sk.f1_score(ids, predicted, average=None).tolist())
    assert confusion_matrix(ids, predicted, k).tolist() == sk.confusion_matrix(ids, predicted).tolist()


@pytest.mark.parametrize("k", [2, 4])
def test_auroc_counts_ties_half(k):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, k, 100)
    probabilities = rng.multinomial(4, np.full(k, 1 / k), size=100) / 4  # few values, many ties
    expected = sk.roc_auc_score(ids, probabilities[:, 1]) if k == 2 else one_against_the_rest(ids, probabilities)
    assert auroc(ids, probabilities) == pytest.approx(expected, abs=EXACT)
    assert auroc(ids, np.full((100, k), 1 / k)) == 0.5


def test_macro_f1_weighs_every_class_equally():
    ids = np.array([0, 0, 1, 1, 2])
    probabilities = np.eye(3)[[0, 1, 1, 1, 1]]
    # By hand: F1 is 2/3, 4/6 and 0; accuracy is 0.6.
    assert f1_per_class(ids, probabilities) == pytest.approx([2 / 3, 2 / 3, 0])
    found = classification_metrics(ids, probabilities)
    assert found["macro_f1"] == pytest.approx(4 / 9)
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_classes_that_do_not_occur_are_left_out():
    ids, probabilities = random_classification(5, seed=1)
    kept = (ids != 2) & (probabilities.argmax(axis=1) != 2)  # class 2 neither occurs nor is predicted
    ids, probabilities = ids[kept], probabilities[kept]
    predicted, present = probabilities.argmax(axis=1), np.unique(ids)
    found = classification_metrics(ids, probabilities)
    recall = sk.recall_score(ids, predicted, labels=present, average="macro")
    assert found["balanced_accuracy"] == pytest.approx(recall, abs=EXACT)
    assert found["macro_f1"] == pytest.approx(sk.f1_score(ids, predicted, average="macro"), abs=EXACT)
    assert found["auroc"] == pytest.approx(one_against_the_rest(ids, probabilities), abs=EXACT)
    assert found["log_loss"] == pytest.approx(sk.log_loss(ids, probabilities, labels=range(5)), abs=EXACT)
    assert math.isnan(f1_per_class(ids, probabilities)[2])


def test_a_class_that_is_predicted_but_does_not_occur_has_f1_0_and_no_recall():
    ids, probabilities = np.array([0, 0, 1, 1]), np.eye(3)[[0, 2, 1, 1]]
    found = classification_metrics(ids, probabilities)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)


def test_rows_without_a_class_are_left_out():
    ids, probabilities = random_classification(3, seed=2)
    gaps = ids.copy()
    gaps[::3] = -1
    known = gaps >= 0
    assert classification_metrics(gaps, probabilities) == classification_metrics(ids[known], probabilities[known])
    assert f1_per_class(gaps, probabilities) == f1_per_class(ids[known], probabilities[known])
    predicted = probabilities.argmax(axis=1)
    assert confusion_matrix(gaps, predicted, 3).tolist() == confusion_matrix(ids[known], predicted[known], 3).tolist()


def test_calibration_error_by_hand():
    # Fifteenths: 0.6 lies in bin 9, (8/15, 9/15]; 0.65 in bin 10; 0.9 and 0.92 in bin 14; 1 in bin 15.
    probabilities = np.array([[0.6, 0.4], [0.65, 0.35], [0.9, 0.1], [0.08, 0.92], [0.0, 1.0]])
    ids = np.array([0, 1, 0, 0, 1])
    gaps = [abs(1 - 0.6), abs(0 - 0.65), abs((1 - 0.9) + (0 - 0.92)), abs(1 - 1)]  # the middle two share a bin
    assert expected_calibration_error(ids, probabilities) == pytest.approx(sum(gaps) / 5, abs=EXACT)


def test_a_certain_and_right_model_has_calibration_error_0():
    assert expected_calibration_error(np.array([0, 1, 2]), np.eye(3)) == 0


def test_log_loss_of_a_certain_and_wrong_model_is_large_but_finite():
    found = classification_metrics(np.array([0, 1]), np.array([[0, 1], [0, 1]], dtype=np.float32))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15) / 2)


@pytest.mark.parametrize("k", [2, 3])
def test_auroc_of_one_class_only_is_not_a_number(k):
    _, probabilities = random_classification(k, seed=0, n=10)
    found = classification_metrics(np.zeros(10, dtype=int), probabilities)
    assert math.isnan(found["auroc"])
    assert all(math.isfinite(value) for name, value in found.items() if name != "auroc")


@pytest.mark.parametrize("d", [1, 3])
def test_regression_metrics_are_those_of_scikit_learn(d):
    rng = np.random.default_rng(d)
    true = rng.normal(50, 10, (80, d))
    predicted = true + rng.normal(0, [[1, 5, 20][:d]] * 80)
    assert regression_metrics(true, predicted) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(true, predicted),
            "mae": sk.mean_absolute_error(true, predicted),
            "r2": sk.r2_score(true, predicted),  # all three: the uniform average over the outputs
        },
        abs=EXACT,
    )
    for column, row in enumerate(regression_metrics_per_output(true, predicted)):
        assert row["r2"] == pytest.approx(sk.r2_score(true[:, column], predicted[:, column]), abs=EXACT)


def test_each_missing_number_is_left_out_of_its_own_column():
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    gaps = true.copy()
    gaps[:10, 0] = gaps[5:25, 1] = np.nan
    first, second = regression_metrics_per_output(gaps, predicted)
    assert first["rmse"] == pytest.approx(sk.root_mean_squared_error(true[10:, 0], predicted[10:, 0]))
    rest = np.r_[0:5, 25:40]
    assert second["mae"] == pytest.approx(sk.mean_absolute_error(true[rest, 1], predicted[rest, 1]))
    assert second["r2"] == pytest.approx(sk.r2_score(true[rest, 1], predicted[rest, 1]))
    assert regression_metrics(gaps, predicted)["mae"] == pytest.approx((first["mae"] + second["mae"]) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_r2_of_a_constant_is_not_a_number(dtype, n):
    found = regression_metrics(np.full((n, 1), 0.1, dtype=dtype), np.full((n, 1), 0.6, dtype=dtype))
    assert math.isnan(found["r2"])
    assert found["rmse"] == pytest.approx(0.5, abs=1e-6)
    assert found["mae"] == pytest.approx(0.5, abs=1e-6)


def test_without_any_label_every_metric_is_not_a_number():
    classes = classification_metrics(np.full(4, -1), np.full((4, 3), 1 / 3))
    numbers = regression_metrics(np.full((4, 2), np.nan), np.zeros((4, 2)))
    assert all(math.isnan(value) for value in (*classes.values(), *numbers.values()))
    assert list(classes) == list(CLASSIFICATION)
    assert list(numbers) == list(REGRESSION)


def test_a_column_without_any_label_leaves_the_other_columns_their_metrics():
    true = np.array([[1.0, np.nan], [2.0, np.nan]])
    first, second = regression_metrics_per_output(true, true + 1)
    assert first["mae"] == 1
    assert all(math.isnan(value) for value in second.values())


def test_measure_gives_exactly_the_metrics_that_a_monitor_may_name():
    ids, probabilities = random_classification(3, seed=0)
    kind = Task("cls", "cls", "fault", 3, ("a", "b", "c"))
    classes = measure(kind, ids, ClassPrediction(probabilities.argmax(axis=1), np.array(["a"] * 200), probabilities))
    assert list(classes) == list(CLASSIFICATION)
    assert classes == classification_metrics(ids, probabilities)
    values = np.random.default_rng(0).normal(size=(20, 2))
    wear = Task("reg", "reg", "wear", 2)
    numbers = measure(wear, values, NumberPrediction(values + 1))
    assert list(numbers) == list(REGRESSION) == list(metrics_of_numbers(False, []))
    assert numbers == regression_metrics(values, values + 1)
    wear = replace(wear, clip=(None, 0.5), metrics=("phm08",))
    numbers = measure(wear, values, NumberPrediction(values + 1))
    assert list(numbers) == list(metrics_of_numbers(True, ["phm08"])) == [*REGRESSION, *CAPPED, "phm08"]
    assert numbers == regression_metrics(values, values + 1, (None, 0.5), ("phm08",))


def test_capped_metrics_compare_with_the_clipped_truth_and_the_usual_ones_with_the_file():
    true, predicted = np.array([[10.0], [100.0], [200.0]]), np.array([[12.0], [120.0], [130.0]])
    found = regression_metrics(true, predicted, (None, 125.0))
    # By hand: errors 2, 20, -70 against the file; 2, 20 and 130 - 125 = 5 against the cap.
    assert found["mae"] == pytest.approx(92 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt((4 + 400 + 4900) / 3))
    assert found["mae_capped"] == pytest.approx(9)
    assert found["rmse_capped"] == pytest.approx(math.sqrt((4 + 400 + 25) / 3))
    capped = np.array([10.0, 100.0, 125.0])
    assert found["r2_capped"] == pytest.approx(sk.r2_score(capped, predicted[:, 0]))
    low = regression_metrics(true, predicted, (50.0, None))  # 12 - 50, 20 and -70
    assert low["mae_capped"] == pytest.approx((38 + 20 + 70) / 3)


def test_capped_metrics_of_a_missing_number_leave_it_out():
    true = np.array([[np.nan, 1.0], [200.0, np.nan], [100.0, np.nan]])
    first, second = regression_metrics_per_output(true, np.full((3, 2), 120.0), (None, 125.0), ("phm08",))
    assert first["mae_capped"] == pytest.approx((5 + 20) / 2)
    assert first["phm08"] == pytest.approx(math.exp(5 / 13) - 1 + math.exp(20 / 10) - 1)
    assert second["phm08"] == pytest.approx(math.exp(11.9) - 1)
    nothing = regression_metrics(np.full((2, 1), np.nan), np.zeros((2, 1)), (None, 125.0), ("phm08",))
    assert all(math.isnan(value) for value in nothing.values())


def test_phm08_by_hand():
    # 13 cycles too early, on time, 10 and 20 too late: (e - 1) + 0 + (e - 1) + (e^2 - 1).
    true, predicted = np.array([113.0, 50.0, 90.0, 10.0]), np.array([100.0, 50.0, 100.0, 30.0])
    assert phm08(true, predicted) == pytest.approx(2 * (math.e - 1) + math.e**2 - 1)
    assert phm08(true, true) == 0
    assert phm08(np.zeros(1), np.full(1, 1e5)) == math.inf


def test_phm08_is_taken_against_the_clipped_truth_where_there_is_a_range():
    true, predicted = np.array([[180.0]]), np.array([[135.0]])
    assert regression_metrics(true, predicted, None, ("phm08",))["phm08"] == pytest.approx(math.exp(45 / 13) - 1)
    assert regression_metrics(true, predicted, (None, 125), ("phm08",))["phm08"] == pytest.approx(math.e - 1)


@pytest.mark.parametrize(
    ("name", "higher_is_better"), [*CLASSIFICATION.items(), *REGRESSION.items(), *CAPPED.items(), *ON_REQUEST.items()]
)
def test_the_better_prediction_scores_on_the_side_that_its_name_says(name, higher_is_better):
    ids, _ = random_classification(3, seed=0)
    sure, unsure = 0.98 * np.eye(3)[ids] + 0.02 / 3, 0.4 * np.eye(3)[(ids + 1) % 3] + 0.6 / 3
    true = np.random.default_rng(0).normal(size=(30, 1))
    good = classification_metrics(ids, sure) | regression_metrics(true, true + 0.1, (-1.5, 1.5), tuple(ON_REQUEST))
    bad = classification_metrics(ids, unsure) | regression_metrics(true, true + 2.0, (-1.5, 1.5), tuple(ON_REQUEST))
    assert (good[name] > bad[name]) == higher_is_better
    assert good[name] != bad[name]


def test_probabilities_that_are_not_numbers_give_metrics_that_are_not_numbers():
    probabilities = np.array([[0.5, 0.5], [np.nan, np.nan]])
    metrics = classification_metrics(np.array([0, 1]), probabilities)
    assert all(np.isnan(value) for value in metrics.values())


def test_reliability_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.3, 0.7], [0.5, 0.5], [0.2, 0.8]])
    counts, confidence, accuracy = reliability(np.array([0, 1, 1, 0, -1]), probabilities)
    # Bins of 1/15: 0.9 and 0.92 lie in the 14th, 0.7 in the 11th, 0.5 in the 8th; the last class is missing.
    assert counts.tolist() == [0] * 7 + [1, 0, 0, 1, 0, 0, 2, 0]
    np.testing.assert_allclose(confidence[[7, 10, 13]], [0.5, 0.7, 0.91])
    np.testing.assert_allclose(accuracy[[7, 10, 13]], [1, 1, 0.5])
    assert np.isnan(confidence[0])
    gaps = np.nansum(counts * np.abs(confidence - accuracy)) / 4
    known = slice(0, 4)
    assert expected_calibration_error(np.array([0, 1, 1, 0]), probabilities[known]) == pytest.approx(gaps)
