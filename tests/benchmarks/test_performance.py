"""The command that runs all benchmarks."""

import sys

import pytest

from benchmarks import performance
from benchmarks.performance import PARTS, Part, main, printed, run_script
from benchmarks.table import read_rows
from tests.conftest import ROOT


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Give a function that runs the command with one part, which measures nothing, and another that fails."""

    def failing(threads, repeats, say):
        raise RuntimeError("no luck")

    parts = {
        "counted": Part(lambda threads, repeats, say: [{"part": "counted", "n": repeats}], lambda rows: "a table"),
        "failing": Part(failing, lambda rows: ""),
    }

    def run(*arguments):
        monkeypatch.setattr(performance, "PARTS", parts)
        monkeypatch.setattr(sys, "argv", ["performance", *arguments, "--rows", str(tmp_path / "rows.jsonl")])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code

    return run


def test_a_section_goes_between_its_markers_with_its_machine(command, tmp_path, capsys):
    document = tmp_path / "page.md"
    document.write_text("# Speed\n\n<!-- counted -->\nold\n<!-- /counted -->\nend\n")
    assert command("counted", "--repeats", "3", "--write", str(document)) == 0
    text = document.read_text()
    assert text.startswith("# Speed\n\n<!-- counted -->\n20")
    assert text.endswith("a table\n<!-- /counted -->\nend\n")
    assert "torch 2." in text
    assert "1 thread per process" in text
    assert "old" not in text
    about, row = read_rows(tmp_path / "rows.jsonl")
    assert about["part"] == "about counted"
    assert row == {"part": "counted", "n": 3}
    assert "a table" in capsys.readouterr().out


def test_a_part_that_fails_leaves_its_section_and_the_others_go_on(command, tmp_path, capsys):
    document = tmp_path / "page.md"
    document.write_text("<!-- failing -->\nold\n<!-- /failing -->\n<!-- counted -->\nold\n<!-- /counted -->\n")
    assert command("failing", "counted", "--write", str(document)) == 1
    assert document.read_text().startswith("<!-- failing -->\nold\n<!-- /failing -->\n<!-- counted -->\n20")
    assert "failing: no luck" in capsys.readouterr().err


def test_wrong_words_are_refused_before_anything_is_measured(command, tmp_path, capsys):
    assert command("no_such_part") == 2
    assert "no_such_part: no such part (counted, failing)" in capsys.readouterr().err
    assert command("--repeats", "0") == 2
    document = tmp_path / "page.md"
    document.write_text("no markers")
    assert command("counted", "--write", str(document)) == 2
    assert "<!-- counted -->" in capsys.readouterr().err
    assert command("counted", "--write", str(tmp_path / "absent.md")) == 2
    assert not (tmp_path / "rows.jsonl").exists()


def test_of_what_a_script_prints_the_tables_are_shown():
    rows = [{"part": "startup", "command": "python -m x", "printed": "1 of 2\n| a |\n|---|\n| 1 |\n\nload 1\n"}]
    assert printed("startup", rows) == "`python -m x`:\n\n| a |\n|---|\n| 1 |"
    between = "| a |\n|---|\n\n| 1 |\nsaid\n| 2 |\n\n| b |\n|---|\n| 3 |\n"
    rows = [{"part": "startup", "command": "python -m x", "printed": between}]
    assert printed("startup", rows) == "`python -m x`:\n\n| a |\n|---|\n| 1 |\n| 2 |\n\n| b |\n|---|\n| 3 |"
    plain = [{"part": "startup", "command": "python -m x", "printed": "alone 3 ms\n"}]
    assert printed("startup", plain) == "`python -m x`:\n\n```text\nalone 3 ms\n```"


def test_a_script_runs_with_its_variables_and_one_that_fails_is_said(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "odd.py").write_text("import os, sys\nprint(os.environ['ODD'], sys.argv[1])\n")
    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (row,) = run_script("odd", ("ODD=7", "--x"), 1, 1, lambda text: None)
    assert row == {"part": "odd", "command": "ODD=7 python -m benchmarks.odd --x", "printed": "7 --x\n"}
    with pytest.raises(RuntimeError, match=r"(?s)benchmarks/odd.py ended with 1:.*KeyError"):
        run_script("odd", ("--x",), 1, 1, lambda text: None)
    with pytest.raises(RuntimeError, match=r"benchmarks/absent.py is not there"):
        run_script("absent", (), 1, 1, lambda text: None)


def test_the_page_has_a_place_for_every_part():
    text = (ROOT / "docs" / "performance.md").read_text()
    for name in PARTS:
        assert f"<!-- {name} -->" in text
        assert f"<!-- /{name} -->" in text
