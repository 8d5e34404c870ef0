"""Numbers so small that they have lost digits, with which a processor computes up to a hundred times as long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def denormals_are_zeros() -> bool:
    """Say whether this thread takes denormal numbers for zeros."""
    return sys.float_info.min / 2 == 0.0


@contextmanager
def denormals_as_zeros() -> Iterator[None]:
    """Take denormal numbers, below 1e-38 in single precision, for zeros in this thread until the block ends.

    Gradients that fade over hundreds of steps end in such numbers.
    """
    before = denormals_are_zeros()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
