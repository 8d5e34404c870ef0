"""How the processor and the allocator behave while steps are trained on a CPU: three things that each step pays for.

*Denormal numbers.* Through many time steps gradients fade to less than 1.2e-38, the smallest normal number of single
precision, and a processor takes some hundred cycles for each sum with such a number. While steps are trained they count
as 0.

*Freed memory.* What a step frees, glibc gives back to the system where it is more than a little, and the next step asks
for it again, page by page. While steps are trained it keeps up to 2 GiB.

*Large pages.* The tensors of a step lie on thousands of pages of 4 KiB, more than a processor knows the places of. The
system is told that memory that steps will ask for may lie on pages of 2 MiB (madvise, as NumPy does for its arrays).

docs/benchmarks.md has what they are worth.
"""

import ctypes
import mmap
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tsmtl.native.denormals import denormals_as_zeros

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
MAPPED = (2**28, 2**25)  # bytes from which a block is mapped by itself; an older glibc may refuse the first
KEPT = 2**31 - 1
USUAL_MAPPED, USUAL_KEPT = 2**25, 2**26  # where glibc's own, which move, end up
ROOM, USUAL_PAD = 2**30, 2**17  # bytes that the heap grows by beyond what is asked for
# Variables by which a user says how glibc's allocator behaves, each also as a part of GLIBC_TUNABLES.
SAID = {
    "MALLOC_TRIM_THRESHOLD_": "glibc.malloc.trim_threshold",
    "MALLOC_MMAP_THRESHOLD_": "glibc.malloc.mmap_threshold",
    "MALLOC_TOP_PAD_": "glibc.malloc.top_pad",
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
    """Let glibc keep up to 2 GiB of what is freed, in large pages; other libraries stay as they are.

    So does glibc where the environment says how, by the variables of :data:`SAID` or ``GLIBC_TUNABLES``. What was freed
    before is given back first. Behind the last of such blocks glibc keeps what it would have come to keep by itself,
    64 MiB.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    with _LOCK:
        first = not _WITHIN
        _WITHIN.append(None)
        if first:
            libc.malloc_trim(0)
        if any(libc.mallopt(M_MMAP_THRESHOLD, size) for size in MAPPED):
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)
            if first and _addresses_abound():
                _ask_for_large_pages(libc)
    try:
        yield
    finally:
        with _LOCK:
            _WITHIN.pop()
            if not _WITHIN:
                libc.mallopt(M_MMAP_THRESHOLD, USUAL_MAPPED)
                libc.mallopt(M_TRIM_THRESHOLD, USUAL_KEPT)
                libc.malloc_trim(0)


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Let the heap grow by :data:`ROOM`, of which nothing is used yet, and name that part of it to the system."""
    libc.mallopt(M_TOP_PAD, ROOM)
    block = libc.malloc(USUAL_MAPPED - 1)
    libc.mallopt(M_TOP_PAD, USUAL_PAD)
    begin, end = -(-(block or 0) // mmap.PAGESIZE) * mmap.PAGESIZE, libc.sbrk(0)
    if block and begin < end:  # else it is no part of this heap, as in a thread with one of its own
        libc.madvise(begin, end - begin, mmap.MADV_HUGEPAGE)  # where there are none, it stays as it is
    libc.free(block)


def _addresses_abound() -> bool:
    """Say whether :data:`ROOM` is no part of anything that runs short: neither of a limit nor of promised memory."""
    import resource  # which not every system has

    unlimited = all(
        resource.getrlimit(kind)[0] == resource.RLIM_INFINITY for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    )
    try:
        return unlimited and Path("/proc/sys/vm/overcommit_memory").read_text().strip() != "2"
    except OSError:
        return False


@cache
def _glibc() -> ctypes.CDLL | None:
    """Give glibc where its allocator is ours to set."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    said = any(name in os.environ or tunable in tunables for name, tunable in SAID.items())
    if said or platform.libc_ver()[0] != "glibc":
        return None
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.sbrk.argtypes, libc.sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
