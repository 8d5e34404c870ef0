"""A sweep of small jobs: against one process with one thread, against Hydra's launcher, and what its parts are worth.

    python -m benchmarks.sweep_throughput [--repeats 3] [--epochs 40] [--more 200] [--rows 300000]

Sixteen jobs, whole commands from start to table, each repeat in a folder of its own, the kinds in turn. *One process*
is the same sweep with ``hydra.launcher.n_jobs=1 trainer.threads=1`` on one core: K cores that gave K times its
throughput would be perfect. Jobs of 40 epochs take about a second, most of it their pictures, which *no pictures*
leaves out by ``trainer.pictures=false``; *longer jobs* of 200, a fifth of the default, take some seconds. Each of these
has a process of its own to be compared with. *A process per core, side by side* is what the machine gives: K such
sweeps of sixteen jobs at the same time, each on a core of its own, which share memory and clock alone; shown are its
seconds for sixteen jobs. *Not kept on cores* and *data read by each job* are the sweep without these two; the kinds on
a table read a CSV file of so many rows, which takes a while. *Jobs alone* is from the first job's config on disk to the
last one's summary: without Python's start, composition, PyTorch's import, the sweep's table and its picture, which
weigh less the more jobs there are. Prints seconds and ratios, medians and quartiles.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks import machine
from benchmarks.table import markdown, spread

CLI = "from tsmtl.train import cli; cli()"
FREE = f"from tsmtl.sweep.pool import Pool; Pool._cores_of = lambda pool, slot: None; {CLI}"
UNSHARED = f"""
from tsmtl.sweep.process import WorkerProcess
give = WorkerProcess.give
WorkerProcess.give = lambda worker, job, threads, shared: give(worker, job, threads, None)
{CLI}
"""
ON_CORE = f"import os; os.sched_setaffinity(0, [int(os.environ['CORE'])]); {CLI}"
JOBS = ["lr=1e-3,2e-3,5e-3,1e-2", "output_channels=4,8,16,32"]
RUN = ["model=cnn1d", "data.n_instances=400", "device=cpu"]
ONE_PROCESS = ["hydra.launcher.n_jobs=1", "trainer.threads=1"]
ONE_BY_ONE = ["hydra/launcher=basic", "hydra/sweeper=basic"]
ALONE, LONGER, PLAIN, TABLE = "one process, one thread", "longer jobs", "no pictures", "table"
SIDE_BY_SIDE = "a process per core, side by side"
COMPOSED = ["lr=" + ",".join(f"{i / 1e4}" for i in range(1, 201)), "hydra.launcher.dry_run=true"]


class Took(NamedTuple):
    """Seconds of a sweep: of the whole command, and of its jobs alone."""

    whole: float
    jobs: float


def seconds_of(code: str, arguments: list[str], core: int) -> Took:
    """Run the command in a folder of its own; give its wall time. ``core`` is for :data:`ON_CORE`."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "sweep"
        command = [sys.executable, "-c", code, "-m", *arguments, f"hydra.sweep.dir={folder}"]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CORE": str(core)})
        whole = time.perf_counter() - began
        starts, ends = (
            [path.stat().st_mtime for path in folder.glob(f"*/{end}")] for end in ("config.yaml", "summary.json")
        )
        return Took(whole, max(ends) - min(starts) if ends else 0.0)


def seconds_side_by_side(arguments: list[str], cores: list[int]) -> Took:
    """Run the command once per core at the same time; give the mean times over their number."""
    with ThreadPoolExecutor(len(cores)) as threads:
        each = list(threads.map(partial(seconds_of, ON_CORE, arguments), cores))
    return Took(*(statistics.fmean(times) / len(cores) for times in zip(*each, strict=True)))


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


def kinds_of(jobs: list[str], longer: list[str], on_table: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Give the program and the words of each kind, by name: a group, if it is of one, and what it does."""
    plain = [*jobs, "trainer.pictures=false"]
    return {
        ALONE: (ON_CORE, [*jobs, *ONE_PROCESS]),
        "sweep": (CLI, jobs),
        "sweep, not kept on cores": (FREE, jobs),
        f"{PLAIN}, {ALONE}": (ON_CORE, [*plain, *ONE_PROCESS]),
        f"{PLAIN}, sweep": (CLI, plain),
        f"{LONGER}, {ALONE}": (ON_CORE, [*longer, *ONE_PROCESS]),
        f"{LONGER}, sweep": (CLI, longer),
        "Hydra's launcher": (CLI, [*jobs, *ONE_BY_ONE]),
        f"{TABLE}, {ALONE}": (ON_CORE, [*on_table, *ONE_PROCESS]),
        f"{TABLE}, sweep": (CLI, on_table),
        f"{TABLE}, sweep, data read by each job": (UNSHARED, on_table),
        "200 jobs composed": (CLI, COMPOSED),
    }


def compared_with(kind: str) -> str:
    """Name the one process that a kind is compared with: that of its group."""
    return next((f"{group}, " for group in (LONGER, PLAIN, TABLE) if kind.startswith(f"{group}, ")), "") + ALONE


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--more", type=int, default=200, help="epochs of the longer jobs")
    parser.add_argument("--rows", type=int, default=300_000)
    arguments = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0))
    cores = len(usable)
    with TemporaryDirectory() as folder:
        jobs, longer = ([*RUN, *JOBS, f"num_epochs={epochs}"] for epochs in (arguments.epochs, arguments.more))
        kinds = kinds_of(jobs, longer, [*table(Path(folder) / "table.csv", arguments.rows), *JOBS])
        measures = {kind: partial(seconds_of, *given, usable[0]) for kind, given in kinds.items()}
        measures = {**measures, SIDE_BY_SIDE: partial(seconds_side_by_side, [*jobs, *ONE_PROCESS], usable)}
        seconds: dict[str, list[Took]] = {kind: [] for kind in measures}
        for repeat in range(arguments.repeats):
            for kind, measure in measures.items():
                seconds[kind].append(measure())
                said = f"repeat {repeat + 1}: {kind} {seconds[kind][-1].whole:.1f} s (load {machine.load():.1f})"
                print(said, file=sys.stderr, flush=True)
    print(machine.said(machine.facts("polars"), "each job in one thread"))
    print(f"{arguments.epochs} epochs, longer jobs {arguments.more}; ratios to one process with one thread, per core\n")
    body = []
    for kind, took in seconds.items():
        whole, jobs_alone = zip(*took, strict=True)
        cells = ["-", "-", "-"]
        if jobs_alone[0]:
            cells[0] = f"{statistics.median(jobs_alone):.1f}"
        if jobs_alone[0] and compared_with(kind) != kind:
            pairs = [zip(*each, strict=True) for each in zip(seconds[compared_with(kind)], took, strict=True)]
            per_core = zip(*([one / many / cores for one, many in each] for each in pairs), strict=True)
            cells[1:] = [spread(each).said() for each in per_core]
        body.append([kind, spread(whole).said(1), *cells])
    print(markdown(["16 jobs", "s", "jobs alone, s", "ratio", "ratio of jobs alone"], body))


if __name__ == "__main__":
    main()
