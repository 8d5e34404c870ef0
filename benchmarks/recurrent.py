"""What a training step of tsmtl's GRU takes beside one of ``nn.GRU``; fills the table of docs/recurrent.md.

    OMP_NUM_THREADS=1 python benchmarks/recurrent.py [--repeats 11] [--cases 128x64x16 512x128x64]

Both layers run in one process, in turn, with the same weights and batch, each with its own fused Adam; the ratio is
taken pair by pair. Times are the processor's, so that what other processes take of it does not count; with more than
one thread, those of all threads. A case is T x H x batch; two layers, both directions, nine channels, dropout 0.1, as
the defaults of ``model=gru`` have it.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tsmtl.models.gru_layers import GRULayers

CHANNELS = 9
CASES = ["128x64x16", "128x64x64", "128x128x16", "128x128x64", "512x64x16", "512x64x64", "512x128x16", "512x128x64"]
Step = Callable[[], object]


def training(rnn: nn.GRU, x: torch.Tensor, target: torch.Tensor) -> Step:
    """A step of the plain loop on the last states, which the readout ``last`` takes."""
    optimizer = torch.optim.Adam(rnn.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        _, last = rnn(x)
        (torch.cat((last[-2], last[-1]), dim=1) - target).square().mean().backward()
        optimizer.step()

    return step


def forward(rnn: nn.GRU, x: torch.Tensor, target: torch.Tensor) -> Step:
    """The way there alone, as training goes it."""
    return lambda: rnn(x)


def timed(steps: list[Step], repeats: int) -> list[list[float]]:
    """Give the processor's milliseconds of each way, repeat by repeat; neither goes always first."""
    began = time.process_time()
    steps[0]()  # warm
    times_each = max(1, round(0.2 / (time.process_time() - began)))  # a fifth of a second a turn
    times: list[list[float]] = [[] for _ in steps]
    for repeat in range(repeats + 1):
        for which in range(len(steps)) if repeat % 2 else reversed(range(len(steps))):
            began = time.process_time()
            for _ in range(times_each):
                steps[which]()
            if repeat:  # the first is a warm-up
                times[which].append((time.process_time() - began) / times_each * 1e3)
    return times


def processor() -> str:
    """Its name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--cases", nargs="+", default=CASES)
    arguments = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}, {processor()}\n"
    )
    print("| T | H | batch | what | nn.GRU ms | tsmtl ms | times as fast (min - max of the pairs) |")
    print("|---|---|---|---|---|---|---|")
    for case in arguments.cases:
        t, hidden, batch = map(int, case.split("x"))
        torch.manual_seed(0)
        stock = nn.GRU(CHANNELS, hidden, 2, batch_first=True, dropout=0.1, bidirectional=True)
        ours = GRULayers(CHANNELS, hidden, 2, batch_first=True, dropout=0.1, bidirectional=True)
        ours.load_state_dict(stock.state_dict())
        x, target = torch.randn(batch, t, CHANNELS), torch.randn(batch, 2 * hidden)
        for what in (training, forward):
            times = timed([what(stock, x, target), what(ours, x, target)], arguments.repeats)
            ratios = sorted(a / b for a, b in zip(*times, strict=True))
            plain, quick = (statistics.median(each) for each in times)
            print(
                f"| {t} | {hidden} | {batch} | {what.__name__} | {plain:.1f} | {quick:.1f} | "
                f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} - {ratios[-1]:.2f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
