"""Floating point operations of a training step, counted layer by layer: a multiplication and an addition are two.

Only products of matrices count (linear, convolution, recurrent): they are what a processor's peak speaks of, and all
but a few per cent of the work.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

GATES = {nn.GRU: 3, nn.LSTM: 4}


def training_flops(model: nn.Module, x: Tensor) -> int:
    """Count forward and backward on a batch.

    Backward takes a product for the gradient of the weights and one for that of the input, each as large as that of
    forward; a layer that reads the data themselves needs no gradient of its input.

    Args:
        model: Its layers are asked as they run.
        x: The batch.
    """
    found: list[int] = []

    def ask(layer: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        found.append(_COUNTS[type(layer)](layer, given[0], output))

    hooks = [layer.register_forward_hook(ask) for layer in model.modules() if type(layer) in _COUNTS]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(found)


def _passes(x: Tensor) -> int:
    return 3 if x.requires_grad else 2


def _linear(layer: Any, x: Tensor, output: Tensor) -> int:
    return _passes(x) * 2 * output.numel() * int(layer.in_features)


def _conv(layer: Any, x: Tensor, output: Tensor) -> int:
    return _passes(x) * 2 * output.numel() * int(layer.in_channels // layer.groups * layer.kernel_size[0])


def _recurrent(layer: Any, x: Tensor, output: Any) -> int:
    steps = x.shape[0] * x.shape[1]  # of all series
    directions = 2 if layer.bidirectional else 1
    width = 2 * steps * directions * GATES[type(layer)] * layer.hidden_size
    inputs = [layer.input_size, *[directions * layer.hidden_size] * (layer.num_layers - 1)]
    of_inputs = sum((_passes(x) if i == 0 else 3) * width * size for i, size in enumerate(inputs))
    return int(of_inputs + layer.num_layers * 3 * width * layer.hidden_size)


_COUNTS: dict[type[nn.Module], Callable[[Any, Tensor, Any], int]] = {
    nn.Linear: _linear,
    nn.Conv1d: _conv,
    nn.GRU: _recurrent,
    nn.LSTM: _recurrent,
}


def flops_of(model: nn.Module, shape: tuple[int, ...], batch_size: int) -> int:
    """Count a step on a batch of random instances of a shape."""
    return training_flops(model.eval(), torch.randn(batch_size, *shape))
