"""What one score costs in another: points, and the front of those that no other one beats in every score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, GREY, ORANGE, dress, plain, short

MOST_NAMED = 16  # points of a front that are named in the picture
LONGEST = 18  # letters of a name
ROOM = (0.35, 0.06)  # that a name takes, in shares of the panel


@dataclass(frozen=True)
class Objective:
    """A score of a front.

    Attributes:
        label: What its axis is called.
        higher_is_better: Which way.
    """

    label: str
    higher_is_better: bool


@dataclass(frozen=True)
class Point:
    """What was tried.

    Attributes:
        label: Its name in the picture.
        values: By the objective's name.
        non_dominated: Whether no other one beats it in every score.
    """

    label: str
    values: Mapping[str, float]
    non_dominated: bool


def draw_fronts(
    points: Sequence[Point], objectives: Mapping[str, Objective], pairs: Iterable[tuple[str, str]], title: str
) -> Figure:
    """Draw a panel for each pair of scores, with arrows on the axes to where they are better.

    Args:
        points: What was tried.
        objectives: By name.
        pairs: Names of the scores of each panel: across, up.
        title: What the points are.
    """
    chosen = list(pairs)
    figure = Figure(figsize=(4.6 * len(chosen), 3.9), layout="constrained")
    for (across, up), ax in zip(chosen, figure.subplots(1, len(chosen), squeeze=False)[0], strict=True):
        _panel(ax, points, across, up, len(objectives) == 2)
        x, y = objectives[across], objectives[up]
        dress(ax, title, _towards(x, "← better", "better →"), _towards(y, "← better", "better →"))
    return figure


def _towards(objective: Objective, low: str, high: str) -> str:
    return f"{objective.label}, {high}" if objective.higher_is_better else f"{low}, {objective.label}"


def _panel(ax: Axes, points: Sequence[Point], across: str, up: str, joined: bool) -> None:
    front = sorted((p for p in points if p.non_dominated), key=lambda p: (p.values[across], p.values[up]))
    others = [p for p in points if not p.non_dominated]
    if others:
        places = ([p.values[across] for p in others], [p.values[up] for p in others])
        ax.scatter(*places, s=22, color=BLUE, alpha=0.7, linewidths=0, label="beaten")
    x, y = [p.values[across] for p in front], [p.values[up] for p in front]
    if joined:  # of more scores the front is no line in two of them
        ax.plot(x, y, color=GREY, linewidth=1, zorder=1)
    ax.scatter(x, y, s=42, color=ORANGE, marker="D", linewidths=0, zorder=3, label="not dominated")
    for point in _readable([*front, *others] if len(points) <= MOST_NAMED else front, across, up):
        at = (point.values[across], point.values[up])
        ax.annotate(plain(short(point.label, LONGEST)), at, (4, 4), textcoords="offset points", fontsize=8)
    ax.margins(0.16, 0.12)
    ax.locator_params(axis="x", nbins=5)  # more numbers of four digits would touch
    ax.legend(frameon=False, fontsize=8)


def _readable(points: Sequence[Point], across: str, up: str) -> list[Point]:
    """Give the points whose names would not run into each other's."""
    ends = [(min(v), max(v)) for v in ([p.values[name] for p in points] for name in (across, up))]
    spans = [high - low or 1.0 for low, high in ends]
    chosen: list[Point] = []
    for point in points:
        gaps = [
            [abs(point.values[n] - c.values[n]) / s for n, s in zip((across, up), spans, strict=True)] for c in chosen
        ]
        if all(x > ROOM[0] or y > ROOM[1] for x, y in gaps) and len(chosen) < MOST_NAMED:
            chosen.append(point)
    return chosen
