"""One model, four ways to its predictions: the run's own, Python, the command, ONNX; all give the same numbers."""

import numpy as np
import onnxruntime
import pytest

import tsmtl
from tests.trained import SMALL, table_of

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # single precision, summed in other orders
BATCHES = (1, 7, 40)  # 40: all at once


@pytest.mark.parametrize("model", [*SMALL, "log", "per step", "signed log", "limit", "bf16", "calibrated"])
def test_every_way_gives_the_predictions_of_the_run(trained, command, tmp_path, model):
    run = trained(model)  # with dropout, and batch norm where the backbone has it
    expected = table_of(run.folder / "predictions_test.csv")
    rows = np.array(expected["instance"], dtype=int)
    columns = [name for name in expected if name.startswith("cls_p_")]
    p = np.array([expected[name] for name in columns], dtype=float).T  # (N, K)
    y, *ends = (np.array(expected[f"reg_{name}"], dtype=float) for name in ("predicted", "low", "high"))

    def check(probabilities: np.ndarray, numbers: np.ndarray, way: str) -> None:
        np.testing.assert_allclose(probabilities[rows], p, **TOLERANCE, err_msg=way)
        np.testing.assert_allclose(numbers.reshape(-1)[rows], y, **TOLERANCE, err_msg=way)

    def check_intervals(low: np.ndarray, high: np.ndarray, way: str) -> None:
        for found, known in zip((low, high), ends, strict=True):
            np.testing.assert_allclose(found.reshape(-1)[rows], known, **TOLERANCE, err_msg=way)

    x = run.arrays["X"]
    loaded = tsmtl.load_model(run.folder / "best_model.pt")
    if model == "calibrated":  # its val split has labels enough
        assert loaded.calibration["cls"].value != 1
        assert np.isfinite(ends).all()
    assert command("tsmtl-export", run.checkpoint, "output=model.onnx").code == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for size in BATCHES:
        parts = [x[start : start + size] for start in range(0, len(x), size)]
        found = [loaded.predict(part, level=0.9) for part in parts]
        classes, numbers = [f["cls"].probabilities for f in found], [f["reg"].values for f in found]
        check(np.concatenate(classes), np.concatenate(numbers), f"Python, {size} at a time")
        lows, highs = ([getattr(f["reg"], name) for f in found] for name in ("low", "high"))
        check_intervals(np.concatenate(lows), np.concatenate(highs), f"Python, {size} at a time")

        outputs = [session.run(["cls", "reg"], {"x": part}) for part in parts]
        check(*(np.concatenate(arrays) for arrays in zip(*outputs, strict=True)), f"ONNX, {size} at a time")

        settings = [f"data.path={run.data}", "output=out.npz", f"batch_size={size}", "device=cpu"]
        assert command("tsmtl-predict", run.checkpoint, *settings).code == 0
        with np.load(tmp_path / "out.npz") as arrays:
            check(arrays["cls_p"], arrays["reg_predicted"], f"tsmtl-predict, {size} at a time")
            check_intervals(arrays["reg_low"], arrays["reg_high"], f"tsmtl-predict, {size} at a time")
