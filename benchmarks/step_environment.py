"""What training steps gain by ``tsmtl.training.step_environment``: no denormal numbers, freed memory kept, large pages.

    OMP_NUM_THREADS=1 python -m benchmarks.step_environment [--repeats 3] [--seconds 0.3] [--models lstm gru]

Every figure is that of a process of its own, since what its allocator has learnt stays with it; the kinds take turns:
outside of it, within it but in pages of 4 KiB, which a limit of addresses brings about, and within it. Milliseconds of
a step at the default sizes, nine channels, by the processor's time: medians over the processes. Faults are the pages
that a step asks the system for.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

import torch

from benchmarks.cases import BY_NAME, MODELS, SERIES, model_of, split_of
from benchmarks.step_loop import tsmtl_loop
from tsmtl.training.step_environment import step_environment

STEPS = 2  # in a turn
LENGTHS, BATCHES = (128, 512), (16, 64)
KINDS = OUTSIDE, SMALL_PAGES, INSIDE = ("outside", "small-pages", "inside")
LIMIT = 2**40  # bytes of addresses


def measured(name: str, steps: int, batch_size: int, seconds: float) -> tuple[float, float]:
    """Give a step's milliseconds and page faults, in this process."""
    torch.manual_seed(0)
    case = replace(BY_NAME[name], shape=(SERIES[0], steps))
    loop = tsmtl_loop(model_of(case), split_of(case, STEPS * batch_size), batch_size)
    loop()
    faults, began, turns = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time(), 0
    while time.process_time() - began < seconds or not turns:
        loop()
        turns += 1
    took = (time.process_time() - began) / (turns * STEPS) * 1e3
    return took, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / (turns * STEPS)


def main() -> None:
    """Print one row per model, length and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a process, about")
    parser.add_argument("--models", nargs="+", choices=MODELS[1:], default=MODELS[1:])
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, steps, batch_size, kind = arguments.one
        if kind == SMALL_PAGES:
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT, resource.getrlimit(resource.RLIMIT_AS)[1]))
        with nullcontext() if kind == OUTSIDE else step_environment():
            print(json.dumps(measured(name, int(steps), int(batch_size), arguments.seconds)))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| model | T | batch | without, ms | with, ms | times as fast | by large pages | faults without | with |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.models:
        for steps in LENGTHS:
            for batch_size in BATCHES:
                found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
                for _ in range(arguments.repeats):
                    for kind, figures in found.items():
                        command = [sys.executable, "-m", "benchmarks.step_environment"]
                        command += ["--seconds", str(arguments.seconds), "--one"]
                        command += [name, str(steps), str(batch_size), kind]
                        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                        figures.append(json.loads(printed))
                gains, by_pages = (
                    [a / b for (a, _), (b, _) in zip(found[kind], found[INSIDE], strict=True)]
                    for kind in (OUTSIDE, SMALL_PAGES)
                )
                (slow, many), (fast, few) = (
                    [statistics.median(c) for c in zip(*found[kind], strict=True)] for kind in (OUTSIDE, INSIDE)
                )
                print(
                    f"| {name} | {steps} | {batch_size} | {slow:.1f} | {fast:.1f} | {statistics.median(gains):.2f} "
                    f"({min(gains):.2f} - {max(gains):.2f}) | {statistics.median(by_pages):.2f} "
                    f"({min(by_pages):.2f} - {max(by_pages):.2f}) | {many:.0f} | {few:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
