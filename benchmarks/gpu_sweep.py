"""A sweep of small jobs on one GPU: several at a time against one after another.

    python -m benchmarks.gpu_sweep [--repeats 3] [--jobs 16] [--epochs 100] [--at-a-time 1 2 4 8] [--models cnn1d lstm]

Whole commands (``hydra.launcher.jobs_per_gpu``), each repeat in a folder of its own, the numbers of jobs at a time in
turn. *Jobs alone* is from the first job's config on disk to the last one's summary: without Python's start, PyTorch's
import and CUDA's start, which weigh less the more jobs there are. Prints seconds, and how many times the throughput of
the first number of jobs each has, medians and quartiles.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

import torch

from benchmarks import machine
from benchmarks.sweep_throughput import CLI, Took, seconds_of
from benchmarks.table import markdown, ratios, spread


def words_of(model: str, jobs: int, epochs: int, at_a_time: int) -> list[str]:
    """Give the words of a sweep over seeds."""
    seeds = ",".join(map(str, range(jobs)))
    run = [f"model={model}", "device=cuda", "data.n_instances=1000", f"num_epochs={epochs}", f"seed={seeds}"]
    return [*run, "trainer.pictures=false", f"hydra.launcher.jobs_per_gpu={at_a_time}"]


def rows_of(model: str, took: dict[int, list[Took]]) -> list[list[str]]:
    """Give the table's rows of a model, from what its sweeps took by the number of jobs at a time."""
    body, first = [], next(iter(took.values()))
    for count, times in took.items():
        cells = [model, str(count)]
        for ours, alone in zip(zip(*times, strict=True), zip(*first, strict=True), strict=True):
            cells += [f"{statistics.median(ours):.1f}", spread(ratios(alone, ours)).said()]
        body.append(cells)
    return body


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--models", nargs="+", default=["cnn1d", "lstm"])
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("benchmarks.gpu_sweep: PyTorch finds no CUDA device here, and nothing is measured", file=sys.stderr)
        return 2
    body = []
    for model in given.models:
        took: dict[int, list[Took]] = {count: [] for count in given.at_a_time}
        for repeat in range(given.repeats):
            for count, times in took.items():
                times.append(seconds_of(CLI, words_of(model, given.jobs, given.epochs, count), 0))
                said = f"repeat {repeat + 1}: {model}, {count} at a time {times[-1].whole:.1f} s"
                print(said, file=sys.stderr, flush=True)
        body += rows_of(model, took)
    told = machine.said(machine.facts(), "each job in one thread")
    print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}; {told}")
    print(f"{given.jobs} jobs of {given.epochs} epochs\n")
    of_first = f"of {given.at_a_time[0]}"
    print(markdown(["model", "jobs at a time", "s", of_first, "jobs alone, s", of_first], body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
