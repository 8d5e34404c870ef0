"""One step of any method, and gradients to weigh."""

import torch
from torch import Tensor

from tsmtl.weighting.method import GradientWeighting, LossWeighting
from tsmtl.weighting.registry import METHODS

CPU = torch.device("cpu")
DEFAULTS = {
    "uncertainty": {"lr": 0.01},
    "dwa": {"temperature": 2.0},
    "famo": {"lr": 0.025, "decay": 1e-3},
    "gradnorm": {"lr": 0.025, "asymmetry": 1.5},
    "dbmtl": {"beta": 0.9},
    "cagrad": {"c": 0.5},
}
Method = LossWeighting | GradientWeighting


def made(name: str, n_tasks: int = 2) -> Method:
    """Make a method with the shipped defaults."""
    own = dict(DEFAULTS.get(name, {}))
    if name == "uncertainty":
        own["factors"] = [1.0] * n_tasks
    return METHODS[name](n_tasks, CPU, **own)


def step(method: Method, gradients: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
    """Give the update of the shared parameters (P,) and the weights (K,) of one step."""
    if isinstance(method, LossWeighting):
        weights = method.weights(losses)
        return weights @ gradients, weights
    update = method.update(gradients, losses)
    return update.shared, update.weights


def cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def random_gradients(n_tasks: int, seed: int, size: int = 12) -> Tensor:
    """Draw gradients (K, P), conflicting and not, whose norms go over two decades."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(n_tasks, size, generator=generator, dtype=torch.float64)
    together = torch.randn(size, generator=generator, dtype=torch.float64)
    directions += (4 * torch.rand(n_tasks, 1, generator=generator, dtype=torch.float64) - 2) * together
    return directions * 10 ** (2 * torch.rand(n_tasks, 1, generator=generator, dtype=torch.float64))
