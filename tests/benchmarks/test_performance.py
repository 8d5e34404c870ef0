"""The command that runs all benchmarks."""

import itertools
import subprocess
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

    def counting(threads, repeats, say):
        return [{"part": "counted", "n": repeats, "threads": threads}]

    parts = {
        "counted": Part(counting, lambda rows: "a table", repeats=7),
        "failing": Part(failing, lambda rows: ""),
        "alone": Part(counting, lambda rows: "", repeats=None, threads=False, packages=None),
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
    document.write_text("# Speed\n\n<!-- counted -->\nold\n<!-- /counted -->\nend\n<!-- aims --><!-- /aims -->\n")
    assert command("counted", "--repeats", "3", "--threads", "2", "--write", str(document)) == 0
    text = document.read_text()
    assert text.startswith("# Speed\n\n<!-- counted -->\n20")
    assert "a table\n<!-- /counted -->\nend\n<!-- aims -->\n0 of " in text
    assert "torch 2." in text
    assert "2 threads per process" in text
    assert "old" not in text
    about, row = read_rows(tmp_path / "rows.jsonl")
    assert about["part"] == "about counted"
    assert row == {"part": "counted", "n": 3, "threads": 2}
    assert "a table" in capsys.readouterr().out


def test_a_part_that_fails_leaves_its_section_and_the_others_go_on(command, tmp_path, capsys):
    document = tmp_path / "page.md"
    sections = "<!-- failing -->\nold\n<!-- /failing -->\n<!-- counted -->\nold\n<!-- /counted -->\n"
    document.write_text(f"{sections}<!-- aims --><!-- /aims -->")
    assert command("failing", "counted", "--write", str(document)) == 1
    assert document.read_text().startswith("<!-- failing -->\nold\n<!-- /failing -->\n<!-- counted -->\n20")
    assert "failing: no luck" in capsys.readouterr().err


def test_wrong_words_are_refused_before_anything_is_measured(command, tmp_path, capsys):
    assert command("no_such_part") == 2
    assert "no_such_part: no such part (counted, failing, alone)" in capsys.readouterr().err
    assert command("--repeats", "0") == 2
    document = tmp_path / "page.md"
    document.write_text("no markers")
    assert command("counted", "--write", str(document)) == 2
    assert "<!-- counted -->" in capsys.readouterr().err
    document.write_text("<!-- counted --><!-- /counted -->")
    assert command("counted", "--write", str(document)) == 2
    assert "<!-- aims -->" in capsys.readouterr().err
    assert command("counted", "--write", str(tmp_path / "absent.md")) == 2
    assert command("counted", "alone", "--threads", "2") == 2
    assert "--threads: alone has its own" in capsys.readouterr().err
    assert command("alone", "--repeats", "2") == 2
    assert "--repeats: alone measures once" in capsys.readouterr().err
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_part_has_its_own_repeats_and_one_thread_where_nothing_is_said(command, tmp_path):
    assert command("counted", "alone") == 0
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [(row["n"], row["threads"]) for row in rows if "n" in row] == [(7, 1), (1, 1)]
    assert "said" not in rows[2]  # what it prints says its machine


def test_what_a_script_prints_is_shown_with_what_heads_its_tables():
    tables = "alone, load 0.1\n\n| a |\n|---|\n| 1 |\n\nwith a busy neighbour\n\n| a |\n|---|\n| 2 |\n"
    rows = [{"part": "startup", "command": "python -m x", "printed": f"{tables}\n"}]
    assert printed("startup", rows) == f"`python -m x`:\n\n{tables.strip()}"
    plain = [{"part": "startup", "command": "python -m x", "printed": "alone 3 ms\n"}]
    assert printed("startup", plain) == "`python -m x`:\n\n```text\nalone 3 ms\n```"


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.packages is None])
def test_scripts_are_given_what_they_take(name, monkeypatch):
    asked = []

    def run(command, **about):
        asked.append((command[2:], about["env"].get("OMP_NUM_THREADS")))
        return subprocess.CompletedProcess(command, 0, stdout="done")

    monkeypatch.setattr(performance.subprocess, "run", run)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    PARTS[name].measure(3, 9, lambda text: None)
    ((words, variable),) = asked
    assert words[0] == f"benchmarks.{name}"
    said = dict(itertools.pairwise(words))
    assert said.get("--repeats") == (None if PARTS[name].repeats is None else "9")
    assert PARTS[name].threads == ("3" in (said.get("--threads"), variable))


def test_the_command_line_is_read_without_what_measuring_imports():
    code = "import benchmarks.performance, sys; print({'torch', 'numpy', 'tsmtl'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


def test_a_script_runs_with_its_variables_and_one_that_fails_is_said(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "odd.py").write_text("import os, sys\nprint(os.environ['ODD'], sys.argv[1])\n")
    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (row,) = run_script("odd", ("ODD={threads}", "--x"), 7, 1, lambda text: None)
    assert row == {"part": "odd", "command": "ODD=7 python -m benchmarks.odd --x", "printed": "7 --x\n"}
    with pytest.raises(RuntimeError, match=r"(?s)benchmarks/odd.py ended with 1:.*KeyError"):
        run_script("odd", ("--x",), 1, 1, lambda text: None)
    with pytest.raises(RuntimeError, match=r"benchmarks/absent.py is not there"):
        run_script("absent", (), 1, 1, lambda text: None)


def test_the_page_has_a_place_for_every_part():
    text = (ROOT / "docs" / "performance.md").read_text()
    for name in [*PARTS, "aims"]:
        assert f"<!-- {name} -->" in text
        assert f"<!-- /{name} -->" in text
