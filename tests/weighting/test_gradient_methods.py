"""Methods that weigh gradients, against TorchJD and against what their papers ask for."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from torchjd import aggregation

from tests.weighting.steps import CPU, cosine, made, random_gradients, step
from tsmtl.weighting.cagrad import CAGrad
from tsmtl.weighting.method import gram_matrix

TORCHJD = {
    "pcgrad": aggregation.PCGrad,
    "bisector": aggregation.IMTLG,
    "mgda": lambda: aggregation.MGDA(epsilon=1e-12, max_iters=3000),
    "aligned": aggregation.AlignedMTL,
}
ONES = torch.ones(3, dtype=torch.float64)


@pytest.mark.parametrize("name", TORCHJD)
def test_of_two_gradients_the_update_is_torchjds(name):
    for seed in range(100):
        gradients = random_gradients(2, seed)
        ours, _ = step(made(name), gradients, ONES[:2])
        theirs = TORCHJD[name]()(gradients)
        assert cosine(ours, theirs) > 0.9999, seed
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_the_random_pairs_agree_and_conflict():
    products = [float(gram_matrix(random_gradients(2, seed))[0, 1]) for seed in range(100)]
    assert 25 < sum(product < 0 for product in products) < 75


@pytest.mark.parametrize("name", ["bisector", "mgda", "aligned"])
def test_of_three_gradients_the_update_is_torchjds(name):
    compared = 0
    for seed in range(12):
        gradients = random_gradients(3, seed)
        theirs = TORCHJD[name]()(gradients)
        if name == "bisector" and bool((gradients @ theirs < 0).any()):
            continue  # the paper's scaling turned it uphill
        ours, _ = step(made(name, 3), gradients, ONES)
        assert cosine(ours, theirs) > 0.9999, seed
        compared += 1
    assert compared > 7


def test_pcgrad_of_three_follows_the_projections_one_by_one():
    for seed in range(20):
        gradients = random_gradients(3, seed)
        torch.manual_seed(seed)
        ours, _ = step(made("pcgrad", 3), gradients, ONES)
        torch.manual_seed(seed)
        expected = torch.zeros_like(gradients[0])
        for i in range(3):
            left = gradients[i].clone()
            for j in torch.randperm(3).tolist():
                product = left @ gradients[j]
                if j != i and product < 0:
                    left -= product / (gradients[j] @ gradients[j]) * gradients[j]
            expected += left
        torch.testing.assert_close(ours, expected)


def test_the_bisector_has_the_same_angle_with_all_and_solves_nash():
    for n_tasks in (2, 3):
        for seed in range(30):
            gradients = random_gradients(n_tasks, seed)
            update, weights = step(made("bisector", n_tasks), gradients, ONES[:n_tasks])
            cosines = [cosine(update, gradient) for gradient in gradients]
            assert cosines == pytest.approx([cosines[0]] * n_tasks, abs=1e-9)
            assert cosines[0] > 0
            assert float(weights.abs().sum()) == pytest.approx(1)
            if n_tasks == 2:  # Nash-MTL asks for G w = 1 / w, whose closed form is 1 / (|g| sqrt(1 + cos))
                norms = gradients.norm(dim=1)
                nash = 1 / (norms * (1 + cosine(gradients[0], gradients[1])) ** 0.5)
                torch.testing.assert_close(gram_matrix(gradients) @ nash, 1 / nash)
                torch.testing.assert_close(weights / weights[0], nash / nash[0])


def test_mgda_of_two_is_the_papers_closed_form():
    clipped = 0
    for seed in range(100):
        g1, g2 = gradients = random_gradients(2, seed)
        _, weights = step(made("mgda"), gradients, ONES[:2])
        expected = float(((g2 - g1) @ g2 / ((g1 - g2) @ (g1 - g2))).clamp(0, 1))
        assert weights.tolist() == pytest.approx([expected, 1 - expected], abs=1e-9)
        clipped += expected in (0, 1)
    assert 0 < clipped < 100


def cagrad_objective(gradients: np.ndarray, c: float, weights: np.ndarray) -> float:
    mean, mixed = gradients.mean(axis=0), weights @ gradients
    return float(mixed @ mean + c * np.linalg.norm(mean) * np.linalg.norm(mixed))


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_cagrad_of_two_is_what_a_search_along_the_edge_finds(c):
    for seed in range(60):
        gradients = random_gradients(2, seed)
        g = gradients.numpy()
        found = minimize_scalar(
            lambda a, g=g: cagrad_objective(g, c, np.array([a, 1 - a])),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        mean, mixed = g.mean(axis=0), np.array([found.x, 1 - found.x]) @ g
        expected = mean + c * np.linalg.norm(mean) * mixed / np.linalg.norm(mixed)
        ours, _ = step(CAGrad(2, CPU, c), gradients, ONES[:2])
        assert cosine(ours, torch.from_numpy(expected)) > 0.9999, seed


def test_cagrad_of_three_is_what_a_general_solver_finds_and_better_than_random_updates():
    for seed in range(15):
        gradients = random_gradients(3, seed)
        g = (gradients / gradients.norm()).numpy()
        ours, _ = step(made("cagrad", 3), torch.from_numpy(g), ONES)
        solved = minimize(
            lambda w, g=g: cagrad_objective(g, 0.5, w),
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        mean, mixed = g.mean(axis=0), solved.x @ g
        expected = mean + 0.5 * np.linalg.norm(mean) * mixed / np.linalg.norm(mixed)
        assert cosine(ours, torch.from_numpy(expected)) > 0.9999, seed
        radius = 0.5 * np.linalg.norm(mean)
        assert np.linalg.norm(ours.numpy() - mean) == pytest.approx(radius, rel=1e-6)
        rng = np.random.default_rng(seed)
        for _ in range(100):
            off = rng.normal(size=g.shape[1])
            other = mean + radius * off / np.linalg.norm(off)
            assert (g @ other).min() <= (g @ ours.numpy()).min() + 1e-12


def test_cagrad_without_radius_is_the_mean():
    gradients = random_gradients(2, 0)
    torch.testing.assert_close(step(CAGrad(2, CPU, 0.0), gradients, ONES[:2])[0], gradients.mean(dim=0))


def test_aligned_gradients_are_orthogonal_and_as_long_as_the_smallest_component():
    for seed in range(20):
        gradients = random_gradients(2, seed)
        gram = gram_matrix(gradients)
        values, vectors = torch.linalg.eigh(gram)
        balance = values[0].sqrt() * vectors @ torch.diag(values**-0.5) @ vectors.T
        torch.testing.assert_close(
            gram_matrix(balance @ gradients), values[0] * torch.eye(2, dtype=torch.float64), rtol=1e-6, atol=1e-6
        )
        _, weights = step(made("aligned"), gradients, ONES[:2])
        torch.testing.assert_close(weights, balance.mean(dim=1))
