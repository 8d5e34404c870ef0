"""One layer of gated recurrent units whose way through time, forth and back, is native code (``native/gru.cpp``).

As in :mod:`tsmtl.models.gru_steps`, what depends on no other step is left to products of large matrices: the gates of
the input before the way forth, the gradients of the weights behind the way back. In between a step is one product of
small matrices whose sums stay in registers until the gates are made of them. All is in single precision.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pack_sequence

from tsmtl.models.gru_steps import Chunk, GRUSteps, Steps, differentiable
from tsmtl.models.kernel_check import other_numbers
from tsmtl.native import Library

_NUMBER, _ARRAY = ctypes.c_int64, ctypes.c_void_p


class NativeGRUSteps(torch.autograd.Function):
    """All directions of one layer; ``apply(kernels, x, steps, *weights)``.

    ``kernels`` is the loaded :data:`GRU_KERNELS`; all else, and what is given, as with :class:`GRUSteps`. A direction
    takes the packed rows in its own order. States lie in buffers (N + P + N, D, H) between zeros, from which the one
    direction begins before the first step and the other behind the last.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, kernels: ctypes.CDLL, x: Tensor, steps: Steps, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        w_ih, w_hh, b_ih, b_hh = (weights[i::4] for i in range(4))  # each by direction
        directions, hidden, n = len(w_hh), w_hh[0].shape[1], steps.n
        gates = x.new_empty(directions, steps.total, 4 * hidden)  # a_n, r, z and n
        states = x.new_empty(n + steps.total + n, directions, hidden)
        states[:n] = states[-n:] = 0
        for d in range(directions):
            packed, bias = _packed(kernels, w_hh[d], back=False), _bias(hidden, b_ih[d], b_hh[d])
            for chunk in _in_order(steps, d):
                torch.mm(x[chunk.rows], w_ih[d].t(), out=gates[d, chunk.rows, hidden:])
                where = _where(steps, chunk, d, states)
                kernels.gru_read(*where, *_addresses(packed, bias, gates[d], states[:, d]))
        ctx.save_for_backward(x, gates, states, *weights)
        ctx.kernels, ctx.steps = kernels, steps
        ctx.set_materialize_grads(False)
        last = [states[steps.last, 0], *states[n : 2 * n, 1:].unbind(1)]
        return states[n:-n].flatten(1).clone(), torch.stack(last)

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, gates, states, *weights = ctx.saved_tensors
        kernels, steps = ctx.kernels, ctx.steps
        if torch.is_grad_enabled():
            return None, *differentiable(steps, ctx.needs_input_grad[1:], x, weights, (d_output, d_last))
        w_ih, w_hh = weights[::4], weights[1::4]
        hidden = states.shape[2]
        d_states = _gradient_of_states(steps, states, d_output, d_last)
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[1] else None
        found: list[Tensor] = []
        for d, (w_i, w_h) in enumerate(zip(w_ih, w_hh, strict=True)):
            packed = _packed(kernels, w_h, back=True)
            d_w_i, d_w_h, d_bias = torch.zeros_like(w_i), torch.zeros_like(w_h), x.new_zeros(4 * hidden)
            for chunk in reversed(_in_order(steps, d)):
                rows = x[chunk.rows]
                d_gates = x.new_empty(len(rows), 4 * hidden)  # of a_n, r, z and what n reads of the input
                arrays = packed, gates[d], states[:, d], d_states[:, d], d_gates
                kernels.gru_go_back(*_where(steps, chunk, d, states), *_addresses(*arrays))
                of_state, of_input = d_gates[:, : 3 * hidden], d_gates[:, hidden:]
                d_bias += d_gates.sum(dim=0)
                d_w_h.addmm_(of_state.t(), _before(steps, chunk, d, states))
                d_w_i.addmm_(of_input.t(), rows)
                if d_x is not None:
                    d_x[chunk.rows].addmm_(of_input, w_i)
            d_b_h = d_bias[: 3 * hidden].roll(-hidden)  # to r, z, a_n
            found += [d_w_i, d_w_h.roll(-hidden, 0), d_bias[hidden:], d_b_h]
        return None, d_x, None, *found


def _in_order(steps: Steps, d: int) -> list[Chunk]:
    """Give the chunks in the order of a direction."""
    return steps.chunks[::-1] if d else steps.chunks


def _before(steps: Steps, chunk: Chunk, d: int, states: Tensor) -> Tensor:
    """Give the states (rows, H) that the rows of a chunk go on from."""
    rows, n = chunk.rows, steps.n
    if steps.sizes[-1] == n:  # those N rows before their own, or behind
        shift = 2 * n if d else 0
        return states[shift + rows.start : shift + rows.stop, d]
    sizes = steps.batch_sizes[chunk.steps.start : chunk.steps.stop]
    step = torch.repeat_interleave(sizes) + chunk.steps.start  # (rows,)
    series = torch.arange(rows.start, rows.stop) - steps.starts[step]
    if d:
        goes_on = series < functional.pad(steps.batch_sizes, (0, 1))[step + 1]
        before = torch.where(goes_on, steps.starts[step + 1], steps.total)
    else:
        before = torch.where(step > 0, steps.starts[step - 1], -n)
    return states[n + before + series, d]


def _gradient_of_states(steps: Steps, states: Tensor, d_output: Tensor | None, d_last: Tensor | None) -> Tensor:
    """Give the gradient (N + P + N, D, H) of the states, by what the layer gave of them alone."""
    n = steps.n
    if d_output is None:
        d_states = torch.zeros_like(states)
    else:
        d_states = torch.empty_like(states)
        d_states[:n] = d_states[-n:] = 0
        d_states[n:-n] = d_output.unflatten(1, states.shape[1:])
    if d_last is not None:
        d_states[:, 0].index_add_(0, steps.last, d_last[0])
        d_states[n : 2 * n, 1:] += d_last[1:].transpose(0, 1)
    return d_states


def _packed(kernels: ctypes.CDLL, weights: Tensor, back: bool) -> Tensor:
    """Lay (3H, H) weights as the kernel of one of the ways reads them."""
    hidden, sizes = weights.shape[1], (_NUMBER * 2)()  # forth and back
    kernels.gru_sizes(hidden, ctypes.addressof(sizes))
    packed, whole = weights.new_empty(sizes[back]), weights.contiguous()
    kernels.gru_pack(hidden, back, *_addresses(whole, packed))
    return packed


def _bias(hidden: int, of_input: Tensor, of_state: Tensor) -> Tensor:
    """Give the biases (4H,) of a_n, r, z and of what n reads of the input."""
    a_n, both, n = of_state[2 * hidden :], (of_input + of_state)[: 2 * hidden], of_input[2 * hidden :]
    return torch.cat((a_n, both, n))


def _where(steps: Steps, chunk: Chunk, d: int, states: Tensor) -> tuple[int, ...]:
    """Say which steps are gone through, and how the states lie."""
    of_chunk = chunk.steps.start, chunk.steps.stop
    return len(steps.sizes), steps.starts.data_ptr(), d, *of_chunk, states.shape[2], states.stride(0)


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
    return other_numbers(
        lambda x, *weights: GRUSteps.apply(x, Steps(packed.batch_sizes), *weights),  # type: ignore[no-untyped-call]
        lambda x, *weights: NativeGRUSteps.apply(kernels, x, Steps(packed.batch_sizes), *weights),  # type: ignore[no-untyped-call]
        inputs,
        outer,
    )


GRU_KERNELS = Library(
    "gru",
    {
        "gru_sizes": [_NUMBER, _ARRAY],
        "gru_pack": [_NUMBER, _NUMBER, _ARRAY, _ARRAY],
        "gru_read": [_NUMBER, _ARRAY, *[_NUMBER] * 5, *[_ARRAY] * 4],
        "gru_go_back": [_NUMBER, _ARRAY, *[_NUMBER] * 5, *[_ARRAY] * 5],
    },
    _check,
)
