"""The picture of a sweep is drawn whatever was swept."""

import itertools

import pytest
from matplotlib.figure import Figure

from tsmtl.report.sweep_picture import draw_sweep

VALUES = {
    "lr": ["0.0001", "0.001", "0.1"],
    "model": ["gru", "lstm"],
    "width": ["8", "16"],
    "path": ["a/$x$.npz", "b" * 80, "한글"],
    "odd": ["", "null", "[1,2]"],
}


@pytest.mark.parametrize(
    ("keys", "titles"),
    [
        (["lr"], ["lr"]),
        (["model"], ["model"]),
        (["lr", "model"], ["lr", "model", "lr"]),
        (["lr", "model", "width"], ["lr", "model", "width", "all settings, the best in orange"]),
        (["path", "odd"], ["path", "odd", "path"]),
    ],
)
def test_there_is_a_panel_for_each_setting_and_one_for_all(tmp_path, monkeypatch, keys, titles):
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    points = [(list(values), float(n)) for n, values in enumerate(itertools.product(*(VALUES[key] for key in keys)))]
    draw_sweep(tmp_path / "sweep.png", keys, points, 0.0, "val/loss")
    assert (tmp_path / "sweep.png").stat().st_size > 0
    panels = [ax for ax in drawn[0].axes if ax.get_xlabel() or ax.get_title()]
    assert [ax.get_xlabel() or ax.get_title() for ax in panels] == titles
    assert panels[0].get_xscale() == ("log" if keys[0] == "lr" else "linear")
    rings = [c for c in panels[0].collections if c.get_label() == "best settings"]
    assert [float(ring.get_offsets()[0, 1]) for ring in rings] == [0.0]


def test_equal_scores_and_one_value_are_drawn(tmp_path):
    points = [(["1", "a", "x"], 0.5), (["1", "b", "x"], 0.5)]
    draw_sweep(tmp_path / "sweep.png", ["lr", "model", "c"], points, 0.5, "val/cls/macro_f1")
    assert (tmp_path / "sweep.png").exists()
