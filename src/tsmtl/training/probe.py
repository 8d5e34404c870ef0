"""A few train instances that are looked at again and again, and when the time of a training allows that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SHARE = 0.02  # of the training steps' time by the count below, which leaves room for what it does not count
LEAST_INSTANCES = 32
MOST_BATCHES = 4
EARLY = 10  # looks after the first epochs, at most
LEAST_LOOKS = 3  # fewer give no reading of what tasks do to each other


@dataclass(frozen=True)
class Plan:
    """How large a probe is, and when it is looked at.

    Attributes:
        batches: Batches of the training's size.
        time_of_one: How many epochs have time for one look.
        epochs: After which it is looked at, in order; none where the training has no time for a look.
        early: How many of these are the first epochs, one after the other.
    """

    batches: int
    time_of_one: int
    epochs: tuple[int, ...]
    early: int


def plan(steps: int, epochs: range, batch_size: int, n_tasks: int) -> Plan:
    """Plan a probe that costs :data:`SHARE` of the training steps at most, however few these are.

    Counted in forward passes, a step is three: forward, and backward at twice that. A batch of the probe is one forward
    pass, a backward pass for each task, and a forward pass after a look-ahead for each task: ``1 + 3 K``. The probe has
    as many batches, up to :data:`MOST_BATCHES`, as an epoch has time for, but :data:`LEAST_INSTANCES` at least. Where
    an epoch has not the time for these, not every epoch has its look: half of those that all epochs have time for,
    :data:`LEAST_LOOKS` at least and :data:`EARLY` at most, come after the first epochs, since what tasks do to each
    other is asked for early in training; the others are spread evenly, to the last epoch.

    Args:
        steps: Steps of an epoch.
        epochs: The epochs in which the backbone learns.
        batch_size: Instances of a step.
        n_tasks: K.
    """
    batch = (1 + 3 * n_tasks) / 3  # in steps
    allowed = SHARE * steps  # a look per epoch
    batches = max(math.ceil(LEAST_INSTANCES / batch_size), min(MOST_BATCHES, int(allowed / batch)))
    needed = batches * batch / allowed  # epochs for a look
    looks = min(len(epochs), int(len(epochs) / needed))
    early = min(looks, EARLY, max(LEAST_LOOKS, math.ceil(looks / 2)))
    late, rest = looks - early, epochs[early:]
    spread = (rest[i * len(rest) // late - 1] for i in range(1, late + 1))
    return Plan(batches, math.ceil(needed), (*epochs[:early], *spread), early)


def probe_rows(labelled: Sequence[Tensor], size: int, seed: int) -> Tensor:
    """Choose instances that are labelled for all tasks; where there are too few, others of each task fill up.

    Args:
        labelled: For each task (N,), whether an instance has its target.
        size: How many at most.
        seed: Of a generator of their own.

    Returns:
        (size or fewer,) rows on the CPU, in random order.
    """
    generator = torch.Generator().manual_seed(seed)
    there = torch.stack([mask.cpu() for mask in labelled])  # (K, N)
    order = torch.randperm(there.shape[1], generator=generator)
    full = there.all(dim=0)
    complete = order[full[order]][:size]
    each = (size - len(complete)) // len(there)
    others = [order[(mask & ~full)[order]][:each] for mask in there]
    chosen: Tensor = torch.unique(torch.cat([complete, *others]))  # one with two labels of three may come twice
    return chosen[torch.randperm(len(chosen), generator=generator)]
