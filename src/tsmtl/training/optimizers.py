"""Optimisers by name."""

from collections.abc import Iterable

import torch
from torch import nn

from tsmtl.config.trainer_settings import TrainerSettings


def build_optimizer(parameters: Iterable[nn.Parameter], lr: float, settings: TrainerSettings) -> torch.optim.Optimizer:
    """Build the optimiser, in the fused form that updates all weights in one call.

    Args:
        parameters: What to train.
        lr: Learning rate.
        settings: The section ``trainer``.
    """
    decay = settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=True)
    adam = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return adam(parameters, lr=lr, weight_decay=decay, fused=True)
