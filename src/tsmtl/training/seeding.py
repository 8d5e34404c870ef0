"""The one place where random numbers are seeded."""

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
