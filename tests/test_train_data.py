"""Whole runs on data with missing labels, unequal lengths and names in any script."""

import numpy as np
import pytest

import tsmtl
from tests.test_train import TINY_MODEL, rows_of, summary_of


def test_two_classifications_d_numbers_and_missing_labels(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2, 20)).astype(np.float32)
    level = x.mean(axis=(1, 2))
    state = np.where(level > 0, "high", "low")
    state[rng.random(80) < 0.3] = ""
    numbers = np.stack([level, -level, 2 * level], axis=1).astype(np.float32)
    numbers[rng.random((80, 3)) < 0.3] = np.nan
    np.savez(tmp_path / "d.npz", X=x, state=state, numbers=numbers, other=(x[:, 0, 0] > 0).astype(int))
    data = ["data=npz", "data.path=d.npz", "data.class_target=state", "model=gru", "hidden_size=4", "num_epochs=2"]
    both = tsmtl_train(*data, "data.regression_target=numbers", "device=cpu", "hydra.run.dir=a")
    assert both.code == 0, both.err
    assert "instances without a class 'state'" in both.err
    test = summary_of(tmp_path / "a")["test"]
    assert len(test["reg"]["per_output"]) == 3
    two = tsmtl_train(*data, "data.class_target_2=other", "num_classes_2=2", "device=cpu", "hydra.run.dir=b")
    assert two.code == 0, two.err
    assert list(summary_of(tmp_path / "b")["test"]) == ["cls", "cls_2"]
    refused = tsmtl_train(*data, "data.class_target_2=other", "num_classes_2=3", "device=cpu")
    assert refused.code == 2
    assert "num_classes_2: 3 contradicts the data, where 'other' has 2 classes" in refused.err


def write_padded(path):
    """Write series of 12 to 20 steps, with NaN behind them; give them and their lengths."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(12, 21, size=60)
    x = rng.normal(size=(60, 2, 20)).astype(np.float32)
    for series, length in zip(x, lengths, strict=True):
        series[:, length:] = np.nan
    np.savez(path, X=x, y_cls=np.arange(60) % 2, y_reg=rng.normal(size=60))
    return x, lengths


@pytest.mark.parametrize("model", ["lstm", "gru", "cnn1d", "lstm_fcn"])
def test_unequal_lengths_train_where_the_readout_can_and_are_refused_where_not(tsmtl_train, tmp_path, model):
    write_padded(tmp_path / "d.npz")
    run = ["data=npz", "data.path=d.npz", f"model={model}", *TINY_MODEL[model], "num_epochs=1", "device=cpu"]
    answer = tsmtl_train(*run, "readout=max", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert "taken as padding of 12 to 20 steps" in answer.err
    refused = tsmtl_train(*run, "readout=flatten")
    assert refused.code == 2
    assert "reads equal lengths only; take readout=mean" in refused.err
    assert len(refused.lines) == 1


def test_nan_padding_is_read_the_same_way_in_training_and_prediction(tsmtl_train, tmp_path):
    x, lengths = write_padded(tmp_path / "d.npz")
    run = ["data=npz", "data.path=d.npz", "model=lstm", "hidden_size=4", "num_epochs=2", "lr=1e-2", "device=cpu"]
    assert tsmtl_train(*run, "hydra.run.dir=a").code == 0
    rows = rows_of(tmp_path / "a" / "predictions_test.csv")
    test = [int(row["instance"]) for row in rows]
    written = [float(row["reg_predicted"]) for row in rows]
    model = tsmtl.load_model(tmp_path / "a" / "best_model.pt")
    assert model.predict(x[test])["reg"].values[:, 0] == pytest.approx(written, abs=1e-5)
    assert model.predict([x[i, :, : lengths[i]] for i in test])["reg"].values[:, 0] == pytest.approx(written, abs=1e-5)
    missing = tsmtl_train(*run, "data.nan_padding=false", "readout=flatten", "hydra.run.dir=b")
    assert missing.code == 0, missing.err
    assert "missing input values, filled" in missing.err


@pytest.mark.usefixtures("pictures")
@pytest.mark.filterwarnings("default")
def test_names_in_any_script_and_many_numbers_leave_a_whole_run_folder(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 20)).astype(np.float32)
    state = np.where(np.arange(60) % 2, "정상", "a$x^$")
    np.savez(tmp_path / "d.npz", X=x, state=state, numbers=rng.normal(size=(60, 30)))
    data = ["data=npz", "data.path=d.npz", "data.class_target=state", "data.regression_target=numbers"]
    answer = tsmtl_train(*data, "model=gru", "hidden_size=4", "num_epochs=1", "device=cpu", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert {"confusion_cls.png", "predicted_reg.png", "summary.json"} <= {p.name for p in (tmp_path / "a").iterdir()}
    assert sum("pictures:" in line for line in answer.lines) <= 1
    from matplotlib.image import imread

    height, width, _ = imread(tmp_path / "a" / "predicted_reg.png").shape
    assert max(height, width) < 3000
