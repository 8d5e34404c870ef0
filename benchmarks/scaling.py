"""Time of an epoch and peak memory over the number of instances: both should grow in proportion.

    python -m benchmarks.scaling [--sizes 1000 10000 100000 1000000] [--channels 3] [--steps 32]

Each size is a process of its own: a ``.npz`` file of series with a class and a number, cnn1d with 8 channels in one
thread, batch 256, four epochs with the default split. The seconds of an epoch are the processor's, which other work on
the machine disturbs less: the median of the epochs behind the first, training and validation. The line is fitted to the
relative distances, so that every size counts as much as any other; *off the line* is each size's distance from it.
Peak memory is that of the process, where the system says it, and beyond that of the smallest size, against the size of
the data as they are trained on: the input and a number in float32, and a class in int64.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.contestants import ROOT
from benchmarks.table import markdown
from benchmarks.workers.rounds import peak

OF_TARGETS = 8 + 4  # bytes of an instance: a class, and a number


def write(path: Path, n: int, channels: int, steps: int) -> None:
    """Write n series with a class and a number."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels, steps), dtype=np.float32)
    np.savez(path, X=x, state=(x[:, 0].mean(axis=1) > 0).astype(np.int8), wear=x[:, -1, 0])


def trained(path: str) -> None:
    """Train on the file, and print what it took."""
    import tsmtl
    import tsmtl.training_run
    from tsmtl.training.watch import Watch

    ends: list[float] = []
    inside = Watch.epoch_ends

    def noted(self: Watch, row: dict[str, float]) -> None:
        ends.append(time.process_time())
        inside(self, row)

    Watch.epoch_ends = noted  # type: ignore[method-assign]
    words = ["data=npz", f"data.path={path}", "data.class_target=state", "data.regression_target=wear", "model=cnn1d"]
    words += ["output_channels=8", "batch_size=256", "num_epochs=4", "device=cpu", "trainer.threads=1", "lr=1e-3"]
    with TemporaryDirectory() as folder:
        tsmtl.train([*words, f"hydra.run.dir={folder}/run"])
    epochs = [b - a for a, b in pairwise(ends)]
    print(json.dumps({"epoch": statistics.median(epochs), "peak": peak()}))


def measured(path: Path) -> dict[str, Any]:
    """Measure in a process of its own, which begins with no peak of this one."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--train", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure all sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        trained(arguments.train)
        return
    found: dict[int, dict[str, Any]] = {}
    for n in arguments.sizes:
        with TemporaryDirectory() as folder:
            write(Path(folder) / "series.npz", n, arguments.channels, arguments.steps)
            found[n] = measured(Path(folder) / "series.npz")
    seconds = np.array([one["epoch"] for one in found.values()])
    lines = np.stack([np.ones(len(found)), np.array(list(found))], axis=1) / seconds[:, None]
    constant, rate = np.linalg.lstsq(lines, np.ones(len(found)), rcond=None)[0]
    least = found[min(found)]["peak"]
    print(machine.said(machine.facts(), machine.of_threads(1)))
    said = f"{1e3 * constant:.1f} ms and {1e6 * rate:.2f} microseconds per instance"
    print(f"{arguments.channels} x {arguments.steps}: an epoch takes {said}\n")
    body = []
    for n, one in found.items():
        size = n * (arguments.channels * arguments.steps * 4 + OF_TARGETS)
        cells = [f"{n:,}", f"{one['epoch']:.3f}", f"{100 * (one['epoch'] / (constant + rate * n) - 1):+.0f} %"]
        known = one["peak"] is not None
        memory = [f"{one['peak'] / 2**20:.0f}", f"{(one['peak'] - least) / size:.2f}"] if known else ["-", "-"]
        body.append([*cells, f"{size / 2**20:.0f}", memory[0], "-" if n == min(found) else memory[1]])
    header = ["instances", "epoch, s", "off the line", "data, MiB", "peak, MiB", "beyond the smallest / data"]
    print(markdown(header, body))


if __name__ == "__main__":
    main()
