"""``tsmtl-represent``: fitted on train alone, vectors with their manifest, and back into training and prediction."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tsmtl
from tests.trained import table_of, write_csv, write_ts
from tsmtl.representation.registry import TRAINED

SMALL = {
    "summary": ["representation=summary"],
    "minirocket": ["representation=minirocket", "representation.num_features=200"],
    "multirocket": ["representation=multirocket", "representation.num_features=700"],
    "catch22": ["representation=catch22"],
    "ts2vec": [
        *("representation=ts2vec", "representation.embed_dim=8", "representation.hidden_size=8"),
        *("representation.depth=3", "representation.steps=10"),
    ],
    "contrastive": [
        *("representation=contrastive", "representation.features=8", "representation.layers=1"),
        *("representation.head_size=4", "representation.steps=3"),
    ],
    "masked": [
        *("representation=masked", "representation.head_size=4", "representation.layers=1"),
        "representation.steps=3",
    ],
}
FAST = ["model=fc", "hidden_sizes=[8]", "num_epochs=2", "batch_size=32", "lr=0.01", "device=cpu"]
N, STEPS = 90, 24


@pytest.fixture
def series(tmp_path):
    """Series of which class and number can be read, with a gap here and there; ``part`` is the split."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    x = (rng.normal(size=(N, 2, STEPS)) + np.sin(np.arange(STEPS) * (1 + y[:, None, None]) / 3)).astype(np.float32)
    x[::7, 1, 5] = np.nan
    part = np.repeat(["train", "val", "test"], [50, 20, 20])
    content = {"X": x, "y_cls": np.array(["low", "mid", "top"])[y], "y_reg": y + rng.normal(size=N), "part": part}
    content |= {"machine": np.arange(N) // 5, "channels": np.array(["a", "b"])}
    np.savez(tmp_path / "series.npz", **content)
    return content


WORDS = ["data=npz", "data.path=series.npz", "data.split_key=part", "data.channels_key=channels"]


def arrays_of(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("method", sorted(SMALL))
def test_val_and_test_series_do_not_move_a_bit_of_the_fit(series, tsmtl_represent, tmp_path, method):
    assert tsmtl_represent(*WORDS, *SMALL[method], "output=v.npz").code == 0
    fitted, vectors = (tmp_path / "v.transform.pt").read_bytes(), arrays_of("v.npz")
    others = series["part"] != "train"
    x = series["X"].copy()
    x[others] = 100 * np.random.default_rng(1).normal(size=x[others].shape)
    np.savez("series.npz", **series | {"X": x})
    assert tsmtl_represent(*WORDS, *SMALL[method], "output=v.npz").code == 0
    assert (tmp_path / "v.transform.pt").read_bytes() == fitted
    changed = arrays_of("v.npz")
    np.testing.assert_array_equal(changed["X"][~others], vectors["X"][~others])
    assert (changed["X"][others] != vectors["X"][others]).any(axis=1).all()


@pytest.mark.parametrize("method", ["minirocket", "summary"])
def test_rows_of_val_and_test_do_not_move_what_is_derived_from_a_table(tsmtl_represent, tmp_path, method):
    rng = np.random.default_rng(0)
    hour, machine = np.tile(np.arange(30), 9), np.repeat(np.arange(9), 30)
    part = np.repeat(["train", "val", "test"], 90)
    columns = {"machine": machine, "time": hour, "part": part, "mode": rng.integers(0, 2, 270), "wear": hour / 30.0}
    read = {"a": rng.normal(size=270), "b": rng.normal(size=270)}
    words = ["data=table", "data.path=plant.csv", "data.entity=machine", "data.time=time", "data.window=12"]
    words += ["data.regression_target=wear", "task=reg", "data.split_key=part", "data.condition=[mode]"]
    words += ["data.derive=[{difference: 1}]", *SMALL[method], "output=v.npz"]
    found = []
    for factor in (1, 100):
        changed = {name: np.where(part == "train", x, factor * x + factor - 1) for name, x in read.items()}
        pl.DataFrame(columns | changed).write_csv("plant.csv")
        answer = tsmtl_represent(*words)
        assert answer.code == 0, answer.err
        found.append(((tmp_path / "v.transform.pt").read_bytes(), arrays_of("v.npz")))
    (transform, vectors), (again, others) = found
    assert again == transform
    train = vectors["split"] == "train"
    np.testing.assert_array_equal(others["X"][train], vectors["X"][train])
    assert (others["X"][~train] != vectors["X"][~train]).any(axis=1).all()


def test_another_process_makes_the_same_bytes(series, tsmtl_represent, tmp_path):
    words = [*WORDS, *SMALL["minirocket"], "output=v.npz", "device=cpu"]
    assert tsmtl_represent(*words).code == 0
    here = [(tmp_path / name).read_bytes() for name in ("v.npz", "v.transform.pt")]
    subprocess.run([sys.executable, "-m", "tsmtl.represent", *words], check=True, timeout=120)
    assert [(tmp_path / name).read_bytes() for name in ("v.npz", "v.transform.pt")] == here


def test_the_file_has_targets_splits_and_groups_in_the_order_of_the_data(series, tsmtl_represent):
    assert tsmtl_represent(*WORDS, "data.group_key=machine", *SMALL["summary"], "output=v.npz").code == 0
    found = arrays_of("v.npz")
    assert found["split"].tolist() == series["part"].tolist()
    assert found["instance"].tolist() == list(range(N))
    assert found["group"].tolist() == series["machine"].tolist()
    assert found["y_cls"].tolist() == series["y_cls"].tolist()
    np.testing.assert_array_equal(found["y_reg"][:, 0], series["y_reg"].astype(np.float32))
    assert found["X"].dtype == np.float32
    assert found["features"][0] == "a mean"
    manifest = json.loads(str(found["tsmtl_manifest"]))
    assert manifest["method"] == "summary"
    assert manifest["embed_dim"] == found["X"].shape[1] == len(found["features"])
    assert set(manifest["arrays"]) == set(found) - {"tsmtl_manifest"}


def test_training_takes_the_vectors_with_their_split_and_units(series, tsmtl_represent, tsmtl_train, tmp_path):
    unit = "data.regression_unit=bar"
    assert tsmtl_represent(*WORDS, unit, *SMALL["minirocket"], "output=v.npz").code == 0
    answer = tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["instances"] == {"train": 50, "val": 20, "test": 20}
    assert summary["tasks"]["reg"]["unit"] == "bar"
    assert summary["tasks"]["cls"]["class_names"] == ["low", "mid", "top"]
    assert summary["data"]["rule"] == "given"
    assert summary["data"]["representation"]["method"] == "minirocket"
    predictor = tsmtl.load_model(tmp_path / "run" / "best_model.pt")
    assert predictor.representation["transform_sha256"] == tsmtl.load_transform("v.transform.pt").sha256


OF_GAPS = {
    "summary": "left out, and their share is a feature",
    "ts2vec": "their steps hidden",
    "masked": "hidden",
    "minirocket": "filled (data.missing=interpolate)",
}


@pytest.mark.parametrize("method", OF_GAPS)
def test_the_log_says_what_becomes_of_missing_values(series, tsmtl_represent, method):
    answer = tsmtl_represent(*WORDS, *SMALL[method], "output=v.npz")
    assert f"data: 13 missing input values, {OF_GAPS[method]}; the first: instance 0, channel b" in answer.err


@pytest.mark.parametrize("task", ["cls", "reg"])
def test_a_single_task_needs_no_model(series, tsmtl_represent, task):
    answer = tsmtl_represent(*WORDS, *SMALL["summary"], f"task={task}", "output=v.npz")
    assert answer.code == 0, answer.err
    assert [name for name in arrays_of("v.npz") if name.startswith("y_")] == [f"y_{task}"]


OTHER = {
    "data.split=stratified": "data.split",
    "data.split_key=machine": "data.split_key",
    "data.split_key=split data.test_fold=1": "data.test_fold",
    "data.split_key=split data.val_fold=1": "data.val_fold",
}


@pytest.mark.parametrize("words", OTHER)
def test_another_split_than_that_of_the_fit_is_refused(series, tsmtl_represent, tsmtl_train, words):
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    answer = tsmtl_train("data=npz", "data.path=v.npz", *FAST, *words.split())
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: {OTHER[words]}: the vectors of v.npz were fitted on the train split of its own 'split'; leave "
        "it out, make them anew with tsmtl-represent, or take them all the same with data.other_split=true"
    ]


def test_another_seed_of_the_split_is_refused_and_other_split_takes_it(series, tsmtl_represent, tsmtl_train, tmp_path):
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    words = ["data=npz", "data.path=v.npz", "data.seed=3", "data.test_fraction=0.3", *FAST]
    answer = tsmtl_train(*words)
    assert answer.code == 2
    assert [line.split(":")[1] for line in answer.lines] == [" data.test_fraction", " data.seed"]
    answer = tsmtl_train(*words, "data.other_split=true", "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["instances"]["test"] == 27


def test_other_split_is_for_vectors_of_tsmtl_represent(series, tsmtl_train):
    answer = tsmtl_train(*WORDS, "data.other_split=true", "model=gru")
    assert answer.lines == ["tsmtl-train: data.other_split: is for vectors of tsmtl-represent; series.npz holds none"]


def test_a_manifest_that_does_not_match_is_refused_with_one_line(series, tsmtl_represent, tsmtl_train):
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    whole = arrays_of("v.npz")
    x = whole["X"].copy()
    x[3, 4] += 1
    split = whole["split"].copy()
    split[[0, -1]] = split[[-1, 0]]
    newer = str(whole["tsmtl_manifest"]).replace('"format": 1', '"format": 9')
    cases = {
        "'X' is not what its manifest was written for": whole | {"X": x},
        "'split' is not what its manifest was written for": whole | {"split": split},
        "its manifest tells of an array 'split', which is gone": {k: v for k, v in whole.items() if k != "split"},
        "format 9 is newer than this tsmtl reads (1)": whole | {"tsmtl_manifest": np.array(newer)},
        "'tsmtl_manifest' is no manifest of tsmtl-represent": whole | {"tsmtl_manifest": np.array("{}")},
    }
    for said, content in cases.items():
        np.savez("changed.npz", **content)
        answer = tsmtl_train("data=npz", "data.path=changed.npz", *FAST)
        assert answer.code == 2
        (line,) = answer.lines
        assert line.startswith("tsmtl-train: changed.npz: ")
        assert said in line


def test_new_series_have_the_same_vectors_in_every_format_and_block(series, tsmtl_represent, tmp_path):
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "output=v.npz").code == 0
    expected = arrays_of("v.npz")
    ids = {"ids": np.zeros(N, int), "y_two": np.zeros((N, 2))}
    write_csv(tmp_path / "new.csv", series | ids)
    write_ts(tmp_path / "new.ts", series)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "X.npy", series["X"])
    for path in ("series.npz", "new.csv", "new.ts", "folder"):
        answer = tsmtl_represent("fitted=v.transform.pt", f"data.path={path}", "output=new.npz", "batch_size=7")
        assert answer.code == 0, answer.err
        found = arrays_of("new.npz")
        np.testing.assert_array_equal(found["X"], expected["X"], err_msg=path)
        names = [f"m{i}" if path == "new.csv" else str(i) for i in range(N)]
        assert found["instance"].astype(str).tolist() == names
        assert "split" not in found


@pytest.mark.parametrize("method", sorted(SMALL))
def test_unequal_lengths_count_by_their_own_steps(series, tsmtl_represent, method):
    lengths = np.random.default_rng(2).integers(12, STEPS + 1, N)
    lengths[0] = STEPS
    x = np.where(np.arange(STEPS) < lengths[:, None, None], series["X"], 0)
    np.savez("series.npz", **series | {"X": x, "lengths": lengths})
    answer = tsmtl_represent(*WORDS, "data.lengths_key=lengths", *SMALL[method], "output=v.npz")
    assert answer.code == 0, answer.err
    vectors = arrays_of("v.npz")["X"]
    transform = tsmtl.load_transform("v.transform.pt")
    for row in (0, 7, 40, 89):
        alone = transform.transform([series["X"][row, :, : lengths[row]]])
        if method in TRAINED:  # the sums of a network hang on the size of the batch
            np.testing.assert_allclose(alone[0], vectors[row], rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(alone[0], vectors[row])


def test_raw_series_are_predicted_as_their_vectors_are(series, tsmtl_represent, tsmtl_train, tsmtl_predict, tmp_path):
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    model, raw = "checkpoint=run/best_model.pt", "data.path=series.npz"
    assert tsmtl_predict(model, "data.path=v.npz", "output=a.csv").code == 0
    answer = tsmtl_predict(model, raw, "transform=v.transform.pt", "output=b.csv", "batch_size=7")
    assert answer.code == 0, answer.err
    a, b = table_of(tmp_path / "a.csv"), table_of(tmp_path / "b.csv")
    assert a["cls_predicted"] == b["cls_predicted"]
    np.testing.assert_allclose(np.array(a["reg_predicted"], float), np.array(b["reg_predicted"], float), rtol=1e-4)

    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=w.npz").code == 0
    answer = tsmtl_predict(model, raw, "transform=w.transform.pt", "output=c.csv")
    assert answer.lines == [
        "tsmtl-predict: transform: w.transform.pt (representation=summary) is not the one that made the vectors of "
        "run/best_model.pt (representation=minirocket)"
    ]


def test_raw_series_and_vectors_that_are_mistaken_for_each_other_come_with_the_cure(
    series, tsmtl_represent, tsmtl_train, tsmtl_predict, tsmtl_evaluate
):
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    model, transform = "checkpoint=run/best_model.pt", "transform=v.transform.pt"
    for command, output in ((tsmtl_predict, "output=p.csv"), (tsmtl_evaluate, "output=p.json")):
        answer = command(model, "data.path=series.npz", output)
        assert answer.code == 2
        assert answer.lines[-1].endswith(
            f": series.npz: 'X': the model reads vectors (N, E) (got shape ({N}, 2, {STEPS})); transform= makes them "
            "of raw series"
        )
        answer = command(model, transform, "data.path=v.npz", output)
        assert answer.code == 2
        assert answer.lines[-1].endswith(f"(got shape ({N}, 46)); vectors need no transform=")


def metrics_of(path):
    return json.loads(path.read_text())["metrics"]


def test_raw_series_are_measured_as_their_vectors_are(series, tsmtl_represent, tsmtl_train, tsmtl_evaluate, tmp_path):
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    model, transform = "checkpoint=run/best_model.pt", "transform=v.transform.pt"
    expected = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    answer = tsmtl_evaluate(model, transform, "output=own.json")
    assert answer.code == 0, answer.err
    assert "warning" not in answer.err
    found = metrics_of(tmp_path / "own.json")
    assert found["cls"]["accuracy"] == expected["cls"]["accuracy"]
    assert found["reg"]["rmse"] == pytest.approx(expected["reg"]["rmse"], rel=1e-5)
    assert tsmtl_evaluate(model, "split=val", "output=v.json").code == 0
    assert tsmtl_evaluate(model, transform, "split=val", "output=raw.json").code == 0
    raw, vectors = (metrics_of(tmp_path / name)["reg"]["rmse"] for name in ("raw.json", "v.json"))
    assert raw == pytest.approx(vectors, rel=1e-5)
    answer = tsmtl_evaluate(model, transform, "data.path=series.npz", "output=file.json", "tasks=[reg]", "batch_size=7")
    assert answer.code == 0, answer.err
    assert tsmtl_evaluate(model, "split=all", "output=all.json").code == 0
    of_file, of_all = (metrics_of(tmp_path / name)["reg"]["rmse"] for name in ("file.json", "all.json"))
    assert of_file == pytest.approx(of_all, rel=1e-5)


def test_a_file_of_raw_series_is_read_by_the_names_of_the_fit(series, tsmtl_represent, tsmtl_train, tsmtl_evaluate):
    series["state"], series["wear"] = series.pop("y_cls"), series.pop("y_reg")
    np.savez("series.npz", **series)
    names = ["data.class_target=state", "data.regression_target=wear"]
    assert tsmtl_represent(*WORDS, *names, *SMALL["summary"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    model, transform = "checkpoint=run/best_model.pt", "transform=v.transform.pt"
    assert tsmtl_evaluate(model, transform, "split=all", "output=all.json").code == 0
    answer = tsmtl_evaluate(model, transform, "data.path=series.npz", "output=file.json")
    assert answer.code == 0, answer.err
    of_file, of_all = (metrics_of(Path(name)) for name in ("file.json", "all.json"))
    assert of_file["cls"]["accuracy"] == of_all["cls"]["accuracy"]
    assert of_file["reg"]["rmse"] == pytest.approx(of_all["reg"]["rmse"], rel=1e-5)


def test_a_transform_knows_the_places_of_its_own_targets(series, tsmtl_represent, tsmtl_train, tsmtl_evaluate):
    tasks = "tasks=[{name: kind, kind: cls, target: y_cls}, {name: n, kind: reg, target: y_reg}]"
    assert tsmtl_represent(*WORDS, "task=custom", tasks, *SMALL["summary"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    answer = tsmtl_evaluate("checkpoint=run/best_model.pt", "transform=v.transform.pt")
    assert answer.lines == [
        "tsmtl-evaluate: transform: v.transform.pt was fitted beside targets of kind, n, the model has cls; measure "
        "others with tasks="
    ]


def test_memory_that_does_not_suffice_for_new_series_is_one_line(
    series, tsmtl_represent, tsmtl_train, tsmtl_predict, tsmtl_evaluate, monkeypatch
):
    def fail(*given):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory")

    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    monkeypatch.setattr("tsmtl.transform.Transform.transform_checked", fail)
    model = ["checkpoint=run/best_model.pt", "transform=v.transform.pt"]
    for command, words in (
        (tsmtl_represent, ["fitted=v.transform.pt", "output=w.npz"]),
        (tsmtl_predict, [*model, "output=w.csv"]),
        (tsmtl_evaluate, [*model, "output=w.json"]),
    ):
        answer = command(*words, "data.path=series.npz", "batch_size=64")
        assert answer.code == 1
        assert answer.lines[-1].endswith(": not enough memory for batch_size=64; take a smaller one")
        assert not Path(words[-1].removeprefix("output=")).exists()


def test_a_transform_is_for_models_of_its_vectors(trained, series, tsmtl_represent, tsmtl_predict):
    run = trained("gru")
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=w.npz").code == 0
    answer = tsmtl_predict(run.checkpoint, f"data.path={run.data}", "transform=w.transform.pt", "output=c.csv")
    assert answer.lines == [
        "tsmtl-predict: transform: the model was not trained on vectors of tsmtl-represent; leave it out"
    ]
    answer = tsmtl_predict("checkpoint=w.transform.pt", f"data.path={run.data}", "output=c.csv")
    assert answer.code == 2
    answer = tsmtl_represent(f"fitted={run.folder / 'best_model.pt'}", f"data.path={run.data}", "output=c.npz")
    assert answer.code == 2
    assert answer.err.endswith("best_model.pt: not a fitted transform of tsmtl-represent\n")


def test_windows_of_a_table_go_the_whole_way(tsmtl_represent, tsmtl_train, tsmtl_predict, tsmtl_evaluate, tmp_path):
    rng = np.random.default_rng(0)
    hour, machine = np.tile(np.arange(40), 9), np.repeat(np.arange(9), 40)
    wear = hour / 40 + 0.1 * rng.normal(size=hour.size)
    columns = {"machine": machine, "time": hour, "a": wear + rng.normal(size=hour.size), "b": wear**2}
    table = pl.DataFrame({**columns, "state": np.where(wear < 0.5, "fresh", "worn"), "wear": wear})
    table.write_csv("plant.csv")
    table.filter(pl.col("machine") == 3).drop("state", "wear").write_csv("new.csv")
    words = ["data=table", "data.path=plant.csv", "data.entity=machine", "data.time=time", "data.class_target=state"]
    words += ["data.regression_target=wear", "data.window=12", "data.stride=4", "data.split=group"]
    answer = tsmtl_represent(*words, "data.derive=[{difference: 1}]", *SMALL["minirocket"], "output=v.npz")
    assert answer.code == 0, answer.err
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    new = ["data.path=new.csv", "data.stride=4"]
    assert tsmtl_represent("fitted=v.transform.pt", *new, "output=new.npz").code == 0
    found = arrays_of("new.npz")
    assert found["entity"].tolist() == [3] * 8 or found["entity"].astype(str).tolist() == ["3"] * 8
    assert found["time"].astype(float).tolist() == [11, 15, 19, 23, 27, 31, 35, 39]
    answer = tsmtl_predict("checkpoint=run/best_model.pt", "transform=v.transform.pt", *new, "output=a.csv")
    assert answer.code == 0, answer.err
    assert tsmtl_predict("checkpoint=run/best_model.pt", "data.path=new.npz", "output=b.csv").code == 0
    a, b = table_of(tmp_path / "a.csv"), table_of(tmp_path / "b.csv")
    assert a["reg_predicted"] == b["reg_predicted"]
    assert a["time"] == [str(t) for t in range(11, 40, 4)]
    model = ["checkpoint=run/best_model.pt", "transform=v.transform.pt"]
    test = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    answer = tsmtl_evaluate(*model, "output=own.json")
    assert answer.code == 0, answer.err
    assert metrics_of(tmp_path / "own.json")["reg"]["rmse"] == pytest.approx(test["reg"]["rmse"], rel=1e-5)
    answer = tsmtl_evaluate(*model, "data.path=plant.csv", "output=rows.json")
    assert answer.code == 0, answer.err
    assert tsmtl_evaluate(model[0], "split=all", "output=all.json").code == 0
    rows, every = (metrics_of(tmp_path / name)["reg"]["rmse"] for name in ("rows.json", "all.json"))
    assert rows == pytest.approx(every, rel=1e-5)


def test_named_tasks_keep_their_words(series, tsmtl_represent, tsmtl_train, tmp_path):
    flags = (np.random.default_rng(3).random((N, 2)) < 0.5).astype(int)
    content = series | {"ids": np.arange(N) % 2, "wet": flags[:, 0], "hot": flags[:, 1]}
    np.savez("series.npz", **content)
    named = "{name: kind, kind: cls, target: ids, names: [off, on]}"
    tasks = (
        f"tasks=[{named}, {{name: flags, kind: multilabel, target: [wet, hot]}}, {{name: n, kind: reg, target: y_reg}}]"
    )
    answer = tsmtl_represent(*WORDS, "task=custom", tasks, *SMALL["summary"], "output=v.npz")
    assert answer.code == 0, answer.err
    answer = tsmtl_train("data=npz", "data.path=v.npz", "task=custom", tasks, *FAST, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    names = {n: t["class_names"] for n, t in json.loads((tmp_path / "run/summary.json").read_text())["tasks"].items()}
    assert names["kind"] == ["off", "on"]
    assert names["flags"] == ["wet", "hot"]
    bad = tasks.replace("target: ids, names: [off, on]", "target: split")
    np.savez("series.npz", **content | {"split": content["y_cls"]})
    answer = tsmtl_represent(*WORDS, "task=custom", bad, *SMALL["summary"], "output=v.npz")
    assert answer.lines == [
        "tsmtl-represent: tasks: the target 'split' of kind has the name of an array of its own there; rename it"
    ]


SHORT = {"catch22": 2, "multirocket": 1}


@pytest.mark.parametrize("method", SHORT)
def test_a_series_that_is_too_short_leaves_earlier_files_as_they_were(series, tsmtl_represent, tmp_path, method):
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz").code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    lengths = np.full(N, STEPS)
    lengths[-1] = SHORT[method]
    np.savez("lengths.npz", **series, lengths=lengths)
    words = [*WORDS[:1], "data.path=lengths.npz", *WORDS[2:], "data.lengths_key=lengths", *SMALL[method]]
    answer = tsmtl_represent(*words, "output=v.npz")
    assert answer.code == 2
    assert answer.lines[-1] == (
        f"tsmtl-represent: lengths.npz: instance {N - 1} has {SHORT[method]} time steps; the model reads "
        f"{SHORT[method] + 1} or more"
    )
    Path("lengths.npz").unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


REFUSED = {
    "output=v.csv": "output: must be a file that ends in .npz, .parquet (got 'v.csv')",
    "output=none/v.npz": "output: there is no folder none",
    "output=v.npz transform=t.npz": "transform: must be a file that ends in .pt (got 't.npz')",
    "output=v.npz representation=rocket": "representation: must be one of catch22, checkpoint, chronos, contrastive",
    "output=v.npz representation.num_features=83": "representation.num_features: must be a whole number, at least 84",
    "output=v.npz representation.bands=2": "representation.bands: not a setting of representation=minirocket, but of",
    "output=v.npz representation.num_featurs=100": "representation.num_featurs: unknown setting; did you mean",
    "output=series.npz data=npz data.path=./series.npz": "output: series.npz is the file to read; name another",
    "output=v.npz representation=checkpoint representation.path=./m.pt transform=m.pt": "transform: m.pt is the file",
    "output=v.npz transform=v.last.pt": "transform: v.last.pt is where a training keeps its state; name another",
    "output=v.npz lr=7": "lr: must be a number in (0, 0.1]",
    "output=v.npz -m": "-m: unknown flag",
    "output=v.npz representation=summary representation.quantiles=[2]": "representation.quantiles: must be a list",
    "fitted=v.transform.pt data.path=series.npz output=w.npz representation=summary": "representation: the fitted",
    "fitted=none.pt data.path=series.npz output=w.npz": "none.pt: there is no such transform",
    "fitted=v.transform.pt data.path=series.npz output=w.npz resume=true": "resume: with fitted= nothing is trained",
    "fitted=v.transform.pt data.path=series.npz output=series.npz": "output: series.npz is the file to read",
    "fitted=v.transform.pt data.path=series.pdf output=w.npz": "data.path: must be a file that ends in .npz",
    "": "output: must be text (got null)",
}


@pytest.mark.parametrize("words", REFUSED)
def test_wrong_words_are_refused_with_a_line_and_nothing_is_written(series, tsmtl_represent, tmp_path, words):
    answer = tsmtl_represent(*words.split())
    assert answer.code == 2
    assert f"tsmtl-represent: {REFUSED[words]}" in answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series.npz"]


def test_vectors_are_no_series(vectors, tsmtl_represent):
    answer = tsmtl_represent("data=npz", f"data.path={vectors}", "output=v.npz")
    assert answer.code == 2
    assert "holds vectors (N, E) already; representations are made of series (N, C, T)" in answer.err


def test_the_help_lists_every_setting(tsmtl_represent):
    out = tsmtl_represent("--help").out
    for key in (
        "representation.num_features",
        "representation.bands",
        "transform",
        "fitted",
        "data.path",
        "batch_size",
    ):
        assert f"\n  {key} " in out, key
