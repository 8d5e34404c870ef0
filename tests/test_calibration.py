"""The calibration of real runs: fitted on val alone, stored, used everywhere, and kept to what it promises."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tsmtl
from tests.trained import table_of
from tsmtl.checkpoint.file import CALIBRATION, read_checkpoint, write_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.storage.run_folder import sha256_of
from tsmtl.tasks.conformal import Errors, errors_of
from tsmtl.tasks.task import Task
from tsmtl.tasks.temperature import fit_temperature

TINY = ["model=fc", "hidden_sizes=[16]", "device=cpu", "num_epochs=12", "lr=0.01"]


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def without_calibration(run: Any, path: Path) -> Path:
    """Write a run's checkpoint as an earlier version would have."""
    content = read_checkpoint(run.folder / "best_model.pt")
    del content[CALIBRATION], content["format_version"]
    write_checkpoint(path, content)
    return path


def test_it_is_what_the_val_split_says_and_the_test_split_does_not_matter(trained):
    run = trained("calibrated")
    model = tsmtl.load_model(run.folder / "best_model.pt")
    kept = model.calibration
    arrays, test = run.arrays, {int(i) for i in table_of(run.folder / "predictions_test.csv")["instance"]}
    summary = summary_of(run.folder)
    with torch.inference_mode():
        outputs = model.model(torch.from_numpy(model.preparation.apply(arrays["X"], None)))
    logits, scaled = outputs["cls"].numpy(), outputs["reg"].numpy()
    ids = np.array([model.tasks["cls"].class_names.index(name) for name in arrays["y_cls"]])
    truth = model.tasks["reg"].scaled_exactly(arrays["y_reg"][:, None])
    errors = np.abs(truth - scaled)[:, 0]
    val = [int(np.abs(errors - error).argmin()) for error in kept["reg"].kept[0]]
    assert len(set(val)) == summary["instances"]["val"] == kept["reg"].labelled[0]
    assert not set(val) & test
    assert fit_temperature(logits[val], ids[val]).value == pytest.approx(kept["cls"].value, rel=1e-4)
    np.testing.assert_allclose(errors_of(scaled[val], truth[val]).kept[0], kept["reg"].kept[0], atol=1e-5)


def test_the_summary_says_what_came_of_it_on_test(trained):
    run = trained("calibrated")
    summary, table = summary_of(run.folder), table_of(run.folder / "predictions_test.csv")
    found = summary["calibration"]
    assert found["cls"]["test"]["ece"]["after"] == summary["test"]["cls"]["ece"]
    assert found["cls"]["test"]["log_loss"]["after"] == summary["test"]["cls"]["log_loss"]
    before = summary["val"]["val/cls/log_loss"]  # what chose the epoch is not calibrated
    assert found["cls"]["val"]["log_loss"]["before"] == pytest.approx(before, rel=1e-6)
    assert found["cls"]["val"]["log_loss"]["after"] < before
    low, true, high = (np.array(table[f"reg_{name}"], dtype=float) for name in ("low", "true", "high"))
    assert found["reg"]["test"]["0.9"]["coverage"] == pytest.approx(np.mean((low <= true) & (true <= high)))
    assert found["reg"]["test"]["0.9"]["width"] == pytest.approx(np.mean(high - low), rel=1e-6)
    assert list(found["reg"]["test"]) == ["0.8", "0.9", "0.95"]
    assert summary["best_model_sha256"] == sha256_of(run.folder / "best_model.pt")


def test_evaluate_measures_the_intervals_at_any_level(trained, tsmtl_evaluate, tmp_path):
    run = trained("calibrated")
    found = summary_of(run.folder)["calibration"]["reg"]["test"]
    for level in (0.8, 0.9, 0.95):
        answer = tsmtl_evaluate(run.checkpoint, f"level={level}", "output=m.json")
        assert answer.code == 0, answer.err
        measured = json.loads((tmp_path / "m.json").read_text())["intervals"]
        assert measured == {"reg": {"level": level, **found[str(level)]}}
        assert f"intervals: reg (y_reg) at level {level:g} hold " in answer.err
    assert tsmtl_evaluate(run.checkpoint, "level=null", "output=m.json").code == 0
    assert json.loads((tmp_path / "m.json").read_text())["intervals"] == {}


def test_a_run_without_calibration_says_what_the_model_has_learnt(vectors, tsmtl_train, tmp_path):
    for name, calibrate in (("a", "true"), ("b", "false")):
        data = ["data=npz", f"data.path={vectors}", f"hydra.run.dir={name}", f"trainer.calibrate={calibrate}"]
        answer = tsmtl_train(*TINY, *data, "num_epochs=2", "data.val_fraction=0.4")
        assert answer.code == 0, answer.err
        assert ("calibrated on val: cls (y_cls) temperature " in answer.err) == (calibrate == "true")
    summary, plain = summary_of(tmp_path / "a"), summary_of(tmp_path / "b")
    assert plain["calibration"] is None
    assert plain["test"]["cls"]["ece"] == summary["calibration"]["cls"]["test"]["ece"]["before"]
    assert plain["test"]["cls"]["accuracy"] == summary["test"]["cls"]["accuracy"]
    assert plain["test"]["reg"] == summary["test"]["reg"]
    assert "reg_low" not in table_of(tmp_path / "b/predictions_test.csv")
    assert tsmtl.load_model(tmp_path / "b/best_model.pt").calibration == {}


def test_an_older_checkpoint_predicts_without_intervals_and_refuses_a_level(
    trained, tsmtl_predict, tsmtl_evaluate, tmp_path
):
    run = trained("calibrated")
    path = without_calibration(run, tmp_path / "old.pt")
    old, new = tsmtl.load_model(path), tsmtl.load_model(run.folder / "best_model.pt")
    x = run.arrays["X"]
    np.testing.assert_array_equal(old.predict(x)["reg"].values, new.predict(x, level=0.9)["reg"].values)
    np.testing.assert_array_equal(old.predict(x)["cls"].ids, new.predict(x)["cls"].ids)
    assert (old.predict(x)["cls"].probabilities != new.predict(x)["cls"].probabilities).any()
    with pytest.raises(UserError, match="level: the checkpoint has no intervals"):
        old.predict(x, level=0.9)
    arguments = [f"checkpoint={path}", f"data.path={run.data}", "output=out.csv"]
    answer = tsmtl_predict(*arguments, "level=0.9")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert answer.lines[0].startswith("tsmtl-predict: level: the checkpoint has no intervals")
    assert tsmtl_predict(*arguments).code == 0
    assert "reg_predicted" in table_of(tmp_path / "out.csv")
    assert "reg_low" not in table_of(tmp_path / "out.csv")
    assert tsmtl_evaluate(f"checkpoint={path}").code == 0


@pytest.mark.parametrize("level", ["0", "1", "1.5", "-0.1", "abc", "nan"])
def test_a_level_outside_of_0_to_1_is_one_line(trained, tsmtl_predict, tmp_path, level):
    run = trained("calibrated")
    answer = tsmtl_predict(run.checkpoint, f"data.path={run.data}", "output=out.csv", f"level={level}")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert answer.lines[0].startswith("tsmtl-predict: level: must be a number in (0, 1) or null (got ")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("level", [0, 1, 1.5, float("nan"), "0.9", True])
def test_a_level_outside_of_0_to_1_is_refused_in_python(trained, level):
    model = tsmtl.load_model(trained("calibrated").folder / "best_model.pt")
    with pytest.raises(UserError, match=r"level: must be a number in \(0, 1\)"):
        model.predict(trained("calibrated").arrays["X"], level=level)


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_columns_of_several_numbers_are_named_by_their_place(trained, tsmtl_predict, tmp_path, ending):
    run = trained("two numbers")
    arguments = [run.checkpoint, f"data.path={run.data}", f"output=out.{ending}", "level=0.5"]
    assert tsmtl_predict(*arguments).code == 0
    expected = tsmtl.load_model(run.folder / "best_model.pt").predict(run.arrays["X"], level=0.5)["reg"]
    assert np.isfinite(expected.low).all()
    if ending == "npz":
        with np.load(tmp_path / "out.npz") as arrays:
            found = {name: arrays[f"reg_{name}"] for name in ("low", "high")}
    else:
        import polars as pl

        read = pl.read_csv if ending == "csv" else pl.read_parquet
        table = read(tmp_path / f"out.{ending}")
        found = {n: table.select(f"reg_{n}_1", f"reg_{n}_2").to_numpy() for n in ("low", "high")}
        assert table.columns[-6:] == [f"reg_{n}_{d}" for d in (1, 2) for n in ("predicted", "low", "high")]
    np.testing.assert_allclose(found["low"], expected.low, rtol=1e-5)
    np.testing.assert_allclose(found["high"], expected.high, rtol=1e-5)


def test_a_checkpoint_of_a_training_under_way_predicts(trained, tmp_path):
    """It is the same file without the calibration, which a kill before the end leaves."""
    run = trained("calibrated")
    assert CALIBRATION in torch.load(run.folder / "best_model.pt", weights_only=True)
    model = tsmtl.load_model(without_calibration(run, tmp_path / "cut.pt"))
    assert model.predict(run.arrays["X"])["cls"].probabilities.shape == (240, 3)


def test_a_run_that_was_cut_after_its_training_is_calibrated_when_it_goes_on(vectors, tsmtl_train, tmp_path):
    command = [*TINY, "data=npz", f"data.path={vectors}", "hydra.run.dir=a", "num_epochs=2"]
    assert tsmtl_train(*command).code == 0
    first, summary = sha256_of(tmp_path / "a/best_model.pt"), summary_of(tmp_path / "a")
    assert tsmtl_train(*command, "resume=true").code == 0  # finished before: nothing changes
    assert sha256_of(tmp_path / "a/best_model.pt") == first == summary["best_model_sha256"]
    (tmp_path / "a/summary.json").unlink()
    content = read_checkpoint(tmp_path / "a/best_model.pt")
    del content[CALIBRATION], content["format_version"]
    write_checkpoint(tmp_path / "a/best_model.pt", content)
    assert tsmtl_train(*command, "resume=true").code == 0
    assert summary_of(tmp_path / "a")["calibration"] == summary["calibration"]
    assert CALIBRATION in read_checkpoint(tmp_path / "a/best_model.pt")


def test_each_checkpoint_beside_the_best_one_is_calibrated_by_itself(vectors, tsmtl_train, tsmtl_evaluate, tmp_path):
    data = ["data=npz", f"data.path={vectors}", "data.val_fraction=0.4", "hydra.run.dir=a"]
    assert tsmtl_train(*TINY, *data, "trainer.best_per_task=true").code == 0
    for found in summary_of(tmp_path / "a")["best_per_task"].values():
        path = tmp_path / "a" / found["checkpoint"]
        assert set(tsmtl.load_model(path).calibration) == {"cls", "reg"}
        assert tsmtl_evaluate(f"checkpoint={path}", "output=m.json").code == 0
        measured = json.loads((tmp_path / "m.json").read_text())["metrics"]
        for task, metrics in found["test"].items():
            assert {name: measured[task][name] for name in metrics} == pytest.approx(metrics, rel=1e-6)


@pytest.mark.slow
def test_runs_on_exchangeable_data_hold_the_level_within_2_points(tsmtl_train, tmp_path):
    """Averaged over simulations, each with a training and splits of its own; the best epoch was chosen on val too."""
    held: dict[str, list[float]] = {"0.8": [], "0.9": [], "0.95": []}
    for seed in range(20):
        data = ["data=synthetic", "data.n_instances=700", f"data.seed={seed}"]
        sizes = ["data.val_fraction=0.3", "data.test_fraction=0.4"]
        run = ["task=reg", "model=cnn1d", "output_channels=4", "lr=0.01", "batch_size=32", "num_epochs=4"]
        assert tsmtl_train(*data, *sizes, *run, "device=cpu", f"seed={seed}", f"hydra.run.dir={seed}").code == 0
        for level, found in summary_of(tmp_path / str(seed))["calibration"]["reg"]["test"].items():
            held[level].append(found["coverage"])
    for level, shares in held.items():
        assert abs(np.mean(shares) - float(level)) < 0.02, (level, shares)


def test_a_task_without_a_label_in_val_has_intervals_without_ends():
    task = Task("reg", "reg", "y", 1, shift=(0.0,), scale=(1.0,))
    errors = errors_of(np.zeros((3, 1)), np.full((3, 1), np.nan))
    found = task.decode(np.zeros((1, 1), np.float32), Errors.from_state(errors.state()), 0.5)
    assert (found.low, found.high) == (-np.inf, np.inf)
