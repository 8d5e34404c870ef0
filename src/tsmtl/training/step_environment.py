"""How the processor and the allocator behave while steps are trained on a CPU: two things that each step would pay for.

*Denormal numbers.* Through many time steps gradients fade to less than 1.2e-38, the smallest normal number of single
precision, and a processor takes some hundred cycles for each sum with such a number. While steps are trained they count
as 0.

*Freed memory.* What a step frees, glibc gives back to the system where it is more than a little, and the next step asks
for it again, page by page. While steps are trained it keeps up to 2 GiB.

docs/benchmarks.md has what both are worth.
"""

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from tsmtl.native.denormals import denormals_as_zeros

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
MAPPED = (2**28, 2**25)  # bytes from which a block is mapped by itself; an older glibc may refuse the first
KEPT = 2**31 - 1
USUAL_MAPPED, USUAL_KEPT = 2**25, 2**26  # where glibc's own, which move, end up
# Variables by which a user says how glibc's allocator behaves, each also as a part of GLIBC_TUNABLES.
SAID = {
    "MALLOC_TRIM_THRESHOLD_": "glibc.malloc.trim_threshold",
    "MALLOC_MMAP_THRESHOLD_": "glibc.malloc.mmap_threshold",
}
_LOCK = threading.Lock()
_WITHIN: list[None] = []  # one entry for each block under way


@contextmanager
def step_environment() -> Iterator[None]:
    """Let denormal numbers count as 0, where the processor can, and freed memory stay; put both back at the end."""
    with denormals_as_zeros(), freed_memory_kept():
        yield


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let glibc keep up to 2 GiB of what is freed; other libraries, and what the environment says, stay as they are.

    The environment says it by ``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_`` or ``GLIBC_TUNABLES``. What was
    freed before is given back first. Behind the last of such blocks glibc keeps what it would have come to keep by
    itself, 64 MiB.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    with _LOCK:
        if not _WITHIN:
            libc.malloc_trim(0)
        _WITHIN.append(None)
        if any(libc.mallopt(M_MMAP_THRESHOLD, size) for size in MAPPED):
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        with _LOCK:
            _WITHIN.pop()
            if not _WITHIN:
                libc.mallopt(M_MMAP_THRESHOLD, USUAL_MAPPED)
                libc.mallopt(M_TRIM_THRESHOLD, USUAL_KEPT)
                libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Give glibc where its allocator is ours to set."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    said = any(name in os.environ or tunable in tunables for name, tunable in SAID.items())
    return None if said or platform.libc_ver()[0] != "glibc" else ctypes.CDLL(None)
