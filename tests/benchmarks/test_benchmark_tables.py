"""The arithmetic and the writing of the benchmarks."""

import pytest

from benchmarks.table import Spread, markdown, number, ratios, read_rows, replace_between, spread, write_rows


def test_the_spread_is_median_and_quartiles():
    # Of 1 ... 5 the quartiles are values; of four they lie a quarter and three quarters between two neighbours.
    assert spread([5.0, 1.0, 4.0, 2.0, 3.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([1.0, 2.0, 3.0, 5.0]) == Spread(2.5, 1.75, 3.5)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_ratios_are_taken_round_by_round():
    # The median of ratios is 2, though the ratio of the medians is 3 / 1.
    assert ratios([2.0, 3.0, 8.0], [1.0, 1.5, 1.0]) == [2.0, 2.0, 8.0]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_a_spread_is_said_with_its_quartiles():
    assert Spread(1.5, 1.25, 2.0).said() == "1.50 (1.25-2.00)"
    assert Spread(1.5, 1.25, 2.0).said(1) == "1.5 (1.2-2.0)"


@pytest.mark.parametrize(
    ("value", "said"), [(0.012345, "0.0123"), (1.5, "1.50"), (123.4, "123"), (12345.6, "12,346"), (0.0, "0")]
)
def test_a_number_has_three_digits_that_count(value, said):
    assert number(value) == said


def test_a_table_is_aligned_and_of_one_width():
    assert markdown(["model", "ms"], [["fc", "1.0"], ["a|b", "2.0"]]) == (
        "| model | ms |\n|---|--:|\n| fc | 1.0 |\n| a\\|b | 2.0 |"
    )
    with pytest.raises(ValueError, match="1 cells below 2 columns"):
        markdown(["model", "ms"], [["fc"]])


def test_a_section_is_replaced_between_its_markers_alone():
    text = "# Title\n<!-- a -->\nold\n\n| x |\n<!-- /a -->\nkept\n<!-- b -->\nother\n<!-- /b -->\n"
    found = replace_between(text, "a", "new\n")
    assert found == "# Title\n<!-- a -->\nnew\n<!-- /a -->\nkept\n<!-- b -->\nother\n<!-- /b -->\n"
    assert replace_between(found, "a", "new") == found


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->", "<!-- a --><!-- a --><!-- /a -->"])
def test_a_document_without_its_markers_is_refused(text):
    with pytest.raises(ValueError, match="<!-- a -->"):
        replace_between(text, "a", "new")


def test_rows_come_back_from_their_file(tmp_path):
    rows = [{"part": "training", "seconds": [0.1, 0.2]}, {"part": "reading", "file": "CSV"}]
    write_rows(rows, tmp_path / "new" / "rows.jsonl")
    assert read_rows(tmp_path / "new" / "rows.jsonl") == rows
