"""Layers that compute in one thread, forward and backward, while the others of their model share their work.

A recurrent layer is many small operations after one another. Threads that share each of them wait for one another at
every time step, and where another process keeps a core busy, each of these waits is that process's turn.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.transformed import transformed


@contextmanager
def one_thread() -> Iterator[None]:
    """Let operations on the CPU that this thread calls run in it alone."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


def in_one_thread(compute: Callable[[Tensor], Tensor], x: Tensor, layer: nn.Module) -> Tensor:
    """Give ``compute(x)``, made in one thread where it is learnt from; so are the gradients of the weights later.

    PyTorch's way goes what learns nothing, is on a GPU, has an input with a gradient, or hooks, which would see a graph
    that is not the model's.

    Args:
        compute: What reads nothing that has a gradient but the layer's weights.
        x: Its input.
        layer: Whose weights it reads.
    """
    weights = list(layer.parameters())
    learns = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    shared = torch.get_num_threads() > 1 and x.device.type == "cpu"
    if not learns or not shared or x.requires_grad or transformed() or _hooked(layer, weights):
        return compute(x)
    output: Tensor = _BothWays.apply(compute, x, *weights)  # type: ignore[no-untyped-call]
    return output


def _hooked(layer: nn.Module, weights: list[nn.Parameter]) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or any(w._backward_hooks for w in weights))


class _BothWays(torch.autograd.Function):
    """A graph of its own, whose way back is gone by one thread; ``apply(compute, x, *weights)``."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[[Tensor], Tensor], x: Tensor, *weights: Tensor) -> Tensor:
        with torch.enable_grad(), one_thread():
            ctx.output, ctx.weights = compute(x), weights
        output: Tensor = ctx.output.detach()
        return output

    @staticmethod
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[2:]
        asked = [weight for weight, needs in zip(ctx.weights, needed, strict=True) if needs]
        again = torch.is_grad_enabled()  # gradients of gradients
        with one_thread():
            with torch.enable_grad():
                # Whose gradient is ``d_output``, which torch.autograd.grad would import SymPy to take itself.
                weighed = (ctx.output * d_output).sum()
            # Who keeps the graph around this one may come again. It is freed with that, not by this pass.
            found = iter(torch.autograd.grad(weighed, asked, retain_graph=True, create_graph=again))
        return None, None, *(next(found) if needs else None for needs in needed)
