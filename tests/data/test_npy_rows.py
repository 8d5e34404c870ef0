"""Rows of .npy files are those of the arrays in them, whatever is asked for and in whatever order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.config.errors import UserError
from tsmtl.data.npy_rows import NpyFile, NpyRows

X = np.random.default_rng(0).normal(size=(12, 3, 5)) * 30


def rows_of(folder, *arrays):
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
    return NpyRows([NpyFile(folder / f"{i}.npy") for i in range(len(arrays))])


@pytest.fixture(scope="module")
def three_files(tmp_path_factory):
    return rows_of(tmp_path_factory.mktemp("rows"), X[:5], X[5:6], X[6:])


@given(st.lists(st.integers(0, 11)), st.slices(12))
def test_any_rows_of_joined_files_are_those_of_the_array(three_files, wanted, some):
    indices = np.array(wanted, dtype=np.int64)
    np.testing.assert_array_equal(three_files[indices], X[indices].astype(np.float32))
    np.testing.assert_array_equal(three_files[some], X[some].astype(np.float32))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "f2", "i2", "u1", "i8", "bool"])
def test_numbers_of_any_type_come_in_single_precision(tmp_path, dtype):
    x = X.astype(dtype)
    rows = rows_of(tmp_path, x)
    assert (rows.shape, rows.ndim, rows.dtype, len(rows)) == ((12, 3, 5), 3, np.float32, 12)
    found = rows[np.array([7, 2])]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x[[7, 2]].astype(np.float32))


def test_files_of_different_types_are_joined_like_their_arrays(tmp_path):
    parts = [X[:5].astype(np.float32), X[5:]]
    rows = rows_of(tmp_path, *parts)
    np.testing.assert_array_equal(rows.raw(slice(3, 9)), np.concatenate(parts)[3:9])


def test_series_can_be_cut(three_files):
    cut = three_files.cut(2)
    assert cut.shape == (12, 3, 2)
    np.testing.assert_array_equal(cut[4:8], X[4:8, :, :2].astype(np.float32))


@pytest.mark.parametrize("row", [-1, 12])
def test_a_row_that_is_not_there_is_no_row(three_files, row):
    with pytest.raises(IndexError):
        three_files[np.array([0, row])]


def test_reading_ahead_may_be_asked_for_over_all_files(three_files):
    three_files.read_ahead(0, 12)
    np.testing.assert_array_equal(three_files[0:12], X.astype(np.float32))


def save(path, array):
    np.save(path, array, allow_pickle=True)


def cut_off(path):
    save(path, X)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (cut_off, "cannot be read, the file is damaged (its size is not that of its header; was it cut off?)"),
        (lambda path: path.write_bytes(b""), "cannot be read, the file is damaged ("),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr'"), "cannot be read, the file is damaged ("),
        (lambda path: path.write_text("1,2,3"), "cannot be read, the file is damaged ("),
        (lambda path: save(path, np.array([{}, []], dtype=object)), "an object array, which could run code when read"),
        (lambda path: save(path, np.asfortranarray(X)), "saved in Fortran's order"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
    ],
)
def test_a_file_that_cannot_be_read_by_rows_is_refused_by_name(tmp_path, refuses, write, said):
    write(tmp_path / "X.npy")
    with refuses(f"{tmp_path / 'X.npy'}: {said}"):
        NpyFile(tmp_path / "X.npy")


def test_a_file_that_shrinks_while_in_use_is_an_error_and_no_crash(tmp_path):
    rows = rows_of(tmp_path, X)
    cut_off(tmp_path / "0.npy")
    np.testing.assert_array_equal(rows[0:11], X[:11].astype(np.float32))
    with pytest.raises(UserError, match="it was cut off while in use"):
        rows[11:12]
