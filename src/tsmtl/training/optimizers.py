"""Optimisers by name."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.weighting.adam import Adam, NotCompiled

ASKED = "asked_lr"  # in a group whose learning rate lies in a tensor: the same, as a number, to the last digit


class SGD(NotCompiled, torch.optim.SGD):
    """PyTorch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


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
        return SGD(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=True)
    decoupled = settings.optimizer == "adamw"
    return Adam(parameters, lr=lr, weight_decay=decay, fused=True, decoupled_weight_decay=decoupled)


def make_capturable(optimizer: torch.optim.Optimizer) -> None:
    """Let steps be recorded as a CUDA graph: they read the learning rate, which goes on changing, from the device."""
    for group in optimizer.param_groups:
        group[ASKED] = lr_of(group)
        group["lr"] = torch.tensor(group[ASKED], dtype=torch.float32, device=group["params"][0].device)
        if "capturable" in group:  # of Adam; a step of SGD knows nothing but its group
            group["capturable"] = True


def lr_of(group: dict[str, Any]) -> float:
    """Give the learning rate of a group, without a wait for the device."""
    return float(group.get(ASKED, group["lr"]))


def set_lr(group: dict[str, Any], lr: float) -> None:
    """Set the learning rate of a group."""
    if ASKED in group:
        group["lr"].fill_(lr)
        group[ASKED] = lr
    else:
        group["lr"] = lr


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Give the state dict, the same whether steps are recorded or not: a run may go on where they are not."""
    state = optimizer.state_dict()
    groups = []
    for group in state["param_groups"]:
        plain = {key: value for key, value in group.items() if key != ASKED}
        plain["lr"] = lr_of(group)
        if "capturable" in plain:
            plain["capturable"] = False
        groups.append(plain)
    return {**state, "param_groups": groups}


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Go on from what :func:`state_of` gave, with steps recorded where they were to be."""
    capturable = ASKED in optimizer.param_groups[0]
    optimizer.load_state_dict(state)
    if capturable:
        make_capturable(optimizer)
