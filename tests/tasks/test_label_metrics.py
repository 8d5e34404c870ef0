"""Labels of which any may be true: metrics against scikit-learn, loss and decoding by hand counts."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from tsmtl.tasks.joint import JointScore
from tsmtl.tasks.losses import label_loss, labelled_rows
from tsmtl.tasks.measure import details_by_task, measure
from tsmtl.tasks.metrics import label_metrics, label_metrics_per_label
from tsmtl.tasks.task import LabelPrediction, Task, joined

TASK = Task("flags", "multilabel", "flags", 3, ("a", "b", "c"))


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < [0.5, 0.2, 0.7]).astype(np.float32)
    return labels, np.clip(0.5 * labels + rng.random((n, 3)) * 0.6, 0.01, 0.99).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn(seed):
    labels, probabilities = drawn(seed)
    predicted, found = probabilities >= 0.5, label_metrics(labels, probabilities)
    assert found["micro_f1"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, probabilities))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["log_loss"] == pytest.approx(log_loss(labels.ravel(), probabilities.ravel()), rel=1e-6)
    for column, row in enumerate(label_metrics_per_label(labels, probabilities)):
        assert row["f1"] == pytest.approx(f1_score(labels[:, column], predicted[:, column]))
        assert row["support"] == labels[:, column].sum()


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_are_not_known_are_left_out_each_by_itself(seed):
    labels, probabilities = drawn(seed)
    labels[np.random.default_rng(100 + seed).random(labels.shape) < 0.3] = np.nan
    labels[0] = np.nan
    known, found = ~np.isnan(labels), label_metrics(labels, probabilities)
    columns = [(labels[k, c], probabilities[k, c]) for c, k in enumerate(known.T)]
    assert found["macro_f1"] == pytest.approx(np.mean([f1_score(t, p >= 0.5) for t, p in columns]))
    assert found["auroc"] == pytest.approx(np.mean([roc_auc_score(t, p) for t, p in columns]))
    assert found["micro_f1"] == pytest.approx(f1_score(labels[known], probabilities[known] >= 0.5))
    assert found["log_loss"] == pytest.approx(log_loss(labels[known], probabilities[known]), rel=1e-6)
    right = [((p >= 0.5) == t)[k].all() for t, p, k in zip(labels, probabilities, known, strict=True) if k.any()]
    assert found["subset_accuracy"] == pytest.approx(np.mean(right))


def test_a_label_that_never_occurs_counts_in_no_mean_but_as_a_false_alarm():
    labels = np.array([[1, 0], [0, 0], [1, 0]], dtype=np.float32)
    quiet = np.array([[0.9, 0.1], [0.1, 0.1], [0.2, 0.1]], dtype=np.float32)
    # By hand: the first label has one hit, one miss and no false alarm, F1 2/3; the second is never true nor predicted.
    assert label_metrics(labels, quiet)["macro_f1"] == pytest.approx(2 / 3)
    assert label_metrics(labels, quiet)["auroc"] == 1.0
    alarm = quiet.copy()
    alarm[0, 1] = 0.5  # counts as predicted
    assert label_metrics(labels, alarm)["macro_f1"] == pytest.approx(1 / 3)
    assert label_metrics(labels, alarm)["micro_f1"] == pytest.approx(2 / 4)


def test_without_a_known_label_nothing_is_defined():
    found = label_metrics(np.full((4, 2), np.nan, dtype=np.float32), np.full((4, 2), 0.5, dtype=np.float32))
    assert all(math.isnan(value) for value in found.values())


def test_the_loss_is_the_mean_over_the_known_labels():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]], requires_grad=True)
    labels = torch.tensor([[1.0, torch.nan], [0.0, torch.nan]])
    loss = label_loss(masked=True)(logits, labels)
    # By hand: -log(sigmoid(2)) and -log(1 - sigmoid(0.5)).
    assert loss.item() == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(0.5))) / 2)
    loss.backward()
    assert logits.grad[:, 1].tolist() == [0, 0]
    assert label_loss(masked=True)(logits, torch.full((2, 2), torch.nan)).item() == 0
    assert labelled_rows(torch.tensor([[torch.nan, 1.0], [torch.nan, torch.nan]])).tolist() == [True, False]


def test_with_all_labels_known_the_masked_loss_is_the_plain_one():
    labels, logits = torch.randint(0, 2, (20, 3)).float(), torch.randn(20, 3)
    torch.testing.assert_close(label_loss(masked=True)(logits, labels), label_loss(masked=False)(logits, labels))


def test_logits_of_any_size_become_probabilities_and_the_set_of_labels_at_a_half():
    found = TASK.decode(np.array([[-1000.0, 0.0, 1000.0], [1.0, -1.0, 2.0]], dtype=np.float32))
    expected = 1 / (1 + np.exp(-np.array([1.0, -1.0, 2.0])))
    np.testing.assert_allclose(found.probabilities[1], expected, rtol=1e-6)
    assert found.probabilities[0].tolist() == [0, 0.5, 1]
    assert found.present.tolist() == [[False, True, True], [True, False, True]]
    whole = joined([found, found])
    assert whole.present.shape == whole.probabilities.shape == (4, 3)


def test_a_task_is_the_same_after_a_checkpoint():
    assert Task.from_state(TASK.state()) == TASK


def test_the_trivial_prediction_takes_each_label_for_what_it_mostly_is():
    train = np.array([[1, 0, np.nan], [1, 0, 1], [0, 1, np.nan]], dtype=np.float32)
    val = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]], dtype=np.float32)
    metrics = {"multilabel": "subset_accuracy"}
    score = JointScore({"flags": TASK}, {"flags": train}, {"flags": val}, metrics, {})
    # By hand: true, false, true is predicted for all; no row of val is that.
    assert score.trivial == {"flags": 0.0}
    assert score({"flags": {"subset_accuracy": 0.25}}) == pytest.approx(0.25)
    assert score({"flags": measure(TASK, val, LabelPrediction.of(val))}) == 1.0


def test_details_are_by_label():
    labels, probabilities = drawn(0)
    details = details_by_task({"flags": TASK}, {"flags": labels}, {"flags": LabelPrediction.of(probabilities)})
    assert list(details["flags"]["per_label"]) == ["a", "b", "c"]
    assert set(details["flags"]["per_label"]["a"]) == {"f1", "precision", "recall", "auroc", "support"}
