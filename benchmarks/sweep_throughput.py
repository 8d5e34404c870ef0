"""A sweep of small jobs by tsmtl's launcher against Hydra's own, which runs them one by one; and composing 200 jobs.

Usage: python benchmarks/sweep_throughput.py [--repeats 3] [--epochs 40]

Both launchers run in turn, each repeat in a folder of its own, whole commands from start to table. Prints seconds,
medians, and a Markdown row.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

JOBS = ["lr=1e-3,2e-3,5e-3,1e-2", "output_channels=4,8,16,32"]
RUN = ["model=cnn1d", "data.n_instances=400", "device=cpu"]
ONE_BY_ONE = ["hydra/launcher=basic", "hydra/sweeper=basic"]
COMPOSED = ["lr=" + ",".join(f"{i / 1e4}" for i in range(1, 201)), "hydra.launcher.dry_run=true"]


def seconds_of(arguments: list[str]) -> float:
    """Run the command in a folder of its own; give its wall time."""
    command = [sys.executable, "-c", "from tsmtl.train import cli; cli()", "-m", *arguments]
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([*command, f"hydra.sweep.dir={Path(folder) / 'sweep'}"], check=True, capture_output=True)
        return time.perf_counter() - began


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    jobs, cores = [*RUN, *JOBS, f"num_epochs={arguments.epochs}"], len(os.sched_getaffinity(0))
    kinds = {"one by one": [*jobs, *ONE_BY_ONE], f"{cores} processes": jobs, "200 jobs composed": COMPOSED}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repeat in range(arguments.repeats):
        for kind, given in kinds.items():
            seconds[kind].append(seconds_of(given))
            load = os.getloadavg()[0]
            print(f"repeat {repeat + 1}: {kind} {seconds[kind][-1]:.1f} s (load {load:.1f})", flush=True)
    basic, ours, composed = (statistics.median(found) for found in seconds.values())
    print("\n| cores | 16 jobs one by one, s | in processes, s | ratio | 200 jobs composed and shown, s |")
    print("|---|---|---|---|---|")
    print(f"| {cores} | {basic:.1f} | {ours:.1f} | {ours / basic:.2f} | {composed:.1f} |")


if __name__ == "__main__":
    main()
