import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from tsmtl.config.errors import UserError
from tsmtl.tasks.losses import MISSING, class_weight_values, cross_entropy, regression_loss

NAN = float("nan")
# Log-probabilities written down, so that the losses can be counted by hand.
PROBABILITIES = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
WEIGHTS = torch.tensor([1.0, 2.0, 4.0])


def gradient(loss, outputs: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    leaf = outputs.clone().requires_grad_()
    value = loss(leaf, targets)
    value.backward()
    return value.item(), leaf.grad


@pytest.mark.parametrize("masked", [False, True])
def test_cross_entropy_is_the_mean_negative_log_probability(masked):
    loss = cross_entropy(None, 0.0, masked)(PROBABILITIES.log(), torch.tensor([0, 1, 0]))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.8) + math.log(0.2)) / 3, abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_class_weights_make_it_a_weighted_mean(masked):
    loss = cross_entropy(WEIGHTS, 0.0, masked)(PROBABILITIES.log(), torch.tensor([0, 1, 2]))
    by_hand = -(1 * math.log(0.5) + 2 * math.log(0.8) + 4 * math.log(0.6)) / (1 + 2 + 4)
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_label_smoothing_spreads_a_share_over_all_classes(masked):
    loss = cross_entropy(None, 0.3, masked)(PROBABILITIES.log(), torch.tensor([0, 1, 2]))
    rows = [(0, [0.5, 0.25, 0.25]), (1, [0.1, 0.8, 0.1]), (2, [0.2, 0.2, 0.6])]
    by_hand = 0.0
    for true, row in rows:
        targets = [0.1 + (0.7 if k == true else 0.0) for k in range(3)]
        by_hand -= sum(t * math.log(p) for t, p in zip(targets, row, strict=True)) / 3
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)


OUTPUTS, TARGETS = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.5], [-1.0], [5.0]])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("kind", "delta", "by_hand"),
    [
        ("mse", 1.0, (0.25 + 4.0) / 3),
        ("mae", 1.0, (0.5 + 2.0) / 3),
        ("huber", 1.0, (0.5 * 0.25 + 1.0 * (2.0 - 0.5)) / 3),
        ("huber", 0.5, (0.5 * 0.25 + 0.5 * (2.0 - 0.25)) / 3),
    ],
)
def test_a_regression_loss_by_hand(kind, delta, by_hand, masked):
    assert regression_loss(kind, delta, masked)(OUTPUTS, TARGETS).item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_a_masked_class_loss_is_that_of_the_labelled_rows(weights, smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 3, generator=generator)
    ids = torch.tensor([0, MISSING, 2, 1, MISSING, 0, 2, MISSING, 2])
    known = ids != MISSING
    value, grad = gradient(cross_entropy(weights, smoothing, True), logits, ids)
    expected, expected_grad = gradient(cross_entropy(weights, smoothing, False), logits[known], ids[known])
    assert value == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(grad[known], expected_grad, rtol=0, atol=1e-6)
    assert not grad[~known].any()


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_a_masked_number_loss_is_that_of_the_labelled_rows(kind):
    generator = torch.Generator().manual_seed(0)
    outputs, targets = (2 * torch.randn(6, 2, generator=generator) for _ in range(2))
    known = torch.tensor([True, False, True, True, False, True])
    value, grad = gradient(regression_loss(kind, 1.0, True), outputs, targets.masked_fill(~known[:, None], NAN))
    expected, expected_grad = gradient(regression_loss(kind, 1.0, False), outputs[known], targets[known])
    assert value == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(grad[known], expected_grad, rtol=0, atol=1e-6)
    assert not grad[~known].any()


def test_single_missing_numbers_leave_the_other_numbers_of_their_row_in():
    outputs = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])
    targets = torch.tensor([[0.0, NAN], [NAN, 2.0], [NAN, NAN]])
    value, grad = gradient(regression_loss("mse", 1.0, True), outputs, targets)
    assert value == pytest.approx((1 + 9) / 2, abs=1e-6)  # two labelled numbers, not three rows nor six cells
    assert grad.tolist() == [[1, 0], [0, 3], [0, 0]]  # 2 * error / 2


@pytest.mark.parametrize(
    ("loss", "outputs", "targets"),
    [
        (cross_entropy(None, 0.0, True), torch.randn(4, 3), torch.full((4,), MISSING)),
        (cross_entropy(WEIGHTS, 0.1, True), torch.randn(4, 3), torch.full((4,), MISSING)),
        (regression_loss("mse", 1.0, True), torch.randn(4, 2), torch.full((4, 2), NAN)),
        (regression_loss("mae", 1.0, True), torch.randn(4, 2), torch.full((4, 2), NAN)),
        (regression_loss("huber", 1.0, True), torch.randn(4, 2), torch.full((4, 2), NAN)),
    ],
    ids=["cross_entropy", "weighted and smoothed", "mse", "mae", "huber"],
)
def test_a_batch_without_labels_gives_loss_0_and_gradient_0(loss, outputs, targets):
    value, grad = gradient(loss, outputs, targets)
    assert value == 0.0
    assert torch.equal(grad, torch.zeros_like(outputs))


@pytest.mark.parametrize("n_missing", [0, 5])
def test_balanced_weights_are_those_of_scikit_learn(n_missing):
    ids = np.repeat([0, 1, 2, 3], [50, 3, 17, 1])
    with_gaps = torch.tensor([*ids, *[MISSING] * n_missing])
    weights = class_weight_values("balanced", with_gaps, n_classes=4)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=ids)
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_class_that_train_lacks_has_weight_0_and_no_infinity():
    weights = class_weight_values("balanced", torch.tensor([0, 0, 0, 2]), n_classes=3)
    assert weights.tolist() == pytest.approx([4 / (3 * 3), 0, 4 / (3 * 1)], rel=1e-6)


def test_weights_may_be_none_or_a_list_of_one_per_class():
    ids = torch.tensor([0, 1])
    assert class_weight_values([1.0, 2.5], ids, 2).tolist() == [1.0, 2.5]
    with pytest.raises(UserError, match=r"^trainer\.class_weights: must be one weight per class \(got 3 for 2\)$"):
        class_weight_values([1.0, 2.0, 3.0], ids, 2)
