"""Pictures of a comparison: gains over the single-task twins with their intervals, Delta-m, frontier, label budget.

Each function takes the content of ``comparison.json`` and returns a figure, of every task or of those that are named.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, GREEN, GREY, ORANGE, RED, dress, plain, short
from tsmtl.report.frontier_picture import Objective, Point, draw_fronts

Comparison = Mapping[str, Any]
VERDICTS = {"helps": GREEN, "hurts": RED, "cannot tell": GREY}
WIDTH, ROW, AROUND = 4.6, 0.42, 1.25  # inches: a panel, a variant of it, title and axis
LONGEST = 34  # letters of a variant's name
MOST_PAIRS = 6  # of tasks, in one picture of the frontier


def metric_of(task: Mapping[str, Any], with_unit: bool = True) -> str:
    """Name a task's metric, with its unit."""
    unit = task.get("unit")
    return f"{task['metric']} ({unit})" if unit and with_unit else str(task["metric"])


def labels_of(comparison: Comparison) -> dict[str, str]:
    """Give what each variant is called."""
    return {variant["name"]: variant["label"] for variant in comparison["variants"]}


def judged(comparison: Comparison, task: str) -> list[Mapping[str, Any]]:
    """Give the figures of a task that were compared with its twin, in the order of the variants; no label budgets."""
    budgets = {variant["name"] for variant in comparison["variants"] if variant["kind"] == "budget"}
    return [
        figure
        for figure in comparison["figures"]
        if figure["task"] == task
        and figure["variant"] not in budgets
        and figure["difference"] is not None
        and figure["difference"]["mean"] is not None
    ]


def draw_differences(comparison: Comparison, tasks: Sequence[str] | None = None) -> Figure:
    """Draw each variant's gain over the single-task twin: a panel per task, right of zero is better.

    The thick line is Student's interval over seeds, the thin one that of seeds and test instances together.
    """
    names = _those_with(tasks, {task: judged(comparison, task) for task in comparison["tasks"]})
    labels = labels_of(comparison)
    most = max(len(judged(comparison, name)) for name in names)
    figure = Figure(figsize=(WIDTH * len(names), ROW * most + AROUND), layout="constrained")
    for name, ax in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        about = comparison["tasks"][name]
        for place, row in enumerate(judged(comparison, name)):
            found, colour = row["difference"], VERDICTS.get(row["verdict"] or "", BLUE)
            _interval(ax, place, found["total_low"], found["total_high"], GREY, 1.0)
            _interval(ax, place, found["low"], found["high"], colour, 3.0)
            said = f"{labels[row['variant']]}: {signed(found['mean'])}"
            _row(ax, place, found["mean"], colour, said, row["verdict"])
        unit = f" ({about['unit']})" if about.get("unit") else ""
        title = f"{name} ({about['target']}): gain over the single-task twin"
        _forest(ax, most, title, f"gain in {about['metric']}{unit}; right of 0 is better")
    return figure


def draw_delta_m(comparison: Comparison) -> Figure:
    """Draw Delta-m of each variant with its interval: the mean gain over the tasks, in percent of the twin.

    Without a verdict's colour: the interval knows of the seeds alone, not of the test instances.
    """
    rows, labels = [row for row in comparison["delta_m"] if row["mean"] is not None], labels_of(comparison)
    figure = Figure(figsize=(WIDTH, ROW * len(rows) + AROUND), layout="constrained")
    ax = figure.subplots()
    for place, row in enumerate(rows):
        _interval(ax, place, row["low"], row["high"], BLUE, 3.0)
        _row(ax, place, row["mean"], BLUE, f"{labels[row['variant']]}: {signed(row['mean'])} %", None)
    x = "gain in %, interval of the seeds alone; right of 0 is better"
    _forest(ax, len(rows), "Delta-m: mean gain over all tasks", x)
    return figure


def draw_frontier(comparison: Comparison, tasks: Sequence[str] | None = None) -> Figure:
    """Draw what one task gives for the other: a panel for each pair of tasks, the non-dominated variants marked."""
    about = comparison["tasks"]
    names = list(about) if tasks is None else list(tasks)
    axes = {
        name: Objective(f"{name}: {metric_of(about[name])}", bool(about[name]["higher_is_better"])) for name in names
    }
    points = [
        Point(_of_frontier(entry), entry["values"], entry["non_dominated"])
        for entry in comparison["frontier"]
        if all(entry["values"].get(name) is not None for name in names)
    ]
    return draw_fronts(points, axes, list(combinations(names, 2))[:MOST_PAIRS], "mean over seeds, test")


def draw_budget(comparison: Comparison, tasks: Sequence[str] | None = None) -> Figure:
    """Draw the metric against the share of a task's labels that was kept, alone and with others: a panel per task."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in comparison["budget"]:
        found.setdefault(entry["task"], []).append(entry)
    names = _those_with(tasks, found)
    figure = Figure(figsize=(WIDTH * len(names), 3.4), layout="constrained")
    for name, ax in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        rows = sorted(found[name], key=lambda entry: float(entry["share"]))
        for key, label, colour, marker in (("single", "alone", BLUE, "o"), ("multi", "with the others", ORANGE, "s")):
            known = [(100 * row["kept"], row[key]) for row in rows if row[key] is not None]
            ax.plot(*zip(*known, strict=True), color=colour, marker=marker, markersize=5, label=label)
        for row in rows:
            if row["verdict"] in ("helps", "hurts") and row["multi"] is not None:
                at, style = (100 * row["kept"], row["multi"]), {"textcoords": "offset points", "ha": "center"}
                ax.annotate(row["verdict"], at, (0, 7), fontsize=8, color=VERDICTS[row["verdict"]], **style)
        about = comparison["tasks"][name]
        better = "higher" if about["higher_is_better"] else "lower"
        dress(ax, f"{name} ({about['target']})", "labels of the task, %", f"{metric_of(about)}, {better} is better")
        ax.margins(0.08, 0.15)
        ax.legend(frameon=False, fontsize=8)
    return figure


def signed(value: float) -> str:
    """Write a difference short, with its sign."""
    return f"{value:+.3g}"


def _those_with(asked: Sequence[str] | None, found: Mapping[str, Sequence[Any]]) -> list[str]:
    return [name for name in (found if asked is None else asked) if found[name]]


def _of_frontier(entry: Mapping[str, Any]) -> str:
    """Name a point of the frontier by what was varied."""
    return f"alpha={entry['alpha']:g}" if entry["alpha"] is not None else str(entry["weighting"])


def _interval(ax: Axes, place: float, low: float | None, high: float | None, colour: str, width: float) -> None:
    if low is not None and high is not None:
        ax.plot([low, high], [place, place], color=colour, linewidth=width, solid_capstyle="butt")


def _row(ax: Axes, place: float, mean: float, colour: str, said: str, verdict: str | None) -> None:
    """Mark a mean, and say above it what it is; the words stand at the panel's edge, wherever the interval lies."""
    ax.plot([mean], [place], marker="o", markersize=6, color=colour)
    name, _, value = said.rpartition(": ")
    line = f"{short(name, LONGEST)}: {value}" + (f", {verdict}" if verdict else "")
    ax.annotate(plain(line), (0.01, place - 0.45), xycoords=("axes fraction", "data"), fontsize=8, va="center")


def _forest(ax: Axes, rows: int, title: str, x: str) -> None:
    ax.vlines([0] * rows, [i - 0.2 for i in range(rows)], [i + 0.3 for i in range(rows)], color="black", linewidth=1)
    ax.set_ylim(rows - 0.5, -0.75)  # the first on top
    ax.set_yticks([])
    ax.margins(x=0.06)
    dress(ax, title, x, "")
    ax.spines["left"].set_visible(False)
