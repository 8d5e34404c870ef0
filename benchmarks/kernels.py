"""What native kernels gain: a training step of a plain torch loop, of tsmtl through torch, and through native kernels.

    OMP_NUM_THREADS=1 python -m benchmarks.kernels [--repeats 9] [--cases lstm_fcn cnn1d] [--batches 16 64]

All train in one process and in turn, a third of a second each, copies of one size; ratios are taken round by round, of
the processor's time with one thread and of the wall's with more. The plain loop is that of ``benchmarks.workers``: the
same model in plain torch, tensors in memory, fused Adam; its data loader would add to its time.
"""

import argparse
from collections.abc import Callable

import torch

from benchmarks.cases import CASES, Case, model_of, split_of
from benchmarks.contestants import in_turn
from benchmarks.step_loop import tsmtl_loop
from benchmarks.stock_models import stock_model
from benchmarks.table import markdown, ratios, spread
from benchmarks.workers.in_torch import LR, plain_epoch
from benchmarks.workers.rounds import clock_of
from tsmtl.models.kernels import train_natively
from tsmtl.training.batches import TensorSplit
from tsmtl.training.step_environment import step_environment

SECONDS = 0.3  # of a round, about
WAYS = {"tsmtl": (False, False), "native": (False, True), "bf16": (True, False), "native bf16": (True, True)}
WITH_CONVOLUTIONS = [case.name for case in CASES if case.model in ("cnn1d", "lstm_fcn")]


def loops_of(case: Case, batch_size: int, steps: int) -> dict[str, Callable[[], None]]:
    """Give the loops by name, each an epoch of some steps."""
    split = split_of(case, steps * batch_size)
    loops: dict[str, Callable[[], None]] = {"plain": plain_loop(case, split, batch_size)}
    for name, (bf16, native) in WAYS.items():
        model = model_of(case, bf16)
        if native:
            train_natively(model)
        loops[name] = tsmtl_loop(model, split, batch_size)
    return loops


def plain_loop(case: Case, split: TensorSplit, batch_size: int) -> Callable[[], None]:
    """The loop in plain torch."""
    model = stock_model(case.model, case.shape, case.settings)
    optimizer, generator = torch.optim.Adam(model.parameters(), LR, fused=True), torch.Generator().manual_seed(0)
    tensors = (split.x, split.targets["cls"], split.targets["reg"])
    return lambda: plain_epoch(model, optimizer, tensors, batch_size, generator)


def measure(case: Case, batch_size: int, repeats: int) -> list[str]:
    """Train in turn; give a row of milliseconds and ratios."""
    torch.manual_seed(0)
    clock = clock_of(torch.get_num_threads())
    one = loops_of(case, batch_size, 1)["plain"]
    one()
    began = clock()
    one()
    steps = max(1, round(SECONDS / (clock() - began)))
    loops = loops_of(case, batch_size, steps)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for repeat in range(repeats + 1):
        for name in in_turn(loops, repeat):
            began = clock()
            loops[name]()
            if repeat:  # the first warms up
                times[name].append(1e3 * (clock() - began) / steps)
    found = {name: spread(ratios(times["plain"], times[name])) for name in WAYS}
    medians = [f"{spread(times[name]).median:.1f}" for name in loops]
    return [case.name, str(batch_size), *medians, *(ratio.said() for ratio in found.values())]


@step_environment()
def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--cases", nargs="+", choices=WITH_CONVOLUTIONS, default=WITH_CONVOLUTIONS)
    parser.add_argument("--batches", nargs="+", type=int, default=[16, 64])
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    header = ["model", "batch", "plain ms", *(f"{name} ms" for name in WAYS), *(f"plain / {name}" for name in WAYS)]
    cases = [case for case in CASES if case.name in arguments.cases]
    print(markdown(header, [measure(case, size, arguments.repeats) for case in cases for size in arguments.batches]))


if __name__ == "__main__":
    main()
