"""Numbers so small that they have lost digits, with which a processor computes up to a hundred times as long."""

import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch

ENVIRONMENT = 256  # bytes; more than any processor's fenv_t takes
LOADED = Path("/proc/self/maps")


def denormals_are_zeros() -> bool:
    """Say whether this thread takes denormal numbers for zeros."""
    return sys.float_info.min / 2 == 0.0


@contextmanager
def denormals_as_zeros() -> Iterator[None]:
    """Take denormal numbers, below 1.2e-38 in single precision, for zeros until the block ends.

    Gradients that fade over hundreds of steps end in such numbers. It holds for this thread and, under Linux, for those
    that share PyTorch's work with it.
    """
    before = denormals_are_zeros()
    _take_for_zeros(True)
    try:
        yield
    finally:
        _take_for_zeros(before)


def _take_for_zeros(zeros: bool) -> None:
    torch.set_flush_denormal(zeros)  # of this thread alone
    _as_this_thread()(torch.get_num_threads())


@cache
def _as_this_thread() -> Callable[[int], object]:
    """Give what lets so many threads of PyTorch's OpenMP compute as this one does; nothing where that is not libgomp.

    Each calls ``fesetenv`` with what ``fegetenv`` has said of this thread: how it rounds, and what it takes for zero.
    These are C functions, so that no Python runs in those threads.
    """
    with suppress(OSError, AttributeError, StopIteration):
        path = next(filter(None, (re.search(r"/\S*libgomp\S*", line) for line in LOADED.read_text().splitlines())))
        parallel, libm = ctypes.CDLL(path.group()).GOMP_parallel, ctypes.CDLL("libm.so.6")
        parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        put, environment = ctypes.cast(libm.fesetenv, ctypes.c_void_p), ctypes.create_string_buffer(ENVIRONMENT)

        def copy(threads: int) -> None:
            if threads > 1:
                libm.fegetenv(environment)
                parallel(put, environment, threads, 0)

        return copy
    return lambda threads: None
