"""A sweep of small jobs: against one process with one thread, against Hydra's launcher, and what its parts are worth.

Usage: python benchmarks/sweep_throughput.py [--repeats 3] [--epochs 40] [--rows 300000]

Sixteen jobs, whole commands from start to table, each repeat in a folder of its own, the kinds in turn. *One process*
is the same sweep with ``hydra.launcher.n_jobs=1 trainer.threads=1``: K cores that gave K times its throughput would be
perfect. *Not kept on cores* and *data read by each job* are the sweep without these two; the kinds on a table read a
CSV file of so many rows, which takes a while. Prints seconds, medians, and Markdown rows.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

CLI = "from tsmtl.train import cli; cli()"
FREE = f"from tsmtl.sweep.pool import Pool; Pool._cores_of = lambda pool, slot: None; {CLI}"
UNSHARED = f"""
from tsmtl.sweep.process import WorkerProcess
give = WorkerProcess.give
WorkerProcess.give = lambda worker, job, threads, shared: give(worker, job, threads, None)
{CLI}
"""
JOBS = ["lr=1e-3,2e-3,5e-3,1e-2", "output_channels=4,8,16,32"]
RUN = ["model=cnn1d", "data.n_instances=400", "device=cpu"]
ONE_PROCESS = ["hydra.launcher.n_jobs=1", "trainer.threads=1"]
ONE_BY_ONE = ["hydra/launcher=basic", "hydra/sweeper=basic"]
COMPOSED = ["lr=" + ",".join(f"{i / 1e4}" for i in range(1, 201)), "hydra.launcher.dry_run=true"]


def seconds_of(code: str, arguments: list[str]) -> float:
    """Run the command in a folder of its own; give its wall time."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, "-m", *arguments, f"hydra.sweep.dir={Path(folder) / 'sweep'}"]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began


def table(path: Path, rows: int) -> list[str]:
    """Write a CSV table of 8 channels, a class and a number; give the words that train on it, briefly."""
    rng = np.random.default_rng(0)
    columns = {f"c{i}": rng.normal(size=rows).astype(np.float32) for i in range(8)}
    at = np.arange(rows)
    frame = {"machine": at // 1000, "time": at % 1000, **columns, "state": np.where(at % 1000 < 500, "new", "old")}
    pl.DataFrame({**frame, "wear": at % 1000 / 1000}).write_csv(path)
    words = ["data=table", f"data.path={path}", "data.entity=machine", "data.time=time", "data.class_target=state"]
    words += ["data.regression_target=wear", "data.window=32", "data.stride=32", "model=cnn1d", "device=cpu"]
    return [*words, "num_epochs=1", "trainer.epoch_fraction=0.1", "batch_size=64"]


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rows", type=int, default=300_000)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with TemporaryDirectory() as folder:
        jobs = [*RUN, *JOBS, f"num_epochs={arguments.epochs}"]
        on_table = [*table(Path(folder) / "table.csv", arguments.rows), *JOBS]
        kinds = {
            "one process, one thread": (CLI, [*jobs, *ONE_PROCESS]),
            "sweep": (CLI, jobs),
            "sweep, not kept on cores": (FREE, jobs),
            "Hydra's launcher": (CLI, [*jobs, *ONE_BY_ONE]),
            "table, one process, one thread": (CLI, [*on_table, *ONE_PROCESS]),
            "table, sweep": (CLI, on_table),
            "table, sweep, data read by each job": (UNSHARED, on_table),
            "200 jobs composed": (CLI, COMPOSED),
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for repeat in range(arguments.repeats):
            for kind, given in kinds.items():
                seconds[kind].append(seconds_of(*given))
                load = os.getloadavg()[0]
                print(f"repeat {repeat + 1}: {kind} {seconds[kind][-1]:.1f} s (load {load:.1f})", flush=True)
    print(f"\n{cores} cores\n\n| 16 jobs | s (min - max) | times one process with one thread, per core |")
    print("|---|---|---|")
    for kind, took in seconds.items():
        spread = f"{statistics.median(took):.1f} ({min(took):.1f} - {max(took):.1f})"
        alone = seconds["table, one process, one thread" if kind.startswith("table") else "one process, one thread"]
        per_core = statistics.median(one / many for one, many in zip(alone, took, strict=True)) / cores
        print(f"| {kind} | {spread} | {'' if kind.startswith('200') else f'{per_core:.2f}'} |")


if __name__ == "__main__":
    main()
