"""Memory and time to the first step on a long table, against pandas and a list of copied windows.

Usage: python benchmarks/table_memory.py [--rows 10000000] [--format parquet] [--folder DIR]

Makes a table of 8 channels, a class and a number, 100 machines one after the other, and trains on windows of 128 rows,
stride 1. Peak memory is that of a process of its own (ru_maxrss); the constant is that of the same run on a
hundredth of the rows. The list of copies does not fit into memory at stride 1: it is made for a part of the rows.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

CHANNELS, WINDOW, MACHINES, BLOCK = 8, 128, 100, 2**18
COLUMNS = [f"c{i}" for i in range(CHANNELS)]


def make_table(path: Path, rows: int) -> None:
    """Write a table some rows at a time; a Parquet table is a folder of files."""
    rng = np.random.default_rng(0)
    if path.suffix == ".csv":
        with path.open("wb") as file:
            for number, frame in enumerate(frames(rng, rows)):
                frame.write_csv(file, include_header=not number)
        return
    path.mkdir()
    for number, frame in enumerate(frames(rng, rows)):
        frame.write_parquet(path / f"part_{number:04d}.parquet")


def frames(rng: np.random.Generator, rows: int) -> Iterator[pl.DataFrame]:
    """Give the rows of the table."""
    each = rows // MACHINES
    for start in range(0, rows, BLOCK):
        row = np.arange(start, min(start + BLOCK, rows))
        values = rng.normal(size=(len(row), CHANNELS)).astype(np.float32)
        wear = (row % each) / each
        columns = {"machine": row // each, "time": row % each, **dict(zip(COLUMNS, values.T, strict=True))}
        yield pl.DataFrame({**columns, "state": np.where(wear < 0.5, "new", "old"), "wear": wear})


def with_tsmtl(path: Path) -> None:
    """Train on the table, and print what it took."""
    began = time.perf_counter()
    from torch import Tensor

    import tsmtl
    from tsmtl.training.batches import Batch
    from tsmtl.training.window_split import WindowSplit

    first: list[float] = []
    batch = WindowSplit.batch

    def noted(split: WindowSplit, rows: Tensor) -> Batch:
        found = batch(split, rows)
        first.append(time.perf_counter() - began)
        return found

    WindowSplit.batch = noted  # type: ignore[method-assign, assignment]
    with TemporaryDirectory() as folder:
        words = ["data=table", f"data.path={path}", "data.entity=machine", "data.time=time", "data.class_target=state"]
        words += ["data.regression_target=wear", f"data.window={WINDOW}", "model=cnn1d", "output_channels=4"]
        words += ["data.val_fraction=0.02", "data.test_fraction=0.02", "num_epochs=1", "batch_size=64", "lr=1e-3"]
        share = min(1.0, 64 * 200 / rows_of(path))  # 200 steps
        tsmtl.train([*words, f"trainer.epoch_fraction={share}", "device=cpu", f"hydra.run.dir={folder}/run"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak": peak, "first": first[0]}))


def rows_of(path: Path) -> int:
    """Count the rows of a table."""
    scan = pl.scan_csv(path) if path.suffix == ".csv" else pl.scan_parquet(path)
    return int(scan.select(pl.len()).collect().item())


def with_copies(path: Path) -> None:
    """Read with pandas, scale, and copy every window, as a first script does; print what it took."""
    began = time.perf_counter()
    import pandas  # type: ignore[import-untyped, unused-ignore]
    import torch

    table = pandas.read_csv(path)
    x = torch.tensor(table[COLUMNS].to_numpy(), dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    windows = torch.stack([x[i : i + WINDOW].clone() for i in range(len(x) - WINDOW + 1)])
    windows[torch.randperm(len(windows))[:64]].sum()
    first = time.perf_counter() - began
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "first": first}))


def measured(way: str, path: Path) -> dict[str, float]:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--table", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Make the tables, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--folder", default=None, help="where the tables are made")
    parser.add_argument("--way", choices=["tsmtl", "copies"], help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        (with_tsmtl if arguments.way == "tsmtl" else with_copies)(arguments.table)
        return
    with TemporaryDirectory(dir=arguments.folder) as folder:
        ending = "" if arguments.format == "parquet" else ".csv"
        tables = {name: Path(folder) / f"{name}{ending}" for name in ("small", "large")}
        make_table(tables["small"], arguments.rows // 100)
        make_table(tables["large"], arguments.rows)
        small, large = measured("tsmtl", tables["small"]), measured("tsmtl", tables["large"])
        make_table(Path(folder) / "copied.csv", arguments.rows // 100)
        copies = measured("copies", Path(folder) / "copied.csv")
    size = arguments.rows * CHANNELS * 4
    grown = large["peak"] - small["peak"]
    print(f"{arguments.rows:,} rows of {CHANNELS} channels as {arguments.format}: {size / 2**20:.0f} MiB as float32")
    print(f"tsmtl: peak {large['peak'] / 2**20:.0f} MiB, first batch after {large['first']:.1f} s")
    print(f"  of it constant (a hundredth of the rows): {small['peak'] / 2**20:.0f} MiB, {small['first']:.1f} s")
    print(f"  beyond the constant: {grown / 2**20:.0f} MiB = {grown / size / 0.99:.2f} times the float32 size")
    windows, copied = arguments.rows // 100 - WINDOW + 1, copies["peak"] / 2**20
    whole = arguments.rows * CHANNELS * 4 * WINDOW / 2**30
    said = f"peak {copied:.0f} MiB, first batch after {copies['first']:.1f} s"
    print(f"pandas and a list of copies of the {windows:,} windows of a hundredth: {said}")
    print(f"  all {arguments.rows:,} windows would take {whole:.0f} GiB")


if __name__ == "__main__":
    main()
