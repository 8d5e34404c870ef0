"""Real data sets, from their shipped experiments: runs of stated length against predictors that learn nothing."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import DATA, public_data


def shares(labels: np.ndarray) -> float:
    """Accuracy of always naming the most frequent class of these labels."""
    return float(np.bincount(labels).max() / len(labels))


def metrics_of(folder: Path) -> dict[str, dict[str, float]]:
    return dict(json.loads((folder / "summary.json").read_text())["test"])


@public_data("hydraulic")
def test_hydraulic_in_20_epochs_beats_majority_class_and_train_mean(tsmtl_train, run_folder):
    answer = tsmtl_train("experiment=hydraulic", "num_epochs=20", "device=cpu")
    assert answer.code == 0, answer.err
    data = np.load(DATA / "hydraulic" / "hydraulic_1hz.npz")
    test = data["fold"] == 0
    spread = np.sqrt(np.mean((data["y_reg"][test] - data["y_reg"][~test].mean()) ** 2))
    metrics = metrics_of(run_folder())
    assert shares(data["valve"][test]) < 0.6
    assert metrics["cls"]["accuracy"] > 0.9
    assert metrics["reg"]["rmse"] < 0.5 * spread


@public_data("har")
def test_har_in_2_epochs_beats_majority_class_on_unseen_volunteers(tsmtl_train, run_folder):
    answer = tsmtl_train("experiment=har", "num_epochs=2", "output_channels=16", "device=cpu")
    assert answer.code == 0, answer.err
    data = np.load(DATA / "har" / "har_hapt_windows.npz")
    assert shares(data["y_test"]) < 0.2
    assert metrics_of(run_folder())["cls"]["accuracy"] > 0.8


@public_data("gas_drift")
def test_gas_drift_in_12_epochs_beats_majority_class_and_train_mean_on_later_batches(tsmtl_train, run_folder):
    answer = tsmtl_train("experiment=gas_drift", "device=cpu")
    assert answer.code == 0, answer.err
    data = np.load(DATA / "gas_drift" / "gas_drift.npz")
    test = data["batch"] >= 8
    spread = np.sqrt(np.mean((data["y_reg"][test] - data["y_reg"][~test].mean()) ** 2))
    majority = np.bincount(data["y_cls"][~test]).argmax()
    metrics = metrics_of(run_folder())
    assert metrics["cls"]["accuracy"] > np.mean(data["y_cls"][test] == majority) + 0.3
    assert metrics["reg"]["rmse"] < 0.8 * spread


@public_data("cmapss")
def test_cmapss_in_5_epochs_beats_majority_class_and_train_mean_on_unseen_engines(tsmtl_train, run_folder):
    fewer = ("data.stride=5", "trainer.epoch_fraction=1.0", "hidden_size=32", "num_epochs=5", "lr=5e-3")
    answer = tsmtl_train("experiment=cmapss", *fewer, "device=cpu")
    assert answer.code == 0, answer.err
    life = np.loadtxt(DATA / "cmapss" / "RUL_FD001.txt.gz")
    cycles = np.loadtxt(DATA / "cmapss" / "train_FD001.txt.gz", usecols=(0, 1))
    ends = np.array([cycles[cycles[:, 0] == engine, 1].max() for engine in cycles[:, 0]])
    mean = np.minimum(ends - cycles[:, 1], 125)[cycles[:, 1] >= 30].mean()  # of all windows
    capped, own = (np.sqrt(np.mean((true - mean) ** 2)) for true in (np.minimum(life, 125), life))
    metrics = metrics_of(run_folder())
    assert metrics["cls"]["accuracy"] > shares(np.digitize(life, [30, 80])) + 0.2
    assert metrics["reg"]["rmse_capped"] < 0.5 * capped
    assert metrics["reg"]["rmse_capped"] < metrics["reg"]["rmse"] < 0.5 * own
    rows = pl.read_csv(run_folder() / "predictions_test.csv")
    test = np.loadtxt(DATA / "cmapss" / "test_FD001.txt.gz", usecols=(0, 1))
    assert rows["time"].to_list() == [test[test[:, 0] == engine, 1].max() for engine in range(1, 101)]
    error = rows["reg_predicted"].to_numpy() - np.minimum(life, 125)
    score = sum(np.exp(d / 10) - 1 if d > 0 else np.exp(-d / 13) - 1 for d in error)
    assert metrics["reg"]["phm08"] == pytest.approx(score, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "task", "model", "settings"),
    [
        ("BasicMotions", "cls", "lstm_fcn", ["conv_channels=[16,32,16]", "num_layers=1"]),
        ("JapaneseVowels", "cls", "gru", ["hidden_size=32", "num_layers=1"]),
    ],
)
def test_archive_sets_are_learnt_far_above_chance(tsmtl_train, run_folder, name, task, model, settings):
    import aeon

    folder = Path(aeon.__file__).parent / "datasets" / "data" / name
    answer = tsmtl_train(
        "data=ts",
        f"data.path={folder}",
        f"task={task}",
        f"model={model}",
        *settings,
        "num_epochs=25",
        "lr=3e-3",
        "device=cpu",
    )
    assert answer.code == 0, answer.err
    assert metrics_of(run_folder())["cls"]["accuracy"] > 0.85
