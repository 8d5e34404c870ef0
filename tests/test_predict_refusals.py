"""What ``tsmtl-predict`` refuses or cannot end: one line, and the old output stays."""

import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.test_predict import X
from tests.trained import CHANNELS


def csv_text(*rows: str, header: str = "instance,sensor_a,sensor_b") -> str:
    return "\n".join([header, *rows]) + "\n"


STEPS = [f"{name},{t},{t * 0.5}" for name in ("p", "q") for t in range(12)]


def with_value(value: float) -> np.ndarray:
    x = X.copy()
    x[4, 1, 3] = value
    return x


def truncated(path: Path) -> None:
    np.savez(path, X=X)
    path.write_bytes(path.read_bytes()[:-200])


def corrupted(path: Path) -> None:
    np.savez(path, X=X)
    content = bytearray(path.read_bytes())
    content[400] ^= 0xFF
    path.write_bytes(bytes(content))


def short_member(path: Path) -> None:
    np.savez(path, X=X)
    with zipfile.ZipFile(path) as file:
        content = file.read("X.npy")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", content[:-8])


WRONG = {  # what is made of the file, the case of the model, what the line says behind the file
    "text named .npz": ("npz", "hello\n", "gru", ": not a readable .npz file ("),
    "truncated npz": ("npz", truncated, "gru", ": not a readable .npz file ("),
    "corrupted npz": ("npz", corrupted, "gru", ": 'X' cannot be read, the file is damaged ("),
    "npz of a cut array": ("npz", short_member, "gru", ": 'X' cannot be read, the file is damaged (its size is not"),
    "object array": ("npz", {"X": np.array([X[0], None], dtype=object)}, "gru", ": 'X' is an object array, which"),
    "array of text": ("npz", {"X": np.array(["a", "b"])}, "gru", ": 'X' has type <U1, no numbers"),
    "which array": (
        "npz",
        {"A": X, "B": X},
        "gru",
        ": which array is the input? name it with data.input_key; the file has A, B",
    ),
    "wrong channels": ("npz", {"X": X[:, :1]}, "gru", ": 'X': the model was trained with C = 2 (got 1, shape (6, 1"),
    "other channels": (
        "npz",
        {"X": X, "channels": np.array(CHANNELS[::-1])},
        "gru",
        ": 'channels': 1. is sensor_b, the model was trained with sensor_a there",
    ),
    "vectors for series": ("npz", {"X": X[:, 0]}, "gru", ": 'X': the model reads series (N, C, T) (got shape (6, 12))"),
    "no instance": ("npz", {"X": X[:0]}, "gru", ": 'X': is empty (shape (0, 2, 12))"),
    "wrong length": (
        "npz",
        {"X": X[:, :, :9]},
        "cnn1d",
        ": 'X': the model was trained with 12 time steps and reads no other length (got 9)",
    ),
    "wrong lengths": ("npz", {"X": X, "lengths": np.full(6, 13)}, "lengths", ": 'lengths': must lie in [1, 12] (got"),
    "lengths of others": ("npz", {"X": X, "lengths": np.full(5, 3)}, "lengths", ": 'lengths': must be whole numbers"),
    "infinite value": (
        "npz",
        {"X": with_value(np.inf)},
        "gru",
        ": instance 4, channel sensor_b, time step 3 is infinite in single precision; a missing value is NaN",
    ),
    "too large for single precision": ("npz", {"X": with_value(1).astype(float) * 1e39}, "gru", ": instance 0, "),
    "NaN with missing=error": (
        "npz",
        {"X": with_value(np.nan)},
        "strict",
        ": instance 4, channel sensor_b, time step 3 is missing, and the model was trained with data.missing=error",
    ),
    "empty csv": ("csv", "", "gru", ": empty; the first row must name the columns"),
    "header alone": ("csv", csv_text(), "gru", ": no row behind the header"),
    "bytes that are no text": (
        "csv",
        b"instance,sensor_a,sensor_b\np,\xff,1\n",
        "gru",
        ": not a readable text file; is it",
    ),
    "missing columns": (
        "csv",
        csv_text(*STEPS, header="instance,a,b"),
        "gru",
        ": no column sensor_a, sensor_b; expected are the channels sensor_a, sensor_b, there are instance, a, b",
    ),
    "a column twice": (
        "csv",
        csv_text("p,1,2,3", header="instance,sensor_a,sensor_b,sensor_a"),
        "gru",
        ": has more than one column 'sensor_a'",
    ),
    "no instance column": (
        "csv",
        csv_text("1,2", header="sensor_a,sensor_b"),
        "gru",
        ": no column 'instance' that names the instance of each row (data.instance_key); there are sensor_a, sensor_b",
    ),
    "text in a number": (
        "csv",
        csv_text(*STEPS[:5], "p,1,n/a", *STEPS[5:]),
        "gru",
        ": row 7, column 'sensor_b': 'n/a' is not a number; a missing value is an empty cell",
    ),
    "instance split apart": (
        "csv",
        csv_text(*STEPS, "p,0,0"),
        "gru",
        ": row 26: instance 'p' comes again after others; the rows of one instance must stand together",
    ),
    "no name of an instance": ("csv", csv_text(*STEPS, ",0,0"), "gru", ": row 26: column 'instance' is empty; name"),
    "a cell too many": ("csv", csv_text(*STEPS, "q,0,0,1"), "gru", ": row 26 has 4 cells, the header 3; are its cells"),
    "a cut row": ("csv", csv_text(*STEPS, "q,0")[:-1], "gru", ": row 26 has 2 cells, the header 3; was the file cut"),
    "an open quote": ("csv", csv_text(*STEPS, '"q,0,0', "q,1,1"), "gru", ": row 26: a quote is never closed"),
    "a csv series of another length": (
        "csv",
        csv_text(*STEPS, "r,0,0"),
        "cnn1d",
        ": instance r has 1 time steps; the model was trained with 12 time steps and reads no other length",
    ),
    "infinite value in csv": ("csv", csv_text(*STEPS, "r,0,inf"), "gru", ": instance r, channel sensor_b, time step 0"),
    "empty ts": ("ts", "", "gru", ": no line @data; the header is all there is"),
    "text in a ts number": ("ts", "@dimensions 2\n@data\n1,2:3,x\n", "gru", ": line 3, channel 2: 'x' is not a number"),
    "wrong channels in ts": ("ts", "@data\n1,2\n", "gru", ": the model was trained with C = 2 (got 1)"),
    "a ts series of another length": (
        "ts",
        "@data\n1,2:3,4\n",
        "cnn1d",
        ": instance 0 has 2 time steps; the model was trained with 12 time steps and reads no other length",
    ),
    "series for vectors": ("ts", "@data\n1,2:3,4\n", "fc", ": holds series, the model reads vectors (N, E); give"),
}


@pytest.mark.parametrize(("ending", "content", "case", "said"), WRONG.values(), ids=WRONG)
def test_a_file_that_cannot_be_used_is_one_line_and_leaves_no_output(
    trained, tsmtl_predict, tmp_path, ending, content, case, said
):
    path = tmp_path / f"new.{ending}"
    if callable(content):
        content(path)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = tsmtl_predict(trained(case).checkpoint, f"data.path={path}", "output=out.csv", "batch_size=2")
    lines = [line for line in answer.lines if not line.startswith("warning: ")]
    assert (answer.code, len(lines)) == (2, 1), answer.err
    assert lines[0].startswith(f"tsmtl-predict: {path}{said}")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["data.path=none.npz"], "data.path: there is no file none.npz; check the name, or the folder you started"),
        (
            ["data.path=new.txt"],
            "data.path: must be a file that ends in .npz, .ts, .csv, .csv.gz, .parquet, .pq (got 'new.txt')",
        ),
        (["output=out.xlsx"], "output: must be a file that ends in .csv, .npz, .parquet (got 'out.xlsx')"),
        (["output=new.npz"], "output: new.npz is the file to read; name another"),
        (["output=~/new.npz"], "output: ~/new.npz is the file to read; name another"),
        (["output=none/out.csv"], "output: there is no folder "),
        (["output=folder.csv"], "output: folder.csv is a folder; name a file in it"),
        (["checkpoint=none.pt"], "none.pt: there is no such checkpoint"),
        (["checkpoint=null"], "checkpoint: missing; give checkpoint=... (the trained model, a best_model.pt)"),
        (["batch_size=0"], "batch_size: must be a whole number, at least 1 (got 0)"),
        (["data.instance_key=name"], "data.instance_key: is for .csv, .csv.gz, .parquet, .pq files; new.npz is none"),
        (["data.input_key=Y"], "new.npz: no array 'Y' (data.input_key); it has X"),
        (["data.pth=x"], "data.pth: unknown setting; did you mean 'data.path'?"),
        (["plugins=[no_such_module]"], "plugins: importing 'no_such_module' failed ("),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(trained, tsmtl_predict, tmp_path, monkeypatch, changes, line):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "new.npz", X=X)
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    answer = tsmtl_predict(trained("gru").checkpoint, "data.path=new.npz", "output=out.csv", *changes)
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-predict: {line}")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
@pytest.mark.parametrize("failure", ["bad value", "interrupt"])
def test_a_prediction_that_does_not_end_leaves_the_old_output(
    trained, tsmtl_predict, tmp_path, monkeypatch, ending, failure
):
    old = tmp_path / f"out.{ending}"
    old.write_text("the old one")
    np.savez(tmp_path / "new.npz", X=with_value(np.inf if failure == "bad value" else 1))
    if failure == "interrupt":
        from tsmtl.predictor import Predictor

        real, calls = Predictor.predict_checked, []

        def interrupted(*arguments):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(Predictor, "predict_checked", interrupted)
    answer = tsmtl_predict(trained("gru").checkpoint, "data.path=new.npz", f"output={old.name}", "batch_size=2")
    assert answer.code == (2 if failure == "bad value" else 130)
    assert old.read_text() == "the old one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.npz", old.name]


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_a_full_disk_is_a_failure_of_one_line_and_the_old_output_stays(trained, tsmtl_predict, tmp_path, ending):
    np.savez(tmp_path / "new.npz", X=np.random.default_rng(0).normal(size=(400, *X.shape[1:])))
    (tmp_path / f"out.{ending}").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, limits[1]))  # the system refuses to write beyond it
    try:
        answer = tsmtl_predict(trained("gru").checkpoint, "data.path=new.npz", f"output=out.{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (answer.code, answer.lines) == (1, [f"tsmtl-predict: output: cannot write out.{ending} (File too large)"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.npz", f"out.{ending}"]
    assert (tmp_path / f"out.{ending}").read_text() == "old"


def test_an_error_that_nobody_foresaw_is_one_line(trained, tsmtl_predict, tmp_path, monkeypatch):
    np.savez(tmp_path / "new.npz", X=X)
    monkeypatch.setattr("tsmtl.predictor.Predictor.predict_checked", lambda *given: [][1])
    arguments = [trained("gru").checkpoint, "data.path=new.npz", "output=out.csv"]
    answer = tsmtl_predict(*arguments)
    said = "failed: IndexError: list index out of range; TSMTL_TRACEBACK=1 shows the traceback"
    assert (answer.code, answer.lines) == (1, [f"tsmtl-predict: {said}"])
    monkeypatch.setenv("TSMTL_TRACEBACK", "1")
    with pytest.raises(IndexError):
        tsmtl_predict(*arguments)


CHECKPOINT = "checkpoint: missing; give checkpoint=... (the trained model, a best_model.pt)"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "tsmtl-predict",
            [
                CHECKPOINT,
                "output: missing; give output=... (file of predictions: .csv, .npz or .parquet)",
                "data.path: missing; give data.path=... (new instances: a .npz, .ts, .csv, .csv.gz or .parquet file, "
                "a folder of .npy files, or files of tables as in training)",
            ],
        ),
        ("tsmtl-evaluate", [CHECKPOINT]),
    ],
)
def test_who_types_nothing_is_told_what_to_give(command, name, lines):
    answer = command(name)
    assert answer.code == 2
    assert answer.lines == [f"{name}: {line}" for line in lines]
