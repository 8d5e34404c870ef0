"""Losses of single tasks, masked where a target is missing, and their weighted sum."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tsmtl.config.errors import UserError

MISSING = -1  # class id of a missing class; a missing number is NaN
Loss = Callable[[Tensor, Tensor], Tensor]
_TINY = 1e-12


def cross_entropy(class_weights: Tensor | None, label_smoothing: float, masked: bool) -> Loss:
    """Make the loss of logits (N, K) against class ids (N,).

    Args:
        class_weights: (K,) weights, or None.
        label_smoothing: Share of the target spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        masked: Whether ids may be missing; the loss is then that of the labelled rows, 0 without any.
    """

    def plain(logits: Tensor, ids: Tensor) -> Tensor:
        return F.cross_entropy(logits, ids, class_weights, label_smoothing=label_smoothing)

    def over_labelled(logits: Tensor, ids: Tensor) -> Tensor:
        total = F.cross_entropy(
            logits, ids, class_weights, ignore_index=MISSING, label_smoothing=label_smoothing, reduction="sum"
        )
        labelled = ids != MISSING
        if class_weights is None:
            return total / labelled.sum().clamp(min=1)
        return total / (class_weights[ids.clamp(min=0)] * labelled).sum().clamp(min=_TINY)

    return over_labelled if masked else plain


def regression_loss(
    kind: str, huber_delta: float, masked: bool, weights: Callable[[Tensor], Tensor] | None = None
) -> Loss:
    """Make the loss of numbers (N, D) against scaled targets (N, D).

    Args:
        kind: ``mse``, ``mae`` or ``huber``.
        huber_delta: Error beyond which ``huber`` is linear.
        masked: Whether targets may be NaN; the loss is then the mean over the labelled numbers, 0 without any.
        weights: Gives the weight of each target, (N, D), whose mean over the train split is 1. Like the class weights
            they count on val as in training, so that train and val losses compare; metrics know no weights.
    """

    def elementwise(outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
        if kind == "mse":
            return F.mse_loss(outputs, targets, reduction=reduction)
        if kind == "mae":
            return F.l1_loss(outputs, targets, reduction=reduction)
        return F.huber_loss(outputs, targets, reduction=reduction, delta=huber_delta)

    def plain(outputs: Tensor, targets: Tensor) -> Tensor:
        if weights is not None:
            return (weights(targets) * elementwise(outputs, targets, "none")).mean()
        return elementwise(outputs, targets, "mean")

    def over_labelled(outputs: Tensor, targets: Tensor) -> Tensor:
        labelled = ~targets.isnan()
        # A missing target is replaced by the output itself: no error and no gradient from it.
        filled = torch.where(labelled, targets, outputs.detach())
        number = labelled.sum().clamp(min=1)
        if weights is not None:
            return (weights(targets) * elementwise(outputs, filled, "none")).sum() / number
        return elementwise(outputs, filled, "sum") / number

    return over_labelled if masked else plain


def label_loss(masked: bool) -> Loss:
    """Make the binary cross-entropy of logits (N, L) against labels (N, L), the mean over instances and labels.

    Args:
        masked: Whether labels may be NaN; the loss is then the mean over those that are known, 0 without any.
    """

    def over_known(logits: Tensor, labels: Tensor) -> Tensor:
        known = ~labels.isnan()
        each = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)

    return over_known if masked else F.binary_cross_entropy_with_logits


def labelled_rows(target: Tensor) -> Tensor:
    """Say of which instances a target is there, (N,): class ids (N,), or any of the numbers (N, D) or labels (N, L)."""
    return ~target.isnan().all(dim=1) if target.is_floating_point() else target != MISSING


def class_weight_values(setting: str | list[float], ids: Tensor, n_classes: int) -> Tensor:
    """Give (K,) weights: ``N / (K * count)`` for ``balanced``, or the list itself.

    Args:
        setting: ``trainer.class_weights``.
        ids: (N,) class ids of the train split, -1 where missing.
        n_classes: K.

    Raises:
        UserError: If a list has not K weights.
    """
    if isinstance(setting, list):
        if len(setting) != n_classes:
            raise UserError(f"trainer.class_weights: must be one weight per class (got {len(setting)} for {n_classes})")
        return torch.tensor(setting, dtype=torch.float32)
    counts = torch.bincount(ids[ids != MISSING], minlength=n_classes).float()
    weights = counts.sum() / (n_classes * counts.clamp(min=1))
    return torch.where(counts > 0, weights, torch.zeros_like(weights))


class Criterion:
    """The loss of all tasks together: ``sum of weight * loss``, with two tasks ``alpha * L1 + (1 - alpha) * L2``.

    Args:
        losses: Loss by task name.
        weights: Weight by task name; a task of weight 0 is measured, but adds no gradient.
    """

    def __init__(self, losses: dict[str, Loss], weights: dict[str, float]) -> None:
        self.losses = losses
        self.weights = weights

    def __call__(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the weighted sum and the loss of each task."""
        parts = {task: loss(outputs[task], targets[task]) for task, loss in self.losses.items()}
        terms = [
            part if self.weights[task] == 1 else self.weights[task] * part
            for task, part in parts.items()
            if self.weights[task] != 0
        ]
        return functools.reduce(torch.add, terms), parts
