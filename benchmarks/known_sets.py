"""Accuracy on the public sets by their shipped experiments, over folds or seeds; the test split is read once a run.

Usage: python benchmarks/known_sets.py [--sets hydraulic har ...] [--folder outputs/known_sets] [--seeds 5]

Every run goes through ``tsmtl.train`` in a folder of its own with resume=true: after a kill the same command goes on.
Prints a Markdown table: mean and standard deviation (n - 1) over the runs, and the mean seconds of a training.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tsmtl


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, a value per run, in which unit."""

    measured: str
    values: list[float]
    unit: str = ""

    def cells(self) -> str:
        """Give mean and spread, then the lowest and the highest value."""
        digits = 3 if max(self.values) <= 1 else 1
        spread = statistics.stdev(self.values) if len(self.values) > 1 else 0.0
        said = f"{statistics.mean(self.values):.{digits}f} ± {spread:.{digits}f}"
        ends = f"{min(self.values):.{digits}f} to {max(self.values):.{digits}f}"
        return f"{self.measured} | {said}{self.unit} | {ends}"


@dataclass(frozen=True)
class Result:
    """What an experiment gave: over what its runs differ, their seconds, and the lines of the table."""

    runs: str
    seconds: float
    rows: list[Row]


Metrics = Mapping[str, Mapping[str, float]]


def train(folder: Path, experiment: str, *settings: str) -> tsmtl.TrainingResult:
    """Train an experiment, or read it where it is done."""
    own = folder / experiment / "_".join(settings)
    return tsmtl.train([f"experiment={experiment}", *settings, "device=cpu", f"hydra.run.dir={own}", "resume=true"])


def seconds(results: list[tsmtl.TrainingResult]) -> float:
    """Give the mean seconds of a training."""
    return statistics.mean(float(result.summary["seconds"]["training"]) for result in results)


def column(tests: list[Metrics], task: str, metric: str) -> list[float]:
    """Give a metric of every run."""
    return [test[task][metric] for test in tests]


def hydraulic(folder: Path, n_seeds: int) -> Result:
    """Valve and accumulator on each of the five folds; one seed, the folds are the runs."""
    results = [train(folder, "hydraulic", f"data.test_fold={fold}") for fold in range(5)]
    tests: list[Metrics] = [result.test for result in results]
    rows = [
        Row("valve, accuracy", column(tests, "cls", "accuracy")),
        Row("accumulator, RMSE", column(tests, "reg", "rmse"), " bar"),
    ]
    return Result("5 folds", seconds(results), rows)


def har(folder: Path, n_seeds: int) -> Result:
    """Six activities on the volunteers of the set's own test part."""
    results = [train(folder, "har", f"seed={seed}") for seed in range(n_seeds)]
    return Result(
        f"{n_seeds} seeds", seconds(results), [Row("accuracy", column([r.test for r in results], "cls", "accuracy"))]
    )


def gas_drift(folder: Path, n_seeds: int) -> Result:
    """Gas and concentration on each of the two later batches by itself, from one training on the earlier ones."""
    results = [train(folder, "gas_drift", f"seed={seed}") for seed in range(n_seeds)]
    rows = []
    for batch in (8, 9):
        tests = [evaluated(result, f"data.test_fold={batch}") for result in results]
        rows.append(Row(f"batch {batch}: gas, accuracy", column(tests, "cls", "accuracy")))
        rows.append(Row(f"batch {batch}: concentration, RMSE", column(tests, "reg", "rmse"), " ppm"))
    return Result(f"{n_seeds} seeds", seconds(results), rows)


def cmapss(subset: str, folder: Path, n_seeds: int) -> Result:
    """Remaining life and health of the engines of a subset; the seed also draws other engines for validation."""
    results = [
        train(folder, "cmapss", f"data.subset={subset}", f"seed={seed}", f"data.seed={seed}") for seed in range(n_seeds)
    ]
    tests: list[Metrics] = [result.test for result in results]
    rows = [
        Row("remaining life, RMSE against 125 at most", column(tests, "reg", "rmse_capped"), " cycles"),
        Row("remaining life, RMSE against the file", column(tests, "reg", "rmse"), " cycles"),
        Row("remaining life, PHM08 against 125 at most", column(tests, "reg", "phm08")),
        Row("health, accuracy", column(tests, "cls", "accuracy")),
    ]
    return Result(f"{n_seeds} seeds", seconds(results), rows)


def evaluated(result: tsmtl.TrainingResult, *settings: str) -> Metrics:
    """Give the metrics by task that ``tsmtl-evaluate`` gives of a run's checkpoint."""
    output = result.folder / "_".join(["metrics", *settings, ".json"])
    arguments = [f"checkpoint={result.best_model_path}", f"output={output}", "device=cpu", *settings]
    subprocess.run([sys.executable, "-m", "tsmtl.evaluate", *arguments], check=True, capture_output=True)
    metrics: Metrics = json.loads(output.read_text())["metrics"]
    return metrics


EXPERIMENTS: dict[str, Callable[[Path, int], Result]] = {
    "hydraulic": hydraulic,
    "har": har,
    "gas_drift": gas_drift,
    "cmapss_FD001": partial(cmapss, "FD001"),
    "cmapss_FD002": partial(cmapss, "FD002"),
}


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--folder", type=Path, default=Path("outputs/known_sets"))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print("| experiment | runs | measured | mean ± sd | lowest to highest | seconds a run |\n|---|---|---|---|---|---|")
    for name in arguments.sets:
        result = EXPERIMENTS[name](arguments.folder, arguments.seeds)
        for row in result.rows:
            print(f"| {name} | {result.runs} | {row.cells()} | {result.seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
