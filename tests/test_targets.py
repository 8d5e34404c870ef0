"""Clipped and transformed numbers: learnt so, measured against the file's own, refused where they cannot be."""

import json

import numpy as np
import pytest

from tests.trained import table_of
from tsmtl.tasks.metrics import regression_metrics

TRAIN = ["model=gru", "hidden_size=4", "num_epochs=1", "data=npz", "data.path=x.npz", "task=reg", "device=cpu"]


def write(path, numbers):
    rng = np.random.default_rng(0)
    np.savez(path, X=rng.normal(size=(len(numbers), 2, 6)).astype(np.float32), y_reg=numbers)


def test_a_run_reports_against_the_file_and_against_the_cap(trained):
    run = trained("log")
    table = table_of(run.folder / "predictions_test.csv")
    rows = np.array(table["instance"], dtype=int)
    assert (run.arrays["y_reg"][rows] > 210).any()
    truth = run.arrays["y_reg"][rows, None].astype(np.float32)
    predicted = np.array(table["reg_predicted"], dtype=float)[:, None]
    expected = regression_metrics(truth, predicted, (None, 210), ("phm08",))
    summary = json.loads((run.folder / "summary.json").read_text())
    assert list(summary["test"]["reg"]) == list(expected)
    assert summary["test"]["reg"] == pytest.approx(expected, rel=1e-5)
    assert summary["test"]["reg"]["rmse"] != summary["test"]["reg"]["rmse_capped"]
    assert summary["best"]["score"] == summary["val"]["val/reg/rmse_capped"]
    header = (run.folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"val/reg/rmse_capped", "val/reg/phm08"} <= set(header)


def test_scaling_is_learnt_from_clipped_and_transformed_train_numbers(trained):
    run = trained("log")
    task = json.loads((run.folder / "summary.json").read_text())["tasks"]["reg"]
    test = np.array(table_of(run.folder / "predictions_test.csv")["instance"], dtype=int)
    assert (task["clip"], task["transform"]) == ([None, 210], "log1p")
    numbers = np.log1p(np.minimum(run.arrays["y_reg"].astype(np.float32), 210))
    rest = np.delete(numbers, test)
    assert abs(task["shift"][0] - np.nanmean(rest)) < 2 * np.nanstd(rest) / np.sqrt(20)  # val is not in train
    assert task["shift"][0] < np.log1p(210)


def test_the_terminal_gives_the_unit_of_capped_metrics_too(tsmtl_train, tmp_path):
    write(tmp_path / "x.npz", np.arange(30.0))
    answer = tsmtl_train(*TRAIN, "data.clip_target=[0,20]", "data.regression_unit=bar")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.out.splitlines() if "rmse_capped" in line]
    assert line.endswith(" bar")


@pytest.mark.parametrize(
    ("numbers", "settings", "line"),
    [
        (
            np.r_[-1.0, np.arange(29)],
            ["data.transform_target=log1p", "data.test_fraction=0.1"],
            "x.npz: 'y_reg' is -1 in instance 0 (",
        ),
        (
            np.arange(30.0),
            ["data.clip_target=[100,null]"],
            "x.npz: data.clip_target leaves 'y_reg' one value only in the train split; widen the range",
        ),
    ],
)
def test_numbers_that_cannot_be_learnt_so_are_refused_before_training(tsmtl_train, tmp_path, numbers, settings, line):
    write(tmp_path / "x.npz", numbers)
    answer = tsmtl_train(*TRAIN, *settings)
    assert answer.code == 2
    assert len(answer.lines) == 1, answer.err
    assert answer.lines[0].startswith(f"tsmtl-train: {line}")
    assert not (tmp_path / "outputs").exists()


def test_clipping_mends_what_the_logarithm_cannot_take(tsmtl_train, tmp_path):
    write(tmp_path / "x.npz", np.arange(30.0) - 3)
    assert tsmtl_train(*TRAIN, "data.transform_target=log1p").code == 2
    answer = tsmtl_train(*TRAIN, "data.transform_target=log1p", "data.clip_target=[0,null]")
    assert answer.code == 0, answer.err


def test_settings_of_the_number_do_nothing_without_one(tsmtl_train):
    small = ["model=gru", "hidden_size=4", "num_epochs=1", "task=cls", "data.n_instances=40", "device=cpu"]
    answer = tsmtl_train(*small, "data.transform_target=log1p", "data.clip_target=[0,1]")
    assert answer.code == 0, answer.err
    assert "capped" not in answer.out
