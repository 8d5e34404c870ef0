"""Trains the stock models with loops in plain torch, or multiplies matrices.

    python -m benchmarks.workers.in_torch KIND

Kinds: ``plain``, index batches and fused Adam, as one writes it for speed; ``loader``, DataLoader, Adam and the loss
read at every step, as most scripts have it; ``product_float32`` and ``product_bfloat16``, the processor's limit: the
product of two square matrices, of the size that is fastest here.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.stock_models import TwoHeads, stock_model, two_task_loss
from benchmarks.workers.rounds import CLOCK, Case, Rounds, serve

LR = 1e-4  # of all shipped models
SIDE = 1024  # of the matrices whose product is said to take so long, at the rate of the fastest of SIDES
SIDES = (512, 1024, 2048)
LONG = 0.5  # seconds of a product
WARM_SECONDS, PRODUCT_SECONDS = 0.1, 0.1  # at full load a processor takes a while until it is as fast as it gets


def read(case: Case) -> TensorDataset:
    """Give inputs, class ids and numbers (N, 1) of the train split."""
    with np.load(case["data"]) as arrays:
        train = arrays["split"] == "train"
        found = [torch.from_numpy(arrays[name][train]) for name in ("X", "state", "wear")]
    return TensorDataset(found[0], found[1], found[2][:, None])


def step(model: TwoHeads, optimizer: torch.optim.Optimizer, x: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Train on a batch; give its loss."""
    optimizer.zero_grad()
    loss = two_task_loss(model(x), ids, numbers)
    loss.backward()
    optimizer.step()
    return loss


def plain_epoch(
    model: TwoHeads, optimizer: torch.optim.Optimizer, tensors: Iterable[Tensor], size: int, generator: torch.Generator
) -> None:
    """Train an epoch on tensors in memory."""
    x, ids, numbers = tensors
    model.train()
    for rows in torch.randperm(len(x), generator=generator).split(size):
        step(model, optimizer, x[rows], ids[rows], numbers[rows])


def plain(case: Case, rounds: Rounds) -> None:
    """Train without a DataLoader."""
    model = _model(case)
    optimizer, data = torch.optim.Adam(model.parameters(), LR, fused=True), read(case)
    generator = torch.Generator().manual_seed(0)
    while True:
        with rounds.timed():
            plain_epoch(model, optimizer, data.tensors, case["batch_size"], generator)


def loader(case: Case, rounds: Rounds) -> None:
    """Train with a DataLoader."""
    model = _model(case)
    optimizer = torch.optim.Adam(model.parameters(), LR)
    batches = DataLoader(read(case), case["batch_size"], shuffle=True)
    while True:
        with rounds.timed():
            model.train()
            total = 0.0
            for x, ids, numbers in batches:
                total += step(model, optimizer, x, ids, numbers).item()


def product(dtype: torch.dtype) -> Callable[[Case, Rounds], None]:
    """Give what multiplies two matrices; its rounds end with the seconds that :data:`SIDE` rows would take."""

    def multiply(case: Case, rounds: Rounds) -> None:
        seconds_of = _fastest(dtype)
        while True:
            rounds.wait()
            seconds_of(WARM_SECONDS)
            rounds.say({"seconds": seconds_of(PRODUCT_SECONDS)})

    return multiply


@cache
def _fastest(dtype: torch.dtype) -> Callable[[float], float]:
    """Give what multiplies matrices of the fastest size; larger ones are not tried where they would take long."""
    found: dict[float, Callable[[float], float]] = {}
    for side in SIDES:
        seconds_of = _multiplication(side, dtype)
        took = seconds_of(WARM_SECONDS)
        found[took] = seconds_of
        if took * (2 * side / SIDE) ** 3 > LONG:  # bfloat16 where the processor has no units for it
            break
    return found[min(found)]


def _multiplication(side: int, dtype: torch.dtype) -> Callable[[float], float]:
    """Give what multiplies matrices for so many seconds, and says how long one of :data:`SIDE` rows takes."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    out = torch.mm(a, b)

    def seconds_of(least: float) -> float:
        done, began = 0, CLOCK()
        while not done or CLOCK() - began < least:
            torch.mm(a, b, out=out)
            done += 1
        return (CLOCK() - began) / done * (SIDE / side) ** 3

    seconds_of(WARM_SECONDS)
    return seconds_of


def _model(case: Case) -> TwoHeads:
    torch.manual_seed(0)
    return stock_model(case["model"], tuple(case["shape"]), case["settings"])


KINDS = {
    "plain": plain,
    "loader": loader,
    "product_float32": product(torch.float32),
    "product_bfloat16": product(torch.bfloat16),
}

if __name__ == "__main__":
    serve(KINDS[sys.argv[1]])
