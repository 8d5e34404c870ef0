"""Vectors of ``tsmtl-represent`` in training, and raw series through their transform in prediction and measurement."""

import json
from pathlib import Path

import numpy as np
import pytest

import tsmtl
from tests.represented import FAST, OTHER, SMALL, STEPS, WORDS, N, arrays_of, metrics_of
from tests.trained import table_of


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


def test_the_transform_of_vectors_in_the_other_format_is_not_replaced(
    series, tsmtl_represent, tsmtl_train, tsmtl_predict, tmp_path
):
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "output=v.npz").code == 0
    assert tsmtl_train("data=npz", "data.path=v.npz", *FAST, "hydra.run.dir=run").code == 0
    fitted = (tmp_path / "v.transform.pt").read_bytes()
    for other in (SMALL["summary"], [*SMALL["minirocket"], "seed=1"], [*SMALL["minirocket"], "data.signed_log=1"]):
        answer = tsmtl_represent(*WORDS, *other, "output=v.parquet")
        assert answer.code == 2
        assert answer.lines == [
            "tsmtl-represent: transform: v.transform.pt is that of v.npz, and this fit is another one; name another "
            "file with transform="
        ]
    assert not (tmp_path / "v.parquet").exists()
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "output=v.parquet").code == 0  # the same fit
    assert (tmp_path / "v.transform.pt").read_bytes() == fitted
    assert tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.parquet", "transform=s.pt").code == 0
    words = ["checkpoint=run/best_model.pt", "data.path=series.npz", "transform=v.transform.pt", "output=a.csv"]
    assert tsmtl_predict(*words).code == 0
    answer = tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.npz")  # takes the place of both
    assert answer.code == 0, answer.err
    np.savez("series.npz", **series | {"X": series["X"] + 1})
    answer = tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.parquet")
    assert answer.code == 2
    assert "this fit is another one" in answer.err


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
