"""The pictures of a comparison show its numbers, its verdicts, and nothing that is not known."""

import pytest
from matplotlib.figure import Figure

from tests.report.comparisons import NASTY, example
from tsmtl.report.comparison_picture import draw_budget, draw_delta_m, draw_differences, draw_frontier
from tsmtl.report.drawing import BLUE, GREEN, GREY, RED, style


def lines_of(figure: Figure, panel: int = 0):
    """Give colour, ends and width of each line of a panel that is an interval, from the top."""
    return [
        (line.get_color(), [float(x) for x in line.get_xdata()], line.get_linewidth())
        for line in figure.axes[panel].lines
        if len(line.get_xdata()) == 2
    ]


def words_of(figure: Figure, panel: int = 0):
    return [text.get_text() for text in figure.axes[panel].texts]


def test_differences_have_a_panel_per_task_with_both_intervals_in_the_verdicts_colour():
    figure = draw_differences(example())
    assert len(figure.axes) == 2
    cls, reg = lines_of(figure), lines_of(figure, 1)
    assert cls[0] == (GREY, [0.0, 0.04], 1.0)  # over test instances, thin
    assert cls[1] == (GREEN, [0.01, 0.03], 3.0)  # over seeds, thick
    assert [colour for colour, _, width in reg if width > 1] == [RED, GREY]
    assert len(cls) == 4  # the control has one seed: a point without an interval
    said = words_of(figure)
    assert said[0] == "both tasks from scratch: +0.02, helps"
    assert said[1].endswith("…: +0.01, cannot tell")
    assert said[2] == r'<b>&"\$x\$: -0.01, cannot tell'
    assert draw_differences(example(), ["reg"]).axes[0].get_title().startswith("reg (")


def test_label_budgets_and_twins_are_no_rows_of_the_differences():
    comparison = example()
    row = dict(comparison["figures"][2], variant="budget:cls:0.1")
    comparison["figures"].append(row)
    assert len(words_of(draw_differences(comparison))) == 3


def test_delta_m_whose_interval_is_of_seeds_alone_has_no_verdicts_colour():
    figure = draw_delta_m(example())
    assert {colour for colour, _, _ in lines_of(figure)} == {BLUE}
    assert "seeds alone" in figure.axes[0].get_xlabel()
    assert words_of(figure)[2] == "alpha 0.1: +1 %"


def test_the_frontier_marks_what_no_other_beats_and_leaves_out_what_is_unknown():
    figure = draw_frontier(example())
    (ax,) = figure.axes
    beaten, front = ax.collections
    assert [list(p) for p in beaten.get_offsets()] == [[0.87, 7.7]]
    assert [list(p) for p in front.get_offsets()] == [[0.88, 6.8], [0.92, 7.6]]
    assert words_of(figure) == ["alpha=0.1", "alpha=0.5", "dwa"]
    assert ax.get_xlabel() == "cls: macro_f1, better →"
    assert ax.get_ylabel() == "← better, reg: rmse (bar)"


def test_the_frontier_of_three_tasks_has_a_panel_for_each_pair():
    comparison = example()
    comparison["tasks"]["pump"] = {**comparison["tasks"]["cls"], "target": "pump"}
    for entry in comparison["frontier"]:
        entry["values"]["pump"] = 0.5
    assert len(draw_frontier(comparison).axes) == 3


def test_the_budget_is_drawn_by_the_labels_that_were_kept_with_the_verdicts_that_decide():
    figure = draw_budget(example())
    single, multi = figure.axes[0].lines
    assert list(single.get_xdata()) == list(multi.get_xdata()) == [24, 100]
    assert list(multi.get_ydata()) == [0.7, 0.92]
    assert words_of(figure) == ["helps"]


@pytest.mark.parametrize("draw", [draw_differences, draw_delta_m, draw_frontier, draw_budget])
def test_each_is_saved_as_png_with_any_name(tmp_path, draw):
    comparison = example()
    for variant in comparison["variants"]:
        variant["label"] = NASTY
    with style():
        draw(comparison).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
