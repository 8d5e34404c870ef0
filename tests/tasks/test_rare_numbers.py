"""Weights of rare values against a slow count, and what they do to the loss."""

import math

import pytest
import torch

from tsmtl.tasks.losses import regression_loss
from tsmtl.tasks.rare_numbers import RareNumberWeights

NAN = float("nan")


def slowly(values: list[float]) -> list[float]:
    """Weights of single numbers: bins, Gaussian and inverse one after another."""
    low, high = min(values), max(values)
    bins = [min(99, int((v - low) / ((high - low) / 100))) for v in values]
    counts, density = [bins.count(j) for j in range(100)], []
    for i in range(100):
        kernel = [math.exp(-((i - j) ** 2) / (2 * 2.0**2)) for j in range(100)]
        density.append(sum(k * count for k, count in zip(kernel, counts, strict=True)) / sum(kernel))
    weights = [1 / max(density[b], max(density) / 100) for b in bins]
    mean = sum(weights) / len(weights)
    return [w / mean for w in weights]


@pytest.fixture
def skewed() -> torch.Tensor:
    return torch.randn(300, generator=torch.Generator().manual_seed(0)).exp()


def test_the_weights_are_those_of_a_slow_count(skewed):
    got = RareNumberWeights(skewed[:, None])(skewed[:, None])
    torch.testing.assert_close(got[:, 0], torch.tensor(slowly(skewed.tolist())), rtol=1e-4, atol=0)


def test_the_mean_weight_is_1_and_no_weight_is_over_a_hundred_times_another(skewed):
    values = torch.cat([skewed, torch.tensor([1e3])])[:, None]
    weights = RareNumberWeights(values)(values)
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    assert (weights.max() / weights.min()).item() == pytest.approx(100, rel=1e-4)
    assert weights.argmax() == 300


def test_an_even_density_gives_even_weights():
    values = torch.arange(1000.0)[:, None]
    weights = RareNumberWeights(values)(values)
    torch.testing.assert_close(weights, torch.ones(1000, 1), rtol=0, atol=1e-3)


def test_a_rare_region_counts_as_much_as_a_frequent_one():
    values = torch.cat([torch.linspace(0, 1, 900), torch.linspace(4, 5, 100)])[:, None]
    weights = RareNumberWeights(values)(values)[:, 0]
    assert weights[950].item() == pytest.approx(9 * weights[450].item(), rel=0.02)
    assert weights[900:].sum().item() == pytest.approx(weights[:900].sum().item(), rel=0.05)


def test_each_number_has_its_own_weights_from_its_labelled_rows(skewed):
    other = torch.linspace(-5, 70, 300)
    both = torch.stack([skewed, other], dim=1)
    both[::3, 0] = NAN
    both[1::3, 1] = NAN
    weights = RareNumberWeights(both)
    for column in (0, 1):
        known = both[~both[:, column].isnan()][:, column]
        alone = RareNumberWeights(known[:, None])(known[:, None])[:, 0]
        rows = ~both[:, column].isnan()
        torch.testing.assert_close(weights(both)[rows][:, column], alone)


def test_beyond_the_range_of_train_the_weight_is_that_of_the_end(skewed):
    weights = RareNumberWeights(skewed[:, None])
    ends = weights(torch.stack([skewed.min(), skewed.max()])[:, None])
    torch.testing.assert_close(weights(torch.tensor([[-1e9], [1e9]])), ends)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_the_loss_is_the_mean_of_weight_times_error_over_the_labelled_numbers(kind):
    outputs = torch.tensor([[0.5], [1.0], [3.0], [9.0]], requires_grad=True)
    targets = torch.tensor([[0.0], [1.5], [NAN], [6.0]])
    error = {"mse": [0.25, 0.25, 9.0], "mae": [0.5, 0.5, 3.0], "huber": [0.125, 0.125, 2.5]}[kind]

    def weights(numbers: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[2.0], [0.5], [7.0], [3.0]])[: len(numbers)]

    by_hand = (2 * error[0] + 0.5 * error[1] + 3 * error[2]) / 3
    loss = regression_loss(kind, 1.0, True, weights)(outputs, targets)
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)
    loss.backward()
    assert outputs.grad[2].item() == 0
    assert (outputs.grad[[0, 1, 3]] != 0).all()
    plain = regression_loss(kind, 1.0, False, weights)(outputs[:2], targets[:2])
    assert plain.item() == pytest.approx((2 * error[0] + 0.5 * error[1]) / 2, abs=1e-6)
