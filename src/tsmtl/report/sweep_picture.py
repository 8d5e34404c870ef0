"""The picture of a sweep: its score against each setting, and against all of them together."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, DPI, ORANGE, dress, plain, style

Points = Sequence[tuple[Sequence[str], float]]
MOST_SETTINGS = 8
MOST_COLUMNS = 3
MOST_DOTS = 1000  # jobs that are drawn one by one in a file of lines; more become one image
MOST_TICKS = 8  # values of a number that are named one by one
MOST_LETTERS = 32  # below a panel, that need not be turned
WIDE = 10.0  # largest over smallest value from which an axis is logarithmic


def draw_sweep(path: Path, keys: Sequence[str], points: Points, best: float, score: str) -> None:
    """Draw a panel for each setting, and one for all: a heat map of two, parallel coordinates of more, below.

    Args:
        path: The file.
        keys: The settings that were swept, the seed aside.
        points: Values of the settings, and score, of each job; those of the best settings first.
        best: Score of the best settings, over their seeds the mean.
        score: Name of the score.
    """
    keys = keys[:MOST_SETTINGS]
    panels = len(keys) + (len(keys) == 2)  # of two settings, the heat map beside them
    columns = min(panels, MOST_COLUMNS)
    rows = -(-panels // columns)
    below = len(keys) > 2
    with style():
        figure = Figure(figsize=(4.6 * columns, 3.4 * (rows + below) + 0.4), layout="constrained")
        grid = figure.add_gridspec(rows + below, columns)
        for i, key in enumerate(keys):
            ax = figure.add_subplot(grid[divmod(i, columns)])
            _against(ax, key, [(values[i], y) for values, y in points], best, score)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        if len(keys) == 2:
            _heat_map(figure, figure.add_subplot(grid[0, 2]), keys, points, score)
        elif below:
            _parallel(figure, figure.add_subplot(grid[rows, :]), keys, points, score)
        figure.savefig(path, dpi=DPI)


def sweep_panels(keys: Sequence[str], points: Points, best: float, score: str) -> Iterator[tuple[str, Figure]]:
    """Give what :func:`draw_sweep` draws as a figure for each panel, with what it is about; takes the same."""
    keys = keys[:MOST_SETTINGS]
    for i, key in enumerate(keys):
        figure = Figure(figsize=(4.5, 3.4), layout="constrained")
        ax = figure.subplots()
        _against(ax, key, [(values[i], y) for values, y in points], best, score)
        ax.legend(frameon=False, fontsize=8)
        yield key, figure
    if len(keys) == 2:
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        _heat_map(figure, figure.subplots(), keys, points, score)
        yield f"{keys[0]} and {keys[1]}", figure
    elif len(keys) > 2:
        figure = Figure(figsize=(max(4.5, 1.4 * len(keys)), 3.6), layout="constrained")
        _parallel(figure, figure.subplots(), keys, points, score)
        yield "all settings", figure


def _short(text: str, most: int = 16) -> str:
    """Give a value as a label: of a long one its two ends."""
    return plain(text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}")


def _numbers(values: Sequence[str]) -> list[float] | None:
    """Give the values as numbers; None where any is none."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _in_order(values: Sequence[str]) -> list[str]:
    """Give the different values, numbers by size, others as they came."""
    different = list(dict.fromkeys(values))
    numbers = _numbers(different)
    return different if numbers is None else [v for _, v in sorted(zip(numbers, different, strict=True))]


def _is_wide(numbers: Sequence[float]) -> bool:
    return min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE


def _against(ax: Axes, key: str, points: Sequence[tuple[str, float]], best: float, score: str) -> None:
    numbers = _numbers([x for x, _ in points])
    names = _in_order([x for x, _ in points])
    places = [float(names.index(x)) for x, _ in points] if numbers is None else numbers
    scores = [y for _, y in points]
    ax.scatter(
        places, scores, s=22, alpha=0.6, color=BLUE, linewidths=0, label="a job", rasterized=len(scores) > MOST_DOTS
    )
    levels = sorted(set(places))
    means = [float(np.mean([y for x, y in zip(places, scores, strict=True) if x == level])) for level in levels]
    if len(levels) < len(places):
        line = "none" if numbers is None else "-"  # nothing lies between two names
        ax.plot(levels, means, linestyle=line, marker="_", markersize=14, color=BLUE, linewidth=1, label="mean")
    ax.scatter(places[0], best, s=60, facecolors="none", edgecolors=ORANGE, linewidths=2, label="best settings")
    if numbers is not None and _is_wide(numbers):
        ax.set_xscale("log")
    if numbers is None or len(names) <= MOST_TICKS:
        _name_ticks(ax, levels, names)
        ax.margins(x=0.12)
    dress(ax, "", key, score)


def _name_ticks(ax: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    shown = [_short(name) for name in names]
    ax.set_xticks(places, shown, rotation=_turn(shown))
    ax.minorticks_off()


def _turn(names: Sequence[str]) -> int:
    """Give the degrees by which names below a panel are turned, so that they do not run into each other."""
    return 45 if len(names) > MOST_TICKS else 20 if sum(map(len, names)) > MOST_LETTERS else 0


def _heat_map(figure: Figure, ax: Axes, keys: Sequence[str], points: Points, score: str) -> None:
    across, up = (_in_order([values[i] for values, _ in points]) for i in range(2))
    means = np.full((len(up), len(across)), np.nan)
    for row, column in np.ndindex(means.shape):
        found = [y for values, y in points if values[0] == across[column] and values[1] == up[row]]
        means[row, column] = np.mean(found) if found else np.nan
    image = ax.imshow(means, cmap="viridis", origin="lower", aspect="auto")
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    if means.size <= 64:
        for row, column in np.ndindex(means.shape):
            if not math.isnan(means[row, column]):
                colour = "white" if means[row, column] < middle else "black"
                ax.text(column, row, f"{means[row, column]:.3g}", ha="center", va="center", color=colour, fontsize=8)
    _name_ticks(ax, range(len(across)), across)
    ax.set_yticks(range(len(up)), [_short(v) for v in up])
    dress(ax, "", keys[0], keys[1], grid=False)
    figure.colorbar(image, ax=ax, label=plain(f"mean {score}"))


def _parallel(figure: Figure, ax: Axes, keys: Sequence[str], points: Points, score: str) -> None:
    colours = Normalize(min(y for _, y in points), max(y for _, y in points))
    cmap = matplotlib.colormaps["viridis"]
    heights = [_heights([values[i] for values, _ in points]) for i in range(len(keys))]
    for n, (_, y) in reversed(list(enumerate(points))):  # the best last
        ax.plot(
            range(len(keys)),
            [h[n] for h in heights],
            color=cmap(colours(y)),
            alpha=0.7,
            linewidth=1,
            rasterized=len(points) > MOST_DOTS,
        )
    ax.plot(range(len(keys)), [h[0] for h in heights], color=ORANGE, linewidth=2.5)
    for i in range(len(keys)):
        names = _in_order([values[i] for values, _ in points])
        ends = (names[0], names[-1]) if len(names) > 1 else (names[0], "")
        ax.annotate(_short(ends[0]), (i, -0.04), ha="center", va="top", fontsize=8)
        ax.annotate(_short(ends[1]), (i, 1.04), ha="center", va="bottom", fontsize=8)
        ax.axvline(i, color="black", linewidth=0.6)
    ax.set_xticks(range(len(keys)), [plain(key) for key in keys])
    ax.set_yticks([])
    ax.set_ylim(-0.14, 1.14)
    ax.margins(x=0.08)
    ax.spines[:].set_visible(False)
    dress(ax, "all settings, the best in orange", "", "", grid=False)
    figure.colorbar(matplotlib.cm.ScalarMappable(colours, cmap), ax=ax, label=plain(score))


def _heights(values: Sequence[str]) -> list[float]:
    """Place values between 0 and 1: numbers by size, on a logarithm where they are wide, others in their order."""
    numbers, names = _numbers(values), _in_order(values)
    if numbers is None:
        return [names.index(value) / max(1, len(names) - 1) for value in values]
    scaled = [math.log(number) for number in numbers] if _is_wide(numbers) else numbers
    low, high = min(scaled), max(scaled)
    return [(number - low) / (high - low) if high > low else 0.5 for number in scaled]
