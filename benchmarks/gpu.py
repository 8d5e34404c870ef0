"""Training steps on a GPU: one launch per operation against one per step, and both against plain torch loops.

    python -m benchmarks.gpu [--repeats 9] [--seconds 0.3] [--models fc gru] [--batches 16 64 1024]

Prints a Markdown table: milliseconds of a step, and how many times the plain loop's throughput each has, median and
quartiles of rounds in turn. The plain loop is one written by hand for speed: data on the device, index batches, fused
Adam. *DataLoader* is the usual one: its batches are copied one by one, and Adam is torch's default. *eager* is
``trainer.cuda_graph=off``, *captured* its default; TF32 and bfloat16 are captured too, and so is *copied ahead*, whose
data stays in the computer's memory. The plain loops and the float32 columns multiply in float32 and not in TF32. The
models have their shipped sizes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import machine
from benchmarks.cases import CASES, Case, model_of
from benchmarks.step_loop import trainer_settings
from benchmarks.stock_models import CLASSES, stock_model, two_task_loss
from benchmarks.table import markdown, number, ratios, spread
from tsmtl.models.precision import float32_products, has_tf32
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.captured_step import WARM_UP, CapturedSteps, CudaGraphs, Recorder
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.loop import Fit, train_epoch
from tsmtl.training.optimizers import build_optimizer, make_capturable
from tsmtl.training.ranks import ALONE
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.step import Step

BATCHES = (16, 64, 1024)
STEPS = 32  # of a turn
PLAIN, LOADER = "plain", "DataLoader"


class Way(NamedTuple):
    """How steps are taken: recorded or not, in which precision, on data that lies on the device or does not."""

    captured: bool = True
    precision: str = "float32"
    resident: bool = True


OURS = {
    "eager": Way(captured=False),
    "captured": Way(),
    "captured, TF32": Way(precision="tf32"),
    "captured, bf16": Way(precision="bf16"),
    "copied ahead": Way(resident=False),
}
Loop = Callable[[], object]


def split_of(case: Case, batch_size: int, device: torch.device) -> TensorSplit:
    """Make random instances for the steps of a turn, on the device."""
    n, generator = STEPS * batch_size, torch.Generator().manual_seed(0)
    targets = {"cls": torch.randint(CLASSES, (n,), generator=generator), "reg": torch.randn(n, 1, generator=generator)}
    x = torch.randn(n, *case.shape, generator=generator)
    return TensorSplit(x.to(device), {task: target.to(device) for task, target in targets.items()})


def plain_loop(case: Case, split: TensorSplit, batch_size: int) -> Loop:
    """Make the loop that one writes by hand for speed: tensors on the device, index batches, fused Adam."""
    model = stock_model(case.model, case.shape, case.settings).to(split.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        model.train()
        for rows in torch.randperm(len(split), generator=generator).to(split.device).split(batch_size):
            optimizer.zero_grad()
            loss = two_task_loss(model(split.x[rows]), split.targets["cls"][rows], split.targets["reg"][rows])
            loss.backward()
            optimizer.step()

    return run


def loader_loop(case: Case, split: TensorSplit, batch_size: int) -> Loop:
    """Make the loop of tutorials: a DataLoader of tensors in memory, a copy of each batch, Adam as it comes."""
    model = stock_model(case.model, case.shape, case.settings).to(split.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    data = TensorDataset(*(tensor.cpu() for tensor in (split.x, split.targets["cls"], split.targets["reg"])))
    loader = DataLoader(data, batch_size, shuffle=True, pin_memory=split.device.type == "cuda")

    def run() -> None:
        model.train()
        for batch in loader:
            x, ids, numbers = (tensor.to(split.device, non_blocking=True) for tensor in batch)
            optimizer.zero_grad()
            loss = two_task_loss(model(x), ids, numbers)
            loss.backward()
            optimizer.step()

    return run


def in_memory(split: TensorSplit) -> LazySplit:
    """Give the same instances, of which the targets alone lie on the device."""
    rows = np.arange(len(split))
    return LazySplit(split.x.cpu().numpy(), rows, None, None, dict(split.targets), split.device, None)


def our_loop(case: Case, split: Split, batch_size: int, bf16: bool, recorder: Recorder | None) -> Loop:
    """Make the loop that ``tsmtl-train`` runs, with steps recorded or not."""
    model = model_of(case, bf16).to(split.device)
    settings = trainer_settings()
    optimizer = build_optimizer(model.parameters(), 1e-4, settings)
    sampler = Sampler(len(split), batch_size, split.device)
    captured = None
    if recorder is not None:
        captured = CapturedSteps(recorder, sampler.sizes)
        make_capturable(optimizer)
    schedule = Schedule(optimizer, settings, 1, 1)
    losses = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}
    criterion, generator = Criterion(losses, {"cls": 0.5, "reg": 0.5}), torch.Generator().manual_seed(0)
    step = Step(model, criterion, optimizer, None, None, ALONE, None)

    def run() -> None:
        result = Fit(BestEpoch(higher_is_better=False, patience=None))
        train_epoch(step, schedule, split, sampler, generator, lambda: None, result, captured=captured)
        assert captured is None or captured.replayed >= STEPS - WARM_UP, "a step could not be recorded"

    return run


def loops_of(case: Case, batch_size: int, device: torch.device, recorder: Callable[[], Recorder]) -> dict[str, Loop]:
    """Make all loops of a case; those in a precision that the device has no units for are left out."""
    split = split_of(case, batch_size, device)
    found = {}
    for name, make in {PLAIN: plain_loop, LOADER: loader_loop}.items():
        torch.manual_seed(0)
        found[name] = _with_products(device, False, make(case, split, batch_size))
    for name, way in OURS.items():
        if way.precision == "tf32" and not has_tf32(device):
            continue
        torch.manual_seed(0)
        data = split if way.resident else in_memory(split)
        loop = our_loop(case, data, batch_size, way.precision == "bf16", recorder() if way.captured else None)
        found[name] = _with_products(device, way.precision != "float32", loop)
    return found


def _with_products(device: torch.device, tf32: bool, loop: Loop) -> Loop:
    def run() -> None:
        with float32_products(device, tf32):
            loop()

    return run


def seconds_of(loops: dict[str, Loop], repeats: int, seconds: float, wait: Loop) -> dict[str, list[float]]:
    """Run loops in turn; give the seconds of a step, a value for each round that counts.

    Args:
        loops: By name.
        repeats: Rounds that count; one before them warms up.
        seconds: Of a loop's turn, about.
        wait: Waits for the device.
    """
    found: dict[str, list[float]] = {name: [] for name in loops}
    turns = dict.fromkeys(loops, 1)
    for repeat in range(-2, repeats):  # the first compiles and records, the second tells how long a turn is
        names = list(loops) if repeat % 2 else list(reversed(loops))
        for name in names:
            wait()
            began = time.perf_counter()
            for _ in range(turns[name]):
                loops[name]()
            wait()
            spent = (time.perf_counter() - began) / (turns[name] * STEPS)
            if repeat >= 0:
                found[name].append(spent)
            elif repeat == -1:
                turns[name] = max(1, round(seconds / (STEPS * spent)))
    return found


def cells_of(case: str, batch_size: int, seconds: dict[str, list[float]]) -> list[str]:
    """Give a row of the table."""
    plain = seconds[PLAIN]
    cells = [case, str(batch_size), *(number(1e3 * statistics.median(seconds[name])) for name in (PLAIN, LOADER))]
    for name in OURS:
        if name not in seconds:
            cells += ["-", "-"]
            continue
        cells += [number(1e3 * statistics.median(seconds[name])), spread(ratios(plain, seconds[name])).said()]
    return cells


def header() -> list[str]:
    """Give the columns of the table."""
    ours = [cell for name in OURS for cell in (f"{name} ms", "of plain")]
    return ["model", "batch", f"{PLAIN} ms", f"{LOADER} ms", *ours]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn, about")
    parser.add_argument("--models", nargs="+", choices=[case.name for case in CASES], default=[c.name for c in CASES])
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("benchmarks.gpu: PyTorch finds no CUDA device here, and nothing else is measured", file=sys.stderr)
        return 2
    device = torch.device("cuda", torch.cuda.current_device())
    torch.backends.cudnn.deterministic = True  # as in a run, for the plain loop too
    told = machine.said(machine.facts(), machine.of_threads(1))
    print(f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}; {told}\n")
    body = []
    for batch_size in given.batches:
        for case in (case for case in CASES if case.name in given.models):
            print(f"{case.name}, batch {batch_size}", file=sys.stderr, flush=True)
            loops = loops_of(case, batch_size, device, lambda: CudaGraphs(device))
            found = seconds_of(loops, given.repeats, given.seconds, torch.cuda.synchronize)
            body.append(cells_of(case.name, batch_size, found))
            del loops
            torch.cuda.empty_cache()
    print(markdown(header(), body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
