"""Heads of a wide embedding as one product of matrices: it is read once, and its gradient is written once."""

from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.transformed import transformed

WIDE = 2**16  # values of the embeddings of a batch from which on it pays


class JointHeads(torch.autograd.Function):
    """``apply(x, *weights, *biases)``: linear layers that read the same (N, E), as many weights as biases or None.

    A head whose output nobody has asked for has no gradient, as by itself.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Tensor | None) -> tuple[Tensor, ...]:  # noqa: D102
        count = len(given) // 2
        weights, biases = [weight for weight in given[:count] if weight is not None], given[count:]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *weights)
        outputs = (torch.cat(weights) @ x.t()).t().split([len(weight) for weight in weights], dim=1)
        return tuple(
            out.contiguous() if bias is None else out + bias for out, bias in zip(outputs, biases, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, *weights = ctx.saved_tensors
        there = [
            (gradient, weight) for gradient, weight in zip(gradients, weights, strict=True) if gradient is not None
        ]
        if not there:
            return (None,) * (1 + 2 * len(weights))
        d_out = torch.cat([gradient for gradient, _ in there], dim=1)
        d_x = d_out @ torch.cat([weight for _, weight in there]) if ctx.needs_input_grad[0] else None
        parts = iter((d_out.t() @ x).split([len(weight) for _, weight in there]))
        d_weights = [None if gradient is None else next(parts) for gradient in gradients]
        needed = zip(gradients, ctx.needs_input_grad[1 + len(weights) :], strict=True)
        d_biases = [gradient.sum(dim=0) if needs and gradient is not None else None for gradient, needs in needed]
        return d_x, *d_weights, *d_biases


def read_jointly(heads: nn.ModuleDict, x: Tensor) -> dict[str, Tensor]:
    """Give what each head makes of (N, E), by its name."""
    layers = list(heads.values())
    given = (*(layer.weight for layer in layers), *(layer.bias for layer in layers))
    outputs = JointHeads.apply(x, *given)  # type: ignore[no-untyped-call]
    return dict(zip(heads, outputs, strict=True))


def worth_joining(heads: nn.ModuleDict, x: Tensor) -> bool:
    """Say whether this is a training step on a CPU with more than one head and wide embeddings."""
    wide = x.dim() == 2 and x.numel() >= WIDE and len(heads) > 1 and x.device.type == "cpu"
    return wide and heads.training and torch.is_grad_enabled() and not transformed()
