"""Settings that were typed and that nothing would read: each is refused with a line that says when it is read.

Settings of targets are only warned of: ``-m task=cls,reg,multi`` keeps the same words for every task.
"""

from pathlib import Path

from tsmtl.config.data_settings import ArchiveSettings, DataSettings, NpzSettings, SyntheticSettings
from tsmtl.config.predict_settings import TABLES
from tsmtl.config.pretraining import DROPOUTS
from tsmtl.config.run_settings import PretrainSettings, RunSettings
from tsmtl.config.table_settings import PARQUET, CmapssSettings, TableSettings
from tsmtl.config.weighting_settings import AnyWeighting

_FOLDS, _BY_TIME = ("group_kfold", "time_kfold"), ("time", "time_kfold")
_NO_TEXT = "is read of text files alone, and the files are Parquet"
_DRAWN = {
    "test_fraction": "is read where no test split is given",
    "val_fraction": "is read where no val split is given",
    "seed": "is read where something is drawn at random",
}
_OF_NUMBERS = {
    *("regression_reduce", "regression_unit", "clip_target", "transform_target", "scale_target", "regression_metrics"),
}
_OF_CLASSES = {"class_reduce", "class_bins", "class_bin_names", "class_names_key"}
_OF_OTHER_TASKS = {"class_target", "class_target_2", "regression_target", "regression_unit", "class_names_key"}


def unread_settings(
    run: RunSettings, pretrain: PretrainSettings, data: DataSettings, weighting: AnyWeighting, typed: frozenset[str]
) -> list[str]:
    """Say which typed settings are not read, as far as that is known before the data is.

    Args:
        run: The settings of the run.
        pretrain: The settings under ``pretrain``.
        data: The settings of the data.
        weighting: The settings of the weighting.
        typed: Keys that the user gave on the command line.
    """
    found = {f"data.{key}": when for key, when in {**_of_table(data), **_of_arrays(data)}.items()}
    if "data.path" in typed:
        found["data.root"] = "is where known sets are looked for, and data.path names the files; take one of the two"
    if not data.label_share and not data.shuffled_labels:
        found["data.label_seed"] = "is read with data.label_share or data.shuffled_labels"
    if run.freeze and pretrain.task is None:
        found |= dict.fromkeys(DROPOUTS, "freeze=true keeps the backbone as loaded, without dropout; leave it out")
    if weighting.name != "fixed":
        found["alpha"] = f"is the share of task 1 with weighting=fixed; {weighting.name} finds shares of its own"
    if pretrain.task is None:
        found["pretrain.folder"] = "nothing is pretrained without pretrain.task"
    lines = [f"{key}: {when}" for key, when in found.items() if key in typed]
    return lines + unread_draws(data, typed, _expected_rule(data))


def unread_draws(data: DataSettings, typed: frozenset[str], rule: str) -> list[str]:
    """Say which typed settings of a random split are not read.

    Args:
        data: The settings of the data.
        typed: Keys that the user gave on the command line.
        rule: What decided the split, such as ``group``, or ``given, val group`` where val alone was carved.
    """
    kind, _, carved = rule.partition(", ")
    read = {"test_fraction", "val_fraction"}
    if kind == "given":
        read = {f"{name}_fraction" for name in ("test", "val") if name in carved}
    if isinstance(data, TableSettings):
        files = data.test_path is not None or isinstance(data, CmapssSettings)
        read -= {"test_fraction"} if files or kind in _FOLDS or data.test_from is not None else set()
        read -= {"val_fraction"} if data.val_from is not None else set()
    if isinstance(data, SyntheticSettings) or (read and kind not in _BY_TIME):
        read.add("seed")
    if isinstance(data, TableSettings) and data.condition_clusters is not None:
        read.add("seed")
    return [
        f"data.{key}: {when}; leave it out (what decides the split: {rule.replace(', ', '; ')})"
        for key, when in _DRAWN.items()
        if f"data.{key}" in typed and key not in read
    ]


def idle_targets(task: str, kinds: list[str], typed: frozenset[str]) -> list[str]:
    """Say which typed settings of targets have no effect on a task of these data.

    Args:
        task: ``cls``, ``reg``, ``multi`` or ``custom``.
        kinds: Kinds of its tasks.
        typed: Keys that the user gave on the command line.
    """
    idle = set() if "reg" in kinds else _OF_NUMBERS
    if "cls" not in kinds:
        idle = idle | (_OF_CLASSES - {"class_reduce"} if "multilabel" in kinds else _OF_CLASSES)
    idle = idle if len(kinds) > 1 else idle | {"class_target_2"}
    if task == "custom":
        idle = idle | _OF_OTHER_TASKS  # entries of tasks say it
    return [f"data.{key}: has no effect on task={task} of these data" for key in sorted(idle) if f"data.{key}" in typed]


def _of_table(data: DataSettings) -> dict[str, str]:
    if not isinstance(data, TableSettings):
        return {}
    found = {}
    if data.split not in _FOLDS:
        found["n_folds"] = "is read by split=group_kfold and time_kfold alone"
    if data.time is None:
        found["duplicates"] = "tells rows by their times; name their column with data.time"
    if data.spill_folder is None:
        found["shuffle_block"] = "is read with data.spill_folder; rows in memory are shuffled as a whole"
    if isinstance(data, CmapssSettings):
        found["separator"] = "is not read by data=cmapss, whose files are known"
    elif all(_parquet_alone(path) for path in (data.path, data.test_path) if path is not None):
        found |= dict.fromkeys(("separator", "columns"), _NO_TEXT)
    return found


def _parquet_alone(path: str) -> bool:
    """Say whether a file or folder holds Parquet and no text; of a pattern, whether its end says so."""
    place = Path(path).expanduser()
    try:
        names = [file.name.lower() for file in place.iterdir()] if place.is_dir() else [path.lower()]
    except OSError:  # said when the files are opened
        return False
    tables = [name for name in names if name.endswith(TABLES)]
    return bool(tables) and all(name.endswith(PARQUET) for name in tables)


def _of_arrays(data: DataSettings) -> dict[str, str]:
    if not isinstance(data, NpzSettings):
        return {}
    found = {}
    if not Path(data.path).expanduser().is_dir():
        found["shuffle_block"] = "is read of a folder of .npy files alone; a file is shuffled as a whole"
    if data.lengths_key is not None:
        found["nan_padding"] = "data.lengths_key tells where series end; take one of the two"
    return found


def _expected_rule(data: DataSettings) -> str:
    """Give the rule that reads most of what is drawn, of those that the data may turn out to need."""
    if isinstance(data, ArchiveSettings):
        return "given, val stratified"
    if not isinstance(data, TableSettings):
        return "stratified"
    if data.split == "given" or data.split_key is not None:
        return "given, val group"
    return "group" if data.split == "auto" else data.split
