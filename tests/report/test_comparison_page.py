"""The page of a comparison says all that its file says, and takes every name as text."""

from tests.report.comparisons import NASTY, example
from tests.report.pages import read_page
from tsmtl.report.comparison_page import write_comparison_page


def test_the_page_holds_every_figure_and_every_run(tmp_path):
    comparison = example()
    write_comparison_page(tmp_path / "c.html", comparison)
    page = read_page(tmp_path / "c.html")
    figures, delta_m, runs, variants, *_ = page.tables
    assert len(figures) - 1 == len(comparison["figures"])
    assert figures[3][:6] == ["both tasks from scratch", "cls", "macro_f1", "0.92", "0.01", "[0.9, 0.94]"]
    assert figures[3][6:] == ["+0.02", "[+0, +0.04]", "+2", "0.16", "helps"]
    assert delta_m[3] == ["alpha 0.1", "1", "", ""]
    assert len(runs) - 1 == len(comparison["runs"])
    assert runs[2] == ["single task: cls", "1", "1.9", "", "0.001", "20", "10", "1.5", "runs/single_cls-1"]
    assert len(variants) - 1 == len(comparison["variants"])
    assert "b" not in page.tags
    assert (tmp_path / "c.html").read_text().count("<script>") == 1


def test_each_picture_says_its_numbers(tmp_path):
    write_comparison_page(tmp_path / "c.html", example())
    cls, reg, delta_m, frontier, budget = read_page(tmp_path / "c.html").says
    assert cls.startswith(
        "cls (valve): gain in macro_f1 over its twin, 95 % intervals of seeds and test instances together: both tasks "
        "from scratch +0.02 [+0, +0.04], helps; "
    )
    assert f"{NASTY} -0.01, cannot tell" in cls
    assert "both tasks from scratch -0.3 [-0.51, -0.09], hurts" in reg
    assert "both tasks from scratch -0.9 % [-1.5, -0.3]" in delta_m
    assert frontier.endswith(
        "not dominated: alpha 0.1 cls 0.88 and reg 6.8; both tasks from scratch cls 0.92 and reg 7.6"
    )
    assert "10 % of the labels (24 % kept): alone 0.6, with the others 0.7, helps; 100 %" in budget


def test_the_control_and_failures_are_said(tmp_path):
    comparison = example() | {"failures": [{"run": "multi seed=1", "reason": NASTY}]}
    comparison["figures"][2]["control"] = comparison["figures"][2]["difference"]
    write_comparison_page(tmp_path / "c.html", comparison)
    page = read_page(tmp_path / "c.html")
    assert page.tables[2][1][1:] == ["cls", "+0.02", "[+0, +0.04]", "0.16"]
    text = (tmp_path / "c.html").read_text()
    assert "<li>multi seed=1: &lt;b&gt;" in text
    assert '<p class="good">cls: The other task helps cls.</p>' in text


def test_what_a_twin_was_not_given_stands_beside_its_verdict(tmp_path):
    comparison = example()
    comparison["variants"][0]["warnings"] = ["the greatest lr that was tried is its best"]
    comparison["variants"][2]["warnings"] = ["still got better in epoch 20 of 20"]
    write_comparison_page(tmp_path / "c.html", comparison)
    text = (tmp_path / "c.html").read_text()
    beside = '</p><p class="open">But single task: cls: the greatest lr that was tried is its best</p>'
    assert f"The other task helps cls.{beside}" in text.replace("\n", "")
    assert "But both tasks" not in text
    variants = read_page(tmp_path / "c.html").tables[3]
    assert variants[3][-1] == "still got better in epoch 20 of 20"


def test_what_was_not_asked_for_has_no_part_of_the_page(tmp_path):
    comparison = example() | {"frontier": [], "budget": [], "delta_m": []}
    comparison["figures"] = comparison["figures"][:2]
    write_comparison_page(tmp_path / "c.html", comparison)
    text = (tmp_path / "c.html").read_text()
    assert "<svg" not in text
    for title in ("Gain over", "costs", "fewer labels", "Delta-m", "failed"):
        assert title not in text


def test_the_same_comparison_makes_the_same_bytes(tmp_path):
    for name in ("a.html", "b.html"):
        write_comparison_page(tmp_path / name, example())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
