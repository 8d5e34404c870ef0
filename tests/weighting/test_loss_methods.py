"""Methods that weigh losses, against TorchJD and by hand counts; FAMO, GradNorm and DB-MTL against slow references."""

import itertools
import math

import pytest
import torch
from torchjd import scalarization

from tests.weighting.steps import CPU, made, random_gradients, step
from tsmtl.weighting.dbmtl import DBMTL
from tsmtl.weighting.dwa import DWA
from tsmtl.weighting.famo import FAMO
from tsmtl.weighting.gradnorm import GradNorm
from tsmtl.weighting.uncertainty import Uncertainty


def losses_over(steps: int, seed: int = 0) -> torch.Tensor:
    """Draw losses (steps, 2) that fall, at scales of their own."""
    noise = torch.rand(steps, 2, generator=torch.Generator().manual_seed(seed)) + 0.5
    return torch.tensor([2.0, 30.0]) * noise * 0.98 ** torch.arange(steps)[:, None]


def gradient_by(scalarizer: scalarization.Scalarizer, losses: torch.Tensor) -> torch.Tensor:
    """Give the derivative of TorchJD's loss by each task's."""
    losses = losses.clone().requires_grad_()
    scalarizer(losses).backward()
    assert losses.grad is not None
    return losses.grad


def test_uncertainty_is_torchjds_with_its_factors_step_by_step():
    theirs = scalarization.UW(2)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.05)
    ours = Uncertainty(2, CPU, [0.5, 0.5], lr=0.05)
    for losses in losses_over(100):
        adam.zero_grad()
        torch.testing.assert_close(ours.weights(losses), gradient_by(theirs, losses))
        adam.step()
        torch.testing.assert_close(ours.learnt(), theirs.log_var.detach())


def test_uncertainty_weighs_a_class_by_1_and_a_number_by_half_and_ends_at_the_optimum():
    method = Uncertainty(2, CPU, [1.0, 0.5], lr=0.05)
    losses = torch.tensor([0.2, 3.0])
    assert method.weights(losses).tolist() == pytest.approx([1, 0.5])
    # By hand: the gradients are 1/2 - 0.2 and 1/2 - 1.5, and Adam's first step is lr against their signs.
    assert method.learnt().tolist() == pytest.approx([-0.05, 0.05], rel=1e-4)
    for _ in range(1000):
        method.weights(losses)
    # exp(s) = 2 a L at the optimum: 0.4 and 3; the weights are then 1 / 2 L.
    assert method.weights(losses).tolist() == pytest.approx([2.5, 1 / 6], rel=1e-3)


def test_dwa_is_torchjds_over_epochs():
    theirs, ours = scalarization.DWA(2.0), made("dwa")
    for epoch in range(5):
        seen = losses_over(3, seed=epoch)
        for losses in seen:
            torch.testing.assert_close(ours.weights(losses), gradient_by(theirs, losses))
        theirs.step()
        ours.after_epoch(seen.mean(dim=0))


def test_dwa_by_hand():
    method = made("dwa")
    one = torch.ones(2)
    for epoch in ([4.0, 2.0], [2.0, 1.5]):
        assert method.weights(one).tolist() == [1, 1]
        method.after_epoch(torch.tensor(epoch))
    # Rates 0.5 and 0.75, over the temperature 2: exp(0.25) and exp(0.375), scaled to add up to 2.
    e = [math.exp(0.25), math.exp(0.375)]
    assert method.weights(one).tolist() == pytest.approx([2 * e[0] / sum(e), 2 * e[1] / sum(e)])
    method.after_epoch(torch.tensor([math.nan, 1.5]))  # no label of task 1: as if it had stayed
    assert method.weights(one).tolist() == pytest.approx([1, 1])


def test_dwa_takes_a_task_whose_labels_come_late_as_one_that_stayed_as_it_was():
    method = DWA(2, CPU, temperature=0.5)
    for epoch in ([math.nan, 4.0], [math.nan, 2.0], [5.0, 1.0]):
        method.after_epoch(torch.tensor(epoch))
    # Rates 1, since nothing is known before, and 1/2, over the temperature 1/2: exp(2) and exp(1), which add up to 2.
    e = [math.exp(2), math.exp(1)]
    assert method.weights(torch.ones(2)).tolist() == pytest.approx([2 * e[0] / sum(e), 2 * e[1] / sum(e)])
    method.after_epoch(torch.tensor([2.5, 0.5]))
    assert method.weights(torch.ones(2)).tolist() == pytest.approx([1, 1])


def test_rlw_draws_what_torchjd_draws_and_is_equal_on_average():
    losses = torch.ones(2)
    torch.manual_seed(0)
    ours = made("rlw").weights(losses)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, gradient_by(scalarization.Random(), losses))
    drawn = torch.stack([made("rlw").weights(losses) for _ in range(4000)])
    torch.testing.assert_close(drawn.sum(dim=1), torch.ones(4000))
    assert drawn.mean(dim=0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert float(drawn[:, 0].std()) > 0.1


def test_geometric_is_torchjds_and_does_not_underflow():
    for losses in losses_over(20):
        expected = gradient_by(scalarization.GeometricMean(), losses)
        torch.testing.assert_close(made("geometric").weights(losses), expected)
    # By hand: the mean of 1 and 4 is 2; its derivatives are 2 / (2 * 1) and 2 / (2 * 4).
    assert made("geometric").weights(torch.tensor([1.0, 4.0])).tolist() == pytest.approx([1, 0.25])
    tiny = made("geometric", 3).weights(torch.full((3,), 1e-20))  # whose product is 0 in single precision
    assert tiny.tolist() == pytest.approx([1 / 3] * 3, rel=1e-5)


def test_famo_is_torchjds_step_by_step():
    theirs, ours = scalarization.FAMO(2, lr=0.025, weight_decay=1e-3), made("famo")
    seen = losses_over(101)
    for losses, after in itertools.pairwise(seen):
        torch.testing.assert_close(ours.weights(losses), gradient_by(theirs, losses), rtol=1e-4, atol=1e-6)
        ours.after_step(after)
        theirs.update(after)
    assert ours.learnt().abs().max() > 0.02


def test_famo_is_the_papers_algorithm_written_out():
    ours = FAMO(2, CPU, lr=0.1, decay=0.01)
    xi, m, v = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    seen = losses_over(31, seed=3).tolist()
    for t, (before, after) in enumerate(itertools.pairwise(seen), start=1):
        e = [math.exp(x) for x in xi]
        z = [x / sum(e) for x in e]
        c = 1 / sum(a / b for a, b in zip(z, before, strict=True))
        expected = [c * a / b for a, b in zip(z, before, strict=True)]
        weights = ours.weights(torch.tensor(before))
        assert weights.tolist() == pytest.approx(expected, rel=1e-4)
        assert float(weights.sum()) == pytest.approx(1)
        ours.after_step(torch.tensor(after))
        gains = [math.log(a / b) for a, b in zip(before, after, strict=True)]
        for k in range(2):  # softmax's Jacobian times the gains, plus the decay, through Adam
            slope = sum(gains[i] * z[i] * ((i == k) - z[k]) for i in range(2)) + 0.01 * xi[k]
            m[k], v[k] = 0.9 * m[k] + 0.1 * slope, 0.999 * v[k] + 0.001 * slope**2
            xi[k] -= 0.1 * (m[k] / (1 - 0.9**t)) / (math.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
        assert ours.learnt().tolist() == pytest.approx(xi, rel=1e-3, abs=1e-5)


def test_gradnorm_is_the_papers_loss_by_autograd():
    ours = GradNorm(2, CPU, lr=0.025, asymmetry=1.5)
    weights = torch.ones(2, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=0.025)
    seen = losses_over(60, seed=5)
    for t, losses in enumerate(seen):
        gradients = random_gradients(2, t).float() * torch.tensor([[1.0], [8.0]])
        update, found = step(ours, gradients, losses)
        torch.testing.assert_close(found, weights.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(update, weights.detach() @ gradients, rtol=1e-4, atol=1e-3)
        norms = torch.stack([(w * g).norm() for w, g in zip(weights, gradients, strict=True)])
        ratio = losses / seen[0]
        target = norms.mean().detach() * (ratio / ratio.mean()) ** 1.5
        adam.zero_grad()
        (norms - target).abs().sum().backward()
        adam.step()
        with torch.no_grad():
            weights *= 2 / weights.sum()
        torch.testing.assert_close(ours.learnt(), weights.detach(), rtol=1e-4, atol=1e-5)
    assert (ours.learnt() - 1).abs().min() > 0.05


def test_gradnorms_weights_stay_positive_and_weigh_the_heads():
    method = GradNorm(2, CPU, lr=0.5, asymmetry=0.0)
    gradients = torch.tensor([[1.0, 0.0], [0.0, 1000.0]])
    for _ in range(10):
        update = method.update(gradients, torch.ones(2))
        assert update.heads is not None
        assert update.heads.tolist() == update.weights.tolist()
    assert 0 < method.learnt()[1] < 0.05
    assert float(method.learnt().sum()) == pytest.approx(2)


def test_dbmtl_is_the_papers_algorithm_written_out():
    ours = DBMTL(2, CPU, beta=0.9)
    average = torch.zeros(2, 12, dtype=torch.float64)
    steps = [0, 0]
    for k, losses in enumerate(losses_over(25, seed=7).double(), start=1):
        gradients = random_gradients(2, k)
        there = [i for i in range(2) if not (i == 1 and k % 4 == 0)]  # the second has no label in every fourth step
        if len(there) == 1:
            losses[1], gradients[1] = 0, 0
        for i in there:
            steps[i] += 1
            b = 0.9 / math.sqrt(steps[i])
            average[i] = b * average[i] + (1 - b) * gradients[i] / losses[i]
        norms = average.norm(dim=1)
        expected = norms[there].max() * sum(average[i] / norms[i] for i in there)
        update = ours.update(gradients, losses)
        torch.testing.assert_close(update.shared, expected, rtol=1e-5, atol=1e-5)
        assert update.heads is not None
        assert update.heads.tolist() == pytest.approx([float(1 / losses[i]) if i in there else 0 for i in range(2)])


def test_dbmtls_heads_follow_a_loss_that_moves_nothing_of_the_backbone():
    update = DBMTL(2, CPU, beta=0.9).update(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([2.0, 4.0]))
    assert update.heads is not None
    assert update.heads.tolist() == [0.5, 0.25]
    assert update.weights[1] == 0


def test_dbmtl_without_memory_gives_both_log_gradients_the_greater_length():
    gradients = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    update, weights = step(DBMTL(2, CPU, beta=0.0), gradients, torch.tensor([2.0, 10.0]))
    # By hand: gradients of the logarithms are (1.5, 0) and (0, 0.5); both get the length 1.5.
    assert update.tolist() == pytest.approx([1.5, 1.5])
    assert weights.tolist() == pytest.approx([0.5, 0.3])
