"""Layers that compute in one thread, forward and backward, while the others of their model share their work.

A recurrent layer is many small operations after one another. Threads that share each of them wait for one another at
every time step, and where another process keeps a core busy, each of these waits is that process's turn.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

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


def in_one_thread(compute: Callable[[Tensor], Tensor], x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Give ``compute(x)``, made in one thread; so are the gradients of the weights later.

    Args:
        compute: What reads nothing that has a gradient but ``x`` and the weights.
        x: Its input. On a GPU all is as without this, and so it is where the input has a gradient.
        weights: Those that it reads.
    """
    if torch.get_num_threads() == 1 or x.device.type != "cpu" or x.requires_grad or transformed():
        return compute(x)
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
        output: Tensor = _BothWays.apply(compute, x, *weights)  # type: ignore[no-untyped-call]
        return output
    with one_thread():
        return compute(x)


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
            # Whoever keeps the graph around this one may come again; else it goes with that.
            found = iter(torch.autograd.grad(ctx.output, asked, d_output, retain_graph=True, create_graph=again))
        return None, None, *(next(found) if needs else None for needs in needed)
