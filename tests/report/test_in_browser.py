"""The pages in a browser: nothing complains, tables sort, pictures are seen, nothing is wider than the window."""

import os
import re
from pathlib import Path

import pytest

from tests.browser import ENTER, Browser
from tests.report.comparisons import example
from tests.report.runs import write_run
from tests.sweep.records import write_job
from tsmtl.report.comparison_page import write_comparison_page
from tsmtl.report.run_contents import read_run
from tsmtl.report.run_page import write_run_page
from tsmtl.sweep.page import write_sweep_page
from tsmtl.sweep.results import results_of

PAGES = ("run", "sweep", "comparison")
WIDTHS = (375, 1280)
SCORES = [10.0, 9.5, 0.0001, 100.0]
BOXES = (
    "[...document.querySelectorAll('svg, img')].map(e => e.getBoundingClientRect())"
    ".map(b => [b.left, b.right, b.width, b.height])"
)
CELLS = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => r.cells[{}].textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        browser = Browser(tmp_path_factory.mktemp("profile"))
    except FileNotFoundError as error:
        if os.environ.get("CI") and os.geteuid() == 0:
            raise  # scripts/test.sh installs it there
        pytest.skip(str(error))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in PAGES}
    write_run_page(found["run"], read_run(write_run(folder / "run")))
    for n, score in enumerate(SCORES):
        settings = {"alpha": n / 10, "seed": n % 2, "a_setting_with_a_name_that_is_far_too_long": "x" * 60 + str(n)}
        test = {"cls": {"macro_f1": score}, "reg": {"rmse": score}}
        write_job(folder / "sweep", f"job-{n}", settings, score, test, swept=tuple(settings))
    write_job(folder / "sweep", "lost", {"alpha": 0.9}, swept=("alpha",), reason="Out of memory " * 20)
    write_sweep_page(found["sweep"], folder / "sweep", results_of(folder / "sweep"))
    write_comparison_page(found["comparison"], example())
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_seen_and_nothing_is_wider_than_the_window(browser, pages, name, width, dark):
    browser.show(pages[name], width, dark)
    assert browser.complaints() == []
    assert browser.ask("document.documentElement.scrollWidth") == width
    boxes = browser.ask(BOXES)
    assert len(boxes) >= 2
    for left, right, wide, high in boxes:
        assert wide > 200
        assert high > 50
        assert left >= 0
        assert right <= width
    smallest = "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
    assert browser.ask(smallest) > 5  # pixels: letters on a telephone, too


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_axes_stand_out_from_the_page(browser, pages, dark):
    browser.show(pages["run"], 1280, dark)
    (paper,) = _colours(browser, "[document.body]", "backgroundColor")
    inks = _colours(browser, "[...document.querySelectorAll('body > p, svg text, td')]", "color")
    for ink in inks:
        assert contrast(ink, paper) > 7
    lines = "[...document.querySelectorAll('svg path')].filter(p => getComputedStyle(p).stroke !== 'none')"
    strokes = _colours(browser, lines, "stroke")
    assert len(strokes) >= 4
    assert sum(contrast(stroke, paper) > 3 for stroke in strokes) >= 4  # all but the grid
    fills = _colours(browser, "[...document.querySelectorAll('svg text')]", "fill")
    assert max(contrast(fill, paper) for fill in fills) > 7


def _colours(browser, elements, what) -> set[tuple[int, ...]]:
    said = set(browser.ask(f"{elements}.map(e => getComputedStyle(e).{what})"))
    return {tuple(int(part) for part in re.findall(r"\d+", colour)[:3]) for colour in said}


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""

    def luminance(colour: tuple[int, ...]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_numbers_are_sorted_as_numbers_by_click_and_by_key(browser, pages):
    browser.show(pages["sweep"], 1280)
    heads = browser.ask(
        "[...document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells].map(h => h.textContent)"
    )
    at = heads.index("score")
    cells = CELLS.format(at)
    head = f"document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[{at}]"
    count = len(SCORES) + 1
    browser.ask(f"{head}.querySelector('button').click()")
    assert browser.ask(cells)[:count] == ["0.0001", "9.5", "10", "100", ""]  # as words, 10 would come before 9.5
    assert browser.ask(f"{head}.getAttribute('aria-sort')") == "ascending"
    browser.ask(f"{head}.querySelector('button').focus()")
    browser.press(ENTER)
    assert browser.ask(cells)[:count] == ["100", "10", "9.5", "0.0001", ""]  # what is unknown stays last
    assert browser.ask(f"{head}.getAttribute('aria-sort')") == "descending"
    browser.ask("document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[0].querySelector('button').click()")
    assert browser.ask(CELLS.format(0))[:count] == ["job-0", "job-1", "job-2", "job-3", "lost"]
    assert browser.ask(f"{head}.hasAttribute('aria-sort')") is False
    assert browser.complaints() == []


def test_without_scripts_the_table_is_there(browser, pages):
    browser.show(pages["sweep"], 1280, scripts=False)
    assert browser.ask("document.querySelectorAll('table.sortable tbody tr').length") >= len(SCORES)
    assert browser.ask("document.querySelectorAll('button').length") == 0


def test_wide_tables_scroll_in_their_own_box_and_are_whole_on_paper(browser, pages):
    browser.show(pages["sweep"], 375)
    box = "document.querySelector('.scroll')"
    assert browser.ask(f"{box}.scrollWidth > {box}.clientWidth && {box}.clientWidth < 375") is True
    browser.show(pages["sweep"], 1280, dark=True, paper=True)
    assert _colours(browser, "[document.body]", "backgroundColor") == {(255, 255, 255)}
    assert browser.ask("document.documentElement.scrollWidth") == 1280
