"""Where PyTorch reads a computation itself, which then has to be made of its own operations."""

import torch
from torch.autograd import forward_ad


def transformed() -> bool:
    """Say whether PyTorch traces, compiles or transforms what is computed: it knows no nodes of autograd of one's own.

    Transforms are those of ``torch.func``, and forward-mode differentiation.
    """
    read = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
    return read or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
