"""One layer of gated recurrent units whose backward is written by hand: one autograd node for all time steps.

``nn.GRU`` has no fused training path on a CPU: it records about fifteen operations per time step, and its backward pass
allocates a gradient for each. Here every step reads and writes its part of a few buffers in place, and what depends on
no other step - gates of the input, derivatives, gradients of the weights - is computed for many steps at once.

With r, z and n the gates of a step, ``h`` the state before it and ``a_n`` what the new gate reads of ``h``::

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)      n = tanh(W_in x + b_in + r * a_n)
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)      a_n = W_hn h + b_hn              h' = n + z * (h - n)

The gradients of all that is read of ``h`` are the gradient of ``h'`` times factors that the forward pass has fixed, so
that the loop back through time is a product of elements, one of matrices, and a sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tsmtl.models.double_backward import double_backward

CHUNK_ROWS = 2048  # rows worked on at once: enough that calls cost little, few enough that buffers stay in the cache


@dataclass(frozen=True)
class Chunk:
    """Consecutive time steps.

    Attributes:
        steps: Which they are.
        rows: Where they lie among the packed rows.
        sizes: Rows of each step.
        before: Rows of the step before the first one.
    """

    steps: range
    rows: slice
    sizes: list[int]
    before: int


class Steps:
    """The rows of a packed batch, as :class:`torch.nn.utils.rnn.PackedSequence` lays them: step after step.

    States lie in buffers with N rows more: the first N are the states before the first step.

    Args:
        sizes: Rows of each step, never more than of the step before; (T,) int64 on the CPU.

    Attributes:
        batch_sizes: The sizes, as given.
        sizes: The same as a list.
        n: N, rows of the first step.
        total: P, rows of all steps.
        starts: (T + 1,) the first row of each step, and P.
        reversal: (P,) the row that holds the same series' step counted from its end; it is its own inverse.
        last: (N,) where the last state of each series lies in a buffer of states.
        previous: (P,) where the state before each row lies in a buffer of states, or None: N rows before its own.
    """

    def __init__(self, sizes: Tensor) -> None:
        self.batch_sizes = sizes
        self.sizes: list[int] = sizes.tolist()
        self.n, self.total = self.sizes[0], sum(self.sizes)
        self.starts = functional.pad(sizes.cumsum(0), (1, 0))
        starts = self.starts[:-1]  # (T,)
        step = torch.repeat_interleave(sizes)  # (P,)
        series = torch.arange(self.total) - starts[step]  # (P,)
        lengths = (sizes[:, None] > torch.arange(self.n)).sum(dim=0)  # (N,)
        self.reversal = starts[lengths[series] - 1 - step] + series
        self.last = self.n + starts[lengths - 1] + torch.arange(self.n)
        self.previous: Tensor | None = None
        if self.sizes[-1] < self.n:
            self.previous = torch.where(step > 0, self.n + starts[step - 1], 0) + series

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The steps in groups that fit into the cache."""
        found, row, before = [], 0, self.n
        each = max(1, CHUNK_ROWS // self.n)
        for first in range(0, len(self.sizes), each):
            sizes = self.sizes[first : first + each]
            found.append(Chunk(range(first, first + len(sizes)), slice(row, row + sum(sizes)), sizes, before))
            row, before = row + sum(sizes), sizes[-1]
        return found

    def blocks(self, states: Tensor, chunk: Chunk) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Cut the states (..., rows, H) around the steps of a chunk.

        Returns:
            What each step begins with, and what it ends with.
        """
        rows = states[..., self.n + chunk.rows.start - chunk.before : self.n + chunk.rows.stop, :]
        first, *after = rows.split([chunk.before, *chunk.sizes], dim=-2)
        before = [
            block if block.shape[-2] == size else block[..., :size, :]
            for block, size in zip([first, *after], chunk.sizes, strict=False)
        ]
        return before, after


class GRUSteps(torch.autograd.Function):
    """All directions of one layer; ``apply(x, steps, *weights)``.

    Args of ``apply``: ``x`` (P, F) packed input; ``steps`` :class:`Steps`; ``weights`` of each direction as ``nn.GRU``
    orders them: (3H, F), (3H, H), (3H,), (3H,). Gives the states (P, D * H) and the last ones (D, N, H).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: Steps, *weights: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        w_ih, w_hh, b_ih, b_hh = (weights[i::4] for i in range(4))  # each by direction
        directions, hidden = len(w_hh), w_hh[0].shape[1]
        gates = x.new_empty(directions, steps.total, 3 * hidden)  # r, z and a_n
        new = x.new_empty(directions, steps.total, hidden)
        states = x.new_empty(directions, steps.n + steps.total, hidden)
        states[:, : steps.n] = 0
        recurrent = [w.t().contiguous() for w in w_hh]  # (H, 3H): transposed once, not in every product
        for chunk in steps.chunks:
            for d, rows in enumerate(_rows(x, steps, chunk, directions)):
                both = (b_ih[d] + b_hh[d])[: 2 * hidden]
                w = w_ih[d].t()  # (F, 3H)
                torch.addmm(both, rows, w[:, : 2 * hidden], out=gates[d, chunk.rows, : 2 * hidden])
                torch.addmm(b_ih[d][2 * hidden :], rows, w[:, 2 * hidden :], out=new[d, chunk.rows])
                gates[d, chunk.rows, 2 * hidden :] = b_hh[d][2 * hidden :]
            _read(steps, chunk, gates, new, states, recurrent)
        ctx.save_for_backward(x, gates, new, states, *weights)
        ctx.steps = steps
        ctx.set_materialize_grads(False)
        outputs = [states[0, steps.n :]]
        if directions == 2:
            outputs.append(states[1, steps.n :].index_select(0, steps.reversal))
        return torch.cat(outputs, dim=1), states.index_select(1, steps.last)

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, gates, new, states, *weights = ctx.saved_tensors
        steps: Steps = ctx.steps
        if torch.is_grad_enabled():
            return differentiable(steps, ctx.needs_input_grad, x, weights, (d_output, d_last))
        w_ih, w_hh = weights[::4], weights[1::4]
        directions, hidden = len(w_hh), w_hh[0].shape[1]
        d_states = _gradient_of_states(steps, states, d_output, d_last)
        d_w_ih, d_w_hh = ([torch.zeros_like(w) for w in group] for group in (w_ih, w_hh))
        d_b_ih, d_b_hh = (x.new_zeros(directions, 3 * hidden) for _ in range(2))
        d_x = x.new_empty(directions, *x.shape) if ctx.needs_input_grad[0] else None
        for chunk in reversed(steps.chunks):
            before = states[:, chunk.rows]
            if steps.previous is not None:
                before = states.index_select(1, steps.previous[chunk.rows])
            d_gates, d_new = _go_back(steps, chunk, gates, new, before, d_states, w_hh)
            for d, rows in enumerate(_rows(x, steps, chunk, directions)):
                d_b_hh[d] += d_gates[d].sum(dim=0)
                d_w_hh[d].addmm_(d_gates[d].t(), before[d])
                d_gates[d, :, 2 * hidden :] = d_new[d]  # what W_ih x adds to n is not multiplied by r
                d_b_ih[d] += d_gates[d].sum(dim=0)
                d_w_ih[d].addmm_(d_gates[d].t(), rows)
                if d_x is not None:
                    torch.mm(d_gates[d], w_ih[d], out=d_x[d, chunk.rows])
        if d_x is not None:
            d_x = d_x[0] if directions == 1 else d_x[0].add_(d_x[1].index_select(0, steps.reversal))
        of_weights = zip(d_w_ih, d_w_hh, d_b_ih, d_b_hh, strict=True)
        return d_x, None, *(gradient for direction in of_weights for gradient in direction)


def differentiable(
    steps: Steps, needed: tuple[bool, ...], x: Tensor, weights: list[Tensor], d_outputs: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Give gradients that have gradients themselves (``create_graph=True``), by the stock layer."""
    directions, hidden = len(weights) // 4, weights[1].shape[1]
    first = x.new_zeros(directions, steps.n, hidden)
    outputs = torch.gru(x, steps.batch_sizes, first, weights, True, 1, 0.0, False, directions == 2)
    return double_backward(outputs, d_outputs, [x, None, *weights], needed)


def _rows(x: Tensor, steps: Steps, chunk: Chunk, directions: int) -> Iterator[Tensor]:
    """Give the input (rows, F) of a chunk as each direction reads it."""
    yield x[chunk.rows]
    if directions == 2:
        yield x.index_select(0, steps.reversal[chunk.rows])


@torch.inference_mode()  # spares each of some thousand calls the book-keeping of autograd
def _read(steps: Steps, chunk: Chunk, gates: Tensor, new: Tensor, states: Tensor, recurrent: list[Tensor]) -> None:
    """Go through a chunk; gates and the new gate hold what they read of the input, and end as they are in a step."""
    hidden, sizes = new.shape[2], chunk.sizes
    gates, new = gates[:, chunk.rows], new[:, chunk.rows]
    both, r, z, a_n = (
        gates[:, :, part].split(sizes, dim=1)
        for part in (slice(2 * hidden), slice(hidden), slice(hidden, 2 * hidden), slice(2 * hidden, None))
    )
    before, after = steps.blocks(states, chunk)
    products = [
        zip(direction.split(sizes), steps.blocks(own, chunk)[0], [w] * len(sizes), strict=True)
        for w, direction, own in zip(recurrent, gates, states, strict=True)
    ]
    for t, (n, *step) in enumerate(zip(new.split(sizes, dim=1), *products, strict=True)):
        for gate, state, w in step:
            gate.addmm_(state, w)
        both[t].sigmoid_()
        n.addcmul_(r[t], a_n[t]).tanh_()
        torch.lerp(n, before[t], z[t], out=after[t])


def _factors(gates: Tensor, new: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Give what the gradient of a state is multiplied by, to become that of what the step reads.

    Args:
        gates: (D, rows, 3H).
        new: (D, rows, H).
        before: (D, rows, H) states before.

    Returns:
        (D, rows, 3, H) for what it reads of the state before it, and (D, rows, H) for what the new gate reads.
    """
    gates = gates.unflatten(2, (3, -1))
    r, z, a_n = gates.unbind(2)
    factors = torch.empty_like(gates, memory_format=torch.contiguous_format)
    of_new = torch.ops.aten.tanh_backward(1 - z, new)
    torch.mul(of_new, a_n, out=factors[:, :, 0])
    torch.sub(before, new, out=factors[:, :, 1])
    sigmoids = factors[:, :, :2]
    torch.ops.aten.sigmoid_backward.grad_input(sigmoids, gates[:, :, :2], grad_input=sigmoids)
    torch.mul(of_new, r, out=factors[:, :, 2])
    return factors, of_new


def _gradient_of_states(steps: Steps, states: Tensor, d_output: Tensor | None, d_last: Tensor | None) -> Tensor:
    """Give the gradient (D, N + P, H) of the states, by what the layer gave of them alone."""
    d_states = torch.zeros_like(states)
    if d_output is not None:
        forward, *backward = d_output.split(states.shape[2], dim=1)
        d_states[0, steps.n :] = forward
        for part in backward:
            d_states[1, steps.n :] = part.index_select(0, steps.reversal)
    if d_last is not None:
        d_states.index_add_(1, steps.last, d_last)
    return d_states


def _go_back(
    steps: Steps, chunk: Chunk, gates: Tensor, new: Tensor, before: Tensor, d_states: Tensor, w_hh: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Go back through a chunk, adding to the gradients of the states.

    Returns:
        The gradients (D, rows, 3H) of what the steps read of the states, and (D, rows, H) of what the new gate reads.
    """
    hidden, sizes = new.shape[2], chunk.sizes
    gates = gates[:, chunk.rows]
    factors, of_new = _factors(gates, new[:, chunk.rows], before)
    with torch.inference_mode():  # as above; what is returned is made outside
        d_before, d_after = steps.blocks(d_states, chunk)
        products = [
            zip(steps.blocks(own, chunk)[0], direction.split(sizes), [w] * len(sizes), strict=True)
            for w, direction, own in zip(w_hh, factors.flatten(2), d_states, strict=True)
        ]
        d_gates, z = factors.split(sizes, dim=1), gates[:, :, hidden : 2 * hidden].split(sizes, dim=1)
        for t, step in reversed([*enumerate(zip(*products, strict=True))]):
            d_gates[t].mul_(d_after[t].unsqueeze(2))
            d_before[t].addcmul_(d_after[t], z[t])
            for d_state, d_gate, w in step:
                d_state.addmm_(d_gate, w)
    return factors.flatten(2), of_new.mul_(d_states[:, steps.n :][:, chunk.rows])
