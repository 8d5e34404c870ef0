"""A trained model predicts from raw series what the run itself predicted on its test split."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hydra import compose, initialize_config_dir

import tsmtl
from tsmtl.config.arguments import plain_settings
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.schema import check
from tsmtl.data.loading import load_bundle
from tsmtl.predictor import Predictor, device_of, load_model
from tsmtl.run import run_training
from tsmtl.tasks.task import ClassPrediction, NumberPrediction

SMALL = {
    "lstm": ["hidden_size=8"],
    "gru": ["hidden_size=8"],
    "cnn1d": ["output_channels=4"],
    "lstm_fcn": ["lstm_hidden_size=4", "conv_channels=[16,8,8]"],
    "lstm_fcn_multi": ["lstm_hidden_size=4", "conv_channels=[16,8,8]"],
    "fc": ["hidden_sizes=[8]"],
}
SIMULATED = ["data=synthetic", "data.n_instances=40", "data.n_classes=3"]
CASES = {  # settings by name; the npz files are those of arrays()
    **{model: [f"model={model}", *SIMULATED, *small] for model, small in SMALL.items() if model != "fc"},
    "fc": ["model=fc", "data=npz", "data.path={folder}/vectors.npz", *SMALL["fc"]],
    "per_step": ["model=gru", *SIMULATED, *SMALL["gru"], "data.scale=standard_per_step"],
    "dimension_shuffle": ["model=lstm_fcn", *SIMULATED, *SMALL["lstm_fcn"], "dimension_shuffle=true"],
    **{
        f"{model}-lengths": [
            f"model={model}",
            "data=npz",
            "data.path={folder}/series.npz",
            "data.lengths_key=lengths",
            "data.scale=per_instance",
            f"readout={readout}",
            *SMALL[model],
        ]
        for model, readout in (("gru", "last"), ("cnn1d", "mean"), ("lstm_fcn", "max"))
    },
}
WITH_LENGTHS = [name for name in CASES if name.endswith("-lengths")]


@dataclass(frozen=True)
class Run:
    """A finished run: the path of its best model, its raw test input, and its predictions_test.csv."""

    best: Path
    x: np.ndarray
    lengths: np.ndarray | None
    rows: list[dict[str, str]]


def arrays() -> dict[str, dict[str, np.ndarray]]:
    """Give vectors, and series of unequal lengths; both with gaps in the input and in the targets."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (40, 2, 20)).astype(np.float32)
    lengths = rng.integers(9, 20, 40)
    lengths[0] = 20
    x[np.broadcast_to(np.arange(20) >= lengths[:, None, None], x.shape)] = 0
    x[rng.random(x.shape) < 0.02] = np.nan
    targets = {
        "y_cls": np.tile(["ball", "inner", "outer", "healthy"], 10),
        "y_reg": rng.normal(200, 30, (40, 2)).astype(np.float32),
    }
    targets["y_reg"][::7, 0] = np.nan
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    vectors[3, 2] = np.nan
    return {"series": {"X": x, "lengths": lengths, **targets}, "vectors": {"X": vectors, **targets}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Give a function that trains a case of CASES once, and its test input and predictions."""
    folder = tmp_path_factory.mktemp("data")
    for name, content in arrays().items():
        np.savez(folder / f"{name}.npz", **content)
    done: dict[str, Run] = {}

    def trained(case: str) -> Run:
        if case not in done:
            overrides = [override.format(folder=folder) for override in CASES[case]]
            overrides += ["task=multi", "num_epochs=2", "lr=0.01", "device=cpu"]
            with initialize_config_dir(str(config_dir()), version_base="1.3"):
                settings = check(plain_settings(compose("train", overrides)))
            out = folder / case
            run_training(settings, out)
            bundle = load_bundle(settings.data, settings.tasks)
            test, instances = bundle.splits["test"], bundle.instances
            with (out / "predictions_test.csv").open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            assert [int(row["instance"]) for row in rows] == test.tolist()
            lengths = None if instances.lengths is None else instances.lengths[test]
            done[case] = Run(out / "best_model.pt", instances.x[test], lengths, rows)
        return done[case]

    return trained


@pytest.fixture
def gru(run) -> Predictor:
    return load_model(run("gru").best)


def assert_equals_the_run(parts: list[dict[str, Any]], rows: list[dict[str, str]]) -> None:
    """Compare the predictions of consecutive batches with the run's own, within 1e-5."""
    classes = [part["cls"] for part in parts]
    numbers = [part["reg"] for part in parts]
    assert all(isinstance(p, ClassPrediction) for p in classes)
    assert all(isinstance(p, NumberPrediction) for p in numbers)
    columns = [c for c in rows[0] if c.startswith("cls_p_")]
    expected = np.array([[float(row[c]) for c in columns] for row in rows])
    np.testing.assert_allclose(np.concatenate([p.probabilities for p in classes]), expected, rtol=1e-5, atol=1e-5)
    assert np.concatenate([p.labels for p in classes]).tolist() == [row["cls_predicted"] for row in rows]
    columns = [c for c in rows[0] if c.startswith("reg_predicted")]
    expected = np.array([[float(row[c]) for c in columns] for row in rows])
    np.testing.assert_allclose(np.concatenate([p.values for p in numbers]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, None])
@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_predicts_what_its_run_predicted(run, case, batch):
    trained = run(case)
    predictor = load_model(trained.best)
    n = len(trained.x)
    slices = [slice(start, start + (batch or n)) for start in range(0, n, batch or n)]
    parts = [predictor.predict(trained.x[s], None if trained.lengths is None else trained.lengths[s]) for s in slices]
    assert_equals_the_run(parts, trained.rows)


@pytest.mark.parametrize("case", WITH_LENGTHS)
def test_a_list_of_unequal_series_is_predicted_like_the_padded_array(run, case):
    trained = run(case)
    series = [row[:, :length] for row, length in zip(trained.x, trained.lengths, strict=True)]
    assert len({s.shape[1] for s in series}) > 1
    assert_equals_the_run([load_model(trained.best).predict(series)], trained.rows)


@pytest.mark.parametrize("case", WITH_LENGTHS)
@pytest.mark.parametrize("garbage", [1e9, np.nan, np.inf])
def test_whatever_stands_in_the_padding_changes_no_prediction(run, case, garbage):
    trained = run(case)
    x = trained.x.copy()
    x[np.broadcast_to(np.arange(x.shape[2]) >= trained.lengths[:, None, None], x.shape)] = garbage
    assert_equals_the_run([load_model(trained.best).predict(x, trained.lengths)], trained.rows)


def test_a_list_of_equal_series_is_the_array_and_may_hold_tensors(run, gru):
    trained = run("gru")
    assert_equals_the_run([gru.predict(list(trained.x))], trained.rows)
    assert_equals_the_run([gru.predict(torch.from_numpy(trained.x))], trained.rows)


def test_a_model_that_takes_lengths_reads_another_length_than_it_was_trained_with(gru):
    x = np.random.default_rng(0).normal(size=(4, 3, 50))
    longer = gru.predict(x)
    in_a_batch = gru.predict([*x[:3], x[3, :, :10]])  # a shorter one beside them
    np.testing.assert_allclose(in_a_batch["reg"].values[:3], longer["reg"].values[:3], rtol=1e-5)


def test_a_loaded_model_says_what_it_reads_and_predicts(gru):
    assert gru.channels == ["sensor_1", "sensor_2", "sensor_3"]
    assert list(gru.tasks) == ["cls", "reg"]
    assert gru.tasks["cls"].class_names == ("healthy", "unbalance", "misalignment")
    assert gru.tasks["reg"].unit == "%"
    assert gru.settings["hidden_size"] == 8
    assert tsmtl.load_model is load_model


@pytest.mark.parametrize("case", ["gru", "fc"])
def test_loading_leaves_the_random_numbers_of_a_script_as_they_were(run, case):
    best = run(case).best
    before = torch.random.get_rng_state()
    load_model(best)
    assert torch.equal(torch.random.get_rng_state(), before)


NORMAL = np.random.default_rng(0).normal(size=(5, 3, 32)).astype(np.float32)


PLACE = "x: instance 2, channel sensor_2, time step 5 is "


def spoilt(value: float) -> np.ndarray:
    x = NORMAL.copy()
    x[2, 1, 5] = value
    return x


@pytest.mark.parametrize(
    ("case", "x", "lengths", "line"),
    [
        ("gru", NORMAL[:, :2], None, "x: the model was trained with C = 3 (got 2, shape (5, 2, 32))"),
        ("gru", NORMAL[0], None, "x: the model reads series (N, C, T) (got shape (3, 32))"),
        ("gru", NORMAL[:0], None, "x: is empty (shape (0, 3, 32))"),
        ("gru", NORMAL[:, :, :0], None, "x: is empty (shape (5, 3, 0))"),
        ("fc", NORMAL, None, "x: the model reads vectors (N, E) (got shape (5, 3, 32))"),
        ("fc", NORMAL[:, 0], None, "x: the model was trained with E = 6 (got 32, shape (5, 32))"),
        ("gru", spoilt(np.inf), None, PLACE + "infinite in single precision; a missing value is NaN"),
        ("gru", spoilt(-np.inf), [32] * 5, PLACE + "infinite in single precision; a missing value is NaN"),
        ("gru", spoilt(np.nan), None, PLACE + "missing, and the model was trained with data.missing=error"),
        ("gru", spoilt(np.nan), [32] * 5, PLACE + "missing, and the model was trained with data.missing=error"),
        *[
            (case, NORMAL[:, :, :31], None, "x: the model was trained with 32 time steps and reads no other length"
             " (got 31)")
            for case in ("cnn1d", "dimension_shuffle")
        ],
        ("per_step", NORMAL[:, :, :31], None, "x: the model was trained with 32 time steps and reads no other length"
         " (data.scale=standard_per_step) (got 31)"),
        ("per_step", [NORMAL[0], NORMAL[1, :, :9]], None, "x: instance 1 has 9 time steps; the model was"
         " trained with 32 time steps and reads no other length (data.scale=standard_per_step)"),
        ("per_step", NORMAL, [32, 31, 32, 32, 32], "x: this model reads series of equal lengths only; each time step"
         " has a scaling of its own"),
        ("cnn1d", NORMAL, [32, 31, 32, 32, 32], "x: this model reads series of equal lengths only"),
        ("dimension_shuffle", [NORMAL[0], NORMAL[1, :, :9]], None, "x: instance 1 has 9 time steps; the model was"
         " trained with 32 time steps and reads no other length"),
        ("cnn1d-lengths", NORMAL[:, :2, :4], None, "x: the model reads series of 5 time steps or more (got 4)"),
        ("cnn1d-lengths", NORMAL[:, :2], [9, 9, 3, 9, 9], "x: instance 2 has 3 time steps; the model reads 5 or more"),
        ("gru", NORMAL, [32] * 4, "lengths: must be whole numbers of shape (5,) (got int64 of shape (4,))"),
        ("gru", NORMAL, [[32]] * 5, "lengths: must be whole numbers of shape (5,) (got int64 of shape (5, 1))"),
        ("gru", NORMAL, [3.7] * 5, "lengths: must be whole numbers of shape (5,) (got float64 of shape (5,))"),
        ("gru", NORMAL, [32, 0, 5, 5, 5], "lengths: must lie in [1, 32] (got 0 to 32)"),
        ("gru", NORMAL, [5, 33, 5, 5, 5], "lengths: must lie in [1, 32] (got 5 to 33)"),
        ("gru", [], None, "x: a list must hold series of shape (C, T), one at least"),
        ("gru", [NORMAL[0], NORMAL[0, 0]], None, "x: a list must hold series of shape (C, T), one at least"),
        ("gru", [NORMAL[0], NORMAL[0, :2]], None, "x: the series of a list must have the same number of channels"),
        ("gru", [NORMAL[0], NORMAL[0, :, :0]], None, "lengths: must lie in [1, 32] (got 0 to 32)"),
        ("gru", [NORMAL[0], NORMAL[1]], [9, 9], "lengths: a list holds the length of each series itself; give lengths"
         " with (N, C, T)"),
    ],
)  # fmt: skip
def test_input_that_the_model_was_not_trained_on_is_refused(run, case, x, lengths, line):
    predictor = load_model(run(case).best)
    with pytest.raises(UserError) as error:
        predictor.predict(x, None if lengths is None else np.array(lengths))
    assert error.value.lines == [line]


def test_a_gap_is_filled_as_in_training(run):
    trained = run("gru-lengths")
    predictor = load_model(trained.best)
    x, lengths = trained.x[:1].copy(), trained.lengths[:1]
    x[0, 0, 2:5] = [2.0, 4.0, 6.0]
    gap = x.copy()
    gap[0, 0, 3] = np.nan  # interpolate: the middle between its neighbours
    whole, filled = (predictor.predict(v, lengths)["reg"].values for v in (x, gap))
    np.testing.assert_allclose(filled, whole, rtol=1e-6)


def test_weights_that_do_not_fit_the_described_model_are_refused(run, tmp_path):
    content = torch.load(run("gru").best, weights_only=True)
    content["backbone"]["arguments"]["hidden_size"] = 9
    path = tmp_path / "bent.pt"
    torch.save(content, path)
    with pytest.raises(UserError, match=re.escape(f"{path}: its weights do not fit the model that it describes")):
        load_model(path)


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such checkpoint"):
        tsmtl.load_model(str(tmp_path / "none.pt"))


def test_the_checkpoint_is_enough_to_predict(run, tmp_path, monkeypatch):
    trained = run("fc")
    copy = tmp_path / "elsewhere.pt"
    copy.write_bytes(trained.best.read_bytes())
    data = trained.best.parent.parent / "vectors.npz"
    hidden = data.rename(tmp_path / "hidden.npz")
    try:
        monkeypatch.chdir(tmp_path)
        assert_equals_the_run([load_model("elsewhere.pt").predict(trained.x)], trained.rows)
    finally:
        hidden.rename(data)


def test_lengths_that_are_all_the_same_are_no_padding(run):
    predictor = load_model(run("cnn1d").best)
    padded = np.concatenate([NORMAL, np.full((5, 3, 8), 99, dtype=np.float32)], axis=2)
    found, expected = predictor.predict(padded, np.full(5, 32)), predictor.predict(NORMAL)
    np.testing.assert_array_equal(found["cls"].probabilities, expected["cls"].probabilities)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (None, "x: must be an array, or a list of series (got NoneType)"),
        (5, "x: must be an array, or a list of series (got int)"),
        ("abc", "x: must be an array, or a list of series (got str)"),
        (np.array([[["a"]]]), "x: must hold numbers (got type <U1)"),
        (np.array([[[None]]]), "x: must hold numbers (got type object)"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(run, x, said):
    with pytest.raises(UserError) as error:
        load_model(run("cnn1d").best).predict(x)
    assert error.value.lines == [said]


def test_a_tensor_is_read_as_an_array(run):
    predictor = load_model(run("cnn1d").best)
    found, expected = predictor.predict(torch.from_numpy(NORMAL)), predictor.predict(NORMAL)
    np.testing.assert_array_equal(found["reg"].values, expected["reg"].values)


def test_a_table_names_its_features_and_one_without_their_names_has_them_by_place(run):
    trained = run("fc")
    predictor = load_model(trained.best)
    frame = pl.DataFrame(trained.x, schema=predictor.channels)
    moved = frame.select(pl.lit("text").alias("label"), *reversed(predictor.channels))
    for table in (frame, moved, frame.rename({name: f"other_{name}" for name in predictor.channels})):
        assert_equals_the_run([predictor.predict(table)], trained.rows)
    with pytest.raises(UserError) as error:
        predictor.predict(frame.rename({predictor.channels[2]: "other"}))
    assert error.value.lines == [f"x: no column '{predictor.channels[2]}', which the model was trained on"]


def test_large_values_whose_sum_is_infinite_are_no_reason_to_refuse_them(gru):
    x = np.full_like(NORMAL, 3e38)
    checked, _ = gru.contract.check(x, None)
    np.testing.assert_array_equal(checked, x)


@pytest.mark.parametrize("case", ["fc", "cnn1d", "gru-lengths"])
@pytest.mark.parametrize("n", [1, 16, 300])
def test_predictions_have_the_bits_of_the_steps_done_one_by_one(run, case, n):
    trained = run(case)
    predictor = load_model(trained.best)
    rows = np.arange(n) % len(trained.x)
    x = trained.x[rows]
    lengths = None if trained.lengths is None else trained.lengths[rows]
    prepared = torch.from_numpy(predictor.preparation.apply(x, lengths))
    outputs = []
    with torch.no_grad():
        for at in range(0, n, 256):  # tensors of their own
            batch = prepared[at : at + 256].clone()
            if lengths is None or n == 1:
                outputs.append(predictor.model(batch if lengths is None else batch[:, :, : lengths[0]].clone()))
            else:
                own = torch.from_numpy(lengths[at : at + 256])
                outputs.append(predictor.model(batch[:, :, : own.max()], own))
    for level in (None, 0.9):
        found = predictor.predict(x, lengths, level=level)
        for name, task in predictor.tasks.items():
            whole = torch.cat([part[name] for part in outputs]).numpy()
            expected = task.decode(whole, predictor.calibration[name], level)
            assert all(
                same is None if value is None else np.array_equal(value, same)
                for value, same in zip(vars(expected).values(), vars(found[name]).values(), strict=True)
            )


def test_a_model_predicts_where_it_lies_and_with_the_weights_that_it_has(run):
    predictor = load_model(run("cnn1d").best)
    before = predictor.predict(NORMAL)["reg"].values
    with torch.no_grad():
        predictor.model.heads["reg"].bias += 1
    after = predictor.predict(NORMAL)["reg"].values
    np.testing.assert_allclose(after - before, predictor.tasks["reg"].scale[0], rtol=1e-4)
    predictor.model.to("meta")
    assert predictor.device == torch.device("meta")


def test_a_gpu_that_is_not_there_is_refused_with_the_last_that_is(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [device_of(name) for name in ("cuda", "cuda:1")] == [torch.device("cuda"), torch.device("cuda", 1)]
    with pytest.raises(UserError, match=r"device: cuda:2 was asked for, but the last CUDA device here is cuda:1$"):
        device_of("cuda:2")
