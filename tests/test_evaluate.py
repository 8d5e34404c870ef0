"""``tsmtl-evaluate`` gives a run's own test numbers, and those of other splits and files."""

import csv
import json

import numpy as np
import pytest

from tests.trained import CLASSES, SMALL, table_of, write_csv, write_ts
from tsmtl.checkpoint.file import read_checkpoint, write_checkpoint
from tsmtl.config.evaluate_settings import data_of_checkpoint, evaluate_data_settings
from tsmtl.config.help import sister_help_text
from tsmtl.evaluate import ABOUT, _sections
from tsmtl.tasks.metrics import classification_metrics, regression_metrics


def metrics_of(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("case", [*SMALL, "lengths", "ids", "two numbers", "reg", "simulated", "log", "per step"])
def test_on_the_test_split_it_gives_exactly_what_the_run_gave(trained, tsmtl_evaluate, tmp_path, case):
    run = trained(case)
    answer = tsmtl_evaluate(run.checkpoint, "output=metrics.json")
    assert answer.code == 0, answer.err
    summary = metrics_of(run.folder / "summary.json")
    got = metrics_of(tmp_path / "metrics.json")
    assert got["metrics"] == summary["test"]
    assert (got["split"], got["instances"]) == ("test", summary["instances"]["test"])
    for task, metrics in summary["test"].items():
        for name, value in metrics.items():
            if isinstance(value, float):
                assert any(line.startswith(f"{task} (") and f"{value:.4g}" in line for line in answer.out.splitlines())
                assert name in answer.out
    assert not [line for line in answer.lines if line.startswith("warning")]


def test_each_split_is_that_of_the_training(trained, tsmtl_evaluate, tmp_path):
    run = trained("gru")
    summary = metrics_of(run.folder / "summary.json")
    counts = {}
    for split in ("train", "val", "test", "all"):
        assert tsmtl_evaluate(run.checkpoint, f"split={split}", "output=metrics.json", "tasks=[reg]").code == 0
        counts[split] = metrics_of(tmp_path / "metrics.json")
    assert {split: counts[split]["instances"] for split in summary["instances"]} == summary["instances"]
    assert counts["all"]["instances"] == 40
    assert counts["val"]["metrics"]["reg"]["rmse"] == pytest.approx(summary["val"]["val/reg/rmse"], rel=1e-6)
    assert list(counts["val"]["metrics"]) == ["reg"]


def expected_metrics(run, table):
    """Compute the metrics of a table of predictions for the whole file, from its truth."""
    arrays = run.arrays
    ids = arrays["ids"]
    probabilities = np.array([table[f"cls_p_{name}"] for name in CLASSES], dtype=float).T
    values = np.array(table["reg_predicted"], dtype=float)[:, None]
    return {
        "cls": classification_metrics(ids, probabilities),
        "reg": regression_metrics(arrays["y_reg"][:, None].astype(np.float32), values),
    }


def close(got, expected):
    for task, metrics in expected.items():
        for name, value in metrics.items():
            assert got[task][name] == pytest.approx(value, rel=1e-5), (task, name)


@pytest.mark.parametrize("case", ["gru", "lengths", "fc", "ids"])
@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_of_a_file_it_measures_all_labelled_instances(trained, command, tmp_path, case, ending):
    run = trained(case)
    path = run.data if ending == "npz" else write_csv(tmp_path / "new.csv", run.arrays)
    typed = ["data.class_target=y_cls"] if case == "ids" and ending == "csv" else []
    arguments = [run.checkpoint, f"data.path={path}", "device=cpu", "batch_size=7"]
    assert command("tsmtl-predict", *arguments, "output=out.csv").code == 0
    answer = command("tsmtl-evaluate", *arguments, "output=metrics.json", *typed)
    assert answer.code == 0, answer.err
    got = metrics_of(tmp_path / "metrics.json")
    close(got["metrics"], expected_metrics(run, table_of(tmp_path / "out.csv")))
    assert got["instances"] == 40
    assert got["labelled"] == {"cls": 39, "reg": 34}


def test_of_a_ts_file_it_measures_the_task_that_the_labels_are_of(trained, tsmtl_evaluate, tmp_path):
    run = trained("gru")
    write_ts(tmp_path / "new.ts", run.arrays, "@targetLabel true")
    answer = tsmtl_evaluate(run.checkpoint, "data.path=new.ts")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-evaluate: new.ts: has a number per instance, task cls needs a class; take tasks=[reg]"
    ]
    assert tsmtl_evaluate(run.checkpoint, "data.path=new.ts", "tasks=[reg]", "output=a.json").code == 0
    assert tsmtl_evaluate(run.checkpoint, f"data.path={run.data}", "output=b.json").code == 0
    close(metrics_of(tmp_path / "a.json")["metrics"], {"reg": metrics_of(tmp_path / "b.json")["metrics"]["reg"]})


def test_several_numbers_are_columns_with_their_place(trained, tsmtl_evaluate, tmp_path):
    run = trained("two numbers")
    write_csv(tmp_path / "new.csv", run.arrays)
    assert tsmtl_evaluate(run.checkpoint, "data.path=new.csv", "output=a.json").code == 0
    assert tsmtl_evaluate(run.checkpoint, f"data.path={run.data}", "output=b.json").code == 0
    a, b = (metrics_of(tmp_path / f"{name}.json")["metrics"] for name in "ab")
    assert len(a["reg"].pop("per_output")) == len(b["reg"].pop("per_output")) == 2
    close(a, {"reg": b["reg"]})


@pytest.mark.parametrize("missing", [-1, np.nan])
def test_classes_are_known_by_their_names_whatever_the_ids_of_the_file(trained, tsmtl_evaluate, tmp_path, missing):
    run = trained("ids")
    arrays = run.arrays
    order = [2, 0, 1]
    arrays["classes"] = arrays["classes"][order]
    arrays["ids"] = np.array([order.index(i) if i >= 0 else missing for i in arrays["ids"]])
    np.savez(tmp_path / "new.npz", **arrays)
    assert tsmtl_evaluate(run.checkpoint, "data.path=new.npz", "output=a.json").code == 0
    assert tsmtl_evaluate(run.checkpoint, f"data.path={run.data}", "output=b.json").code == 0
    assert metrics_of(tmp_path / "a.json")["metrics"] == metrics_of(tmp_path / "b.json")["metrics"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["data.class_names_key=kinds"], "no array 'kinds' (data.class_names_key)"),
        (["data.class_names_key=classes", "data.class_target=y_cls"], "'y_cls' holds texts, which name the classes"),
    ],
)
def test_class_names_that_would_not_be_read_are_refused(trained, tsmtl_evaluate, typed, said):
    run = trained("ids")
    answer = tsmtl_evaluate(run.checkpoint, f"data.path={run.data}", *typed)
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert said in answer.lines[0]


def test_other_names_of_targets_are_typed(trained, tsmtl_evaluate, tmp_path):
    run = trained("gru")
    arrays = run.arrays
    renamed = {"X": arrays["X"], "fault": arrays["y_cls"], "wear": arrays["y_reg"]}
    np.savez(tmp_path / "new.npz", **renamed)
    typed = ["data.class_target=fault", "data.regression_target=wear"]
    assert tsmtl_evaluate(run.checkpoint, "data.path=new.npz", "output=a.json", *typed).code == 0
    assert tsmtl_evaluate(run.checkpoint, f"data.path={run.data}", "output=b.json").code == 0
    assert metrics_of(tmp_path / "a.json")["metrics"] == metrics_of(tmp_path / "b.json")["metrics"]


def test_data_that_changed_since_the_training_are_warned_of(trained, tsmtl_evaluate):
    run = trained("gru")
    whole = run.data.read_bytes()
    arrays = run.arrays
    arrays["X"][0, 0, 0] += 1
    try:
        np.savez(run.data, **arrays)
        answer = tsmtl_evaluate(run.checkpoint)
    finally:
        run.data.write_bytes(whole)
    assert answer.code == 0
    assert f"warning: {run.data}: the data, or their split, have changed since the training" in answer.lines


def test_another_split_than_that_of_the_training_is_warned_of(trained, tsmtl_evaluate):
    answer = tsmtl_evaluate(trained("gru").checkpoint, "data.seed=7")
    assert answer.code == 0
    assert (
        "warning: data.seed: not as in training, so that instances of the test split may have been trained on"
        in answer.lines
    )


def spoilt(run, tmp_path, **changes):
    arrays = run.arrays | changes
    np.savez(tmp_path / "new.npz", **{k: v for k, v in arrays.items() if v is not None})


def changed(values, row, value):
    values = values.astype(object)
    values[row] = value
    return np.array(values.tolist())


@pytest.mark.parametrize(
    ("changes", "arguments", "line"),
    [
        (
            {"y_cls": lambda v: changed(v, 9, "unheard")},
            [],
            "new.npz: instance 9: class 'unheard' is unknown to the model (it has ball, outer, inner, ok)",
        ),
        ({"y_cls": None}, [], "new.npz: no array 'y_cls' (data.class_target); it has X, "),
        ({"y_reg": lambda v: v * np.nan}, [], "new.npz: no instance has a target of task reg (all)"),
        ({"y_reg": lambda v: v[:7]}, [], "new.npz: 'X' has 40 instances, 'y_reg' (data.regression_target) has shape"),
        ({"y_reg": lambda v: np.stack([v, v], 1)}, [], "new.npz: 'y_reg' must hold one number per instance (got"),
        ({"y_reg": lambda v: changed(v, 3, np.inf)}, [], "new.npz: instance 3: 'y_reg' is infinite"),
        ({}, ["data.test_fold=1"], "data.test_fold: is not read for all instances of a file; name a split as well"),
        ({}, ["tasks=[cls_2]"], "tasks: "),
        ({}, ["tasks=[]"], "tasks: must name a task, or be null for all"),
        ({}, ["tasks=[clas]"], "tasks: "),
        ({}, ["split=tset"], "split: must be one of train, val, test, all or null (got 'tset')"),
        ({}, ["output=metrics.csv"], "output: must be a file that ends in .json (got 'metrics.csv')"),
        ({}, ["output=none/metrics.json"], "output: there is no folder none"),
        ({}, ["data.path=none.npz"], "data.path: there is no file none.npz"),
        ({}, ["data.path=new.csv", "split=test"], "split: a .csv file has no splits; leave split out"),
        ({}, ["split=test", "data.window=4"], "data.window: not a setting of"),
        ({}, ["split=test", "data.noise=0.1"], "data.noise: not a setting of "),
        ({}, ["split=test", "data.test_fraction=2"], "data.test_fraction: must be a number in (0, 1) (got 2)"),
        ({}, ["data.scale=none"], "data.scale: unknown setting"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_one_line(trained, tsmtl_evaluate, tmp_path, changes, arguments, line):
    run = trained("gru")
    spoilt(run, tmp_path, **{k: v if v is None else v(run.arrays[k]) for k, v in changes.items()})
    answer = tsmtl_evaluate(run.checkpoint, "data.path=new.npz", *arguments)
    assert answer.code == 2
    assert len(answer.lines) == 1, answer.err
    assert answer.lines[0].startswith(f"tsmtl-evaluate: {line}")
    assert answer.out == ""


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (("y_cls", "label"), "new.csv: no column 'y_cls' (data.class_target); it has note, instance"),
        (("m3,", "m3 ,"), None),
        (("inner", "unheard"), "new.csv: instance m1: class 'unheard' is unknown to the model"),
    ],
)
def test_targets_of_a_csv_file(trained, tsmtl_evaluate, tmp_path, edit, line):
    run = trained("gru")
    path = write_csv(tmp_path / "new.csv", run.arrays)
    path.write_text(path.read_text().replace(*edit))
    answer = tsmtl_evaluate(run.checkpoint, "data.path=new.csv")
    assert answer.code == (2 if line else 0), answer.err
    if line:
        assert answer.lines[0].startswith(f"tsmtl-evaluate: {line}")


def test_a_target_that_changes_within_a_series_is_refused(trained, tsmtl_evaluate, tmp_path):
    run = trained("gru")
    path = write_csv(tmp_path / "new.csv", run.arrays)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[15][rows[0].index("y_cls")] = "ok"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    answer = tsmtl_evaluate(run.checkpoint, "data.path=new.csv")
    assert answer.lines == ["tsmtl-evaluate: new.csv: row 16: the target of task cls changes within instance 'm1'"]


def test_help_has_every_setting():
    text = sister_help_text("tsmtl-evaluate", ABOUT, "evaluate", _sections())
    for prefix, section in _sections().items():
        for key in section.model_fields:
            assert f"\n  {prefix + '.' if prefix else ''}{key} " in text


def test_what_the_model_has_fitted_is_no_setting_of_an_evaluation():
    fitted = {
        "signed_log",
        "scale",
        "input_limit",
        "clip_target",
        "transform_target",
        "scale_target",
        "regression_metrics",
        "missing",
        "source",
    }
    assert not (fitted | {"augment"}) & set(evaluate_data_settings().model_fields)


@pytest.mark.parametrize(
    "arguments",
    [
        ["data=synthetic"],
        ["data=npz", "data.path=a.npz"],
        ["data=ts", "data.path=a.ts", "task=cls", "model=gru"],
        ["data=hydraulic"],
        ["data=cmapss"],
        ["data=ett"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_setting_newer_than_a_checkpoint_has_the_default_of_its_source(compose, arguments):
    settings = compose(*arguments)
    flat = {**settings.flat, "data": {k: v for k, v in settings.flat["data"].items() if k != "augment"}}
    assert data_of_checkpoint(flat, {}, "old.pt") == settings.data


def test_a_checkpoint_of_before_a_setting_is_measured_as_it_was(trained, tsmtl_evaluate, tmp_path):
    content = read_checkpoint(trained("gru").folder / "best_model.pt")
    del content["format_version"]  # writing says its own
    for key in ("clip_target", "transform_target", "regression_metrics"):
        del content["settings"]["data"][key]
    for key in ("clip", "transform", "metrics"):
        del content["tasks"]["reg"][key]
    write_checkpoint(tmp_path / "old.pt", content)
    answer = tsmtl_evaluate("checkpoint=old.pt", "output=metrics.json")
    assert answer.code == 0, answer.err
    assert (
        metrics_of(tmp_path / "metrics.json")["metrics"] == metrics_of(trained("gru").folder / "summary.json")["test"]
    )
