import functools
from typing import Any

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from tsmtl.config.arguments import plain_settings
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.schema import check

GIVEN = {"path": "t.csv", "window": 5, "class_target": "c", "regression_target": "r"}


@functools.cache
def composed(data: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain_settings(hydra_compose("train", [f"data={data}"]))


def problems(*arguments: str, data: str = "table", given: dict[str, Any] = GIVEN) -> list[str]:
    """List what is wrong with settings of a table, changed by ``data.key=value``."""
    changes = {key.removeprefix("data."): yaml.safe_load(value) for key, value in (a.split("=", 1) for a in arguments)}
    settings = composed(data)
    try:
        check({**settings, "data": {**settings["data"], **given, **changes}})
    except UserError as error:
        return error.lines
    return []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data.class_bins=[3,1]"], "data.class_bins: must rise (got [3.0, 1.0])"),
        (["data.class_bins=[1,1]"], "data.class_bins: must rise"),
        (["data.class_bin_names=[a,b]"], "data.class_bin_names: names bins, but there are no data.class_bins"),
        (["data.class_bins=[1]", "data.class_bin_names=[a]"], "1 bounds make 2 classes (got 1 names)"),
        (["data.class_bins=[1]", "data.class_bin_names=[a,a]"], "data.class_bin_names: must differ"),
        (["data.class_reduce=mean"], "data.class_bins: class_reduce=mean gives a number"),
        (["data.regression_reduce=change"], "data.horizon: regression_reduce=change"),
        (["data.class_reduce=change", "data.class_bins=[0]"], "data.horizon: class_reduce=change"),
        (["data.split=group_kfold"], "data.fold: split=group_kfold needs the number of the test fold"),
        (["data.split=time_kfold", "data.fold=5"], "data.fold: must be below data.n_folds (got 5 and 5)"),
        (["data.fold=1"], "data.fold: is read by split=group_kfold and time_kfold alone"),
        (["data.split=given"], "data.split_key: split=given needs the column"),
        (["data.split=group", "data.split_key=s"], "data.split: group would not read data.split_key"),
        (["data.test_fold=1"], "data.split_key: test_fold and val_fold need"),
        (["data.val_from=3.0"], "data.val_from: is read by split=time alone (got split=auto)"),
        (["data.split=time_kfold", "data.fold=0", "data.test_until=3"], "data.test_until: is read by split=time alone"),
        (["data.split=group", "data.gap=2h"], "data.gap: is read by split=time and time_kfold alone"),
        (["data.split_key=s", "data.gap=2h"], "data.gap: is read by split=time and time_kfold alone"),
        (["data.test_path=u.csv", "data.split=time_kfold", "data.fold=0"], "time_kfold would not read the separate"),
        (["data.test_path=u.csv", "data.split=time", "data.test_from=3"], "data.test_from: the test split has files"),
        (["data.separator=ab"], "data.separator: must be one character, tab or whitespace (got 'ab')"),
        (["data.time_format='%d'"], "data.time_format: there is no column of times"),
        (["data.condition_clusters=3"], "data.condition: condition_clusters needs the columns"),
        (["data.derive=[agee]"], "data.derive: must be among age, {ema: 0.05}"),
        (["data.derive=[{emma: 0.1}]"], "did you mean 'ema'?"),
        (["data.derive=[{ema: 0.1, difference: 1}]"], "data.derive: each entry names one kind"),
        (["data.derive=[{of: [a]}]"], "data.derive: each entry names one kind"),
        (["data.derive=[{ema: 0}]"], "ema must be a weight in (0, 1] (got 0"),
        (["data.derive=[{ema: 1.5}]"], "ema must be a weight in (0, 1] (got 1.5)"),
        (["data.derive=[{ema: [a]}]"], "ema must be a weight in (0, 1]"),
        (["data.derive=[{rolling_sd: 1}]"], "rolling_sd must be a whole number of rows, at least 2"),
        (["data.derive=[{difference: 1.5}]"], "difference must be a whole number of rows, at least 1"),
        (["data.derive=[{ema: 0.1, of: a}]"], "data.derive"),
        (["data.window=0"], "data.window: must be a whole number, at least 1"),
        (["data.stride=0"], "data.stride: must be a whole number, at least 1"),
        (["data.condition=[c]", "data.condition_clusters=1"], "data.condition_clusters: must be a whole number"),
        (["data.short=cut"], "data.short: must be one of pad, drop"),
        (["data.duplicates=mean"], "data.duplicates: must be one of error, first, last"),
        (["data.entiti=x"], "data.entiti"),
    ],
)
def test_each_broken_rule_is_one_line_that_names_the_setting(arguments, said):
    found = problems(*arguments)
    assert len(found) == 1, found
    assert said in found[0]
    assert "\n" not in found[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["data.derive=[age,{ema: 0.05},{difference: 3, of: [a]},{rolling_mean: 2},{rolling_sd: 10}]"],
        ["data.split=time_kfold", "data.fold=4", "data.gap=2h"],
        ["data.gap=2h"],
        ["data.split=time", "data.val_from='2024-01-01'", "data.test_from='2024-02-01'", "data.max_gap=5"],
        ["data.class_bins=[30,80]", "data.class_bin_names=[x,y,z]", "data.class_reduce=mean"],
        ["data.split_key=s", "data.test_fold=[1,2]", "data.val_fold=3"],
        ["data.horizon=2", "data.regression_reduce=change"],
        ["data.separator=tab", "data.columns=[a,b,c,r]"],
    ],
)
def test_settings_that_agree_pass(arguments):
    assert problems(*arguments) == []


def test_what_is_not_named_is_asked_for():
    found = problems(given={})
    assert len(found) == len({line.split(":")[0] for line in found})
    assert {"data.path", "data.window"} <= {line.split(":")[0] for line in found}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("data.test_path=u.txt", "data.test_path: is not read by data=cmapss"),
        ("data.columns=[a]", "data.columns: is not read by data=cmapss"),
        ("data.split=group_kfold data.fold=1", "data.split: group_kfold would not read the separate test files"),
        ("data.split=time data.test_from=9", "data.test_from: the test split has files of its own"),
    ],
)
def test_settings_that_the_known_engines_would_not_read_are_refused(argument, said):
    found = problems(*argument.split(), data="cmapss", given={})
    assert len(found) == 1, found
    assert said in found[0]
