"""The C-MAPSS turbofan engines as a table: columns named, remaining life counted, the protocol's test engines apart."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from tsmtl.config.errors import UserError
from tsmtl.config.table_settings import CmapssSettings
from tsmtl.data.csv_rows import WHITESPACE, CsvRows
from tsmtl.data.files import where_to_get
from tsmtl.data.instances import Instances
from tsmtl.data.table import instances_of
from tsmtl.data.table_cells import Place, numbers
from tsmtl.data.table_reading import Frame, Source, source_of_files

COLUMNS = ["engine", "cycle", *(f"setting_{i}" for i in (1, 2, 3)), *(f"s{i}" for i in range(1, 22))]
LIFE = "remaining_life"
_BLANKS = "are its cells separated by blanks?"


def load_cmapss(settings: CmapssSettings, tasks: dict[str, str]) -> Instances:
    """Read train, test and remaining-life file of a subset, plain or gzipped.

    An engine's remaining life in a row is its last cycle minus the row's; of test engines plus what the RUL file says.

    Args:
        settings: Folder, subset, windows and targets.
        tasks: Kind by task name.

    Raises:
        UserError: If a file is missing or is not the set's.
    """
    folder, subset = Path(settings.path).expanduser(), settings.subset
    train = _rows(_file(folder, f"train_{subset}.txt"))
    test_file = _file(folder, f"test_{subset}.txt")
    test, left = _rows(test_file), _lives(_file(folder, f"RUL_{subset}.txt"))
    engines = test["engine"].n_unique()
    if engines != len(left):
        raise UserError(f"{folder}: RUL_{subset}.txt has {len(left)} lines, test_{subset}.txt {engines} engines")
    after = pl.DataFrame({"engine": test["engine"].unique(maintain_order=True), "after": left})
    train = train.with_columns(pl.lit(0.0).alias("after"))
    test = test.join(after, on="engine", how="left", maintain_order="left")
    life = (pl.col("cycle").max().over("engine") - pl.col("cycle") + pl.col("after")).alias(LIFE)
    both = [(is_test, frame.with_columns(life)) for is_test, frame in ((False, train), (True, test))]

    def frames(wanted: list[str]) -> Iterator[Frame]:
        for is_test, frame in both:
            name = f"{'test' if is_test else 'train'}_{subset}.txt"
            yield is_test, name, Place(str(folder / name), 1), frame.select(wanted)

    columns = [*COLUMNS, LIFE]
    source = Source(f"{folder} ({subset})", columns, len(train) + len(test), both[0][1].select(columns), frames)
    return instances_of(settings, tasks, source)


def source_of_new_engines(settings: CmapssSettings) -> tuple[CmapssSettings, Source]:
    """Open a file of engines to predict: text as the set has it (.txt, .txt.gz), or a table with named columns."""
    if settings.path.lower().endswith((".txt", ".txt.gz")):
        settings = settings.model_copy(update={"separator": WHITESPACE, "columns": COLUMNS})
    return settings, source_of_files(settings)


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"data.path: there is no {name} or {name}.gz in {folder}; {where_to_get('cmapss')}")


def _rows(path: Path) -> pl.DataFrame:
    texts = CsvRows(path, WHITESPACE, COLUMNS, _BLANKS)
    parts = []
    for row, frame in texts.frames():
        place = Place(str(path), row)
        frame.columns = COLUMNS
        parts.append(numbers(frame, place))
        if (odd := np.argwhere(parts[-1][:, :2] != np.round(parts[-1][:, :2]))).size:  # NaN too
            raise UserError(f"{place.of(int(odd[0, 0]), COLUMNS[odd[0, 1]])} is no whole number")
    frame = pl.DataFrame(np.concatenate(parts), schema=COLUMNS, orient="row")
    return frame.with_columns(pl.col("engine", "cycle").cast(pl.Int64))


def _lives(path: Path) -> list[float]:
    texts = CsvRows(path, WHITESPACE, [LIFE], _BLANKS)
    lives: list[float] = []
    for row, frame in texts.frames():
        frame.columns = [LIFE]
        lives += numbers(frame, Place(str(path), row))[:, 0].tolist()
    return lives
