"""Optimisers by name."""

from collections.abc import Iterable

import torch
from torch import nn

from tsmtl.config.trainer_settings import TrainerSettings


def build_optimizer(
    parameters: Iterable[nn.Parameter], lr: float, settings: TrainerSettings, backbone: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Build the optimiser, in the fused form that updates all weights of a group in one call.

    What is frozen has no gradient and is passed over, weight decay included.

    Args:
        parameters: What learns at ``lr``.
        lr: Learning rate.
        settings: The section ``trainer``.
        backbone: What learns at ``lr * lr_backbone_factor`` (discriminative fine-tuning, Howard and Ruder 2018,
            arXiv:1801.06146); ``factor`` of its group says so to the schedule.
    """
    decay, factor, groups = settings.weight_decay, settings.lr_backbone_factor, list(parameters)
    backbone = list(backbone)
    frozen = any(not parameter.requires_grad for parameter in backbone)  # it may begin later, with a state of its own
    if not backbone or (factor == 1 and not frozen):
        parameters = [*groups, *backbone]
    else:
        slow = {"params": backbone, "lr": lr * factor, "factor": factor}
        parameters = [{"params": groups, "factor": 1.0}, slow]  # type: ignore[list-item]  # torch takes groups too
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=True)
    adam = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return adam(parameters, lr=lr, weight_decay=decay, fused=True)
