"""The test vectors of a run in two dimensions, coloured by what is true of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, DPI, GREY, ORANGE, SERIES, dress, plain, short
from tsmtl.report.run_contents import RunContents
from tsmtl.report.run_panels import MOST_LINES, MOST_POINTS
from tsmtl.report.svg import Pictures

if TYPE_CHECKING:  # imports PyTorch, without which a run is reported
    from tsmtl.tasks.task import Task

WIDTH, HEIGHT = 4.8, 3.9  # inches of a panel
_NUMBERS = LinearSegmentedColormap.from_list("numbers", [BLUE, ORANGE], N=32)
AXES = {"pca": ("first principal component", "second"), "tsne": ("t-SNE, first dimension", "second")}
_MARKS = ("o", "s", "^")  # by which classes of one colour differ
Double = npt.NDArray[np.float64]


def draw_vectors(
    path: Path, xy: Double, picture: str, truth: Mapping[str, npt.NDArray[Any]], tasks: "Mapping[str, Task]"
) -> None:
    """Draw vectors (N, 2) once for each class and number; of several numbers by the first.

    Args:
        path: The picture.
        xy: (N, 2)
        picture: How they came into two dimensions, a key of :data:`AXES`.
        truth: By task (N,) class ids, -1 missing, or (N, D) numbers, NaN missing.
        tasks: The tasks.
    """
    shown = [task for task in tasks.values() if task.kind != "multilabel"]
    if not shown:
        return
    figure = Figure(figsize=(WIDTH * len(shown), HEIGHT), layout="constrained")
    for ax, task in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        title = f"{task.name}: {task.key}, vectors of test"
        if task.kind == "cls":
            class_panel(ax, xy, truth[task.name], task.class_names, title)
        else:
            number_panel(figure, ax, xy, truth[task.name][:, 0], task.unit, title)
        _name_axes(ax, picture)
    figure.savefig(path, dpi=DPI)


def class_panel(ax: Axes, xy: Double, ids: npt.NDArray[np.integer], names: tuple[str, ...], title: str) -> None:
    """Draw vectors (N, 2) in the colours of their classes, the first :data:`MOST_LINES` of them; the others grey."""
    rest = (ids < 0) | (ids >= MOST_LINES)
    _dots(ax, xy[rest], GREY, "o", None)
    for k, name in enumerate(names[:MOST_LINES]):
        colour, _ = SERIES[k]
        _dots(ax, xy[ids == k], colour, _MARKS[k // 5 % len(_MARKS)], plain(short(name, 24)))
    _dress(ax, title)
    ax.legend(frameon=False, fontsize=8)


def number_panel(figure: Figure, ax: Axes, xy: Double, values: Double, unit: str | None, title: str) -> None:
    """Draw vectors (N, 2) coloured by a number (N,); those without one grey."""
    known = np.isfinite(values)
    _dots(ax, xy[~known], GREY, "o", None)
    many = len(xy) > MOST_POINTS
    dots: dict[str, Any] = {"s": 6 if many else 14, "linewidths": 0, "rasterized": many}
    x, y = xy[known].T
    image = ax.scatter(x, y, c=values[known], cmap=_NUMBERS, **dots)
    bar = figure.colorbar(image, ax=ax, shrink=0.8, label=unit or "")
    bar.outline.set_linewidth(0.5)
    _dress(ax, title)


def vectors(run: RunContents, svg: Pictures) -> list[str]:
    """Draw the panels of a run's page; none where the run read series."""
    if not run.vectors:
        return []
    xy = np.array([[float(cell) for cell in run.vectors[name]] for name in ("first", "second")]).T
    drawn = []
    for name, task in run.tasks.items():
        title = f"{name}: {task['key']}, vectors of test"
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        says = f"{len(xy)} test vectors in two dimensions, coloured by {name} ({task['key']})"
        if task["kind"] == "cls" and f"{name}_true" in run.predictions:
            places = {label: k for k, label in enumerate(task["class_names"])}
            ids = np.array([places.get(label, -1) for label in run.predictions[f"{name}_true"]])
            class_panel(figure.subplots(), xy, ids, tuple(task["class_names"]), title)
        elif task["kind"] == "reg" and (values := _first(run, name)) is not None:
            number_panel(figure, figure.subplots(), xy, values, task["unit"], title)
        else:
            continue
        _name_axes(figure.axes[0], run.summary.get("vectors_picture") or "pca")  # an earlier tsmtl knew no other
        drawn.append(svg.add(figure, says))
    return drawn


def _first(run: RunContents, name: str) -> Double | None:
    one = run.column(f"{name}_true")
    return run.column(f"{name}_true_1") if one is None else one


def _dots(ax: Axes, xy: Double, colour: str, mark: str, label: str | None) -> None:
    if len(xy):
        many = len(xy) > MOST_POINTS
        size, alpha = (6, 0.4) if many else (14, 0.7)
        dots: dict[str, Any] = {"s": size, "alpha": alpha, "color": colour, "marker": mark, "linewidths": 0}
        ax.scatter(*xy.T, **dots, rasterized=many, label=label)


def _dress(ax: Axes, title: str) -> None:
    ax.set_xticks([])  # the units of the two dimensions say nothing
    ax.set_yticks([])
    dress(ax, title, "", "")


def _name_axes(ax: Axes, picture: str) -> None:
    first, second = AXES[picture]
    ax.set_xlabel(first)
    ax.set_ylabel(second)
