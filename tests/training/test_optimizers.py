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
