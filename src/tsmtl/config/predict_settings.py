"""Settings of ``tsmtl-predict``, and those that it shares with ``tsmtl-evaluate``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tsmtl.config.section import Count, Section, Text

ROWS = (".csv", ".csv.gz", ".parquet", ".pq")  # one row per instance, or per time step of one
INPUTS = (".npz", ".ts", *ROWS)
TABLES = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz", ".parquet", ".pq")  # of models trained on tables
OUTPUTS = (".csv", ".npz", ".parquet")
_READ_BY = {**dict.fromkeys(("input_key", "lengths_key", "class_names_key"), (".npz",)), "instance_key": ROWS}


class ModelSettings(Section):
    """Which model, and how it runs."""

    checkpoint: Text = Field(description="the trained model, a best_model.pt")
    transform: Text | None = Field(
        description="of a model of vectors: the transform of tsmtl-represent that makes them of raw series"
    )
    weights: Text | None = Field(description="of a transform of a pretrained model: its weights, where they have moved")
    level: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        description="share of new instances that a number's interval, low to high, shall hold; null: no intervals"
    )
    batch_size: Count = Field(description="instances read and predicted at once")
    device: Literal["cuda", "cpu"] = Field(description="where to predict")
    plugins: list[Text] = Field(description="modules to import that register backbones")


class PredictSettings(ModelSettings):
    """Settings of ``tsmtl-predict``."""

    output: Text = Field(description="file of predictions: .csv, .npz or .parquet")


class PredictDataSettings(Section):
    """The section ``data`` of ``tsmtl-predict``."""

    path: Text = Field(
        description="new instances: a .npz, .ts, .csv, .csv.gz or .parquet file, a folder of .npy files, or files of "
        "tables as in training"
    )
    input_key: Text | None = Field(description=".npz: array of series (N, C, T) or vectors (N, E)")
    lengths_key: Text | None = Field(description=".npz: array of lengths of padded series")
    instance_key: Text = Field(description=".csv, .parquet: column that names the instance of each row")
    windows: Literal["all", "last"] = Field(description="tables: predict for all windows, or the last of each entity")
    stride: Count = Field(description="tables: rows from one window to the next")


def ending_problems(key: str, path: str, endings: Iterable[str]) -> list[str]:
    """Say if a file's ending names no format that is known."""
    if Path(path).suffix.lower() in endings:
        return []
    return [f"{key}: must be a file that ends in {', '.join(endings)} (got '{path}')"]


def place_problems(key: str, value: str, endings: Iterable[str]) -> list[str]:
    """Check where a file is to go.

    Args:
        key: The setting that names it.
        value: Its path.
        endings: How it may end.
    """
    path = Path(value).expanduser()
    if wrong := ending_problems(key, value, endings):
        return wrong
    if path.is_dir():
        return [f"{key}: {path} is a folder; name a file in it"]
    return [] if path.parent.is_dir() else [f"{key}: there is no folder {path.parent}"]


def same_file(path: str | Path, other: str | Path) -> bool:
    """Say whether two paths lead to one place."""
    return Path(path).expanduser().resolve() == Path(other).expanduser().resolve()


def input_format(path: str) -> str:
    """Give the ending that tells the format of a file; a folder of .npy files is read like a .npz file."""
    if Path(path).expanduser().is_dir():
        return ".npz"
    return next((ending for ending in ROWS if path.lower().endswith(ending)), Path(path).suffix.lower())


def input_problems(path: str) -> list[str]:
    """Say if the input is of no format that is known."""
    if input_format(path) in INPUTS or is_table(path):
        return []
    return ending_problems("data.path", path, dict.fromkeys((*INPUTS, *TABLES)))


def is_table(path: str) -> bool:
    """Say whether a path may name files of a table."""
    place = Path(path).expanduser()
    return path.lower().endswith(TABLES) or place.is_dir() or "*" in path


def kind_problems(path: str, on_table: bool, typed: frozenset[str]) -> list[str]:
    """Say what does not fit a model that was trained on a table, or on instances.

    Args:
        path: The input.
        on_table: Whether the model was trained on a table.
        typed: Keys that the user gave on the command line.
    """
    if not on_table:
        problems = [] if input_format(path) in INPUTS else ending_problems("data.path", path, INPUTS)
        return problems + [
            f"data.{key}: is for models that were trained on a table; this one reads instances"
            for key in ("windows", "stride")
            if f"data.{key}" in typed
        ]
    problems = [] if is_table(path) else ending_problems("data.path", path, TABLES)
    return problems + [
        f"data.{key}: the model was trained on a table, whose columns it knows; leave it out"
        for key in _READ_BY
        if f"data.{key}" in typed
    ]


def predict_problems(settings: dict[str, Any], typed: frozenset[str]) -> list[str]:
    """Check what the checked sections of ``tsmtl-predict`` say of the files."""
    path, output = settings["data"].path, settings[""].output
    problems = input_problems(path) + ending_problems("output", output, OUTPUTS)
    if same_file(path, output):
        problems.append(f"output: {output} is the file to read; name another")
    problems += weights_problems(settings[""])
    return problems or unread_problems(path, typed)


def weights_problems(own: ModelSettings) -> list[str]:
    """Say if weights were named without the transform that reads them."""
    alone = own.weights is not None and own.transform is None
    return ["weights: is read by a transform of a pretrained model; name it with transform="] if alone else []


def unread_problems(path: str, typed: frozenset[str]) -> list[str]:
    """Say which typed settings are for another format than that of the file."""
    suffix = input_format(path)
    return [
        f"data.{key}: is for {', '.join(endings)} files; {path} is none"
        for key, endings in _READ_BY.items()
        if f"data.{key}" in typed and suffix not in endings
    ]
