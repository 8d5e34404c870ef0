"""A small GRU, series for it, and all that a way through it gives, for the tests of such ways."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from tsmtl.models.gru_layers import GRULayers

TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-5}  # of a gradient, relative to its norm
Input = Tensor | PackedSequence


def layers(dtype: torch.dtype = torch.float64, **changes: Any) -> GRULayers:
    torch.manual_seed(0)
    arguments = {"input_size": 3, "hidden_size": 5, "num_layers": 2, "bidirectional": True, **changes}
    return GRULayers(**arguments, batch_first=True, dtype=dtype)


def series(n: int, t: int, c: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, t, c, dtype=dtype, generator=torch.Generator().manual_seed(1))


def packed(x: Tensor, lengths: list[int] | None) -> Input:
    if lengths is None:
        return x
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)


def graph(tensor: Tensor) -> set[Any]:
    """All nodes that autograd has recorded for it."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [function for function, _ in node.next_functions]
    return seen


def all_of(way: Any, rnn: nn.GRU, x: Tensor, lengths: list[int] | None) -> dict[str, Tensor]:
    """Outputs, last states, and the gradients of a function of both, on the input and on every weight."""
    x = x.clone().requires_grad_()
    torch.manual_seed(2)  # of dropout
    output, last = way(rnn, packed(x, lengths))
    states = output.data if isinstance(output, PackedSequence) else output
    generator = torch.Generator().manual_seed(3)
    loss = sum((part * torch.randn(part.shape, generator=generator)).sum() for part in (states.sin(), last.cos()))
    gradients = torch.autograd.grad(loss, [x, *rnn.parameters()])
    names = ["input", *(name for name, _ in rnn.named_parameters())]
    return {"states": states, "last": last, **dict(zip(names, gradients, strict=True))}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, each: float = 0) -> None:
    """Check values within a tolerance relative to the norm of all, and one for each value."""
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        assert (found[name] - value).norm() <= tolerance * value.norm() + each * value.numel() ** 0.5, name
