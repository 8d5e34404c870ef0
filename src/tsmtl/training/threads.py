"""How many threads share the work of an operation: by a rule, not a measurement, so that a run can be had again.

Sums over other numbers of threads differ in the last bit; a measurement would choose now one number and now another.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from tsmtl.config.processor import core_count
from tsmtl.models.one_thread import one_thread

# Multiply-adds of convolutions, in a batch, that are worth a thread of their own. All else is not: recurrent layers
# are many small products after one another, and lose more by waiting for threads than they gain (docs/benchmarks.md).
WORTH_A_THREAD = 5e7
Piece = TypeVar("Piece")


def threads_for(model: nn.Module, batch_size: int, steps: int) -> int:
    """Give the number of threads for a model on the CPU, of those that PyTorch takes now at most.

    Args:
        model: Its convolutions count.
        batch_size: Instances at a time.
        steps: T of the series.
    """
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    work = batch_size * steps * sum(m.weight.numel() for m in convolutions)
    return max(1, min(int(work / WORTH_A_THREAD), torch.get_num_threads(), core_count()))


@contextmanager
def threads_put_back() -> Iterator[None]:
    """Leave the number of threads as it was; a run may set its own."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def by_one_thread_each(work: Callable[[Piece], None], parts: Iterable[Piece]) -> None:
    """Do all parts of some work, each by one thread; as many threads as PyTorch takes now share them.

    How many these are does not move a bit. Where threads share an operation it does: a convolution of one tap over 2 to
    15 series is oneDNN's with two threads and PyTorch's own with one, and shares of an operation end elsewhere.

    Args:
        work: Does a part; parts do not hang on each other.
        parts: What ``work`` takes.
    """
    whole = list(parts)
    threads = min(len(whole), torch.get_num_threads(), core_count())
    with one_thread():
        if threads < 2:
            for part in whole:
                work(part)
            return
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, whole))
