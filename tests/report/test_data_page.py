"""The page and the terminal say the same of the data, and take every name as text."""

import numpy as np
import pytest

from tests.report.pages import read_page
from tsmtl.data.description import describe_channels
from tsmtl.data.instances import Bundle, ClassTarget, Instances, NumberTarget
from tsmtl.data.sharing import splits_measured
from tsmtl.report.data_page import DataPage, write_data_page
from tsmtl.report.data_tables import data_tables
from tsmtl.report.data_text import show_data

NASTY = '<b>&"\n'


def bundle_of(channels=2, classes=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, channels, 5)).astype(np.float32)
    x[40:, -1] += 100  # the last channel shifts
    ids = np.arange(60) % classes
    targets = {
        "cls": ClassTarget(NASTY, ids, [NASTY, *map(str, range(1, classes))]),
        "reg": NumberTarget("wear", np.arange(60, dtype=np.float32)[:, None], "<mm>"),
    }
    names = [NASTY, *(f"channel {i}" for i in range(1, channels))]
    instances = Instances(x, targets, f"{NASTY}.npz", names)
    splits = {"train": np.arange(30), "val": np.arange(30, 40), "test": np.arange(40, 60)}
    facts = splits_measured(instances, splits)
    return Bundle(Instances(x, targets, instances.where, names, facts=facts), splits, [f"note {NASTY}"])


def tables_of(bundle):
    return data_tables(bundle, describe_channels(bundle.instances, bundle.splits))


def test_the_page_holds_every_table_and_no_name_becomes_a_tag(tmp_path):
    bundle = bundle_of(channels=40, classes=25)
    tables = tables_of(bundle)
    write_data_page(
        tmp_path / "p.html",
        DataPage(bundle.instances.where, NASTY, NASTY, [NASTY], False, tables, bundle.notes, b"\x89PNG"),
    )
    text = (tmp_path / "p.html").read_text()
    page = read_page(tmp_path / "p.html")
    assert "b" not in page.tags
    assert "script" not in page.tags
    assert page.tables == [[table.header, *table.rows] for table in tables]
    assert len(page.tables[2]) == 41
    assert 'src="data:image/png;base64,iVBORw==' in text
    assert '<p class="bad">' in text


def test_the_terminal_shows_the_channels_that_shift_most_and_how_many_more(capsys):
    bundle = bundle_of(channels=40, classes=25)
    show_data("head", tables_of(bundle), bundle.notes, ["verdict"])
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("40 channels"))
    assert lines[at + 2].split()[:2] == ["channel", "39"]
    assert lines[at + 22] == "  ... and 20 more; these have the largest shift, page=check.html has all"
    assert sum("... and 5 more; these have the most instances" in line for line in lines) == 1
    assert not any('<b>&"' in line and '<b>&"?' not in line for line in lines)


def test_the_tables_hold_the_numbers_of_a_hand_count():
    splits, overlap, channels, classes, numbers = tables_of(bundle_of())
    assert splits.rows == [["train", "30", "50.0%"], ["val", "10", "16.7%"], ["test", "20", "33.3%"]]
    assert overlap.rows == [
        [f"{a} and {b}", "0", "0"] for a, b in (("train", "val"), ("train", "test"), ("val", "test"))
    ]
    assert float(channels.rows[1][5]) == pytest.approx(100, rel=0.2)
    assert channels.title.startswith("2 channels, no value missing")
    assert classes.rows[0] == ["labelled", "30", "100.0%", "10", "100.0%", "20", "100.0%"]
    assert classes.rows[1] == [NASTY, "15", "50.0%", "5", "50.0%", "10", "50.0%"]
    # 30 ... 39: the variance is (100 - 1) / 12.
    assert numbers.rows[1] == ["val", "10", "100.0%", "34.5", "2.872", "30", "34.5", "39"]
    assert numbers.title == "Task reg: wear, <mm>"
