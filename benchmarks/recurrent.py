"""What a training step of tsmtl's GRU takes beside one of ``nn.GRU``; fills the tables of docs/recurrent.md.

    OMP_NUM_THREADS=1 python -m benchmarks.recurrent [--repeats 11] [--cases 128x64x16 512x128x64]

All layers run in one process, in turn, with the same weights and batch, each with its own fused Adam; the ratio is
taken pair by pair, its median and quartiles. Where there is a compiler, the third is tsmtl's with
``trainer.kernels=native``. Denormal numbers count as 0 and freed memory is kept, as in a training of tsmtl
(benchmarks/step_environment.py). Times are the processor's, so that what other processes take of it does not count;
with more than one thread, those of all. A case is T x H x batch; two layers, both directions, nine channels, dropout
0.1, as the defaults of ``model=gru`` have it.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import machine
from benchmarks.table import markdown, ratios, spread
from tsmtl.models.gru_layers import GRULayers
from tsmtl.models.kernels import train_natively
from tsmtl.native import NativeError
from tsmtl.training.step_environment import step_environment

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


def native(*arguments: int, **more: Any) -> nn.GRU:
    """The layer of tsmtl with native kernels."""
    layer = GRULayers(*arguments, **more)
    train_natively(layer)
    return layer


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--cases", nargs="+", default=CASES)
    arguments = parser.parse_args()
    print(machine.said(machine.facts(), machine.of_threads(torch.get_num_threads())) + "\n")
    ways = {"nn.GRU": nn.GRU, "tsmtl": GRULayers, "native": native}
    try:
        native(CHANNELS, 1, 1)
    except NativeError as error:
        print(f"no native kernels: {error}\n")
        del ways["native"]
    others = [name for name in ways if name != "nn.GRU"]
    head = ["T", "H", "batch", "what", *(f"{name} ms" for name in ways), *(f"{name}, times as fast" for name in others)]
    body = []
    for case in arguments.cases:
        t, hidden, batch = map(int, case.split("x"))
        torch.manual_seed(0)
        layers = [
            make(CHANNELS, hidden, 2, batch_first=True, dropout=0.1, bidirectional=True) for make in ways.values()
        ]
        for layer in layers[1:]:
            layer.load_state_dict(layers[0].state_dict())
        x, target = torch.randn(batch, t, CHANNELS), torch.randn(batch, 2 * hidden)
        for what in (training, forward):
            with step_environment():
                times = timed([what(layer, x, target) for layer in layers], arguments.repeats)
            medians = [f"{statistics.median(each):.1f}" for each in times]
            gains = [spread(ratios(times[0], each)).said() for each in times[1:]]
            body.append([*map(str, (t, hidden, batch)), what.__name__, *medians, *gains])
            print(f"{case}: {body[-1]}", file=sys.stderr, flush=True)
    print(markdown(head, body))


if __name__ == "__main__":
    main()
