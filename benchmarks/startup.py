"""From typing a command to its answer: --help, a refusal, the first training step, the first prediction.

    python -m benchmarks.startup [--repeats 5]

Each is a process of its own, on small data and a warm disk; the kinds take turns. Prints wall time, median and
quartiles, and the time of the processor, which other work on the machine disturbs less. Two are stopped where what they
are for is there: after the first step of the optimiser, and after the predictions for the first block of a file.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import machine
from benchmarks.table import markdown, spread

TYPED = "import sys; sys.argv[0] = 'tsmtl-{0}'; from tsmtl.{0} import cli; cli()"
# The module is imported as the command would do it, only a little earlier; the settings are composed all the same.
STOPPED = """
import os, sys
import {module}
sys.argv[0] = 'tsmtl-{command}'
inside = {module}.{method}
def method(*given, **named):
    inside(*given, **named)
    os._exit(0)
{module}.{method} = method
from tsmtl.{command} import cli
cli()
"""
FIRST_STEP = STOPPED.format(command="train", module="tsmtl.training.optimizers", method="FusedAdam.step")
FIRST_ANSWER = STOPPED.format(command="predict", module="tsmtl.predictor", method="Predictor.predict_checked")
DATA = ["data.n_instances=400", "device=cpu"]


def seconds_of(code: str, arguments: list[str], expected: int) -> tuple[float, float]:
    """Run a program; give its wall time and its processor time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != expected:
        raise SystemExit(done.stderr[-2000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run all in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        checkpoint, new = f"{folder}/trained/best_model.pt", f"{folder}/new.npz"
        np.savez(new, X=np.random.default_rng(0).normal(size=(1000, 3, 128)).astype(np.float32))
        model = ["model=cnn1d", "num_epochs=1", "data.n_steps=128", *DATA]
        seconds_of(TYPED.format("train"), [*model, f"hydra.run.dir={folder}/trained"], 0)
        predict = [f"checkpoint={checkpoint}", f"data.path={new}", f"output={folder}/p.csv", "device=cpu"]
        again = f"hydra.run.dir={folder}/again"
        kinds = {
            "tsmtl-train --help": (TYPED.format("train"), ["--help"], 0),
            "tsmtl-train lr=-1, refused": (TYPED.format("train"), ["lr=-1"], 2),
            "tsmtl-train, until the first step": (FIRST_STEP, [*DATA, again], 0),
            "tsmtl-predict, until the first answer": (FIRST_ANSWER, predict, 0),
            "tsmtl-predict, 1000 series of 3 x 128": (TYPED.format("predict"), predict, 0),
            "tsmtl-train model=cnn1d num_epochs=10": (
                TYPED.format("train"),
                ["model=cnn1d", "num_epochs=10", *DATA, again],
                0,
            ),
        }
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for repeat in range(arguments.repeats + 1):
            for kind, (code, given, expected) in kinds.items():
                measured = seconds_of(code, given, expected)
                (Path(folder) / "again" / "last.pt").unlink(missing_ok=True)  # a run that was stopped does not go on
                if repeat:  # the first warms the disk
                    found[kind].append(measured)
    print(machine.said(machine.facts(), "as many threads as the commands choose") + "\n")
    body = []
    for kind, times in found.items():
        walls, processor = zip(*times, strict=True)
        body.append([f"`{kind}`", spread(walls).said(), f"{statistics.median(processor):.2f}"])
    print(markdown(["command", "wall, s", "processor, s"], body))


if __name__ == "__main__":
    main()
