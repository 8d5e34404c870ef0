"""Columns of a sweep's table, also where they do not fit."""

import pytest

from tsmtl.report.sweep_table import lines_of

ROWS = [
    {"path": "data/one/a.npz", "lr": "0.1", "val/loss": "0.5", "seconds": "1.0", "": "done"},
    {"path": "데이터.npz", "lr": "", "val/loss": "", "seconds": "", "": "failed: ValueError: all\nis lost"},
]


def test_numbers_stand_to_the_right_texts_to_the_left_and_signs_of_two_columns_count_as_two():
    assert lines_of(ROWS) == [
        "path             lr  val/loss  seconds",
        "data/one/a.npz  0.1       0.5      1.0  done",
        "데이터.npz" + " " * 30 + "failed: ValueError: all is lost",
    ]


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80])
def test_lines_fit_a_narrow_terminal_as_far_as_numbers_let_them(width):
    lines = lines_of(ROWS, width=width, spare=["seconds"])
    assert all(len(line) <= max(width, 8 + 2 + 3 + 2 + 8 + 2 + 8) for line in lines)
    assert all("val/loss" in lines[0] and "lr" in lines[0] for line in lines)
    assert ("seconds" in lines[0]) == (width >= 80)


def test_a_text_that_is_cut_keeps_both_ends():
    (_, line) = lines_of([{"path": "a" * 30 + "z", "x": "1"}], width=14)
    assert line == "aaaaa…aaaaz  1"


def test_rows_beyond_the_most_are_counted():
    assert lines_of([{"a": "1"}] * 5, most=2) == ["a", "1", "1", "... and 3 more"]


def test_no_rows_are_no_lines():
    assert lines_of([]) == []
