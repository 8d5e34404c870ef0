"""One layer of gated recurrent units whose way through time, forth and back, is native code (``native/gru.cpp``).

As in :mod:`tsmtl.models.gru_steps`, what depends on no other step is left to products of large matrices: the gates of
the input before the way forth, the gradients of the weights behind the way back. In between a step is one product of
small matrices whose sums stay in registers until the gates are made of them. All is in single precision.
"""

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from tsmtl.models.gru_steps import (
    Chunk,
    GRUSteps,
    Steps,
    differentiable,
    gradient_of_states,
    keep_freed_memory,
    outputs_of,
    rows_by_direction,
)
from tsmtl.native import Library

TOLERANCE = 1e-4  # of the check, relative to the norm; rounding makes 1e-6
_NUMBER, _ARRAY = ctypes.c_int64, ctypes.c_void_p


class NativeGRUSteps(torch.autograd.Function):
    """All directions of one layer; ``apply(kernels, x, steps, *weights)``.

    ``kernels`` is the loaded :data:`GRU_KERNELS`; all else, and what is given, as with :class:`GRUSteps`.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, kernels: ctypes.CDLL, x: Tensor, steps: Steps, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        keep_freed_memory()
        w_ih, w_hh, b_ih, b_hh = (weights[i::4] for i in range(4))  # each by direction
        directions, hidden = len(w_hh), w_hh[0].shape[1]
        gates = x.new_empty(directions, steps.total, 4 * hidden)  # a_n, r, z and n
        states = x.new_empty(directions, steps.n + steps.total, hidden)
        states[:, : steps.n] = 0
        packed = [_packed(kernels, w, back=False) for w in w_hh]
        biases = [_bias(hidden, *both) for both in zip(b_ih, b_hh, strict=True)]
        for chunk in steps.chunks:
            for d, rows in enumerate(rows_by_direction(x, steps, chunk, directions)):
                torch.mm(rows, w_ih[d].t(), out=gates[d, chunk.rows, hidden:])
                own, around = gates[d, chunk.rows], _around(states[d], steps, chunk)
                kernels.gru_read(*_shape(chunk, hidden), *_addresses(packed[d], biases[d], own, around))
        ctx.save_for_backward(x, gates, states, *weights)
        ctx.kernels, ctx.steps = kernels, steps
        ctx.set_materialize_grads(False)
        return outputs_of(states, steps)

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, gates, states, *weights = ctx.saved_tensors
        kernels, steps = ctx.kernels, ctx.steps
        if torch.is_grad_enabled():
            return None, *differentiable(steps, ctx.needs_input_grad[1:], x, weights, (d_output, d_last))
        w_ih, w_hh = weights[::4], weights[1::4]
        directions, hidden = len(w_hh), w_hh[0].shape[1]
        d_states = gradient_of_states(steps, states, d_output, d_last)
        packed = [_packed(kernels, w, back=True) for w in w_hh]
        d_w_ih, d_w_hh = ([torch.zeros_like(w) for w in group] for group in (w_ih, w_hh))
        d_biases = x.new_zeros(directions, 4 * hidden)
        d_x = x.new_empty(directions, *x.shape) if ctx.needs_input_grad[1] else None
        for chunk in reversed(steps.chunks):
            for d, rows in enumerate(rows_by_direction(x, steps, chunk, directions)):
                d_gates = x.new_empty(len(rows), 4 * hidden)  # of a_n, r, z and what the input adds to n
                arrays = gates[d, chunk.rows], *(_around(all_, steps, chunk) for all_ in (states[d], d_states[d]))
                kernels.gru_go_back(*_shape(chunk, hidden), *_addresses(packed[d], *arrays, d_gates))
                before = states[d, chunk.rows] if steps.previous is None else states[d][steps.previous[chunk.rows]]
                of_state, of_input = d_gates[:, : 3 * hidden], d_gates[:, hidden:]
                d_biases[d] += d_gates.sum(dim=0)
                d_w_hh[d].addmm_(of_state.t(), before)
                d_w_ih[d].addmm_(of_input.t(), rows)
                if d_x is not None:
                    torch.mm(of_input, w_ih[d], out=d_x[d, chunk.rows])
        if d_x is not None:
            d_x = d_x[0] if directions == 1 else d_x[0].add_(d_x[1].index_select(0, steps.reversal))
        found: list[Tensor] = []
        for d_w_i, d_w_h, d_bias in zip(d_w_ih, d_w_hh, d_biases, strict=True):
            d_b_h = d_bias[: 3 * hidden].roll(-hidden)  # to r, z, a_n
            found += [d_w_i, d_w_h.roll(-hidden, 0), d_bias[hidden:], d_b_h]
        return None, d_x, None, *found


def _packed(kernels: ctypes.CDLL, weights: Tensor, back: bool) -> Tensor:
    """Lay (3H, H) weights as the kernel of one of the ways reads them."""
    hidden, sizes = weights.shape[1], (_NUMBER * 2)()
    kernels.gru_sizes(hidden, ctypes.addressof(sizes), ctypes.addressof(sizes) + ctypes.sizeof(_NUMBER))
    packed = weights.new_empty(sizes[1] if back else sizes[0])
    ways = (None, packed.data_ptr()) if back else (packed.data_ptr(), None)
    kernels.gru_pack(hidden, weights.contiguous().data_ptr(), *ways)
    return packed


def _bias(hidden: int, of_input: Tensor, of_state: Tensor) -> Tensor:
    """Give the biases (4H,) of a_n, r, z and of what n reads of the input."""
    a_n, both, n = of_state[2 * hidden :], (of_input + of_state)[: 2 * hidden], of_input[2 * hidden :]
    return torch.cat((a_n, both, n))


def _around(states: Tensor, steps: Steps, chunk: Chunk) -> Tensor:
    """Give the states (rows, H) from the step before a chunk to its end."""
    return states[steps.n + chunk.rows.start - chunk.before : steps.n + chunk.rows.stop]


def _shape(chunk: Chunk, hidden: int) -> tuple[int, Any, int, int]:
    return len(chunk.sizes), (_NUMBER * len(chunk.sizes))(*chunk.sizes), chunk.before, hidden


def _addresses(*arrays: Tensor) -> list[int]:
    return [array.data_ptr() for array in arrays]


def _check(kernels: ctypes.CDLL) -> str | None:
    """Compare outputs and gradients with those of torch, on series of unequal lengths."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32)

    hidden, features = 37, 3
    lengths = [*range(12, 1, -1)]
    packed = pack_sequence([normal(length, features) for length in lengths])
    shapes = [(3 * hidden, features), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,)] * 2
    inputs = [packed.data, *(normal(*shape) / hidden**0.5 for shape in shapes)]
    outer = normal(sum(lengths), 2 * hidden), normal(2, len(lengths), hidden)
    found = []
    ways: list[Callable[..., tuple[Tensor, Tensor]]] = [GRUSteps.apply, partial(NativeGRUSteps.apply, kernels)]
    for apply in ways:
        x, *weights = (tensor.clone().requires_grad_() for tensor in inputs)
        with torch.enable_grad():
            outputs = apply(x, Steps(packed.batch_sizes), *weights)
        found.append([*outputs, *torch.autograd.grad(outputs, [x, *weights], outer)])
    for torchs, ours in zip(*found, strict=True):
        far = ((ours - torchs).norm() / torchs.norm()).item()
        if not far <= TOLERANCE:
            return f"one of shape {tuple(ours.shape)} is off by {far:.2g} of its norm"
    return None


GRU_KERNELS = Library(
    "gru",
    {
        "gru_sizes": [_NUMBER, _ARRAY, _ARRAY],
        "gru_pack": [_NUMBER, _ARRAY, _ARRAY, _ARRAY],
        "gru_read": [_NUMBER, _ARRAY, _NUMBER, _NUMBER, *[_ARRAY] * 4],
        "gru_go_back": [_NUMBER, _ARRAY, _NUMBER, _NUMBER, *[_ARRAY] * 5],
    },
    _check,
)
