"""Rules between the settings of a table; each gives a line per broken rule."""

from typing import Any

from tsmtl.config.data_settings import DataSettings
from tsmtl.config.table_settings import CmapssSettings, TableSettings
from tsmtl.config.words import did_you_mean

# Range of the parameter of each derived channel: least, most, and whether it counts rows.
DERIVED: dict[str, tuple[float, float, bool]] = {
    "ema": (0.0, 1.0, False),
    "difference": (1, 10**9, True),
    "rolling_mean": (2, 10**9, True),
    "rolling_sd": (2, 10**9, True),
}


def table_targets(data: DataSettings) -> list[str]:
    """Check how targets are made of columns."""
    if not isinstance(data, TableSettings):
        return []
    problems = []
    bins, names = data.class_bins, data.class_bin_names
    if bins is None and names is not None:
        problems.append("data.class_bin_names: names bins, but there are no data.class_bins")
    if bins is not None and bins != sorted(set(bins)):
        problems.append(f"data.class_bins: must rise (got {bins})")
    if bins is not None and names is not None and len(names) != len(bins) + 1:
        problems.append(
            f"data.class_bin_names: {len(bins)} bounds make {len(bins) + 1} classes (got {len(names)} names)"
        )
    if names is not None and len(set(names)) < len(names):
        problems.append(f"data.class_bin_names: must differ (got {', '.join(names)})")
    if bins is None and data.class_target is not None and data.class_reduce in ("mean", "change"):
        problems.append(f"data.class_bins: class_reduce={data.class_reduce} gives a number; bounds make classes of it")
    for key in ("class", "regression"):
        if getattr(data, f"{key}_reduce") == "change" and data.horizon == 0:
            problems.append(f"data.horizon: {key}_reduce=change is the change over the horizon; take 1 or more")
    return problems


def table_splits(data: DataSettings) -> list[str]:
    """Check what decides the splits of a table."""
    if not isinstance(data, TableSettings):
        return []
    problems = []
    folds = data.split in ("group_kfold", "time_kfold")
    if folds and data.fold is None:
        problems.append(f"data.fold: split={data.split} needs the number of the test fold, from 0")
    if data.fold is not None and not folds:
        problems.append("data.fold: is read by split=group_kfold and time_kfold alone")
    if folds and data.fold is not None and data.fold >= data.n_folds:
        problems.append(f"data.fold: must be below data.n_folds (got {data.fold} and {data.n_folds})")
    if data.split == "given" and data.split_key is None:
        problems.append("data.split_key: split=given needs the column of train/val/test, or of fold ids")
    if data.split not in ("auto", "given") and data.split_key is not None:
        problems.append(f"data.split: {data.split} would not read data.split_key; take split=given")
    if data.split_key is None and (data.test_fold is not None or data.val_fold is not None):
        problems.append("data.split_key: test_fold and val_fold need the name of the column of fold ids")
    for key in ("val_from", "test_from", "test_until"):
        if getattr(data, key) is not None and data.split != "time":
            problems.append(f"data.{key}: is read by split=time alone (got split={data.split}); take split=time")
    by_time = data.split in ("time", "time_kfold") or (data.split == "auto" and data.split_key is None)
    if data.gap != 0 and not by_time:
        problems.append(f"data.gap: is read by split=time and time_kfold alone (got split={data.split})")
    if data.test_path is not None or isinstance(data, CmapssSettings):
        if folds:
            problems.append(f"data.split: {data.split} would not read the separate test files; take another split")
        problems += [
            f"data.{key}: the test split has files of its own; leave it out"
            for key in ("test_from", "test_until")
            if getattr(data, key) is not None
        ]
    return problems


def table_reading(data: DataSettings) -> list[str]:
    """Check how the files of a table are read, and what is derived from them."""
    if not isinstance(data, TableSettings):
        return []
    problems = []
    if data.separator not in ("whitespace", "tab", "\\t") and len(data.separator) != 1:
        problems.append(f"data.separator: must be one character, tab or whitespace (got {data.separator!r})")
    if data.time_format is not None and data.time is None:
        problems.append("data.time_format: there is no column of times; name it with data.time")
    for name in data.condition or []:
        if name in (data.class_target, data.regression_target, data.split_key):
            problems.append(f"data.condition: '{name}' is a target, or the split; the input would tell the answer")
    if data.condition_clusters is not None and data.condition is None:
        problems.append("data.condition: condition_clusters needs the columns of the operating condition")
    if isinstance(data, CmapssSettings):
        problems += [
            f"data.{key}: is not read by data=cmapss, whose files are known"
            for key in ("test_path", "columns")
            if getattr(data, key) is not None
        ]
    for entry in data.derive:
        problems += _derived(entry)
    return problems


def _derived(entry: Any) -> list[str]:
    if entry == "age":
        return []
    kinds = "age, {ema: 0.05}, {difference: 1}, {rolling_mean: 10}, {rolling_sd: 10}"
    if isinstance(entry, str):
        return [f"data.derive: must be among {kinds} (got '{entry}'){did_you_mean(entry, ['age', *DERIVED])}"]
    problems = []
    named = [kind for kind in entry if kind != "of"]
    if len(named) != 1:
        return [f"data.derive: each entry names one kind, and with 'of' its channels (got {entry})"]
    if not isinstance(entry.get("of", []), list) or entry.get("of") == []:
        problems.append(f"data.derive: 'of' must be a list of channels (got {entry['of']!r})")
    kind, value = named[0], entry[named[0]]
    if kind not in DERIVED:
        return [*problems, f"data.derive: must be among {kinds} (got '{kind}'){did_you_mean(kind, DERIVED)}"]
    low, high, whole = DERIVED[kind]
    if (
        not isinstance(value, int | float)
        or value < low
        or value > high
        or value == 0
        or (whole and value != int(value))
    ):
        wanted = f"a whole number of rows, at least {low:g}" if whole else "a weight in (0, 1]"
        problems.append(f"data.derive: {kind} must be {wanted} (got {value})")
    return problems
