"""Memory that a training step frees and the next one takes."""

from functools import cache

import torch


@cache
def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one, instead of asking the system for it anew.

    It returns freed memory above twice the size of the largest block that was ever mapped by itself and freed. One of
    just under 32 MiB, the most that it looks at, is asked for and given back untouched; other libraries ignore it.
    """
    torch.empty(2**25 - 2**13, dtype=torch.uint8)
