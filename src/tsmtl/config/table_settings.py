"""Settings of tables in long form: entity, time, channels and targets as columns, cut into windows."""

from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import Field

from tsmtl.config.data_settings import FileSettings, FoldId, TargetPlace
from tsmtl.config.section import Count, Text

PARQUET = (".parquet", ".pq")
Names = Annotated[list[Text], Field(min_length=1)]
NotNegative = Annotated[float, Field(ge=0)]
Moment = float | Text
Derived = Text | dict[Text, float | list[Text]]


class TableSettings(FileSettings):
    """Settings of ``data=table`` and of the known sets over it."""

    source: Literal["table"] = Field(description="kind of source")
    root: Text | None = Field(default=None, description="known sets: the folder with the public data sets")
    path: Text = Field(
        description="a .csv, .csv.gz, .txt or .parquet file, a folder of such files, or a pattern with *"
    )
    test_path: Text | None = Field(description="files of the test split, where they are separate; read like path")
    separator: Text = Field(description="between cells of text files: one character, tab, or whitespace")
    columns: Names | None = Field(description="names of the columns of text files without a header")
    entity: Text | None = Field(description="column of the machine, patient or building that a row belongs to")
    time: Text | None = Field(description="column of times (ISO 8601) or numbers")
    time_format: Text | None = Field(description="of times that are not ISO 8601, such as %d/%m/%Y %H:%M")
    channels: Names | None = Field(description="columns of the input: names, or patterns such as sensor_*")
    class_target: Text | None = Field(description="column of classes, or of a number that class_bins divides")
    class_reduce: Literal["last", "first", "mode", "max", "mean", "change"] = Field(
        description="which class of its rows a window gets; max, mean and change are of numbers"
    )
    class_bins: Annotated[list[float], Field(min_length=1)] | None = Field(
        description="bounds that make classes of a number; a bound belongs to the class above it"
    )
    class_bin_names: Names | None = Field(description="names of these classes, from low to high")
    regression_target: Text | None = Field(description="column of numbers")
    regression_reduce: Literal["last", "first", "mean", "max", "min", "change"] = Field(
        description="which number of its rows a window gets; change: the last of the horizon minus that at the "
        "window's end"
    )
    regression_unit: Text | None = Field(description="unit of the number, for tables and pictures")
    horizon: Annotated[int, Ge(0)] = Field(
        description="rows after the window that its targets come from; 0: the window"
    )
    window: Count = Field(description="T, rows of a window")
    stride: Count = Field(description="rows from one window to the next")
    short: Literal["pad", "drop"] = Field(
        description="recordings shorter than a window: first row repeated, or left out"
    )
    max_gap: NotNegative | Text | None = Field(
        description="a longer pause in time cuts the recording: 5, or 30s, 2h, 1d"
    )
    duplicates: Literal["error", "first", "last"] = Field(description="rows with the same entity and time")
    split: Literal["auto", "given", "group", "time", "group_kfold", "time_kfold"] = Field(
        description="what decides the splits"
    )
    split_key: Text | None = Field(description="column of train/val/test, or of fold ids")
    test_fold: FoldId | None = Field(description="fold id or ids to test on, of split_key")
    val_fold: FoldId | None = Field(description="fold id or ids to validate on, of split_key")
    n_folds: Annotated[int, Ge(2)] = Field(description="folds of group_kfold and time_kfold")
    fold: Annotated[int, Ge(0)] | None = Field(description="which of them is the test split, from 0")
    val_from: Moment | None = Field(description="split=time: where val begins; null: by val_fraction")
    test_from: Moment | None = Field(description="split=time: where test begins; null: by test_fraction")
    test_until: Moment | None = Field(description="split=time: where test ends, this moment not in it")
    gap: NotNegative | Text = Field(description="time left out before each cut of split=time and time_kfold: 5, or 2h")
    test_windows: Literal["all", "last"] = Field(description="windows of the test split: all, or each entity's last")
    condition: Names | None = Field(description="columns of the operating condition: channels are scaled within each")
    condition_clusters: Annotated[int, Ge(2)] | None = Field(
        description="conditions found by k-means in these columns; null: each combination of values is one"
    )
    spill_folder: Text | None = Field(
        description="keeps the rows in a file there instead of in memory; null: in memory"
    )
    shuffle_block: Count | None = Field(
        description="with spill_folder: neighbouring windows that stay together in the random order of an epoch"
    )
    derive: list[Derived] = Field(
        description="further channels from each entity's past: age, {ema: 0.05}, {difference: 1}, {rolling_mean: 10}, "
        "{rolling_sd: 10}"
    )

    def _own_place(self, task: str) -> TargetPlace:
        setting = {"cls": "class_target", "reg": "regression_target"}[task]
        key = getattr(self, setting)
        unit = self.regression_unit if task == "reg" else None
        return TargetPlace(f"data.{setting}", () if key is None else (key,), unit)

    def _own_tasks(self) -> list[str]:
        return [task for task in ("cls", "reg") if self._own_place(task).keys]


class CmapssSettings(TableSettings):
    """Settings of ``data=cmapss``."""

    source: Literal["cmapss"] = Field(description="kind of source")  # type: ignore[assignment]
    subset: Literal["FD001", "FD002", "FD003", "FD004"] = Field(description="which of the four sets of engines")
