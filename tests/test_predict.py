"""``tsmtl-predict`` gives for a file what the run predicted, whatever the formats; what it cannot use it refuses."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from tests.trained import CLASSES, SMALL, series_of, table_of, write_csv, write_ts
from tsmtl.config.help import sister_help_text
from tsmtl.predict import ABOUT, _sections

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}  # a batch of another size sums in another order


def numbers(table: dict[str, list[str]]) -> dict[str, np.ndarray]:
    return {k: np.array(v, dtype=float) for k, v in table.items() if "_p_" in k or k.startswith("reg_predicted")}


def assert_same(got: dict[str, list[str]], expected: dict[str, list[str]]) -> None:
    assert list(got) == list(expected)
    assert got["cls_predicted"] == expected["cls_predicted"]
    for name, values in numbers(expected).items():
        np.testing.assert_allclose(numbers(got)[name], values, **TOLERANCE)


@pytest.mark.parametrize("batch", [1, 7, 40])
@pytest.mark.parametrize("case", [*SMALL, "lengths", "two numbers"])
def test_on_the_file_of_the_run_it_predicts_what_the_run_did(trained, tsmtl_predict, tmp_path, case, batch):
    run = trained(case)
    answer = tsmtl_predict(run.checkpoint, f"data.path={run.data}", "output=out.csv", f"batch_size={batch}")
    assert answer.code == 0, answer.err
    expected = {k: v for k, v in table_of(run.folder / "predictions_test.csv").items() if "_true" not in k}
    whole = table_of(tmp_path / "out.csv")
    assert whole["instance"] == [str(i) for i in range(40)]
    rows = [int(i) for i in expected["instance"]]
    assert_same({name: [column[i] for i in rows] for name, column in whole.items()}, expected)
    assert answer.lines[0].startswith(f"predicted: 40 instances of {run.data}, cls (y_cls), reg (")
    needed = "5 labelled val instances, 9 are needed"
    assert answer.lines[1:] == [
        f"warning: level: intervals of reg ({'y_two' if case == 'two numbers' else 'y_reg'}) have no ends: {needed}",
        "output: out.csv",
    ]


@pytest.mark.parametrize("case", ["gru", "lengths", "cnn1d", "fc"])
def test_every_format_of_the_input_gives_the_same(trained, tsmtl_predict, tmp_path, case):
    run = trained(case)
    files = {"npz": run.data, "csv": write_csv(tmp_path / "new.csv", run.arrays)}
    if case != "fc":
        files["ts"] = write_ts(tmp_path / "new.ts", run.arrays)
    tables = {}
    for kind, path in files.items():
        answer = tsmtl_predict(run.checkpoint, f"data.path={path}", f"output={kind}.csv", "batch_size=7")
        assert answer.code == 0, answer.err
        tables[kind] = table_of(tmp_path / f"{kind}.csv")
        assert tables[kind]["instance"] == [f"m{i}" if kind == "csv" else str(i) for i in range(40)]
        assert_same(tables[kind], tables["npz"])


@pytest.mark.parametrize("case", ["gru", "two numbers"])
def test_every_format_of_the_output_holds_the_same(trained, tsmtl_predict, tmp_path, case):
    run = trained(case)
    for ending in ("csv", "npz", "parquet"):
        assert tsmtl_predict(run.checkpoint, f"data.path={run.data}", f"output=out.{ending}", "batch_size=7").code == 0
    table = table_of(tmp_path / "out.csv")
    parquet = pl.read_parquet(tmp_path / "out.parquet")
    assert parquet.columns == list(table)
    assert parquet["instance"].to_list() == [int(i) for i in table["instance"]]
    assert parquet["cls_predicted"].to_list() == table["cls_predicted"]
    for name, values in numbers(table).items():
        assert parquet[name].dtype == pl.Float32
        np.testing.assert_array_equal(parquet[name].to_numpy(), values.astype(np.float32))  # .9g reads back exactly
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["instance"].tolist() == parquet["instance"].to_list()
        assert arrays["cls_predicted"].tolist() == table["cls_predicted"]
        assert arrays["cls_classes"].tolist() == CLASSES
        np.testing.assert_array_equal(arrays["cls_p"], parquet.select(pl.col("^cls_p_.*$")).to_numpy())
        predicted = parquet.select(pl.col("^reg_predicted.*$")).to_numpy()
        assert arrays["reg_predicted"].shape == ((40,) if case == "gru" else (40, 2))
        np.testing.assert_array_equal(arrays["reg_predicted"].reshape(40, -1), predicted)


def test_vectors_without_an_instance_column_are_numbered(trained, tsmtl_predict, tmp_path):
    run = trained("fc")
    text = write_csv(tmp_path / "new.csv", run.arrays).read_text().replace("instance", "name", 1)
    (tmp_path / "new.csv").write_text(text)
    assert tsmtl_predict(run.checkpoint, "data.path=new.csv", "output=out.csv", "batch_size=7").code == 0
    assert table_of(tmp_path / "out.csv")["instance"] == [str(i) for i in range(40)]
    assert tsmtl_predict(run.checkpoint, "data.path=new.csv", "output=out.csv", "data.instance_key=name").code == 0
    assert table_of(tmp_path / "out.csv")["instance"] == [f"m{i}" for i in range(40)]


def test_an_empty_cell_is_a_missing_value_in_every_format(trained, tsmtl_predict, tmp_path):
    run = trained("gru")
    arrays = run.arrays
    arrays["X"][2, 1, 3:6] = np.nan
    arrays["X"][7, 0] = np.nan
    np.savez(tmp_path / "new.npz", X=arrays["X"])
    write_csv(tmp_path / "new.csv", arrays)
    write_ts(tmp_path / "new.ts", arrays)
    tables = []
    for kind in ("npz", "csv", "ts"):
        answer = tsmtl_predict(run.checkpoint, f"data.path=new.{kind}", f"output={kind}.out.csv")
        assert answer.code == 0, answer.err
        tables.append(table_of(tmp_path / f"{kind}.out.csv"))
    assert_same(tables[1], tables[0])
    assert_same(tables[2], tables[0])


@pytest.mark.parametrize("names", [{"X": "X"}, {"X": "only"}, {"X": "mine", "y_reg": "y_reg"}])
def test_the_input_array_is_that_of_the_training_or_the_only_one_or_the_typed_one(
    trained, tsmtl_predict, tmp_path, names
):
    run = trained("gru")
    np.savez(tmp_path / "new.npz", **{new: run.arrays[old] for old, new in names.items()})
    typed = ["data.input_key=mine"] if len(names) > 1 else []
    assert tsmtl_predict(run.checkpoint, "data.path=new.npz", "output=out.csv", *typed).code == 0
    assert len(table_of(tmp_path / "out.csv")["instance"]) == 40


@pytest.mark.parametrize(
    "labels", ["@classLabel true walk run", "@classLabel true 0 1 2", "@targetLabel true", "@classLabel false"]
)
def test_the_labels_of_a_ts_file_are_ignored(trained, tsmtl_predict, tmp_path, labels):
    run = trained("gru")
    path = write_ts(tmp_path / "new.ts", run.arrays, labels)
    path.write_text(path.read_text().replace("\n@data", "\n@univariate false\n@data"))
    assert tsmtl_predict(run.checkpoint, "data.path=new.ts", "output=a.csv").code == 0
    assert tsmtl_predict(run.checkpoint, f"data.path={run.data}", "output=b.csv").code == 0
    assert_same(table_of(tmp_path / "a.csv"), table_of(tmp_path / "b.csv"))


X = np.random.default_rng(1).normal(size=(6, 2, 12)).astype(np.float32)


def test_lengths_that_the_file_lacks_are_warned_of(trained, tsmtl_predict, tmp_path):
    np.savez(tmp_path / "new.npz", X=X)
    answer = tsmtl_predict(trained("lengths").checkpoint, "data.path=new.npz", "output=out.csv")
    assert answer.code == 0
    assert answer.lines[0] == "warning: new.npz: no array 'lengths' of lengths as in training: every time step counts"


def test_the_default_device_falls_back_and_a_typed_one_does_not(trained, command, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    np.savez(tmp_path / "new.npz", X=X)
    arguments = ["tsmtl-predict", trained("gru").checkpoint, "data.path=new.npz", "output=out.csv"]
    answer = command(*arguments)
    assert answer.code == 0
    assert sum(line.startswith("warning: device: no CUDA device here") for line in answer.lines) == 1
    answer = command(*arguments, "device=cuda")
    assert answer.code == 2
    assert "device: cuda was asked for" in answer.lines[0]


def test_a_link_stays_and_the_file_behind_it_is_replaced(trained, tsmtl_predict, tmp_path):
    np.savez(tmp_path / "new.npz", X=X)
    (tmp_path / "real").mkdir()
    (tmp_path / "out.csv").symlink_to(tmp_path / "real" / "out.csv")
    assert tsmtl_predict(trained("gru").checkpoint, "data.path=new.npz", "output=out.csv").code == 0
    assert (tmp_path / "out.csv").is_symlink()
    assert len(table_of(tmp_path / "real" / "out.csv")["instance"]) == 6


@pytest.mark.parametrize("command_name", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["batch_size=x"], 2), (["checkpoint=a.pt", "output=o.x", "data.path=a.x"], 2)],
)
def test_help_and_refused_settings_import_no_heavy_module(tmp_path, command_name, arguments, code):
    program = (
        f"import sys\nsys.argv = ['tsmtl-{command_name}', *{arguments!r}]\n"
        f"from tsmtl.{command_name} import cli\n"
        "try:\n    cli()\nfinally:\n"
        "    print([m for m in ('torch', 'numpy', 'matplotlib', 'polars') if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "[]" in done.stderr.splitlines()


def test_help_has_every_setting():
    text = sister_help_text("tsmtl-predict", ABOUT, "predict", _sections())
    for prefix, section in _sections().items():
        for key in section.model_fields:
            assert f"\n  {prefix + '.' if prefix else ''}{key} " in text


@pytest.mark.parametrize("case", ["gru", "lengths", "fc"])
def test_embeddings_are_what_the_heads_read(trained, case):
    import torch

    import tsmtl

    run = trained(case)
    model = tsmtl.load_model(run.folder / "best_model.pt")
    arrays = run.arrays
    lengths = arrays.get("lengths")
    embedded = model.embed(arrays["X"], lengths)
    assert embedded.dtype == np.float32
    assert embedded.shape == (40, model.model.backbone.embed_dim)
    with torch.inference_mode():
        logits = model.model.heads["cls"](torch.from_numpy(embedded)).numpy()
    probabilities = model.tasks["cls"].decode(logits).probabilities
    np.testing.assert_allclose(probabilities, model.predict(arrays["X"], lengths)["cls"].probabilities, **TOLERANCE)
    if lengths is not None:
        np.testing.assert_allclose(model.embed(series_of(arrays)), embedded, **TOLERANCE)
