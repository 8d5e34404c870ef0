"""An exported model gives in onnxruntime the numbers that the checkpoint gives in PyTorch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml

from tests.conftest import ROOT
from tsmtl.checkpoint.file import write_checkpoint
from tsmtl.config.help import sister_help_text
from tsmtl.data.preparation import InputPreparation
from tsmtl.export import ABOUT, _sections
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
from tsmtl.onnx_graph import PreparationGraph
from tsmtl.predictor import Predictor, load_model
from tsmtl.tasks.task import ClassPrediction, Task

C, T = 3, 21
TASKS = {
    "cls": Task("cls", "cls", "fault", 4, ("ok", "innen", "außen", "ball")),
    "reg": Task("reg", "reg", "wear", 2, (), "bar", (200.0, -3.0), (30.0, 0.01)),
    "log": Task("log", "reg", "gas", 1, (), "ppm", (4.0,), (0.5,), (None, 500.0), "log1p"),
}
RECURRENT = {"hidden_size": 8, "num_layers": 2, "dropout": 0.1, "bidirectional": True, "readout": "last"}
CNN = {"output_channels": 4, "kernel_size": 3, "stride": 2, "padding": 0, "dropout": 0.1, "readout": "mean"}
FCN = {
    "num_layers": 2,
    "lstm_drop_out": 0.4,
    "fc_drop_out": 0.1,
    "lstm_hidden_size": 6,
    "conv_channels": [16, 8, 8],
    "kernel_sizes": [8, 5, 3],
    "squeeze_excite": True,
    "dimension_shuffle": False,
    "readout": "mean",
}
FC = {"hidden_sizes": [8], "dropout": 0.1, "bias": True}
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...], str, str]] = {
    # name: backbone, arguments, tasks, scaling, missing values; every value of each stands somewhere
    "lstm": ("lstm", RECURRENT, ("cls", "reg"), "standard", "interpolate"),
    "lstm-one-way": ("lstm", {**RECURRENT, "bidirectional": False, "num_layers": 1}, ("cls",), "none", "error"),
    "lstm-attention": ("lstm", {**RECURRENT, "readout": "attention"}, ("reg",), "minmax", "mean"),
    "gru": ("gru", RECURRENT, ("reg",), "per_instance", "interpolate"),
    "gru-one-way-max": ("gru", {**RECURRENT, "bidirectional": False, "readout": "max"}, ("cls",), "standard", "mean"),
    "gru-mean": ("gru", {**RECURRENT, "readout": "mean"}, ("cls", "reg"), "minmax", "interpolate"),
    "gru-flatten": ("gru", {**RECURRENT, "readout": "flatten"}, ("cls", "reg"), "standard", "error"),
    "cnn1d": ("cnn1d", CNN, ("cls",), "standard", "interpolate"),
    "cnn1d-flatten": ("cnn1d", {**CNN, "readout": "flatten"}, ("cls", "reg"), "per_instance", "mean"),
    "cnn1d-max": ("cnn1d", {**CNN, "readout": "max", "padding": 1}, ("reg",), "standard", "error"),
    "lstm_fcn": ("lstm_fcn", FCN, ("cls",), "standard", "interpolate"),
    "lstm_fcn-last": ("lstm_fcn", {**FCN, "readout": "last", "squeeze_excite": False}, ("reg",), "minmax", "mean"),
    "lstm_fcn_multi": ("lstm_fcn_multi", FCN, ("cls", "reg"), "per_instance", "interpolate"),
    "shuffle": ("lstm_fcn", {**FCN, "dimension_shuffle": True}, ("cls", "reg"), "standard", "mean"),
    "cnn1d-per-step": ("cnn1d", CNN, ("cls", "log"), "standard_per_step", "interpolate"),
    "fc": ("fc", FC, ("cls", "reg"), "standard", "interpolate"),
    "fc-cls": ("fc", {**FC, "hidden_sizes": [], "bias": False}, ("cls",), "minmax", "error"),
    "fc-reg": ("fc", FC, ("reg",), "per_instance", "mean"),
}
FIXED = ["gru-flatten", "cnn1d-flatten", "shuffle", "cnn1d-per-step"]


def preparation_of(
    method: str, missing: str, limit: float | None = None, signed_log: float | None = None
) -> InputPreparation:
    """Fit on channels of different sizes, the second far from 0 and the third constant."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, C, T)) * np.array([2.0, 30.0, 0.0])[:, None] + np.array([5.0, -1000.0, 7.0])[:, None]
    return InputPreparation.fit(x.astype(np.float32), None, np.arange(50), method, missing, limit, signed_log)


def store(path: Path, case: str, nan_padding: bool = False, limit: float | None = None) -> Path:
    """Write the checkpoint of a case: drawn weights, and batch norms that have seen data."""
    backbone, arguments, names, method, missing = CASES[case]
    vectors = backbone == "fc"
    tasks = {name: TASKS[name] for name in names}
    torch.manual_seed(0)
    steps = None if vectors else T
    built = build_backbone(backbone, arguments, C, steps)
    model = MultiTaskModel(built, {name: task.size for name, task in tasks.items()})
    for _ in range(3):
        model.train()(torch.randn(32, C) if vectors else torch.randn(32, C, T) * 2 + 1)
    content = {
        "settings": {"plugins": []},
        "backbone": {
            "name": backbone,
            "arguments": arguments,
            "input_size": C,
            "seq_len": steps,
            "head_bias": True,
        },
        "input": {
            "kind": "vectors" if vectors else "series",
            "channels": ["speed", "torque", "on"],
            "seq_len": steps,
            "nan_padding": nan_padding,
            "preparation": preparation_of(method, missing, limit).state(),
        },
        "tasks": {name: task.state() for name, task in tasks.items()},
        "state": model.state_dict(),
        "epoch": 3,
        "score": 0.5,
        "monitor": "val/loss",
        "versions": {},
    }
    write_checkpoint(path, content)
    return path


def draw(n: int, steps: int | None, missing: str) -> np.ndarray:
    """Raw input, with gaps and a channel without any value where the model fills them; vectors without steps."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, C, steps or 1)) * np.array([2.0, 30.0, 0.1])[:, None] + np.array([5, -1000, 7])[:, None]
    if missing != "error":
        x[rng.random(x.shape) < 0.1] = np.nan
        x[-1, 0] = np.nan
    return (x if steps else x[:, :, 0]).astype(np.float32)


def run(path: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path)
    assert [i.name for i in session.get_inputs()] == ["x"]
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": x}), strict=True))


def assert_equals_torch(path: Path, predictor: Predictor, x: np.ndarray) -> None:
    """Compare within 1e-5 of a probability, and 1e-4 of a number's standard deviation in training."""
    outputs, expected = run(path, x), predictor.predict(x)
    assert list(outputs) == list(expected)
    for name, prediction in expected.items():
        assert outputs[name].dtype == np.float32
        if isinstance(prediction, ClassPrediction):
            np.testing.assert_allclose(outputs[name], prediction.probabilities, rtol=0, atol=1e-5)
        else:
            sd = np.array(predictor.tasks[name].scale)
            np.testing.assert_allclose(outputs[name] / sd, prediction.values / sd, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_gives_the_numbers_of_pytorch(tsmtl_export, tmp_path, case):
    checkpoint = store(tmp_path / "best_model.pt", case)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx")
    assert answer.code == 0, answer.err
    assert answer.err == ""
    predictor = load_model(checkpoint)
    missing, shortest = predictor.preparation.missing, predictor.model.backbone.shortest
    vectors = predictor.contract.kind == "vectors"
    for n in (1, 7, 40):
        assert_equals_torch(tmp_path / "model.onnx", predictor, draw(n, None if vectors else T, missing))
    if not vectors and case not in FIXED:
        for steps in (shortest, 9, 50):
            assert_equals_torch(tmp_path / "model.onnx", predictor, draw(5, steps, missing))


@pytest.mark.parametrize("model", [["model=gru", "hidden_size=8"], ["model=cnn1d", "output_channels=4"]])
def test_a_trained_model_exports(tsmtl_train, tsmtl_export, tmp_path, monkeypatch, model):
    small = ["data.n_instances=40", "data.n_classes=3", "num_epochs=1", "device=cpu", "hydra.run.dir=run"]
    assert tsmtl_train(*model, *small).code == 0
    monkeypatch.chdir(tmp_path / "run")
    answer = tsmtl_export("checkpoint=best_model.pt", "output=model.onnx")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1] == "model.onnx"
    predictor = load_model("best_model.pt")
    x = np.random.default_rng(0).normal(size=(7, 3, 32)).astype(np.float32)
    assert_equals_torch(tmp_path / "run" / "model.onnx", predictor, x)


METHODS = ["none", "standard", "minmax", "per_instance"]


@pytest.mark.parametrize("missing", ["interpolate", "mean"])
@pytest.mark.parametrize("signed_log", [None, 0.5])
@pytest.mark.parametrize(
    ("method", "vectors"),
    [("standard_per_step", False), *((m, v) for m in METHODS for v in (False, True))],  # vectors have no steps
)
def test_the_graph_prepares_input_as_training_did(method, missing, signed_log, vectors):
    preparation = preparation_of(method, missing, signed_log=signed_log)
    for steps in (1, 2, T) if method != "standard_per_step" else (T,):
        x = draw(30, steps, missing)
        x[0, 1] = -1000.1  # constant, and not 0 in float32 once its mean is taken
        x[1, 0, : steps // 2] = np.nan
        x[2, 0, steps // 2 :] = np.nan
        x[3] = np.nan
        x = x[:, :, 0] if vectors else x
        prepared = PreparationGraph(preparation, vectors, False)(torch.from_numpy(x))
        assert prepared.dtype == torch.float32
        np.testing.assert_allclose(prepared.numpy(), preparation.apply(x), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("limit", [None, 0.5])  # what is cut to it was a number
@pytest.mark.parametrize("case", ["gru-flatten", "cnn1d-max"])  # data.missing=error
def test_an_instance_that_the_model_cannot_read_gets_nan_and_its_neighbours_their_numbers(
    tsmtl_export, tmp_path, case, limit
):
    checkpoint = store(tmp_path / "best_model.pt", case, limit=limit)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx")
    assert "an instance with NaN gets NaN (data.missing=error)" in answer.out
    whole = draw(5, T, "error")
    expected = run(tmp_path / "model.onnx", whole)
    for value in (np.nan, np.inf, -np.inf):
        spoilt = whole.copy()
        spoilt[2, 1, 4] = value
        for name, got in run(tmp_path / "model.onnx", spoilt).items():
            assert np.isnan(got[2]).all(), value
            np.testing.assert_array_equal(np.delete(got, 2, axis=0), np.delete(expected[name], 2, axis=0))


def test_nan_padding_gets_nan_and_not_the_numbers_of_a_filled_gap(tsmtl_export, tmp_path):
    checkpoint = store(tmp_path / "best_model.pt", "gru", nan_padding=True)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx")
    assert "one that ends in NaN in every channel, padding in training, gets NaN: cut it off" in answer.out
    x = draw(3, T, "error")
    x[1, :, 15:] = np.nan
    x[2, :, 5:9] = np.nan  # a gap
    values = run(tmp_path / "model.onnx", x)["reg"]
    assert np.isnan(values).all(axis=1).tolist() == [False, True, False]
    assert_equals_torch(tmp_path / "model.onnx", load_model(checkpoint), x[1:2, :, :15])


def test_the_file_explains_itself(tsmtl_export, tmp_path):
    said = {}
    for case in ("gru-flatten", "cnn1d", "fc"):
        answer = tsmtl_export(f"checkpoint={store(tmp_path / f'{case}.pt', case)}", f"output={case}.onnx")
        assert answer.code == 0
        assert answer.out.splitlines()[-1] == f"{case}.onnx"
        model = onnx.load(tmp_path / f"{case}.onnx")
        (entry,) = [p for p in model.metadata_props if p.key == "tsmtl"]
        said[case] = json.loads(entry.value)
    assert said["gru-flatten"]["version"] == "0.1.0"
    assert said["gru-flatten"]["tasks"] == {
        "cls": {"kind": "cls", "target": "fault", "classes": ["ok", "innen", "außen", "ball"]},
        "reg": {"kind": "reg", "target": "wear", "size": 2, "unit": "bar"},
    }
    names = ["speed", "torque", "on"]
    series: dict[str, Any] = {"name": "x", "kind": "series", "channels": names}
    assert said["gru-flatten"]["input"] == {**series, "missing": "error", "steps": T, "shortest": T}
    # Two convolutions of 3 with stride 2 need (1 - 1) * 2 + 3 = 3, and so (3 - 1) * 2 + 3 = 7 steps.
    assert said["cnn1d"]["input"] == {**series, "missing": "interpolate", "steps": None, "shortest": 7}
    assert said["fc"]["input"] == {"name": "x", "kind": "vectors", "channels": names, "missing": "interpolate"}


def test_what_is_read_and_given_is_shown_with_the_largest_difference_of_each_task(tsmtl_export, tmp_path):
    answer = tsmtl_export(f"checkpoint={store(tmp_path / 'best_model.pt', 'lstm')}", "output=model.onnx")
    lines = answer.out.splitlines()
    assert lines[0] == "reads x: float32 (N, 3, T), T at least 1, one T per batch"
    assert lines[1].strip() == "NaN is filled as in training (data.missing=interpolate)"
    assert lines[2].startswith("gives cls (fault): probabilities (N, 4), at most ")
    assert lines[3].startswith("gives reg (wear): numbers (N, 2) in bar, at most ")
    assert all(0 <= float(line.partition("at most ")[2].split()[0]) < 1e-5 for line in lines[2:4])


def test_help_has_every_key_of_the_yaml_file():
    text = sister_help_text("tsmtl-export", ABOUT, "export", _sections())
    keys = set(yaml.safe_load((ROOT / "configs" / "export.yaml").read_text()))
    assert keys == set(_sections()[""].model_fields)
    assert all(f"\n  {key} " in text for key in keys)
    assert "default 0.0001" in text
