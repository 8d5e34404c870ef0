"""Gradients of gradients of a node of autograd of one's own, by operations of PyTorch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def double_backward(
    outputs: Sequence[Tensor], d_outputs: Sequence[Tensor | None], inputs: Sequence[object], needed: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Give what ``backward`` is to give where its gradients have gradients themselves (``create_graph=True``).

    Args:
        outputs: What ``forward`` gave, computed again by operations of PyTorch.
        d_outputs: Their gradients; None where there is none.
        inputs: What ``apply`` was given; anything where no gradient is needed.
        needed: Whether the gradient of each is needed.
    """
    given = [(output, d_output) for output, d_output in zip(outputs, d_outputs, strict=True) if d_output is not None]
    asked = [tensor for tensor, needs in zip(inputs, needed, strict=True) if needs and isinstance(tensor, Tensor)]
    read, d_read = zip(*given, strict=True)
    found = iter(torch.autograd.grad(read, asked, d_read, create_graph=True))
    return tuple(next(found) if needs else None for needs in needed)
