"""A picture of some instances of each split, with their targets."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsmtl.data.description import ChannelStatistics
from tsmtl.data.instances import SPLITS, Bundle, ClassTarget, LabelTarget, Target
from tsmtl.report.drawing import BLUE, DPI, GREY, dress, plain, short

A_SPLIT = 2  # instances
MOST_TRACES = 32  # channels that can be told apart in one panel
MOST_BARS = 16  # features whose names can be read below their bars
CUTS = (1.0, 4.0)  # least and most sd from the mean at which traces are cut off
REACH = 0.75  # of the way to the next channel, at the cut
LONGEST = 52  # signs of a line of a title
Double = npt.NDArray[np.float64]


def draw_instances(bundle: Bundle, train: ChannelStatistics) -> bytes:
    """Draw two instances of each split, a column each, as PNG: one channel in its own units, more in sd of train."""
    instances = bundle.instances
    c, series = instances.x.shape[1], instances.x.ndim == 3
    own_units = series and c == 1
    shown = min(c, MOST_TRACES) if series else c
    chosen = {split: _some(bundle, split) for split in SPLITS}
    drawn = {row: _values(bundle, row)[:shown] for rows in chosen.values() for row in rows}
    if not own_units:
        drawn = {row: (v - train.mean[:shown, None]) / _spread(train)[:shown, None] for row, v in drawn.items()}
    cut = float(np.clip(max(np.nanmax(np.abs(v), initial=0.0) for v in drawn.values()), *CUTS))
    height = 1.2 + max(1.6, 0.22 * shown) if series else 2.8
    figure = Figure(figsize=(13.5, A_SPLIT * height + 0.4), layout="constrained")
    axes = figure.subplots(A_SPLIT, len(SPLITS), squeeze=False)
    for (at, column), ax in np.ndenumerate(axes):
        split = SPLITS[column]
        if at >= len(chosen[split]):
            ax.set_visible(False)
            continue
        row = chosen[split][at]
        title = "\n".join([f"{split}, instance {row}", *_targets(instances.targets, row)])
        last, first = at == len(chosen[split]) - 1, column == 0
        dress(ax, title, ("step" if series else "feature") if last else "", instances.channels[0] if own_units else "")
        if own_units:
            ax.plot(drawn[row][0], color=BLUE, linewidth=1)
        elif series:
            _traces(ax, drawn[row], instances.channels[:shown], cut, first)
        else:
            _bars(ax, drawn[row][:, 0], instances.channels, cut)
    if not own_units:
        figure.supxlabel(_caption(shown, c, series, cut), fontsize=9)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def _caption(shown: int, c: int, series: bool, cut: float) -> str:
    noun = "channel" if series else "feature"
    which = f"the first {shown} of {c} {noun}s, each" if shown < c else f"each {noun}"
    lines = f"; grey lines are {cut / REACH:.3g} sd apart" if series else ""
    return f"{which} about its mean in the train split, in its sd there, cut off at {cut:.3g} sd{lines}"


def _some(bundle: Bundle, split: str) -> list[int]:
    """Choose instances a third and two thirds through a split; of two classes, where there are two."""
    rows = bundle.splits[split]
    places = [len(rows) * (i + 1) // (A_SPLIT + 1) for i in range(min(A_SPLIT, len(rows)))]
    classes = [t.ids[rows] for t in bundle.instances.targets.values() if isinstance(t, ClassTarget)]
    if classes and len(places) > 1:
        other = np.flatnonzero((classes[0] >= 0) & (classes[0] != classes[0][places[0]]))
        if len(other):
            places[1] = int(other[np.argmin(np.abs(other - places[1]))])
    return [int(rows[place]) for place in places]


def _values(bundle: Bundle, row: int) -> Double:
    """Give one instance (C, T), its valid steps alone, or (E, 1)."""
    instances = bundle.instances
    values = instances.x[np.array([row])][0].astype(np.float64)
    if values.ndim == 1:
        return np.asarray(values[:, None])
    return np.asarray(values if instances.lengths is None else values[:, : instances.lengths[row]])


def _spread(train: ChannelStatistics) -> Double:
    return np.where(train.sd > 0, train.sd, 1.0)


def _traces(ax: Axes, z: Double, names: list[str], cut: float, label: bool) -> None:
    """Draw channels (C, T) one below the other."""
    c = len(z)
    places = np.arange(c)[::-1]  # the first on top
    ax.plot((np.clip(z, -cut, cut) * REACH / cut + places[:, None]).T, color=BLUE, linewidth=0.9)
    said = [plain(short(name, 18)) if label else "" for name in names]
    ax.set_yticks(places, said, fontsize=8 if c > 12 else 9)
    ax.tick_params(axis="y", left=False)
    ax.grid(axis="y", alpha=0.6, color=GREY, linewidth=0.6)
    ax.set_ylim(-REACH - 0.1, c - 1 + REACH + 0.1)


def _bars(ax: Axes, z: Double, names: list[str], cut: float) -> None:
    ax.bar(np.arange(len(z)), np.nan_to_num(np.clip(z, -cut, cut)), color=BLUE, width=0.8)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_ylim(-1.05 * cut, 1.05 * cut)
    if len(z) <= MOST_BARS:
        ax.set_xticks(range(len(z)), [plain(short(name, 18)) for name in names], rotation=45, ha="right")


def _targets(targets: dict[str, Target], row: int) -> list[str]:
    """Name the targets of an instance, on one line if there is room."""
    said = []
    for target in targets.values():
        if isinstance(target, ClassTarget):
            value = target.names[target.ids[row]] if target.ids[row] >= 0 else "-"
        elif isinstance(target, LabelTarget):
            true = [name for name, v in zip(target.names, target.values[row], strict=True) if v == 1]
            value = ", ".join(true) or "none"
        else:
            numbers = ["-" if np.isnan(v) else f"{v:.4g}" for v in target.values[row][:3]]
            value = ", ".join(numbers) + (" ..." if target.values.shape[1] > len(numbers) else "")
            value += f" {target.unit}" if target.unit else ""
        said.append(short(f"{short(target.key, 24)}: {value}", LONGEST))
    line = "; ".join(said)
    return [line] if len(line) <= LONGEST else said
