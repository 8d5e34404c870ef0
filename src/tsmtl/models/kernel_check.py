"""The check of a kernel that was loaded: outputs and gradients of a small problem, by it and by PyTorch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

TOLERANCE = 1e-4  # relative to the norm; rounding makes 1e-6
Way = Callable[..., tuple[Tensor, ...]]


def other_numbers(torchs: Way, ours: Way, inputs: Sequence[Tensor], d_outputs: Sequence[Tensor]) -> str | None:
    """Say which output or gradient differs by more than rounding, or give None.

    Args:
        torchs: Computes the outputs from the inputs by PyTorch.
        ours: Does so by the kernel.
        inputs: Each of which has a gradient.
        d_outputs: Gradients of the outputs.
    """
    found = []
    for way in (torchs, ours):
        given = [tensor.clone().requires_grad_() for tensor in inputs]
        with torch.enable_grad():
            outputs = way(*given)
        found.append([*outputs, *torch.autograd.grad(outputs, given, d_outputs)])
    for right, own in zip(*found, strict=True):
        far = ((own - right).norm() / right.norm()).item()
        if not far <= TOLERANCE:
            return f"one of shape {tuple(own.shape)} is off by {far:.2g} of its norm"
    return None
