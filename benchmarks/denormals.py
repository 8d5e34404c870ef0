"""What a training step takes where gradients fade into denormal numbers, and where these count as zeros.

    OMP_NUM_THREADS=1 python benchmarks/denormals.py [--repeats 5] [--steps 128 256 512]

Two layers, both directions, 64 units, nine channels, a batch of 16, the gradient of the last states alone, as of
``readout=last``; weights as they are before training. Both ways in one process, in turn; times are the processor's.
"""

import argparse
import statistics
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from tsmtl.models.gru_layers import GRULayers
from tsmtl.native.denormals import denormals_as_zeros

LAYERS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"nn.LSTM": nn.LSTM, "nn.GRU": nn.GRU, "tsmtl's GRU": GRULayers}


def timed(rnn: nn.RNNBase, x: torch.Tensor, mode: AbstractContextManager[None]) -> float:
    """Give the processor's milliseconds of a step."""
    with mode:
        began = time.process_time()
        rnn.zero_grad()
        _, last = rnn(x)
        h_n = last[0] if isinstance(last, tuple) else last
        torch.cat((h_n[-2], h_n[-1]), dim=1).square().mean().backward()
        return (time.process_time() - began) * 1e3


def main() -> None:
    """Print one row per layer and number of steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, nargs="+", default=[128, 256, 512])
    arguments = parser.parse_args()
    print("| layer | T | ms | ms, denormals as zeros | times as fast |\n|---|---|---|---|---|")
    for name, layer in LAYERS.items():
        for t in arguments.steps:
            torch.manual_seed(0)
            rnn, x = layer(9, 64, 2, batch_first=True, bidirectional=True), torch.randn(16, t, 9)
            timed(rnn, x, denormals_as_zeros())  # warm
            pairs = [
                (timed(rnn, x, nullcontext()), timed(rnn, x, denormals_as_zeros())) for _ in range(arguments.repeats)
            ]
            slow, quick = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {name} | {t} | {slow:.1f} | {quick:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
