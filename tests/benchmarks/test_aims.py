"""The table of the aims is made from the tables that stand on the page."""

import pytest

from benchmarks.aims import AIMS, PART, Aim, cell_of, main, size, table_of, tables_of
from benchmarks.table import between, markdown
from tests.conftest import ROOT

TRAINING = """
2026-11-26, a machine

| model | batch | tsmtl: instances/s | of plain loop | of tsai |
|---|--:|--:|--:|--:|
| gru | 16 | 316 | 2.64 (2.53-2.66) | 3.31 (2.46-3.41) |
| gru | 64 | 572 | 1.69 (1.49-1.98) | 2.18 (2.13-2.41) |

| model | batch | tsmtl, native: instances/s | of tsmtl | of plain loop |
|---|--:|--:|--:|--:|
| gru | 16 | 1,517 | 1.59 (1.51-1.63) | 3.80 (3.21-4.30) |
"""
PAGE = f"""# Speed
<!-- training -->{TRAINING}<!-- /training -->
| model | batch | tsmtl: instances/s | of plain loop |
|---|--:|--:|--:|
| gru | 16 | 9 | 9.99 |
<!-- shared_core -->
alone, load 0.1

| threads | lstm | lstm_fcn |
|---|--:|--:|
| tsmtl, times one thread | 0.90 (0.80-1.00) | 0.50 (0.50-0.50) |

with a busy neighbour, load 1.1

| threads | lstm | lstm_fcn |
|---|--:|--:|
| one thread | 1.00 | 1.00 |
| tsmtl, times one thread | 1.10 (1.00-1.20) | 2.01 (1.90-2.10) |
<!-- /shared_core -->
<!-- scaling -->
| instances | epoch, s | off the line | beyond the smallest / data |
|---|--:|--:|--:|
| 1,000 | 0.014 | +1 % | - |
| 10,000 | 0.111 | -11 % | 0.98 |
| 1,000,000 | 12.576 | +5 % | 1.61 |
<!-- /scaling -->
<!-- startup -->
<!-- /startup -->
"""
OURS = {"table": "tsmtl: instances/s"}


def aims(**about):
    """Give the aims that have all of this."""
    return [aim for aim in AIMS if all(getattr(aim, key) == value for key, value in about.items())]


def test_a_figure_is_that_of_its_part_table_row_and_column():
    gru = {"model": "gru", "batch": "16"}
    assert cell_of(Aim("", "training", gru, "of plain loop", 2.2, **OURS), PAGE) == "2.64 (2.53-2.66)"
    native = Aim("", "training", gru, "of plain loop", 3.8, table="tsmtl, native: instances/s")
    assert cell_of(native, PAGE) == "3.80 (3.21-4.30)"
    assert cell_of(Aim("", "training", gru | {"batch": "256"}, "of plain loop", 2.2, **OURS), PAGE) is None
    assert cell_of(Aim("", "training", gru, "of Lightning", 2.2, **OURS), PAGE) is None
    assert cell_of(Aim("", "inference", gru, "of plain loop", 2.2, **OURS), PAGE) is None  # no such part


def test_of_two_equal_tables_the_line_above_decides_and_a_column_is_no_beginning():
    row, busy = {"threads": "tsmtl, times one thread"}, {"most": True, "table": "with a busy neighbour"}
    assert cell_of(Aim("", "shared_core", row, "lstm", 2.0, **busy), PAGE) == "1.10 (1.00-1.20)"
    only_fcn = PAGE.replace("| lstm | lstm_fcn |", "| other | lstm_fcn |")
    assert cell_of(Aim("", "shared_core", row, "lstm", 2.0, **busy), only_fcn) is None
    bracketed = PAGE.replace("| lstm | lstm_fcn |", "| lstm (min - max) | lstm_fcn |")
    assert cell_of(Aim("", "shared_core", row, "lstm", 2.0, **busy), bracketed) == "1.10 (1.00-1.20)"


def test_where_many_rows_are_meant_the_worst_counts():
    assert cell_of(Aim("", "scaling", {}, "off the line", 10, most=True), PAGE) == "-11 %"
    assert cell_of(Aim("", "training", {"model": "gru"}, "of plain loop", 1.0, **OURS), PAGE) == "1.69 (1.49-1.98)"
    assert cell_of(Aim("", "scaling", {"instances": "1,000"}, "beyond the smallest / data", 1), PAGE) is None


@pytest.mark.parametrize(
    ("cell", "found"), [("1.05 (0.90-1.19)", 1.05), ("-9 %", 9.0), ("1,517", 1517.0), ("12.576", 12.576), ("-", None)]
)
def test_the_first_number_of_a_cell_counts_without_its_sign(cell, found):
    assert size(cell) == found


def test_the_table_says_what_is_held_what_is_not_and_what_nobody_measured():
    found = table_of(PAGE)
    (table,) = tables_of(found)
    assert table.header == ["what", "part", "shall be", "is", "held"]
    said = {tuple(row[:3]): row[3:] for row in table.body}
    of_the_page = [aim for aim in AIMS if aim.part in ("training", "shared_core", "scaling", "startup")]
    assert len(said) == len(of_the_page) < len(AIMS)
    gru = "gru, batch 16: throughput over plain loop's"
    assert said[gru, "training", "at least 2.2"] == ["2.64 (2.53-2.66)", "yes"]
    assert said[gru, "training", "at least 3.8, wished"] == ["2.64 (2.53-2.66)", "no"]
    native = "gru, batch 16, `trainer.kernels=native`: throughput over plain loop's"
    assert said[native, "training", "at least 3.8, wished"] == ["3.80 (3.21-4.30)", "yes"]  # as much as it shall be
    busy = "{} with a busy neighbour: time of a step over that with one thread"
    assert said[busy.format("lstm"), "shared_core", "at most 2"] == ["1.10 (1.00-1.20)", "yes"]
    assert said[busy.format("lstm_fcn"), "shared_core", "at most 2"] == ["2.01 (1.90-2.10)", "no"]
    assert said["time of an epoch: furthest size from the line, %", "scaling", "at most 10"] == ["-11 %", "no"]
    assert said["`tsmtl-train --help`: seconds", "startup", "at most 0.5"] == ["-", "not measured"]
    # held: gru of 2.2, natively of 3.8, lstm; not held: gru of 3.8, lstm_fcn, the line, the memory
    assert found.startswith(f"3 of {len(said)} are held, 4 are not, {len(said) - 7} are not measured.\n")


def test_the_aims_are_in_their_own_cases():
    of_tsai = {aim.row["model"] for aim in aims(part="training") if aim.bound in (1.0, 1.1) and "lstm_fcn" in aim.what}
    assert of_tsai == {"lstm_fcn, tsai's sizes"}
    cnn1d = [aim.table for aim in aims(bound=1.5) if aim.row["model"] == "cnn1d"]
    assert cnn1d == ["tsmtl: instances/s", "tsmtl, native: instances/s"]  # the default's figure too
    assert {aim.row["batch"] for aim in aims(part="inference")} == {"256"}


@pytest.mark.parametrize("name", ["performance", "performance_without_amx"])
def test_a_page_holds_the_table_of_its_own_tables(name):
    page = (ROOT / "docs" / f"{name}.md").read_text()
    assert between(page, PART).strip() == table_of(page)


def test_what_stands_between_markers_is_read():
    assert between("<!-- a -->\nx\n<!-- /a -->y", "a") == "\nx\n"
    assert between("nothing", "a") == ""
    assert markdown(["a"], [["1"]]).startswith("| a |\n|---")  # what tables_of looks for


def test_the_command_reads_a_page_or_says_why_not(tmp_path, monkeypatch, capsys):
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr("sys.argv", ["aims", str(tmp_path / "page.md")])
    main()
    assert capsys.readouterr().out == f"{table_of(PAGE)}\n"
    monkeypatch.setattr("sys.argv", ["aims", str(tmp_path / "absent.md")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err.endswith("absent.md: No such file or directory\n")
