"""``tsmtl-check-data``: what it prints, writes and refuses, and what a run keeps of it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tsmtl.data.loading as loading
import tsmtl.data.table as table
from tests.conftest import DATA, ROOT, public_data
from tsmtl.config.python_call import composed

TABLE = ["data=table", "data.path=plant.csv", "data.entity=machine", "data.channels=[a,b]", "data.window=5"]
TABLE += ["data.class_target=state", "data.regression_target=wear"]
MACHINES, ROWS = 9, 20


@pytest.fixture
def plant(tmp_path):
    """9 machines of 20 rows; column ``part`` gives machine 0 to train and to test."""
    rng = np.random.default_rng(0)
    lines = ["machine,a,b,state,wear,part"]
    for machine in range(MACHINES):
        for row in range(ROWS):
            part = ["train", "val", "test"][machine % 3] if machine or row < 10 else "test"
            a, b = rng.normal(size=2)
            lines.append(f"m{machine},{a:.4f},{b:.4f},{['ok', 'worn'][row % 2]},{row},{part}")
    (tmp_path / "plant.csv").write_text("\n".join(lines))


def share_windows(monkeypatch):
    """A splitter with a fault: two windows of train are in val too."""
    real = table.rows_by_split

    def faulty(windows, split_of):
        given = real(windows, split_of)
        return given | {"val": np.concatenate([given["val"], given["train"][:2]])}

    monkeypatch.setattr(table, "rows_by_split", faulty)


@pytest.mark.usefixtures("plant")
def test_a_sound_table_is_described_and_ends_with_0(tsmtl_check_data, tmp_path):
    answer = tsmtl_check_data(*TABLE)
    assert (answer.code, answer.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in answer.out.splitlines() if line.strip()}
    held = [rows[name] for name in ("train", "val", "test")]  # the last table's rows: the numbers
    # Windows of 5 rows of a machine end at wear 4 ... 19: mean 11.5, sd of 16 numbers in a row.
    assert [row[1:5] for row in held] == [["100.0%", "11.5", f"{np.sqrt((16**2 - 1) / 12):.4g}", "4"]] * 3
    assert sum(int(row[0]) for row in held) == MACHINES * (ROWS - 4)
    assert answer.out.rstrip().endswith("The splits share nothing that they must not.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plant.csv"]  # no run folder


@pytest.mark.usefixtures("plant")
def test_a_faulty_splitter_is_found_out_and_ends_with_1(tsmtl_check_data, monkeypatch):
    share_windows(monkeypatch)
    answer = tsmtl_check_data(*TABLE)
    assert answer.code == 1
    assert answer.lines == [
        "tsmtl-check-data: plant.csv: train and val share 2 instances and 6 rows and 1 entity; "
        "no score on these splits would hold for new data"
    ]
    assert "Splits (rule: group)" in answer.out


@pytest.mark.usefixtures("plant")
def test_a_machine_of_train_in_the_test_file_ends_with_1(tsmtl_check_data, tmp_path):
    lines = (tmp_path / "plant.csv").read_text().splitlines()
    of = [line.split(",")[0] for line in lines]
    other = [line.replace("m3", "new") for line, machine in zip(lines, of, strict=True) if machine in ("machine", "m3")]
    (tmp_path / "test.csv").write_text("\n".join(other))
    answer = tsmtl_check_data(*TABLE, "data.test_path=test.csv")
    assert answer.code == 1
    (line,) = answer.lines
    assert "plant.csv: 16 test windows are copies of rows of train or val; no score" in line
    turned = [line.replace("worn", "?").replace("ok", "worn").replace("?", "ok") for line in other]
    (tmp_path / "test.csv").write_text("\n".join(other[:7] + turned[7:]))
    answer = tsmtl_check_data(*TABLE, "data.test_path=test.csv")
    assert answer.code == 0, answer.err
    assert "6 of 20 rows of the test files have exactly the values and targets of one of train or val" in answer.out


@pytest.mark.usefixtures("plant")
def test_conditions_that_no_training_could_find_are_refused(tsmtl_check_data):
    answer = tsmtl_check_data(*TABLE, "data.condition=[a]")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-check-data: data.condition: a have ")
    answer = tsmtl_check_data(*TABLE, "data.condition=[part]", "data.condition_clusters=2")
    assert answer.lines[0].startswith("tsmtl-check-data: plant.csv: row 2, column 'part': 'train' is not a number")


@pytest.mark.usefixtures("plant")
def test_a_given_split_of_one_machine_on_both_sides_is_a_note(tsmtl_check_data):
    answer = tsmtl_check_data(*TABLE, "data.split_key=part")
    assert answer.code == 0, answer.err
    assert "  given split: 1 entity is on both sides\n" in answer.out


@pytest.mark.usefixtures("plant")
def test_a_run_keeps_what_was_measured_and_warns_of_a_leak(tsmtl_train, tmp_path, monkeypatch):
    share_windows(monkeypatch)
    words = ["model=gru", "hidden_size=2", "num_layers=1", "num_epochs=1", "batch_size=64", "device=cpu"]
    answer = tsmtl_train(*TABLE, *words, "hydra.run.dir=leaking")
    assert answer.code == 0
    assert "warning: data: train and val share 2 instances and 6 rows and 1 entity; " in answer.err
    kept = json.loads((tmp_path / "leaking" / "summary.json").read_text())["data"]
    assert kept["rule"] == "group"
    assert kept["leaks"] is True
    shared = {"instances": 2, "rows": 6, "entities": 1, "smallest_distance": 0.0, "in_rows": 0.0}
    assert kept["overlap"]["train-val"] == shared
    assert kept["overlap"]["val-test"]["rows"] == 0
    assert sum(held["rows"] for held in kept["splits"].values()) == MACHINES * ROWS + 6


def test_a_run_on_arrays_keeps_the_same_measures(tsmtl_train, tmp_path):
    answer = tsmtl_train("model=gru", "hidden_size=2", "num_epochs=1", "device=cpu", "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    kept = json.loads((tmp_path / "run" / "summary.json").read_text())["data"]
    assert kept["rule"] == "stratified"
    assert kept["splits"]["test"] == {"instances": 160, "groups": None}
    assert kept["overlap"]["val-test"] == {"instances": 0, "groups": None, "identical": 0}


def test_picture_and_page_are_written_also_of_splits_that_leak(tsmtl_check_data, tmp_path, monkeypatch):
    real = loading.split

    def faulty(instances, settings):
        rows = real(instances, settings)
        return rows | {"val": rows["train"][:30]}

    monkeypatch.setattr(loading, "split", faulty)
    (tmp_path / "an <out> folder").mkdir()
    answer = tsmtl_check_data("picture=a=b, c.png", "page=an <out> folder/check.HTML", "data.n_steps=16", "lr=1e-3")
    assert answer.code == 1
    assert "train and val share 30 instances;" in answer.err
    picture = (tmp_path / "a=b, c.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    page = (tmp_path / "an <out> folder" / "check.HTML").read_text()
    assert "train and val share 30 instances" in page
    assert "<td>sensor_3</td>" in page
    assert "lr=1e-3" in page
    assert "&lt;out&gt;" in page
    assert "<out>" not in page


@pytest.mark.parametrize(("shape", "task"), [((60, 1, 12), "multi"), ((60, 33, 12), "cls"), ((60, 3), "reg")])
def test_one_channel_many_channels_and_vectors_are_drawn(tsmtl_check_data, tmp_path, shape, task):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    x[:, 0][x[:, 0] > 1] = np.nan
    names = np.array([f"$channel^{i}" for i in range(shape[1])])
    np.savez(tmp_path / "d.npz", X=x, y_cls=np.arange(60) % 3, y_reg=rng.normal(size=(60, 4)), names=names)
    words = ["data=npz", "data.path=d.npz", "data.nan_padding=false", "data.channels_key=names", "picture=p.png"]
    answer = tsmtl_check_data(*words, f"task={task}", f"model={'fc' if len(shape) == 2 else 'cnn1d'}")
    assert (answer.code, answer.err) == (0, "")
    assert "test missing" in answer.out
    assert (tmp_path / "p.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["picture=p.jpg"], "picture: must be a file that ends in .png (got 'p.jpg')"),
        (["page=p.png"], "page: must be a file that ends in .html (got 'p.png')"),
        (["page=nowhere/p.html"], "page: there is no folder nowhere"),
        (["picture=folder.png"], "picture: folder.png is a folder; name a file in it"),
        (["page="], "page: must be text or null (got '')"),
        (["data.pth=x"], "data.pth: unknown setting"),
        (["data=npz", "data.path=gone.npz"], "data.path: there is no file gone.npz"),
        (["-m", "lr=1e-3,1e-4"], "-m: unknown flag; settings are written key=value, --help lists them"),
        (["--config-dir", "gone"], "--config-dir: no folder 'gone'"),
        (["--config-dir"], "--config-dir: no folder ''"),
    ],
)
def test_wrong_words_are_refused_with_one_line(tsmtl_check_data, tmp_path, words, said):
    (tmp_path / "folder.png").mkdir()
    answer = tsmtl_check_data(*words)
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-check-data: {said}")
    assert answer.out == ""


def test_own_and_other_problems_are_said_at_once(tsmtl_check_data):
    answer = tsmtl_check_data("page=p.txt", "picture=nowhere/p.png", "lr=7")
    assert [line.split(": ")[1] for line in answer.lines] == ["picture", "page", "lr"]


def test_words_that_only_training_reads_change_nothing(tsmtl_check_data, tmp_path):
    (tmp_path / "groups" / "model").mkdir(parents=True)
    tiny = "# @package _global_\nmodel: tiny\nplugins: [gone]\nwidth: 1\nnum_epochs: 1\nbatch_size: 2\nlr: 0.1\n"
    (tmp_path / "groups" / "model" / "tiny.yaml").write_text(tiny)
    plain = tsmtl_check_data()
    words = ["--config-dir", "groups", "model=tiny", "device=cuda", "hydra.run.dir=run", "picture=null", "seed=5"]
    assert tsmtl_check_data(*words) == plain
    assert plain.code == 0
    assert not (tmp_path / "run").exists()


def test_help_has_its_own_settings_and_those_of_the_data(tsmtl_check_data):
    text = tsmtl_check_data("--help").out
    assert text.startswith("tsmtl-check-data says what settings make of the data")
    for key in ("picture", "page", "data.path", "data.window", "data.n_steps"):
        assert f"\n  {key} " in text
    assert "cmapss" in text


def test_the_examples_of_the_help_are_taken(tsmtl_check_data):
    lines = [line.split() for line in tsmtl_check_data("--help").out.splitlines()]
    examples = [words for _, *words in (line for line in lines if line[:1] == ["tsmtl-check-data"]) if "=" in words[0]]
    assert len(examples) == 2
    for words in examples:
        composed([word for word in words if not word.startswith(("page=", "picture="))])


def test_torch_is_not_imported(tmp_path):
    program = "import sys; from tsmtl.check_data import cli; cli(); assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@public_data("cmapss")
def test_the_readmes_output_on_the_turbofan_engines_is_real(tsmtl_check_data):
    readme = (ROOT / "README.md").read_text()
    said = readme.partition("tsmtl-check-data data=cmapss")[2].partition("```text\n")[2].partition("```")[0]
    answer = tsmtl_check_data("data=cmapss")
    assert answer.code == 0, answer.err
    printed = answer.out.replace(str(DATA), "../shared/data").splitlines()
    lines = [line for line in said.splitlines() if line not in ("", "  ...")]
    assert len(lines) > 15
    for line in lines:
        assert line in printed, line
