"""Vectors in tables, through the commands: from ``tsmtl-represent`` into training and prediction, or from anywhere."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.represented import FAST, OTHER, SMALL, WORDS, arrays_of, metrics_of
from tests.trained import table_of
from tsmtl.data.manifest import MANIFEST
from tsmtl.representation.vector_file import ParquetVectors

UNIT, GROUP = "data.regression_unit=bar", "data.group_key=machine"
TABLE = ["data=vectors", "data.path=v.parquet"]


@pytest.fixture
def both(series, tsmtl_represent):
    """The same vectors as v.npz and as v.parquet."""
    for ending in ("npz", "parquet"):
        answer = tsmtl_represent(*WORDS, UNIT, GROUP, *SMALL["minirocket"], f"output=v.{ending}")
        assert answer.code == 0, answer.err
    return series


def manifest_of(path):
    return json.loads(pl.read_parquet_metadata(path)[MANIFEST])


def test_a_parquet_file_holds_what_the_arrays_do(both):
    arrays, frame, manifest = arrays_of("v.npz"), pl.read_parquet("v.parquet"), manifest_of("v.parquet")
    names = arrays["features"].tolist()
    assert frame.columns == ["instance", "split", "group", "y_cls", "y_reg", *names]
    np.testing.assert_array_equal(frame.select(names).to_numpy(), arrays["X"])
    for name in ("instance", "split", "group", "y_cls"):
        assert frame[name].to_list() == arrays[name].tolist()
    np.testing.assert_array_equal(frame["y_reg"].to_numpy(), arrays["y_reg"][:, 0])
    of_arrays = json.loads(str(arrays[MANIFEST]))
    assert manifest["arrays"].keys() == of_arrays["arrays"].keys() - {"features"}
    assert manifest["arrays"]["X"] == of_arrays["arrays"]["X"]
    assert manifest["features"] == names
    assert {k: v for k, v in manifest.items() if k not in ("arrays", "features")} == {
        k: v for k, v in of_arrays.items() if k != "arrays"
    }


def test_another_process_makes_the_same_bytes(series, tsmtl_represent, tmp_path):
    words = [*WORDS, *SMALL["minirocket"], "output=v.parquet", "device=cpu"]
    assert tsmtl_represent(*words).code == 0
    here = (tmp_path / "v.parquet").read_bytes()
    subprocess.run([sys.executable, "-m", "tsmtl.represent", *words], check=True, timeout=120)
    assert (tmp_path / "v.parquet").read_bytes() == here


def test_training_prediction_and_metrics_are_those_of_the_arrays(
    both, tsmtl_train, tsmtl_predict, tsmtl_evaluate, tmp_path
):
    for folder, words in (("a", ["data=npz", "data.path=v.npz"]), ("b", TABLE)):
        answer = tsmtl_train(*words, *FAST, f"hydra.run.dir={folder}")
        assert answer.code == 0, answer.err
    summaries = [json.loads((tmp_path / folder / "summary.json").read_text()) for folder in "ab"]
    assert summaries[0]["test"] == summaries[1]["test"]
    assert summaries[0]["tasks"] == summaries[1]["tasks"]
    assert summaries[0]["data"]["sha256"] == summaries[1]["data"]["sha256"]
    assert summaries[1]["data"]["representation"]["method"] == "minirocket"
    assert (tmp_path / "a/predictions_test.csv").read_bytes() == (tmp_path / "b/predictions_test.csv").read_bytes()
    pl.read_parquet("v.parquet").drop("y_cls", "y_reg", "split").write_csv("new.csv")
    files = {
        "a.csv": "a v.npz",
        "b.csv": "b v.parquet",
        "c.csv": "b new.csv",
        "d.csv": "a v.parquet",
        "e.csv": "b v.npz",
    }
    for name, words in files.items():
        folder, path = words.split()
        answer = tsmtl_predict(f"checkpoint={folder}/best_model.pt", f"data.path={path}", f"output={name}")
        assert answer.code == 0, answer.err
    assert len({(tmp_path / name).read_bytes() for name in files}) == 1
    model = "checkpoint=b/best_model.pt"
    assert tsmtl_evaluate(model, "output=own.json").code == 0
    assert metrics_of(tmp_path / "own.json")["reg"]["rmse"] == summaries[1]["test"]["reg"]["rmse"]
    assert tsmtl_evaluate(model, "split=all", "output=all.json").code == 0
    assert tsmtl_evaluate(model, "data.path=v.parquet", "output=file.json").code == 0
    assert metrics_of(tmp_path / "all.json") == metrics_of(tmp_path / "file.json")


@pytest.mark.parametrize("words", OTHER)
def test_another_split_than_that_of_the_fit_is_refused(both, tsmtl_train, words):
    answer = tsmtl_train(*TABLE, *FAST, *words.split())
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: {OTHER[words]}: the vectors of v.parquet were fitted on the train split of its own 'split'; "
        "leave it out, make them anew with tsmtl-represent, or take them all the same with data.other_split=true"
    ]


def test_another_seed_is_refused_and_other_split_takes_it(both, tsmtl_train, tmp_path):
    words = [*TABLE, "data.seed=3", "data.test_fraction=0.3", *FAST]
    answer = tsmtl_train(*words)
    assert answer.code == 2
    assert [line.split(":")[1] for line in answer.lines] == [" data.test_fraction", " data.seed"]
    answer = tsmtl_train(*words, "data.other_split=true", "hydra.run.dir=run")
    assert answer.code == 0, answer.err


def test_a_manifest_that_does_not_match_is_refused_with_one_line(both, tsmtl_train):
    whole, said = pl.read_parquet("v.parquet"), pl.read_parquet_metadata("v.parquet")[MANIFEST]
    first = manifest_of("v.parquet")["features"][0]
    cases = {
        "'X' is not what its manifest was written for": (whole.with_columns(pl.col(first) + 1), said),
        "'split' is not what its manifest was written for": (whole.with_columns(pl.col("split").reverse()), said),
        "its manifest tells of a column 'split', which is gone": (whole.drop("split"), said),
        f"its manifest tells of a column '{first}', which is gone": (whole.drop(first), said),
        "format 9 is newer than this tsmtl reads (1)": (whole, said.replace('"format": 1', '"format": 9')),
        "'tsmtl_manifest' is no manifest of tsmtl-represent": (whole, "{}"),
    }
    for refused, (frame, manifest) in cases.items():
        frame.write_parquet("changed.parquet", metadata={MANIFEST: manifest})
        answer = tsmtl_train("data=vectors", "data.path=changed.parquet", *FAST)
        assert answer.code == 2
        (line,) = answer.lines
        assert line.startswith("tsmtl-train: changed.parquet: ")
        assert refused in line


def test_columns_that_are_added_are_left_alone(both, tsmtl_check_data):
    said = pl.read_parquet_metadata("v.parquet")[MANIFEST]
    pl.read_parquet("v.parquet").with_columns(mine=1.0).write_parquet("v.parquet", metadata={MANIFEST: said})
    answer = tsmtl_check_data(*TABLE)
    assert answer.code == 0, answer.err
    assert f"90 instances of {len(manifest_of('v.parquet')['features'])}" in answer.out
    assert "mine" not in answer.out


def test_new_series_have_the_same_vectors(both, tsmtl_represent):
    words = ["fitted=v.transform.pt", "data.path=series.npz"]
    for name in ("new.npz", "new.parquet"):
        answer = tsmtl_represent(*words, f"output={name}", "batch_size=7")
        assert answer.code == 0, answer.err
    arrays, frame = arrays_of("new.npz"), pl.read_parquet("new.parquet")
    assert frame.columns == ["instance", *arrays["features"].tolist()]
    np.testing.assert_array_equal(frame.drop("instance").to_numpy(), arrays["X"])
    assert manifest_of("new.parquet")["arrays"].keys() == {"X", "instance"}


@pytest.mark.parametrize(("ending", "kind"), [("npz", "npz"), ("parquet", "vectors")])
def test_another_split_of_vectors_of_a_known_transform_is_told_of(
    both, tsmtl_represent, tsmtl_check_data, ending, kind
):
    assert tsmtl_represent("fitted=v.transform.pt", "data.path=series.npz", f"output=new.{ending}").code == 0
    if ending == "npz":
        arrays = arrays_of("new.npz")
        np.savez("new.npz", **arrays, y_cls=both["y_cls"], y_reg=both["y_reg"])
    else:
        said = pl.read_parquet_metadata("new.parquet")[MANIFEST]
        frame = pl.read_parquet("new.parquet").with_columns(
            y_cls=pl.Series(arrays_of("v.npz")["y_cls"].tolist()), y_reg=pl.Series(both["y_reg"].ravel())
        )
        frame.write_parquet("new.parquet", metadata={MANIFEST: said})
    note = "that of a training may test on series that their transform was fitted on"
    answer = tsmtl_check_data(f"data={kind}", f"data.path=new.{ending}")
    assert answer.code == 0, answer.err
    assert note in answer.out
    answer = tsmtl_check_data(f"data={kind}", f"data.path=v.{ending}")
    assert answer.code == 0, answer.err
    assert note not in answer.out


def test_named_tasks_keep_their_words(series, tsmtl_represent, tsmtl_train, tmp_path):
    flags = (np.random.default_rng(3).random((90, 2)) < 0.5).astype(int)
    np.savez("series.npz", **series, ids=np.arange(90) % 2, flags=flags)
    tasks = "tasks=[{name: kind, kind: cls, target: ids, names: [off, on]}, {name: f, kind: multilabel, target: flags}]"
    for ending, kind in (("npz", "npz"), ("parquet", "vectors")):
        answer = tsmtl_represent(*WORDS, "task=custom", tasks, *SMALL["summary"], f"output=v.{ending}")
        assert answer.code == 0, answer.err
        words = [f"data={kind}", f"data.path=v.{ending}", "task=custom", tasks, *FAST, f"hydra.run.dir={kind}"]
        answer = tsmtl_train(*words)
        assert answer.code == 0, answer.err
    assert pl.read_parquet("v.parquet").columns[2:5] == ["ids", "flags_1", "flags_2"]
    tables = [(tmp_path / kind / "predictions_test.csv").read_bytes() for kind in ("npz", "vectors")]
    assert tables[0] == tables[1]


def test_features_of_one_name_are_refused_in_a_table(series, tsmtl_represent, tmp_path):
    np.savez("series.npz", **series | {"channels": np.array(["a", "a"])})
    answer = tsmtl_represent(*WORDS, *SMALL["summary"], "output=v.parquet")
    assert answer.code == 2
    assert answer.lines[-1] == (
        "tsmtl-represent: output: two columns would be called 'a mean'; give channels and targets names of their own, "
        "or take a .npz file, whose features may be called alike"
    )
    assert not (tmp_path / "v.parquet").exists()


def test_a_full_disk_is_an_error_of_the_operating_system(tmp_path):
    with open("/dev/full", "wb") as out, (tmp_path / "spool").open("w+b") as spool:
        file = ParquetVectors(out, spool, [f"f{i}" for i in range(100)])
        file.add(np.ones((10_000, 100), dtype=np.float32))
        with pytest.raises(OSError, match="No space left on device"):
            file.finish({"instance": np.arange(10_000)}, {})


@pytest.fixture
def plant():
    """A feature table from anywhere, plant.csv, and new rows of it without targets, in another order of columns."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 4))
    frame = pl.DataFrame({f"f{i}": x[:, i] for i in range(4)})
    serial = [f"s{i}" for i in range(120)]
    frame = frame.with_columns(serial=pl.Series(serial), fault=pl.Series(np.where(x[:, 0] > 0, "worn", "ok")))
    frame = frame.with_columns(wear=pl.col("f1") * 3 + 5, site=pl.Series(np.arange(120) // 6))
    frame.write_csv("plant.csv")
    frame.select("f3", "serial", "f2", "f1", "f0").head(9).write_csv("new.csv")
    return frame


PLANT = ["data=vectors", "data.path=plant.csv", "data.class_target=fault", "data.regression_target=wear"]
PLANT += ["data.group_key=site", "data.instance_key=serial"]


def test_a_feature_table_trains_and_predicts(command, plant, tsmtl_train, tsmtl_predict, tsmtl_evaluate, tmp_path):
    answer = tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    rows = table_of(tmp_path / "run" / "predictions_test.csv")
    truth = dict(zip(plant["serial"], plant["fault"], strict=True))
    assert [truth[name] for name in rows["instance"]] == rows["cls_true"]
    answer = tsmtl_predict("checkpoint=run/best_model.pt", "data.path=new.csv", "output=p.csv")
    assert answer.code == 0, answer.err
    assert table_of(tmp_path / "p.csv")["instance"] == plant["serial"][:9].to_list()
    plant.select(reversed(plant.columns)).write_parquet("other.parquet")
    model = "checkpoint=run/best_model.pt"
    assert tsmtl_evaluate(model, "output=own.json").code == 0
    answer = tsmtl_evaluate(model, "data.path=other.parquet", "split=test", "output=other.json")
    assert answer.code == 0, answer.err
    assert metrics_of(tmp_path / "own.json") == metrics_of(tmp_path / "other.json")


@pytest.mark.parametrize("kind", ["npz", "vectors"])
def test_several_numbers_are_a_list_on_every_command_line(
    command, plant, tsmtl_train, tsmtl_check_data, tsmtl_evaluate, tmp_path, kind
):
    frame = plant.with_columns((2 - pl.col("f2")).alias("load (kN)"))
    frame.write_csv("plant.csv")
    arrays = {name: frame[name].to_numpy() for name in ("wear", "load (kN)")}
    np.savez("plant.npz", X=plant.select("^f.$").to_numpy(), fault=plant["fault"].to_numpy().astype(str), **arrays)
    source = {"npz": ["data.path=plant.npz"], "vectors": ["data.path=plant.csv", "data.features=[f?]"]}[kind]
    words = [f"data={kind}", *source, "data.class_target=fault", "data.regression_target=[wear,load (kN)]"]
    answer = tsmtl_check_data(*words)
    assert answer.code == 0, answer.err
    answer = tsmtl_train(*words, *FAST, "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    model, both = "checkpoint=run/best_model.pt", "data.regression_target=[wear,load (kN)]"
    for output, more in {"all": ["split=all"], "file": [source[0], both], "given": ["split=all", both]}.items():
        answer = tsmtl_evaluate(model, *more, f"output={output}.json")
        assert answer.code == 0, answer.err
    found = [metrics_of(tmp_path / f"{output}.json") for output in ("all", "file", "given")]
    assert found[0] == found[1] == found[2]
    assert tsmtl_evaluate(model, source[0], "data.regression_target=[load (kN),wear]", "output=turned.json").code == 0
    assert metrics_of(tmp_path / "turned.json")["reg"]["rmse"] > found[0]["reg"]["rmse"]


def test_a_feature_that_looks_like_a_pattern_is_found_by_its_name_alone(
    command, plant, tsmtl_train, tsmtl_evaluate, tmp_path
):
    named = plant.rename({"f1": "f[0]"})
    named.write_csv("plant.csv")
    assert tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run").code == 0
    model = ["checkpoint=run/best_model.pt", "split=test"]
    named.select(reversed(named.columns)).write_csv("other.csv")
    assert tsmtl_evaluate(*model, "output=own.json").code == 0
    assert tsmtl_evaluate(*model, "data.path=other.csv", "output=other.json").code == 0
    assert metrics_of(tmp_path / "own.json") == metrics_of(tmp_path / "other.json")
    named.drop("f[0]").write_csv("other.csv")
    answer = tsmtl_evaluate(*model, "data.path=other.csv")
    assert answer.code == 2
    assert answer.lines == ["tsmtl-evaluate: other.csv: no column 'f[0]', which the model was trained on"]


def test_a_carriage_return_alone_is_refused_with_its_row(command, plant, tsmtl_train, tsmtl_predict, tmp_path):
    assert tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run").code == 0
    lines = plant.write_csv().splitlines()
    mixed = "\n".join(lines[:3]) + "\r" + "\n".join(lines[3:]) + "\n"
    for text, row in (("\r".join(lines), 1), (mixed, 3), (mixed.replace("s100", '"s100"'), 3)):
        (tmp_path / "plant.csv").write_bytes(text.encode())
        said = f"plant.csv: row {row} ends in a carriage return alone; save the file with the line breaks of Unix or "
        said += "Windows (LF or CRLF); within a cell, one needs quotes around the cell"
        answer = tsmtl_train(*PLANT, *FAST, "hydra.run.dir=other")
        assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])
        answer = tsmtl_predict("checkpoint=run/best_model.pt", "data.path=plant.csv", "output=p.csv")
        assert (answer.code, answer.lines) == (2, [f"tsmtl-predict: {said}"])


def test_cells_that_no_comma_separates_are_asked_for_without_a_setting_that_is_not_there(
    command, plant, tsmtl_train, tsmtl_predict, tmp_path
):
    assert tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run").code == 0
    text = plant.write_csv()
    (tmp_path / "plant.csv").write_text(text.replace(",", ";").replace(".", ","))
    answer = tsmtl_train(*PLANT, *FAST, "hydra.run.dir=other")
    assert answer.code == 2
    (line,) = answer.lines
    assert line.startswith("tsmtl-train: plant.csv: no column 'fault' (data.class_target); it has f0;f1;f2;f3;serial;")
    assert line.endswith("; are its cells separated by commas?")
    (tmp_path / "new.csv").write_text(text + "1;2;3;4\n")
    answer = tsmtl_predict("checkpoint=run/best_model.pt", "data.path=new.csv", "output=p.csv")
    assert answer.code == 2
    said = "new.csv: row 122 has 1 cells, the header 8; are its cells separated by commas?"
    assert answer.lines == [f"tsmtl-predict: {said}"]


def test_a_sweep_over_a_table_shares_its_data(command, plant, tmp_path):
    words = [sys.executable, "-m", "tsmtl.train", "-m", *PLANT, *FAST, "seed=0,1", "hydra.sweep.dir=sweep"]
    subprocess.run([*words, "hydra.launcher.n_jobs=2"], check=True, timeout=240, cwd=tmp_path, capture_output=True)
    summaries = [json.loads(file.read_text()) for file in Path("sweep").glob("*/summary.json")]
    assert len({summary["data"]["sha256"] for summary in summaries}) == 1
    assert len(summaries) == 2


def test_test_instances_that_a_checkpoint_has_seen_are_refused(command, plant, tsmtl_train):
    assert tsmtl_train(*PLANT, *FAST, "task=reg", "hydra.run.dir=run").code == 0
    again = [*PLANT, *FAST, "stage=finetune", "pretrained_path=run/best_model.pt"]
    assert tsmtl_train(*again, "hydra.run.dir=fine").code == 0
    answer = tsmtl_train(*again, "data.seed=5", "hydra.run.dir=other")
    assert answer.code == 2
    assert "test instances are among those" in answer.err


@pytest.mark.parametrize("key", ["regression_target", "class_target", "group_key", "instance_key"])
def test_a_feature_that_has_another_part_is_no_input(both, tsmtl_train, key):
    features = manifest_of("v.parquet")["features"]
    words = [*TABLE, *FAST, "task=reg" if key == "regression_target" else "task=cls", f"data.{key}={features[1]}"]
    answer = tsmtl_train(*words)
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: data.{key}: '{features[1]}' is one of the vectors' features in v.parquet too, and no input; "
        "data.features=[*] takes the others"
    ]
    if key == "regression_target":
        answer = tsmtl_train(*words, "data.features=[*]")
        assert answer.code == 0, answer.err
        assert f"data: v.parquet, {len(features) - 1} (train " in answer.err


def test_a_table_written_anew_needs_its_split_named(both, tsmtl_train, tmp_path):
    pl.read_parquet("v.parquet").write_parquet("anew.parquet")
    answer = tsmtl_train("data=vectors", "data.path=anew.parquet", *FAST)
    assert answer.code == 2
    assert "column 'split' holds train, val, test, and no setting reads it" in answer.err
    for name in ("anew", "v"):
        words = [f"data.path={name}.parquet", "data.split_key=split", f"hydra.run.dir={name}"]
        answer = tsmtl_train("data=vectors", *words, *FAST)
        assert answer.code == 0, answer.err
    assert (tmp_path / "anew/predictions_test.csv").read_bytes() == (tmp_path / "v/predictions_test.csv").read_bytes()


@pytest.mark.parametrize("cells", [("0.0", "1.0"), ("01", "02"), ("True", "False")])
def test_a_model_is_evaluated_on_the_file_it_was_trained_on(
    command, plant, tsmtl_train, tsmtl_evaluate, tmp_path, cells
):
    serial = pl.Series([f"{i:04d}" for i in range(len(plant))])
    plant = plant.with_columns(serial=serial, fault=pl.Series([cells[word == "worn"] for word in plant["fault"]]))
    plant.rename({"wear": "wear_1"}).write_csv("plant.csv")
    found = []
    assert tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run").code == 0
    names = table_of(tmp_path / "run/predictions_test.csv")["instance"]
    assert set(names) <= set(serial)
    model = "checkpoint=run/best_model.pt"
    (tmp_path / "plant.csv.gz").write_bytes(gzip.compress((tmp_path / "plant.csv").read_bytes()))
    for words in (["split=all"], ["data.path=plant.csv"], ["data.path=plant.csv.gz"]):
        answer = tsmtl_evaluate(model, *words, "output=found.json")
        assert answer.code == 0, answer.err
        found.append(metrics_of(tmp_path / "found.json"))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_vectors_of_another_fit_are_refused_by_a_model(
    both, tsmtl_represent, tsmtl_train, tsmtl_predict, tsmtl_evaluate, tmp_path, ending
):
    assert tsmtl_train(*TABLE, *FAST, "hydra.run.dir=run").code == 0
    assert tsmtl_represent(*WORDS, *SMALL["minirocket"], "seed=7", f"output=other.{ending}").code == 0
    fitted = ["fitted=v.transform.pt", "data.path=series.npz"]
    assert tsmtl_represent(*fitted, f"output=new.{ending}").code == 0
    model = "checkpoint=run/best_model.pt"
    assert tsmtl_predict(model, f"data.path=new.{ending}", "output=p.csv").code == 0
    if ending == "parquet":
        assert pl.read_parquet("other.parquet").columns[4:] == pl.read_parquet("v.parquet").columns[5:]
        assert tsmtl_evaluate(model, "data.path=v.parquet", "split=test").code == 0
    said = f"other.{ending}: its vectors (representation=minirocket) are of another transform than those of the model "
    said += (
        "(representation=minirocket); make them with tsmtl-represent fitted= and the transform that was written beside "
    )
    said += "the model's"
    calls = [(tsmtl_predict, "tsmtl-predict", ["output=q.csv"]), (tsmtl_evaluate, "tsmtl-evaluate", [])]
    calls += [(tsmtl_evaluate, "tsmtl-evaluate", ["split=test"])] if ending == "parquet" else []
    for run, name, more in calls:
        answer = run(model, f"data.path=other.{ending}", *more)
        assert (answer.code, answer.lines) == (2, [f"{name}: {said}"])
    assert not (tmp_path / "q.csv").exists()


def test_an_npz_file_of_vectors_is_read_by_the_names_of_its_features(both, tsmtl_train, tsmtl_predict, tmp_path):
    pl.read_parquet("v.parquet").write_csv("anew.csv")
    names = [f"'{name}'" for name in manifest_of("v.parquet")["features"]]
    words = ["data=vectors", "data.path=anew.csv", "data.split_key=split"]
    assert tsmtl_train(*words, *FAST, "hydra.run.dir=same").code == 0
    turned = f"data.features=[{','.join(reversed(names))}]"
    assert tsmtl_train(*words, *FAST, turned, "hydra.run.dir=turned").code == 0
    assert tsmtl_predict("checkpoint=same/best_model.pt", "data.path=v.npz", "output=p.csv").code == 0
    answer = tsmtl_predict("checkpoint=turned/best_model.pt", "data.path=v.npz", "output=q.csv")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-predict: v.npz: 'features': 1. is ")


def test_evaluation_takes_no_other_features_than_the_model(command, plant, tsmtl_train, tsmtl_evaluate):
    assert tsmtl_train(*PLANT, *FAST, "hydra.run.dir=run").code == 0
    answer = tsmtl_evaluate("checkpoint=run/best_model.pt", "data.features=[f3,f2,f1,f0]")
    assert answer.code == 2
    (line,) = answer.lines
    assert line.startswith("tsmtl-evaluate: data.features: unknown setting")


def test_fine_tuning_asks_for_the_order_of_features_and_tells_of_another_fit(both, tsmtl_represent, tsmtl_train):
    assert tsmtl_train(*TABLE, *FAST, "hydra.run.dir=run").code == 0
    names = [f"'{name}'" for name in manifest_of("v.parquet")["features"]]
    fine = [*FAST, "stage=finetune", "pretrained_path=run/best_model.pt"]
    answer = tsmtl_train(*TABLE, *fine, f"data.features=[{','.join(reversed(names))}]", "hydra.run.dir=turned")
    assert answer.code == 2
    (line,) = answer.lines
    assert line.startswith(f"tsmtl-train: v.parquet: a feature is named {names[-1][1:-1]}, in run/best_model.pt it is ")
    assert line.endswith("; give them in that order (data=vectors: by data.features)")
    answer = tsmtl_train(*TABLE, *fine, "hydra.run.dir=same")
    assert answer.code == 0, answer.err
    assert "another transform" not in answer.err
    assert tsmtl_represent(*WORDS, UNIT, GROUP, *SMALL["minirocket"], "seed=7", "output=other.parquet").code == 0
    answer = tsmtl_train("data=vectors", "data.path=other.parquet", *fine, "hydra.run.dir=other")
    assert answer.code == 0, answer.err
    assert "other.parquet: its vectors are of another transform than those that run/best_model.pt was" in answer.err
