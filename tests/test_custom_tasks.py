"""``task=custom`` from data to every command: any number of named tasks, of classes, numbers and labels."""

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch

import tsmtl
from tests.conftest import public_data
from tsmtl.config.comparability import why_not_comparable
from tsmtl.config.errors import UserError
from tsmtl.data.loading import load_bundle
from tsmtl.tasks.metrics import label_metrics

TASKS = (
    "[{name: state, kind: cls, target: state}, {name: grade, kind: cls, target: ids, names: [low, high]}, "
    "{name: sizes, kind: reg, target: [wear, heat], loss: huber, unit: mm}, "
    "{name: flags, kind: multilabel, target: flags, names: [hot, loud, late]}]"
)
SMALL = ["model=gru", "hidden_size=6", "num_epochs=2", "lr=0.01", "device=cpu"]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 12)).astype(np.float32)
    flags = np.stack([x[:, 0, 0] > 0, x[:, 1, 0] > 0, x[:, 0, 1] > 0.5], axis=1).astype(np.float32)
    flags[::5, 1] = np.nan
    flags[7] = np.nan
    state = np.array(["bad", "ok", "worn"])[np.digitize(x[:, 0].mean(axis=1), [-0.1, 0.1])]
    state[3] = ""
    one_by_one = {f"flag_{i}": np.where(np.isnan(column), -1, column).astype(int) for i, column in enumerate(flags.T)}
    own = {"wear": x[:, 1].mean(axis=1), "heat": x[:, 0].sum(axis=1), "ids": rng.integers(0, 2, 60)}
    return {"X": x, "state": state, "flags": flags, **own, **one_by_one}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("custom") / "mine.npz"
    np.savez(path, **arrays())
    return path


def train(folder: Path, *arguments: str) -> tsmtl.TrainingResult:
    return tsmtl.train([*SMALL, f"hydra.run.dir={folder}", *arguments])


@pytest.fixture(scope="module")
def run(file: Path) -> tsmtl.TrainingResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsmtl.run.draw_run", lambda *given: None)
        return train(file.parent / "run", "data=npz", f"data.path={file}", "task=custom", f"tasks={TASKS}")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


def weights_of(result: tsmtl.TrainingResult) -> dict[str, torch.Tensor]:
    return tsmtl.load_model(result.best_model_path).model.state_dict()


@pytest.mark.parametrize("more", [["tasks.0.weight=0.5", "tasks.1.weight=0.5"], []])
def test_two_tasks_of_equal_weight_train_as_multi_does_to_the_bit(tmp_path, more):
    named = "[{name: cls, kind: cls, target: fault}, {name: reg, kind: reg, target: severity}]"
    multi = train(tmp_path / "multi", "data.n_instances=60", "alpha=0.5")
    custom = train(tmp_path / "custom", "data.n_instances=60", "task=custom", f"tasks={named}", *more)
    for (name, ours), (same, theirs) in zip(weights_of(custom).items(), weights_of(multi).items(), strict=True):
        assert name == same
        assert torch.equal(ours, theirs)
    assert custom.test == multi.test
    files = [rows_of(result.folder / "predictions_test.csv") for result in (custom, multi)]
    assert files[0] == files[1]


def test_a_weight_is_a_share_of_their_sum(tmp_path):
    named = "[{name: cls, kind: cls, target: fault, weight: 3}, {name: reg, kind: reg, target: severity}]"
    multi = train(tmp_path / "multi", "data.n_instances=60", "alpha=0.75")
    custom = train(tmp_path / "custom", "data.n_instances=60", "task=custom", f"tasks={named}")
    assert custom.summary["weighting"]["weights"] == {"cls": 0.75, "reg": 0.25}
    assert custom.test == multi.test


def test_a_file_of_predictions_has_columns_for_each_label(run):
    rows, data = rows_of(run.folder / "predictions_test.csv"), arrays()
    assert list(rows[0])[-9:] == [
        f"flags_{what}_{n}" for n in ("hot", "loud", "late") for what in ("true", "predicted", "p")
    ]
    assert {row["grade_true"] for row in rows} <= {"low", "high"}
    for row in rows:
        truth = data["flags"][int(row["instance"])]
        for name, true in zip(("hot", "loud", "late"), truth, strict=True):
            assert row[f"flags_true_{name}"] == ("" if np.isnan(true) else f"{true:g}")
            assert row[f"flags_predicted_{name}"] == str(int(float(row[f"flags_p_{name}"]) >= 0.5))
    probabilities = np.array([[float(row[f"flags_p_{n}"]) for n in ("hot", "loud", "late")] for row in rows])
    truth = data["flags"][[int(row["instance"]) for row in rows]]
    assert run.test["flags"] == pytest.approx(label_metrics(truth, probabilities), abs=1e-6)
    assert run.summary["test"]["flags"]["per_label"]["hot"]["support"] == np.nansum(truth[:, 0])


def test_labels_and_losses_are_counted_by_task(run):
    assert run.summary["labelled"]["flags"]["train"] < 1
    last = rows_of(run.folder / "metrics.csv")[-1]
    losses = [float(last[f"val/{name}/loss"]) for name in ("state", "grade", "sizes", "flags")]
    assert float(last["val/loss"]) == pytest.approx(np.mean(losses), rel=1e-4)


def test_predictions_are_those_of_the_run_in_every_format(run, tsmtl_predict, tmp_path):
    test = rows_of(run.folder / "predictions_test.csv")
    np.savez(tmp_path / "test.npz", X=arrays()["X"][[int(row["instance"]) for row in test]])
    for output in ("p.csv", "p.npz", "p.parquet"):
        answer = tsmtl_predict(f"checkpoint={run.best_model_path}", "data.path=test.npz", f"output={output}")
        assert answer.code == 0, answer.err
    new = rows_of(tmp_path / "p.csv")
    for place, (row, found) in enumerate(zip(test, new, strict=True)):
        assert {**{k: v for k, v in row.items() if "_true" not in k}, "instance": str(place)} == found
    with np.load(tmp_path / "p.npz") as arrays_found:
        found = dict(arrays_found)
    assert found["flags_p"].shape == found["flags_predicted"].shape == (len(test), 3)
    assert found["flags_classes"].tolist() == ["hot", "loud", "late"]
    np.testing.assert_array_equal(found["flags_predicted"], found["flags_p"] >= 0.5)
    table = pl.read_parquet(tmp_path / "p.parquet")
    assert table["flags_predicted_hot"].to_list() == [int(row["flags_predicted_hot"]) for row in new]


def test_evaluation_repeats_the_metrics_and_finds_targets_under_other_names(run, file, tsmtl_evaluate):
    model = f"checkpoint={run.best_model_path}"
    assert tsmtl_evaluate(model, "output=split.json").code == 0
    split = json.loads(Path("split.json").read_text())["metrics"]
    for name, metrics in run.test.items():
        assert {key: split[name][key] for key in metrics} == pytest.approx(metrics, nan_ok=True)
    assert tsmtl_evaluate(model, f"data.path={file}", "output=a.json").code == 0
    other = "targets={flags: [flag_0, flag_1, flag_2]}"
    assert tsmtl_evaluate(model, f"data.path={file}", other, "output=b.json").code == 0
    whole, renamed = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
    assert whole["metrics"] == renamed["metrics"]
    assert whole["labelled"] == {"state": 59, "grade": 60, "sizes": 60, "flags": 59}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["targets={flag: a}"],
            "targets: must be one of state, grade, sizes, flags (got 'flag'); did you mean 'flags'?",
        ),
        (["tasks=[flag]"], "has no task flag; it has state, grade, sizes, flags; did you mean 'flags'?"),
        (["data.class_target=state"], "has task=custom, whose targets have other names by targets={state: NAME}"),
        (["targets={flags: wear}"], "'wear' must hold 3 labels per instance"),
        (["targets={flags: [wear, heat, wear]}"], "a label is 0 or 1, NaN or -1 where not known"),
    ],
)
def test_an_evaluation_that_names_no_target_of_the_model_is_refused(run, file, tsmtl_evaluate, arguments, line):
    answer = tsmtl_evaluate(f"checkpoint={run.best_model_path}", f"data.path={file}", *arguments)
    assert answer.code == 2
    assert line in answer.err


def test_an_exported_model_gives_the_same_numbers(run, tsmtl_export, tmp_path):
    answer = tsmtl_export(f"checkpoint={run.best_model_path}", "output=model.onnx")
    assert answer.code == 0, answer.err
    x = arrays()["X"]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    output = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"x": x}), strict=True))
    expected = tsmtl.load_model(run.best_model_path).predict(x)
    assert list(output) == ["state", "grade", "sizes", "flags"]
    np.testing.assert_allclose(output["flags"], expected["flags"].probabilities, atol=1e-6)
    np.testing.assert_allclose(output["state"], expected["state"].probabilities, atol=1e-6)
    np.testing.assert_allclose(output["sizes"], expected["sizes"].values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        ["weighting=mgda", "trainer.monitor=joint", "trainer.joint_metrics.multilabel=micro_f1"],
        ["weighting=uncertainty", "trainer.sampler=balanced", "trainer.class_weights=balanced"],
        ["trainer.sampler=both_tasks", "trainer.regression_weights=rare", "data.augment=[{mixup: 0.2}]"],
        ["stage=finetune", "pretrain.task=flags", "pretrain.folder=kept", "trainer.monitor=val/flags/macro_f1"],
        ["stage=finetune", "pretrain.task=custom", "pretrain.folder=kept", "freeze=true"],
    ],
)
def test_what_trains_several_tasks_trains_any_number(file, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = train(tmp_path / "run", "data=npz", f"data.path={file}", "task=custom", f"tasks={TASKS}", *arguments)
    assert list(result.test) == ["state", "grade", "sizes", "flags"]
    assert all(np.isfinite(float(row["val/loss"])) for row in rows_of(result.folder / "metrics.csv"))


def test_a_folder_of_arrays_trains_to_the_same_bits(file, run, tmp_path):
    for name, array in arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    other = train(tmp_path / "run", "data=npz", f"data.path={tmp_path}", "task=custom", f"tasks={TASKS}")
    assert other.test == run.test


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("tasks.3.size=2", "tasks.flags.names: must be as many as size says (got 3 and 2)"),
        ("tasks.0.size=4", "tasks.state.size: 4 contradicts the data, where 'state' has 3 classes (bad, ok, worn)"),
        ("tasks.2.size=3", "tasks.sizes.size: 3 contradicts the data, where 'wear, heat' has 2 numbers"),
        (
            "tasks.0.names=[a,b,c]",
            "'state' holds texts, which name the classes themselves; leave out tasks.state.names",
        ),
        ("tasks.0.target=stat", "no array 'stat' (tasks.state.target)"),
        ("tasks.3.names=[a,b]", "'flags' has 3 labels, and 2 are named (a, b)"),
        ("tasks.2.target=[wear,state]", "'state' (tasks.sizes.target) must hold one number per instance"),
    ],
)
def test_data_that_contradict_a_task_are_refused(file, tmp_path, change, line):
    with pytest.raises(UserError) as refusal:
        train(tmp_path / "run", "data=npz", f"data.path={file}", "task=custom", f"tasks={TASKS}", change)
    assert line in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_a_label_that_never_varies_is_noted_and_labels_none_of_which_does_are_refused(file, tmp_path):
    constant = dict(arrays(), flags=np.stack([np.arange(60) % 2, np.ones(60)], axis=1), same=np.zeros(60))
    np.savez(tmp_path / "same.npz", **constant)
    asked = ["data=npz", f"data.path={tmp_path / 'same.npz'}", "task=custom"]
    result = train(tmp_path / "run", *asked, "tasks=[{name: flags, kind: multilabel, target: flags}]")
    said = "task flags: 1 labels are always the same in the train split, and are not learnt: flags_2"
    assert said in result.summary["data"]["notes"]
    with pytest.raises(UserError, match="'same' has no label in the train split that is true of some"):
        train(tmp_path / "other", *asked, "tasks=[{name: a, kind: multilabel, target: same}]")


def table(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    hour, machine = np.tile(np.arange(40), 9), np.repeat(np.arange(9), 40)
    a, b = rng.normal(size=(2, 360))
    frame = pl.DataFrame(
        {
            "machine": machine,
            "hour": hour,
            "a": a,
            "b": b,
            "state": np.where(a > 0, "up", "down"),
            "phase": hour // 20,
            "heat": 2 * b + 1,
            "alarm": (b > 1).astype(int),
            "stop": np.where(hour % 7 == 0, -1, (a < -1).astype(int)),
        }
    )
    frame.write_csv(folder / "plant.csv")
    return folder / "plant.csv"


OF_TABLE = [
    *(
        "data=table",
        "data.entity=machine",
        "data.time=hour",
        "data.channels=[a,b]",
        "data.window=5",
        "data.split=group",
    ),
    "task=custom",
    "tasks=[{name: state, kind: cls, target: state}, {name: phase, kind: cls, target: phase, names: [early, late]}, "
    "{name: heat, kind: reg, target: [heat, b]}, {name: alarms, kind: multilabel, target: [alarm, stop]}]",
]


REDUCED = {
    "last": lambda rows: rows[-1],
    "first": lambda rows: rows[0],
    "max": lambda rows: np.nan if np.isnan(rows).all() else np.nanmax(rows),
    "mode": lambda rows: np.nan if np.isnan(rows).all() else float(np.nanmean(rows) > 0.5),
}


@pytest.mark.parametrize("how", REDUCED)
def test_columns_of_labels_become_those_of_windows(compose, tmp_path, how):
    only = "tasks=[{name: alarms, kind: multilabel, target: [alarm, stop]}]"
    settings = compose(*OF_TABLE[:-1], only, f"data.path={table(tmp_path)}", f"data.class_reduce={how}")
    target = load_bundle(settings.data, settings.tasks).instances.targets["alarms"]
    expected = []
    for _, rows in pl.read_csv(tmp_path / "plant.csv").group_by("machine", maintain_order=True):
        labels = rows.select("alarm", "stop").cast(pl.Float64).to_numpy().copy()
        labels[labels == -1] = np.nan
        expected += [[REDUCED[how](column) for column in labels[end - 5 : end].T] for end in range(5, 41)]
    np.testing.assert_array_equal(target.values, expected)
    assert target.names == ["alarm", "stop"]


def test_several_columns_are_the_numbers_and_names_those_of_ids(compose, tmp_path):
    settings = compose(*OF_TABLE, f"data.path={table(tmp_path)}")
    targets = load_bundle(settings.data, settings.tasks).instances.targets
    ends = [r["heat"][4:] for _, r in pl.read_csv(tmp_path / "plant.csv").group_by("machine", maintain_order=True)]
    assert list(targets) == ["state", "phase", "heat", "alarms"]
    np.testing.assert_allclose(targets["heat"].values[:, 0], np.concatenate(ends), rtol=1e-6)
    assert targets["heat"].values.shape[1] == 2
    assert targets["phase"].names == ["early", "late"]


def test_a_model_of_a_table_predicts_and_is_measured_on_new_rows(tmp_path, tsmtl_predict, tsmtl_evaluate):
    path = table(tmp_path)
    result = train(tmp_path / "run", *OF_TABLE, f"data.path={path}")
    assert set(result.test) == {"state", "phase", "heat", "alarms"}
    model = f"checkpoint={result.best_model_path}"
    answer = tsmtl_evaluate(model, f"data.path={path}", "output=new.json")
    assert answer.code == 0, answer.err
    measured = json.loads(Path("new.json").read_text())
    assert set(measured["metrics"]["alarms"]["per_label"]) == {"alarm", "stop"}
    pl.read_csv(path).select("machine", "hour", "a", "b").write_csv("new.csv")
    assert tsmtl_predict(model, "data.path=new.csv", "output=p.csv").code == 0
    assert list(rows_of(Path("p.csv"))[0])[-4:] == [
        *("alarms_predicted_alarm", "alarms_p_alarm", "alarms_predicted_stop", "alarms_p_stop"),
    ]


def test_the_data_check_counts_each_label(file, tsmtl_check_data):
    answer = tsmtl_check_data("data=npz", f"data.path={file}", "task=custom", f"tasks={TASKS}", "page=page.html")
    assert answer.code == 0, answer.err
    assert "Task flags: flags, 3 labels, instances of which each is true" in answer.out
    assert "Task grade: ids, 2 classes" in answer.out
    assert "loud" in Path("page.html").read_text()


@pytest.mark.usefixtures("pictures")
def test_every_task_has_its_picture(tmp_path):
    named = (
        "[{name: state, kind: cls, target: fault}, {name: level, kind: cls, target: wear_level}, "
        "{name: sizes, kind: reg, target: [wear, severity]}, "
        "{name: flags, kind: multilabel, target: [faulty, severe, worn]}]"
    )
    train(tmp_path / "run", "data.n_instances=60", "task=custom", f"tasks={named}", "num_epochs=1")
    found = {file.name for file in (tmp_path / "run").glob("*.png")}
    of_classes = {f"{what}_{name}.png" for what in ("confusion", "reliability") for name in ("state", "level")}
    assert found == {"curves.png", *of_classes, "predicted_sizes.png", "labels_flags.png"}


@pytest.mark.usefixtures("jobs_here")
def test_a_sweep_over_lists_of_tasks_says_how_they_differ_and_reads_the_targets_of_each(tsmtl_train, tmp_path):
    one, two = "[{name: a, kind: reg, target: wear}]", "[{name: a, kind: reg, target: severity}]"
    words = ["-m", *SMALL, "num_epochs=1", "data.n_instances=40", "task=custom", f"tasks={one},{two}", "seed=0,1"]
    words += ["hydra.sweep.dir=sweep", "trainer.monitor=val/a/rmse"]
    answer = tsmtl_train(*words)
    assert answer.code == 0, answer.err
    rows = rows_of(tmp_path / "sweep/results.csv")
    assert {json.loads(row["tasks"])[0]["target"] for row in rows} == {"wear", "severity"}
    summaries = [json.loads(path.read_text()) for path in tmp_path.glob("sweep/*/summary.json")]
    assert len({summary["data"]["sha256"] for summary in summaries}) == 2
    assert "4 done of 4 jobs; 0 to run" in tsmtl_train(*words).err


def test_losses_of_other_tasks_do_not_compare_jobs(compose):
    base = ["task=custom", "tasks=[{name: a, kind: reg, target: wear}, {name: b, kind: cls, target: fault}]"]
    jobs = [compose(*base, f"tasks.0.weight={weight}") for weight in (1, 2)]
    expected = "val/loss does not compare the jobs: tasks changes the loss itself; trainer.monitor=joint does"
    assert why_not_comparable(jobs) == expected
    watched = [compose(*base, "trainer.monitor=val/a/loss", f"tasks.0.weight={weight}") for weight in (1, 2)]
    assert why_not_comparable(watched) is None
    changed = [compose(*base, "trainer.monitor=val/a/loss", f"tasks.0.loss={loss}") for loss in ("mse", "mae")]
    assert "tasks changes the loss itself" in str(why_not_comparable(changed))


@public_data("hydraulic")
def test_four_conditions_of_the_hydraulic_rig_are_learnt_at_once(tmp_path):
    # Of four epochs: seed 0 is at the mean pressure still, 1 to 3 are at 11 to 15.
    more = ["experiment=hydraulic_all", "num_epochs=4", "seed=2", "device=cpu", f"hydra.run.dir={tmp_path / 'run'}"]
    result = tsmtl.train(more)
    assert list(result.test) == ["cooler", "valve", "pump", "accumulator"]
    classes = {name: state["class_names"] for name, state in result.summary["tasks"].items()}
    assert classes["cooler"] == ["3 %", "20 %", "100 %"]
    assert len(classes["valve"]) == 4
    assert result.test["pump"]["accuracy"] > 0.7
    assert result.test["accumulator"]["rmse"] < 20.19  # that of the mean pressure
