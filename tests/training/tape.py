"""Recorders of steps for a CPU: one that does the work again, and one that does its operations again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map


class Again:
    """Does recorded work again: Python and all, on the tensors that it closes over.

    Args:
        fails: Whether nothing can be recorded.
    """

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.recorded, self.aside_count = fails, 0, 0

    def aside(self, work: Callable[[], Any]) -> Any:
        self.aside_count += 1
        return work()

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        self.recorded += 1
        return work


class Tape(TorchDispatchMode):
    """Does the operations of recorded work again, as a CUDA graph does: no line of Python is run a second time.

    Numbers that Python gave to an operation are those of the recording for ever, tensors are the same memory, and what
    asks for the value of one cannot be recorded. Recording has no effect, which has to be undone here.

    Args:
        model: Trained by what is recorded.
        optimizer: Likewise.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self.recorded, self.aside_count = 0, 0

    def aside(self, work: Callable[[], Any]) -> Any:
        self.aside_count += 1
        return work()

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        self.recorded += 1
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        tensors = [*self.model.parameters(), *self.model.buffers(), *(t for t in state if isinstance(t, Tensor))]
        before, random = [tensor.detach().clone() for tensor in tensors], torch.get_rng_state()
        calls: list[tuple[Any, ...]] = []
        self._calls = calls
        with self:
            work()
        torch.set_rng_state(random)
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        return lambda: _played(calls)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("asks for the value of a tensor")
        found = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, found))
        return found


def _played(calls: list[tuple[Any, ...]]) -> None:
    """Do operations again on what those before now gave, or on the memory that was there before the first."""
    made: dict[tuple[Any, ...], Tensor] = {}

    def now(value: Any) -> Any:
        return made.get(_place(value), value) if isinstance(value, Tensor) else value

    with torch._C._AutoDispatchBelowAutograd():  # as they came to the tape; an LSTM keeps there what its backward needs
        for func, args, kwargs, then in calls:
            found = func(*tree_map(now, args), **tree_map(now, kwargs))
            for old, new in zip(tree_leaves(then), tree_leaves(found), strict=True):
                if isinstance(old, Tensor):
                    made[_place(old)] = new


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """Say where a tensor lies: autograd keeps results under other names of the same memory."""
    at = tensor.untyped_storage().data_ptr(), tensor.storage_offset()
    return *at, tuple(tensor.shape), tensor.stride(), tensor.dtype
