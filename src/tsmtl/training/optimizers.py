"""Optimisers by name."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.weighting.adam import Adam, NotCompiled

Moments = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]  # weights, both moments of each, their steps
ASKED = "asked_lr"  # in a group whose learning rate lies in a tensor: the same, as a number, to the last digit


class FusedAdam(Adam):
    """Adam that updates all weights of a group in one call; AdamW is this with ``decoupled_weight_decay``.

    The call is PyTorch's, and so is every bit. What it takes is looked up when the weights that learn change, not at
    every step: on a CPU, the look-up takes longer than the update of a small model's weights.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, weight_decay: float, decoupled: bool) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, decoupled_weight_decay=decoupled, fused=True)
        self._known: dict[tuple[int, ...], list[Moments]] = {}  # by the place of a group, and the weights that learn

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take another state, as ``load_state_dict`` does."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._known = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no step here evaluates a loss again
        """Update the weights that have a gradient."""
        for place, group in enumerate(self.param_groups):
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            key = (place, *map(id, learning))
            if key not in self._known:
                self._known[key] = self._look_up(group)
            beta1, beta2 = group["betas"]
            update = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
            for weights, means, squares, steps in self._known[key]:
                torch._foreach_add_(steps, 1)
                gradients = [weight.grad for weight in weights]
                tensors: tuple[Any, ...] = (weights, gradients, means, squares, [], steps)
                rates = {name: group[name] for name in ("lr", "weight_decay", "eps")}
                update(*tensors, **rates, beta1=beta1, beta2=beta2, amsgrad=False, maximize=False)

    def _look_up(self, group: dict[str, Any]) -> list[Moments]:
        """Find what a step of a group takes, made anew where there is none: weights of one device and type together."""
        found: Moments = ([], [], [], [])
        weights, means, squares, steps = found
        self._init_group(group, weights, [], means, squares, [], steps)  # type: ignore[no-untyped-call]
        kinds: dict[tuple[torch.device, torch.dtype], Moments] = {}
        for tensors in zip(*found, strict=True):
            kind = kinds.setdefault((tensors[0].device, tensors[0].dtype), ([], [], [], []))
            for of_kind, tensor in zip(kind, tensors, strict=True):
                of_kind.append(tensor)
        return list(kinds.values())


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
    return FusedAdam(parameters, lr, decay, decoupled=settings.optimizer == "adamw")


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
