"""Vectors of every representation under single-task and multi-task heads, beside models of the raw series.

Usage: python -m benchmarks.representations [--sets hydraulic gas_drift har] [--methods summary minirocket raw]
       [--seeds 3] [--folder outputs/representations]

Vectors are made once per data set, run and method; then ``experiment=represent_fc`` learns the class alone, the number
alone, and both. *Raw* is the shipped experiment of the set on its own series; gas_drift holds vectors, and is its own
representation. *Ridge* is the linear probe that each training on vectors prints. Hydraulic is run over test folds, the
others over seeds; har has no number, so that its head is single. Every run is read where it is done: after a kill the
same command goes on. Prints Markdown, mean and standard deviation over the runs; seconds are those of a run's vectors
and training, on a machine as busy as it was.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tsmtl

METHODS = ["summary", "minirocket", "multirocket", "catch22", "ts2vec", "contrastive", "masked", "raw"]
MULTIROCKET = "representation.num_features=10080"  # as many as minirocket has, not five times as many
TASKS: dict[str, list[str]] = {
    "hydraulic": ["cls", "reg", "multi"],
    "gas_drift": ["cls", "reg", "multi"],
    "har": ["cls"],
}
ALONE = {("gas_drift", "reg"): ["trainer.label_smoothing=0"]}  # what an experiment says of the other task
METRIC = {"cls": "accuracy", "reg": "rmse"}
AFTER = {"gas_drift": {f"batch {batch}": [f"data.test_fold={batch}"] for batch in (8, 9)}}  # tsmtl-evaluate's settings


def words_of(data: str, run: int) -> list[str]:
    """Give what tells a run of a set from the others: its test fold, or its seed."""
    return [f"data.test_fold={run}"] if data == "hydraulic" else [f"seed={run}"]


def vectors(folder: Path, data: str, method: str, run: int) -> tuple[Path, float]:
    """Make the vectors of a run, or find them; give their file and the seconds that it took."""
    file, took = folder / "vectors.npz", folder / "seconds.txt"
    if not took.exists():
        folder.mkdir(parents=True, exist_ok=True)
        more = [MULTIROCKET] if method == "multirocket" else []
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "tsmtl.represent",
            f"experiment={data}",
            f"representation={method}",
            "device=cpu",
        ]
        # What an experiment says of training, and of a model, the vectors do not read.
        subprocess.run([*command, *words_of(data, run), *more, f"output={file}"], check=True, capture_output=True)
        took.write_text(f"{time.perf_counter() - began:.1f}")
    return file, float(took.read_text())


def trained(folder: Path, data: str, method: str, task: str, run: int) -> tuple[tsmtl.TrainingResult, float]:
    """Train a head, or the raw model, or read it where it is done; with the seconds of vectors and training."""
    own, seconds = folder / data / method / str(run), 0.0
    words = [f"experiment={data}", *words_of(data, run), *ALONE.get((data, task), [])]
    if method != "raw":
        file, seconds = vectors(own, data, method, run)
        words = ["experiment=represent_fc", f"data.path={file}", f"seed={run}"]
    result = tsmtl.train([*words, f"task={task}", "device=cpu", f"hydra.run.dir={own / task}", "resume=true"])
    return result, seconds + float(result.summary["seconds"]["training"])


def evaluated(result: tsmtl.TrainingResult, settings: Sequence[str]) -> dict[str, dict[str, float]]:
    """Give the metrics that ``tsmtl-evaluate`` gives of a checkpoint on a part of the test split."""
    output = result.folder / f"{'_'.join(settings)}.json"
    words = [f"checkpoint={result.best_model_path}", f"output={output}", "device=cpu", *settings]
    subprocess.run([sys.executable, "-m", "tsmtl.evaluate", *words], check=True, capture_output=True)
    found: dict[str, dict[str, float]] = json.loads(output.read_text())["metrics"]
    return found


def parts_of(data: str, result: tsmtl.TrainingResult) -> dict[str, Mapping[str, Mapping[str, float]]]:
    """Give the test metrics, by part of the test split where it has parts."""
    if data not in AFTER:
        return {"": result.test}
    return {part: evaluated(result, settings) for part, settings in AFTER[data].items()}


def said(values: Sequence[float]) -> str:
    """Give mean and standard deviation."""
    digits = 3 if max(values) <= 1 else 2
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def rows_of(folder: Path, data: str, method: str, runs: Sequence[int]) -> list[list[str]]:
    """Give the rows of a set and a method: one per head, and one of the probe."""
    rows, probes = [], []
    for task in TASKS[data]:
        found = [trained(folder, data, method, task, run) for run in runs]
        parts = [parts_of(data, result) for result, _ in found]
        seconds = statistics.mean(took for _, took in found)
        probes = [result.summary["linear_probe"] for result, _ in found]
        for part in parts[0]:
            cells = [
                said([own[part][kind][METRIC[kind]] for own in parts]) if kind in parts[0][part] else ""
                for kind in METRIC
            ]
            head = "single" if task != "multi" else "multi"
            rows.append(
                [data, part, method, f"{head} ({task})" if head == "single" else head, *cells, f"{seconds:.0f}"]
            )
    if data not in AFTER and method != "raw":  # the probe of the last training has the tasks of all
        cells = [said([p[kind][METRIC[kind]] for p in probes]) if kind in probes[0] else "" for kind in METRIC]
        rows.append([data, "", method, "ridge", *cells, ""])
    return rows


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", type=int, default=3, help="and folds of hydraulic")
    parser.add_argument("--folder", type=Path, default=Path("outputs/representations"))
    arguments = parser.parse_args()
    header: list[Any] = ["data", "test part", "representation", "head", "accuracy", "rmse", "seconds"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for data in arguments.sets:
        for method in arguments.methods:
            if data == "gas_drift" and method != "raw":
                continue
            for row in rows_of(arguments.folder, data, method, range(arguments.seeds)):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
