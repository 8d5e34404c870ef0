"""Reading: files to arrays that a training takes, against the reader that one would write it with, in turn."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from benchmarks.table import Row, markdown, ratios, spread
from benchmarks.table_memory import COLUMNS, frames
from tsmtl.config.python_call import settings_and_folder
from tsmtl.data.loading import load_bundle

PART = "reading"
SERIES = (1000, 9, 128)  # (N, C, T) of the .ts file
ROWS = 200_000  # of the tables
TS, CSV, PARQUET = "`.ts`, 1000 series of 9 x 128", "CSV, 200,000 rows", "Parquet, 200,000 rows"


def measure(threads: int, repeats: int, say: Callable[[str], None]) -> list[Row]:
    """Read each file in both ways.

    Args:
        threads: Of no meaning here: a reader takes the cores that it takes.
        repeats: Rounds that count.
        say: Is told how far it is.

    Returns:
        A row per file and reader, with the seconds of each round.
    """
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for kind, (path, readers) in _files(Path(folder)).items():
            say(kind)
            seconds: dict[str, list[float]] = {name: [] for name in readers}
            for repeat in range(repeats + 1):
                for name in list(readers) if repeat % 2 else list(reversed(readers)):
                    began = time.perf_counter()
                    readers[name]()
                    if repeat:  # the first warms the disk, and numba where a reader has it
                        seconds[name].append(time.perf_counter() - began)
            about = {"part": PART, "file": kind, "mib": path.stat().st_size / 2**20}
            rows += [about | {"reader": name, "seconds": found} for name, found in seconds.items()]
    return rows


def _files(folder: Path) -> dict[str, tuple[Path, dict[str, Callable[[], Any]]]]:
    """Write the files; give each with its readers, tsmtl's first."""
    import pandas
    from aeon.datasets import load_from_ts_file

    paths = {TS: folder / "series.ts", CSV: folder / "table.csv", PARQUET: folder / "table.parquet"}
    write_ts(paths[TS])
    table = pl.concat(frames(np.random.default_rng(0), ROWS))
    table.write_csv(paths[CSV])
    table.write_parquet(paths[PARQUET])
    targets = ["data.class_target=state", "data.regression_target=wear", "data.window=128"]
    as_table = ["data=table", "data.entity=machine", "data.time=time", *targets]
    return {
        TS: (
            paths[TS],
            {
                "tsmtl": _loading(["data=ts", f"data.path={paths[TS]}", "task=cls"]),
                "aeon": lambda: load_from_ts_file(str(paths[TS])),
            },
        ),
        CSV: (
            paths[CSV],
            {
                "tsmtl": _loading([*as_table, f"data.path={paths[CSV]}"]),
                "pandas.read_csv": lambda: pandas.read_csv(paths[CSV])[COLUMNS].to_numpy(dtype=np.float32),
            },
        ),
        PARQUET: (
            paths[PARQUET],
            {
                "tsmtl": _loading([*as_table, f"data.path={paths[PARQUET]}"]),
                "polars.read_parquet": lambda: pl.read_parquet(paths[PARQUET]).select(COLUMNS).to_numpy(),
            },
        ),
    }


def _loading(words: list[str]) -> Callable[[], Any]:
    """Give what loads a data set as a run does: read, split, cut into windows, checked."""
    settings, _ = settings_and_folder([*words, "model=cnn1d"])
    return lambda: load_bundle(settings.data, settings.tasks, settings.typed)


def write_ts(path: Path) -> None:
    """Write random series of :data:`SERIES` with a class each."""
    n, c, t = SERIES
    values = np.random.default_rng(0).standard_normal(SERIES, dtype=np.float32)
    with path.open("w") as file:
        file.write(f"@problemName noise\n@univariate false\n@dimensions {c}\n@equalLength true\n@seriesLength {t}\n")
        file.write("@timeStamps false\n@missing false\n@classLabel true a b\n@data\n")
        for i in range(n):
            channels = [",".join(f"{value:.6f}" for value in channel) for channel in values[i].tolist()]
            file.write(":".join([*channels, "ab"[i % 2]]) + "\n")


def tables(rows: Sequence[Row]) -> str:
    """Write a table."""
    body = []
    own = [row for row in rows if row["part"] == PART]
    for kind in dict.fromkeys(row["file"] for row in own):
        ours, other = (row for row in own if row["file"] == kind)
        seconds, its = spread(ours["seconds"]).median, spread(other["seconds"]).median
        ratio = spread(ratios(other["seconds"], ours["seconds"])).said()
        size = ours["mib"]
        cells = [f"{size:.1f}", f"{seconds:.2f}", f"{size / seconds:.0f}", other["reader"], f"{its:.2f}"]
        body.append([kind, *cells, ratio])
    header = ["file", "MiB", "tsmtl, s", "tsmtl, MiB/s", "other reader", "its s", "tsmtl's speed of the other's"]
    return markdown(header, body)
