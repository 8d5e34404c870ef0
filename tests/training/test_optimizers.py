import copy

import pytest
import torch

from tsmtl.training.optimizers import build_optimizer


def steps(optimizer_of, n: int = 5) -> torch.Tensor:
    weights = torch.nn.Parameter(torch.linspace(-2, 2, 6))
    optimizer = optimizer_of([weights])
    for i in range(n):
        optimizer.zero_grad()
        (weights * torch.linspace(1, 3, 6) * (i + 1)).square().sum().backward()
        optimizer.step()
    return weights.detach()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.7, weight_decay=0.3)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.3)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.3)),
    ],
)
def test_an_optimiser_is_the_plain_one_of_torch_with_the_settings_of_the_trainer(trainer, name, plain):
    settings = trainer(optimizer=name, momentum=0.7, weight_decay=0.3)
    torch.testing.assert_close(steps(lambda p: build_optimizer(p, 0.01, settings)), steps(plain), rtol=1e-6, atol=1e-6)


def test_weight_decay_is_in_the_gradient_for_adam_and_apart_from_it_for_adamw(trainer):
    results = [
        steps(lambda p, name=name: build_optimizer(p, 0.01, trainer(optimizer=name, weight_decay=0.3)))
        for name in ("adam", "adamw")
    ]
    assert (results[0] - results[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_is_the_fused_one_of_torch_to_the_last_bit_whichever_weights_learn(trainer, name):
    def weights():
        torch.manual_seed(0)
        float64 = torch.nn.Parameter(torch.randn(4, dtype=torch.float64))  # as a backbone of a plugin may have
        return [*(torch.nn.Parameter(torch.randn(7, n)) for n in (1, 40, 3)), float64]

    ours, theirs = weights(), weights()
    settings = trainer(optimizer=name, weight_decay=0.3)
    plain = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](theirs, 0.01, weight_decay=0.3, fused=True)
    tsmtls = build_optimizer(ours, 0.01, settings)
    for i in range(12):
        if i == 6:  # as a run that goes on
            state = copy.deepcopy(tsmtls.state_dict())
            tsmtls = build_optimizer(ours, 0.5, settings)
            tsmtls.load_state_dict(state)
        if i == 9:  # what was looked up before is that of the state no more
            tsmtls.load_state_dict(copy.deepcopy(tsmtls.state_dict()))
        for optimizer, params in ((plain, theirs), (tsmtls, ours)):
            torch.manual_seed(i)
            optimizer.zero_grad()
            assert all(param.grad is None for param in params)
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + i)
            for place, param in enumerate(params):
                if (place + i) % 3:  # a frozen one, or a head without labels in the batch
                    (param * torch.randn_like(param)).sum().backward()
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), i
    for a, b in zip(ours, theirs, strict=True):
        states = tsmtls.state[a], plain.state[b]
        assert all(torch.equal(states[0][key], states[1][key]) for key in ("step", "exp_avg", "exp_avg_sq"))
