"""Tables in every form that is read, and files that are damaged."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.data.tables import PLANT, plant, windows_of, written
from tsmtl.data.instances import Bundle

TASKS = ("cls", "reg")
# Without the time of its making: workers side by side have to find tests of the same names.
CUT_OFF = gzip.compress(plant(40).write_csv().encode(), mtime=0)[:900]


def assert_same(one: Bundle, other: Bundle) -> None:
    np.testing.assert_array_equal(one.instances.x[:], other.instances.x[:])
    for task, target in one.instances.targets.items():
        values = [getattr(t, "ids", getattr(t, "values", None)) for t in (target, other.instances.targets[task])]
        np.testing.assert_array_equal(*values)
    assert one.instances.channels == other.instances.channels
    for split, rows in one.splits.items():
        np.testing.assert_array_equal(rows, other.splits[split])
    for name, column in one.instances.places.items():
        np.testing.assert_array_equal(column, other.instances.places[name])
    assert one.notes == other.notes


@pytest.fixture
def frame() -> pl.DataFrame:
    """A plant with empty cells, and a column of text that nothing names."""
    row = pl.int_range(pl.len())
    return plant(6, 30).with_columns(
        a=pl.when(row % 11 != 3).then("a"),
        state=pl.when(row % 7 != 1).then("state"),
        note=pl.when(row % 2 == 0).then(pl.lit('said "hm", and\nleft')),
    )


@pytest.fixture
def reference(load_file, frame, tmp_path) -> Bundle:
    """What the CSV file gives."""
    return load_file(written(frame, tmp_path / "reference.csv"), *TASKS, **PLANT)


def test_the_csv_file_gives_what_the_frame_holds(reference, frame):
    windows = windows_of(reference)
    np.testing.assert_allclose(windows.values, frame.select("a", "b").to_numpy(), rtol=1e-6)
    assert reference.instances.channels == ["a", "b"]
    assert any("1 columns hold no numbers and are left out of the input: note" in note for note in reference.notes)


@pytest.mark.parametrize("form", ["gzip", "parquet", "crlf", "bom", "tab", "semicolon", "headerless", "no end of line"])
def test_every_form_of_a_file_gives_the_same_instances(load_file, frame, reference, tmp_path, form):
    changes = dict(PLANT)
    path = written(frame, tmp_path / ("t.parquet" if form == "parquet" else "t.csv"))
    if form == "gzip":
        path = tmp_path / "t.csv.gz"
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    elif form in ("crlf", "bom", "no end of line"):
        text = frame.write_csv().encode()
        path.write_bytes(
            {"crlf": text.replace(b"\n", b"\r\n"), "bom": b"\xef\xbb\xbf" + text}.get(form, text.rstrip(b"\n"))
        )
    elif form in ("tab", "semicolon"):
        changes["separator"] = "tab" if form == "tab" else ";"
        frame.write_csv(path, separator="\t" if form == "tab" else ";")
    elif form == "headerless":
        frame.write_csv(path, include_header=False)
        changes["columns"] = frame.columns
    assert_same(reference, load_file(path, *TASKS, **changes))


def test_blanks_around_a_text_of_a_parquet_file_make_no_other_machine_and_no_other_class(
    load_file, frame, reference, tmp_path
):
    padded = frame.with_columns(
        pl.when(pl.col("time") % 2 == 0).then(pl.col(name) + "  ").otherwise(name).alias(name)
        for name in ("machine", "state")
    )
    assert_same(reference, load_file(written(padded, tmp_path / "t.parquet"), *TASKS, **PLANT))


def test_blanks_of_any_width_may_separate(load_file, tmp_path):
    frame = plant(6, 30)
    lines = ["  ".join(map(str, row)) for row in frame.rows()]
    path = tmp_path / "t.txt"
    path.write_text("".join(f" {line} \t \n" for line in lines) + "   \n\n")
    blanks = load_file(path, *TASKS, **PLANT, separator="whitespace", columns=frame.columns)
    assert_same(load_file(written(frame, tmp_path / "t.csv"), *TASKS, **PLANT), blanks)


@pytest.mark.parametrize("named", ["folder", "pattern", "mixed kinds"])
def test_the_rows_of_an_entity_may_lie_in_several_files(load_file, frame, reference, tmp_path, named):
    folder = tmp_path / "parts"
    folder.mkdir()
    ending = "parquet" if named == "mixed kinds" else "csv"
    written(frame.head(70), folder / f"1.{ending}")
    written(frame.slice(70).select(reversed(frame.columns)), folder / "2.csv")
    (folder / "readme.md").write_text("not a table")
    (folder / ".hidden.csv").write_text("not read")
    assert_same(reference, load_file(f"{folder}/[12].csv" if named == "pattern" else folder, *TASKS, **PLANT))


@pytest.mark.parametrize("pattern", ["", "/day-*/part.csv"])
def test_parts_are_read_in_the_order_of_the_numbers_in_their_names(load_file, tmp_path, pattern):
    frame = plant(6, 30)
    asked = {**PLANT, "time": None, "split": "group"}  # without times, the order of rows is that of time
    for i in range(12):
        name = f"parts/day-{i + 1}/part.csv" if pattern else f"parts/part-{i + 1}.csv"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        written(frame.slice(15 * i, 15), tmp_path / name)
    whole = load_file(written(frame, tmp_path / "t.csv"), *TASKS, **asked)
    assert_same(whole, load_file(f"{tmp_path}/parts{pattern}", *TASKS, **asked))


def test_small_blocks_give_what_large_ones_give(load_file, frame, reference, tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.data.csv_rows.READ", 100)
    monkeypatch.setattr("tsmtl.data.table_files.ROWS", 7)
    assert_same(reference, load_file(written(frame, tmp_path / "t.csv"), *TASKS, **PLANT))
    assert_same(reference, load_file(written(frame, tmp_path / "t.parquet"), *TASKS, **PLANT))


def test_each_file_is_an_entity_where_no_column_tells_it(load_file, tmp_path):
    names = ["run_1.5.csv", "run_1.6.csv", "run_2.parquet", "x/run.csv", "y/run.csv"]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(plant(1, 20, seed=i).drop("machine"), tmp_path / name)
    asked = {**PLANT, "entity": None, "split": "group"}
    flat = load_file(tmp_path, "reg", **asked)
    assert len(windows_of(flat).start) == 3
    assert set(flat.instances.places["entity"]) < {"run_1.5", "run_1.6", "run_2"}
    deep = load_file(f"{tmp_path}/[xyz]*/run.csv", "reg", **asked, test_path=str(tmp_path / "run_2.parquet"))
    assert [int(n) for n in np.diff([*windows_of(deep).start, 60])] == [20, 20, 20]


def test_a_file_that_is_read_for_training_is_no_test_file(load_file, refuses, tmp_path):
    path = written(plant(), tmp_path / "t.csv")
    with refuses("data.test_path:", str(path), "is among the files of data.path too"):
        load_file(tmp_path, "reg", **PLANT, test_path=str(path))


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("t.csv", b"", ("empty; the first row must name the columns",)),
        ("t.csv", b"machine,time,a,state,wear\n", ("no row behind the header",)),
        ("t.csv", b"machine,time,a,state,wear\n\n\n", ("no row behind the header",)),
        ("t.csv", b"machine,time,a,state,wear\nm,1,2,on,3\nm,2,3,on\n", ("row 3 has 4 cells, the header 5",)),
        (
            "t.csv",
            b"machine,time,a,state,wear\nm,1,2,on,3\nm,2,3,on,4,5\n",
            ("row 3 has 6 cells, the header 5; are its",),
        ),
        ("t.csv", b'machine,time,a,state,wear\n"m,1",1,2,on,3\nm,2,3,on\n', ("row 3 has 4 cells, the header 5",)),
        ("t.csv", b'machine,time,a,state,wear\nm,1,2,"on,3\nm,2,3,on,4\n', ("row 2: a quote is never closed",)),
        (
            "t.csv",
            b"machine;time;a\nm;1;2,5\n",
            ("row 2 has 2 cells, the header 1; are its cells separated by ',' (data.separator)?",),
        ),
        ("t.csv", b"machine;time;a\nm;1;2\n", ("no column 'machine' (data.entity)", "is data.separator right?")),
        ("t.csv", b"machine,time,a,state,wear\rm,1,2,on,3\r", ("row 1 ends in a carriage return alone",)),
        ("t.csv", b"machine,time,a,state,wear\nm,1,2,on,3\rm,2,3,on,4\n", ("row 2 ends in a carriage",)),
        ("t.csv", b"machine,time,a,state,a\nm,1,2,on,3\n", ("has more than one column 'a'",)),
        ("t.csv", b"machine,time,a,state,wear\nm\xe9,1,2,on,3\n", ("not a readable text file; is it UTF-8?",)),
        (
            "t.csv",
            CUT_OFF,
            ("the gzip file is damaged or cut off",),
        ),
        ("t.parquet", b"PAR1 cut off", ("not a readable Parquet file; was it cut off?",)),
        ("t.parquet", b"", ("not a readable Parquet file",)),
    ],
)
def test_damaged_files_are_refused_with_the_place(load_file, refuses, tmp_path, name, content, parts):
    (tmp_path / name).write_bytes(content)
    with refuses(str(tmp_path / name), *parts):
        load_file(tmp_path / name, *TASKS, **PLANT)


def test_a_parquet_file_cut_in_half_is_refused_also_where_its_end_is_whole(load_file, refuses, tmp_path):
    path = written(plant(), tmp_path / "t.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with refuses(str(path), "was it cut off?"):
        load_file(path, *TASKS, **PLANT)
    path.write_bytes(content[:4] + content[4 + len(content) // 2 :])
    with refuses(str(path)):
        load_file(path, *TASKS, **PLANT)


def test_files_that_are_not_there_are_named_with_the_setting(load_file, refuses, tmp_path):
    path = written(plant(), tmp_path / "t.csv")
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.xlsx").write_text("")
    for setting, ask in (
        ("data.path", lambda place: load_file(place, "reg", **PLANT)),
        ("data.test_path", lambda place: load_file(path, "reg", **PLANT, test_path=str(place))),
    ):
        with refuses(f"{setting}: there is no file", "gone.csv"):
            ask(tmp_path / "gone.csv")
        with refuses(f"{setting}: no .csv, .csv.gz, .txt, .parquet file in the folder"):
            ask(tmp_path / "empty")
        with refuses(f"{setting}: no file matches", "*.tsv"):
            ask(tmp_path / "*.tsv")
        with refuses(f"{setting}:", "t.xlsx is no table; it must end in .csv"):
            ask(tmp_path / "t.xlsx")


def test_a_column_of_decimal_commas_is_left_out_with_a_cell_that_shows_why(load_file, tmp_path):
    frame = plant().with_columns(a=pl.lit("1,5"), c=pl.lit(None, dtype=pl.Float64))
    notes = load_file(written(frame, tmp_path / "t.csv"), "reg", **PLANT).notes
    assert "2 columns hold no numbers and are left out of the input: a ('1,5'), c (empty)" in notes


def test_a_later_file_without_a_column_is_named(load_file, refuses, tmp_path):
    written(plant(3), tmp_path / "1.csv")
    written(plant(3).rename({"wear": "weer"}), tmp_path / "2.csv")
    with refuses(f"{tmp_path / '2.csv'}: no column 'wear'", "did you mean 'weer'?"):
        load_file(tmp_path, *TASKS, **PLANT)


def deep(path: Path, row: int, cell: str) -> Path:
    """Write a file of 6 MiB with one odd cell in column a, far behind the first block."""
    lines = [f"m{i % 6},{i // 6},{i}.{'0' * 40},run,{i}" for i in range(100_000)]
    lines[row - 2] = lines[row - 2].replace(lines[row - 2].split(",")[2], cell)
    path.write_text("machine,time,a,state,wear\n" + "\n".join(lines))
    return path


def test_text_among_numbers_is_found_far_behind_the_first_block(load_file, refuses, tmp_path):
    with refuses("t.csv: row 99000, column 'a': 'broken' is not a number"):
        load_file(deep(tmp_path / "t.csv", 99_000, "broken"), "reg", **PLANT)
