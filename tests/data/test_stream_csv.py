"""A CSV or Parquet file comes in blocks of whole instances, however its bytes are cut on the way."""

import tracemalloc

import numpy as np
import polars as pl
import pytest

from tests.data.test_stream_npz import contract
from tsmtl.data import csv_rows, table_files
from tsmtl.data.stream import Request, WantedTarget
from tsmtl.data.stream_table import stream_table

RNG = np.random.default_rng(0)
SERIES = [RNG.normal(size=(2, int(n))).astype(np.float32) for n in RNG.integers(1, 9, 30)]
CLS = WantedTarget("cls", "cls", "y", "data.class_target")


def text_of(series, quote=False, end="\n"):
    rows = ["c1,note,y,instance,c0"]
    for i, s in enumerate(series):
        note = '"two\nlines, and ""quotes"""' if quote else "plain"
        rows += [f"{b:.9g},{note},k{i % 3},i{i},{a:.9g}" for a, b in s.T]
    return end.join(rows) + end


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "a.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


@pytest.mark.parametrize("read", [64, 1000, 2**22])
@pytest.mark.parametrize("size", [1, 7, 99])
@pytest.mark.parametrize(
    "form", ["plain", "quoted", "crlf", "returns twice", "bom", "no break at the end", "blank lines at the end"]
)
def test_series_are_the_same_however_the_file_is_cut(write, monkeypatch, read, size, form):
    monkeypatch.setattr(csv_rows, "READ", read)
    text = text_of(SERIES, form == "quoted", {"crlf": "\r\n", "returns twice": "\r\r\n"}.get(form, "\n"))
    text = {"bom": "\ufeff" + text, "no break at the end": text[:-1], "blank lines at the end": text + "\n\n"}.get(
        form, text
    )
    blocks = list(stream_table(Request(write(text), contract(2), size, targets=[CLS])).blocks)
    assert [len(b.x) for b in blocks] == [min(size, 30 - start) for start in range(0, 30, size)]
    assert [name for b in blocks for name in b.names] == [f"i{i}" for i in range(30)]
    assert [v for b in blocks for v in b.targets["cls"].tolist()] == [f"k{i % 3}" for i in range(30)]
    for got, expected in zip([s for b in blocks for s in b.x], SERIES, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rows", [5, 2**15])
@pytest.mark.parametrize("size", [1, 7, 99])
def test_a_parquet_file_comes_in_the_same_blocks(tmp_path, monkeypatch, rows, size):
    monkeypatch.setattr(table_files, "ROWS", rows)
    steps = np.concatenate(SERIES, axis=1)
    number = np.repeat(np.arange(30), [s.shape[1] for s in SERIES])
    columns = {
        "c1": steps[1],
        "instance": number,
        "y": [f"k{i % 3}" for i in number],
        "c0": steps[0].astype(np.float64),
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    blocks = list(stream_table(Request(tmp_path / "a.parquet", contract(2), size, targets=[CLS])).blocks)
    assert [name for b in blocks for name in b.names] == list(range(30))
    assert [v for b in blocks for v in b.targets["cls"].tolist()] == [f"k{i % 3}" for i in range(30)]
    for got, expected in zip([s for b in blocks for s in b.x], SERIES, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("read", [16, 2**22])
@pytest.mark.parametrize("size", [2, 99])
def test_vectors_are_one_a_row(write, monkeypatch, read, size):
    monkeypatch.setattr(csv_rows, "READ", read)
    path = write("c1,c0\n1, 2\n,4\nNaN,-1e3\n+5,.5\n")
    blocks = list(stream_table(Request(path, contract(2, "vectors"), size)).blocks)
    assert [list(b.names) for b in blocks] == ([[0, 1], [2, 3]] if size == 2 or read == 16 else [[0, 1, 2, 3]])
    np.testing.assert_array_equal(
        np.concatenate([b.x for b in blocks]), np.array([[2, 1], [4, np.nan], [-1e3, np.nan], [0.5, 5]], np.float32)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c0,c1,instance\n1,2,a\n1,x y,a\n", "row 3, column 'c1': 'x y' is not a number; a missing value is an empty"),
        ("c0,c1,instance\n1,2,a\n1,2,b\n1,2,a\n", "row 4: instance 'a' comes again after others"),
        ("c0,c1,instance\n1,2,a\n\n1,2,a\n", "row 3 has 0 cells, the header 3"),
        ("c0,c1,instance\n1,2,a\n1,2, \n", "row 3: column 'instance' is empty"),
        ("c0;c1;instance\n1;2;a\n", "no column c0, c1; expected are the channels c0, c1, there are c0;c1;instance"),
        ('c0,c1,instance\n1,2,"a\n', "row 2: a quote is never closed"),
        ("c0,c1,instance\r1,2,a\r", "row 1 ends in a carriage return alone; save the file with the line breaks of"),
        ("c0,c1,instance\n1,2,a\n1,2,a\r1,3,a\n", "row 3 ends in a carriage return alone"),
        ('c0,c1,instance\n1,2,"a\r"\n1,2,"a\r"\r1,2,"b"\n', "row 3 ends in a carriage return alone"),
        ("\n\n", "empty; the first row must name the columns"),
    ],
)
@pytest.mark.parametrize("read", [8, 2**22])
def test_a_wrong_row_is_refused_with_its_number(write, monkeypatch, refuses, read, text, said):
    monkeypatch.setattr(csv_rows, "READ", read)
    path = write(text)
    with refuses(str(path), said):
        list(stream_table(Request(path, contract(2), 4)).blocks)


@pytest.mark.parametrize("read", [8, 2**22])
def test_a_carriage_return_within_quotes_is_part_of_the_text(write, monkeypatch, read):
    monkeypatch.setattr(csv_rows, "READ", read)
    path = write('c0,c1,instance\n1,2,"a\rb"\n3,4,"a\rb"\n')
    (block,) = stream_table(Request(path, contract(2), 4)).blocks
    assert block.names == ["a\rb"]
    np.testing.assert_array_equal(block.x[0], [[1, 3], [2, 4]])


def test_a_file_of_carriage_returns_alone_does_not_take_the_memory(write, monkeypatch, refuses):
    monkeypatch.setattr(csv_rows, "READ", 2**16)
    monkeypatch.setattr(csv_rows, "LONGEST_ROW", 2**20)
    path = write("c0,c1,instance\r" + "1,2,b\r" * 200_000)
    with refuses(f"{path}: a row of more than 1 MiB; are its line breaks those of Unix or Windows?"):
        stream_table(Request(path, contract(2), 4))


def test_a_quote_that_is_never_closed_does_not_take_the_memory(write, monkeypatch, refuses):
    monkeypatch.setattr(csv_rows, "READ", 2**16)
    monkeypatch.setattr(csv_rows, "LONGEST_ROW", 2**20)
    path = write('c0,c1,instance\n1,2,"a\n' + "1,2,b\n" * 200_000)
    with refuses(f"{path}: a row of more than 1 MiB; is a quote open?"):
        list(stream_table(Request(path, contract(2), 4)).blocks)


def test_memory_is_that_of_what_is_read_at_a_time(write, monkeypatch):
    monkeypatch.setattr(csv_rows, "READ", 2**16)
    path = write("c0,c1,instance\n" + "".join(f"0.125,0.25,i{i // 100}\n" for i in range(300_000)))  # 5 MB
    tracemalloc.start()
    blocks = stream_table(Request(path, contract(2), 8)).blocks
    n = sum(len(block.x) for block in blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 3000
    assert peak < 2**21
