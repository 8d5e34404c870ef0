"""The one place where random numbers are seeded, and put back."""

from typing import Any

import torch


def seed_everything(seed: int) -> torch.Generator:
    """Seed initial weights and dropout; give the generator of the order of batches.

    On the CPU the same seed gives the same numbers on the same machine with the same number of threads; on a GPU some
    operations add in an order of their own.
    """
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.Generator().manual_seed(seed)


def random_numbers() -> dict[str, Any]:
    """Give the state of torch's random numbers on the CPU and, where there is CUDA, on the current device."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_numbers(state: dict[str, Any]) -> None:
    """Put random numbers back as :func:`random_numbers` found them."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def numbers_of_rank(seed: int, rank: int) -> dict[str, Any]:
    """Give the state of a rank's own random numbers at the start."""
    seeds = torch.randint(2**31, (rank + 1,), generator=torch.Generator().manual_seed(seed))
    before = random_numbers()
    torch.manual_seed(int(seeds[rank]))
    own = random_numbers()
    set_random_numbers(before)
    return own
