"""Tables that tests make: frames read as if from a file, and what a bundle made of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from tsmtl.data.instances import Bundle, IntArray
from tsmtl.data.table_cells import Place
from tsmtl.data.table_reading import Frame, Source
from tsmtl.data.windows import Windows


def source_of(frame: pl.DataFrame, test: pl.DataFrame | None = None, block: int = 10**6) -> Source:
    """Read frames as a source gives them, some rows at a time."""

    def frames(wanted: list[str]) -> Iterator[Frame]:
        for is_test, whole in ((False, frame), (True, test)):
            for at in range(0, 0 if whole is None else len(whole), block):
                part = whole.select(wanted).slice(at, block)
                yield is_test, "test" if is_test else "made", Place("made", at + 1), part

    rows = len(frame) + (0 if test is None else len(test))
    return Source("made", frame.columns, rows, frame.head(block), frames)


def plant(entities: int = 6, rows: int = 40, seed: int = 0) -> pl.DataFrame:
    """Machines with two channels, a state (a or b) and a wear that rises; rows in order."""
    rng = np.random.default_rng(seed)
    n = entities * rows
    time = np.tile(np.arange(rows), entities)
    wear = time + rng.uniform(0, 0.5, n)
    return pl.DataFrame(
        {
            "machine": np.repeat([f"m{i}" for i in range(entities)], rows),
            "time": time,
            "a": rng.normal(size=n).round(3) + wear,
            "b": rng.normal(size=n).round(3),
            "state": np.where((time // 3) % 2 == 0, "run", "idle"),
            "wear": wear.round(3),
        }
    )


PLANT = {"entity": "machine", "time": "time", "class_target": "state", "regression_target": "wear", "window": 5}


def written(frame: pl.DataFrame, path: Path) -> Path:
    """Write a frame in the form that the name of the file says."""
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


def windows_of(bundle: Bundle) -> Windows:
    """Give the windows of a bundle."""
    assert isinstance(bundle.instances.x, Windows)
    return bundle.instances.x


def rows_read(windows: Windows, chosen: IntArray) -> list[list[int]]:
    """List the rows of each window and of its targets, one by one."""
    first, floor = windows.first_rows(chosen)
    return [
        list(range(max(int(a), int(f)), int(a) + windows.window + windows.horizon))
        for a, f in zip(first, floor, strict=True)
    ]
