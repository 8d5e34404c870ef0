"""What holds for every method: scale, tasks that take no part, gradients that are alike, opposite, or not numbers."""

import copy
import io

import pytest
import torch
import yaml

from tests.weighting.steps import CPU, DEFAULTS, cosine, made, random_gradients, step
from tsmtl.config.location import config_dir
from tsmtl.config.weighting_settings import WEIGHTINGS
from tsmtl.weighting.registry import METHODS, build_weighting

SCALE_FREE = {"geometric", "famo", "dbmtl", "bisector"}
LOSSES = torch.tensor([0.7, 1.3])
EACH = pytest.mark.parametrize("name", METHODS)


def steps_of(name: str, factor: float) -> torch.Tensor:
    """Give the updates (3, P) of three steps with the loss of task 2 times a factor."""
    torch.manual_seed(0)
    scale, method, updates = torch.tensor([1.0, factor]), made(name), []
    for seed in (2, 3, 5):
        gradients = random_gradients(2, seed).float()
        updates.append(step(method, gradients * scale[:, None], LOSSES * scale)[0])
        method.after_step(LOSSES * torch.tensor([0.9, 0.95]) * scale)
        method.after_epoch(LOSSES * scale)
    return torch.stack(updates)


@EACH
def test_a_thousandfold_loss_turns_the_update_of_those_that_are_not_scale_free(name):
    cosines = [cosine(a, b) for a, b in zip(steps_of(name, 1.0), steps_of(name, 1000.0), strict=True)]
    if name in SCALE_FREE:
        assert min(cosines) > 1 - 1e-6
    else:
        assert min(cosines) < 0.9995


def test_a_thousandfold_loss_leaves_even_the_length_of_dbmtls_update_and_scales_others_as_documented():
    torch.testing.assert_close(steps_of("dbmtl", 1.0), steps_of("dbmtl", 1000.0), rtol=1e-4, atol=1e-4)
    ratio = steps_of("geometric", 1000.0).norm(dim=1) / steps_of("geometric", 1.0).norm(dim=1)
    assert ratio.tolist() == pytest.approx([1000**0.5] * 3, rel=1e-4)


@EACH
@pytest.mark.parametrize("absent", [0, 1])
def test_a_task_without_labels_takes_no_part(name, absent):
    gradients, losses = random_gradients(2, 1).float(), LOSSES.clone()
    method = made(name)
    step(method, gradients, losses)  # both at first
    before = None if method.learnt() is None else method.learnt().clone()
    gradients[absent], losses[absent] = 0, 0
    update, weights = step(method, gradients, losses)
    method.after_step(losses * 0.9)
    assert weights[absent] == 0
    assert cosine(update, gradients[1 - absent]) > 0.9999 or name == "dbmtl"  # whose average looks back
    if before is not None and name != "gradnorm":  # whose weights add up to K
        assert method.learnt()[absent] == before[absent]
    torch.manual_seed(0)
    alone, of_two = step(made(name), gradients, losses)
    assert cosine(alone, gradients[1 - absent]) > 0.9999
    # As if there were one task: of two that are drawn for, rlw draws first for the first.
    torch.manual_seed(0)
    _, of_one = step(made(name, 1), gradients[[1 - absent]], losses[[1 - absent]])
    assert of_two[1 - absent] == pytest.approx(float(of_one[0]), rel=1e-5)


@EACH
def test_a_gradient_of_zero_leaves_the_step_to_the_other_task(name):
    gradients = random_gradients(2, 1).float()
    gradients[0] = 0
    update, weights = step(made(name), gradients, LOSSES)
    assert weights.isfinite().all()
    assert cosine(update, gradients[1]) > 0.9999


@EACH
def test_equal_gradients_give_their_direction(name):
    gradients = random_gradients(2, 1).float()
    gradients[1] = gradients[0]
    update, weights = step(made(name), gradients, LOSSES)
    assert weights.isfinite().all()
    assert cosine(update, gradients[0]) > 0.9999


@EACH
def test_opposite_gradients_give_a_finite_step(name):
    gradients = random_gradients(2, 1).float()
    gradients[1] = -gradients[0]
    update, weights = step(made(name), gradients, LOSSES)
    assert weights.isfinite().all()
    assert update.isfinite().all()
    if name in ("pcgrad", "bisector", "mgda"):
        torch.testing.assert_close(update / gradients.norm(), torch.zeros_like(update), rtol=0, atol=1e-6)


@EACH
def test_what_is_not_a_number_stays_so_and_raises_nothing(name):
    gradients, losses = random_gradients(2, 1).float(), LOSSES.clone()
    gradients[1], losses[1] = torch.nan, torch.nan
    update, _ = step(made(name), gradients, losses)
    assert update.isnan().any()


@EACH
def test_no_task_at_all_gives_no_step(name):
    update, weights = step(made(name), torch.zeros(2, 4), torch.zeros(2))
    assert weights.tolist() == [0, 0]
    assert update.tolist() == [0] * 4


@EACH
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_any_number_of_tasks(name, n_tasks):
    gradients = random_gradients(n_tasks, 1).float()
    losses = torch.linspace(0.5, 2, n_tasks)
    method = made(name, n_tasks)
    for _ in range(3):
        update, weights = step(method, gradients, losses)
        method.after_step(losses * 0.9)
        method.after_epoch(losses)
        assert weights.shape == (n_tasks,)
        assert update.isfinite().all()
    if n_tasks == 1:
        assert cosine(update, gradients[0]) > 0.9999


@EACH
def test_the_state_goes_through_a_file_and_on_to_the_same_bits(name):
    def on(method, seeds):
        torch.manual_seed(9)
        found = []
        for seed in seeds:
            found.append(step(method, random_gradients(2, seed).float(), LOSSES * (1 + seed / 10))[0])
            method.after_step(LOSSES * torch.tensor([0.9, 0.8]))
            method.after_epoch(LOSSES * (1 + seed / 10))
        return torch.stack(found)

    first = made(name)
    on(first, [1, 2, 3])
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = made(name)
    second.load_state(torch.load(file, weights_only=True))
    assert torch.equal(on(copy.deepcopy(first), [4, 5]), on(second, [4, 5]))


@EACH
def test_every_method_has_a_file_of_settings_and_the_defaults_of_these_tests_are_its(name):
    content = yaml.safe_load((config_dir() / "weighting" / f"{name}.yaml").read_text())
    assert content.pop("name") == name
    expected = {"lr": None} if name == "uncertainty" else DEFAULTS.get(name, {})
    assert content == expected
    assert set(WEIGHTINGS[name].model_fields) == {"name", *content}


def test_what_an_absent_task_has_learnt_stays_where_the_second_look_misses_it_too():
    method = made("famo")
    step(method, random_gradients(2, 1).float(), LOSSES)
    method.after_step(LOSSES * torch.tensor([0.9, 0.5]))
    before = method.learnt().clone()
    step(method, random_gradients(2, 1).float(), LOSSES)
    method.after_step(torch.tensor([0.6, 0.0]))
    assert method.learnt()[1] == before[1]


@pytest.mark.parametrize(
    ("name", "kinds", "settings", "weights", "learnt"),
    [
        # By hand: Adam's first step is lr against the sign of 1/2 - a L, which is below 0 for both.
        ("uncertainty", ["cls", "reg"], {"lr": 0.05}, [1.0, 0.5], [0.05, 0.05]),
        ("uncertainty", ["reg", "cls"], {"lr": None}, [0.5, 1.0], [0.003, 0.003]),
        ("famo", ["cls", "reg"], {"lr": 0.1, "decay": 0.0}, [0.5, 0.5], [0.0, 0.0]),
    ],
)
def test_settings_and_kinds_reach_the_method(name, kinds, settings, weights, learnt):
    method = build_weighting(WEIGHTINGS[name].model_validate({"name": name, **settings}), kinds, 0.003, CPU)
    assert method is not None
    _, found = step(method, random_gradients(2, 1).float(), torch.tensor([2.0, 2.0]))
    assert found.tolist() == pytest.approx(weights)
    assert method.learnt().tolist() == pytest.approx(learnt, rel=1e-4)


def test_gradients_that_depend_on_each_other_give_a_finite_step():
    g1, g2 = random_gradients(2, 4)
    for third in (g1, g1 + g2):
        gradients = torch.stack([g1, g2, third])
        for name in ("bisector", "aligned", "mgda", "cagrad"):
            update, weights = step(made(name, 3), gradients, torch.ones(3, dtype=torch.float64))
            assert update.norm() <= 3 * gradients.norm(), name
            assert weights.abs().max() < 100, name
        update, _ = step(made("bisector", 3), torch.stack([g1, g2, g1]), torch.ones(3, dtype=torch.float64))
        assert cosine(update, g1) == pytest.approx(cosine(update, g2), abs=1e-6)


def test_gradients_that_cancel_out_give_cagrad_no_direction():
    turn = 2 * torch.pi / 3 * torch.arange(3, dtype=torch.float64)
    update, weights = step(made("cagrad", 3), torch.stack([turn.cos(), turn.sin()], dim=1), torch.ones(3))
    assert weights.isfinite().all()
    assert float(update.norm()) < 1e-9
