"""Whether data lies on the device as a whole, or stays in memory and is copied batch by batch."""

import logging

import torch

log = logging.getLogger(__name__)
SHARE = 0.5  # of the free memory of a GPU that data may take; weights, gradients and feature maps need the rest


def fits(size: int, device: torch.device) -> bool:
    """Say whether data may lie on the device, and log it where it may not. It changes no number of a run.

    Args:
        size: Bytes of the prepared input.
        device: Where the model is; the memory of a CPU is where the data is anyway.
    """
    free = free_memory(device)
    if free is None or size <= SHARE * free:
        return True
    log.info(
        "data: %.2f GiB of input are more than %.0f %% of the %.2f GiB that are free on %s; the input stays in memory, "
        "and batches are copied ahead of the steps",
        *(size / 2**30, 100 * SHARE, free / 2**30, device),
    )
    return False


def free_memory(device: torch.device) -> int | None:
    """Give the bytes that this process may still take of a GPU; None of a CPU.

    Jobs that share a GPU have a part of its memory each, of which this says what is left.
    """
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    ours, kept = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    share = getattr(torch.cuda, "get_per_process_memory_fraction", None)  # which the oldest PyTorch does not tell
    most = total if share is None else int(share(device.index) * total)  # takes no "cuda" without a number
    return max(0, min(free + kept - ours, most - ours))
