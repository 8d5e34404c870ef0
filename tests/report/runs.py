"""The folder of a run, written out by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.report.comparisons import NASTY

CLASSES = [NASTY, "ok"]
EPOCHS = 3
CONFLICT = {  # what was measured after the first and the third epoch
    "state-wear/cosine": (0.5, 0.5),
    "state-wear/a/cosine": (-0.5, -0.5),
    "state-wear/norm_ratio": (1.0, 4.0),
    "state-wear/conflicting": (0.25, 0.5),
    "share/state": (0.6, 0.6),
    "share/wear": (0.4, 0.4),
    "state-to-state/affinity": (0.01, 0.01),
    "state-to-wear/affinity": (0.002, -0.001),
    "wear-to-state/affinity": (-0.004, -0.004),
    "wear-to-wear/affinity": (0.01, 0.01),
}


def _task(name: str, kind: str, key: str, classes: list[str], unit: str | None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "key": key, "size": len(classes) or 1, "class_names": classes, "unit": unit}


def write_run(folder: Path, n: int = 60, finished: bool = True) -> Path:
    """Write the folder of a run of two tasks with intervals and a conflict log, every name of it nasty.

    Args:
        folder: Is made.
        n: Test instances.
        finished: Whether it has its summary and its predictions.
    """
    folder.mkdir(parents=True)
    config = {"defaults": [{"override /model": "gru"}, "_self_"], "lr": 1e-3, "data": {"path": f"{NASTY}.npz"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    losses = ["loss", "state/loss", "wear/loss"]
    header = ["epoch", *(f"{split}/{name}" for split in ("train", "val") for name in losses)]
    header += ["val/state/macro_f1", "val/wear/rmse"]
    header += [f"conflict/{name}" for name in CONFLICT]
    rows = [
        [e, *([1 / e] * 6), 0.5, 8 / e, *("" if e == 2 else values[e > 2] for values in CONFLICT.values())]
        for e in (1, 2, 3)
    ]
    _write(folder / "metrics.csv", [header, *rows])
    if not finished:
        return folder
    rng = np.random.default_rng(0)
    true = rng.random(n) * 100
    guess = true + rng.normal(size=n)
    header = ["instance", "state_true", "state_predicted", *(f"state_p_{c}" for c in CLASSES)]
    header += ["wear_true", "wear_predicted", "wear_low", "wear_high"]
    lines: list[list[Any]] = [header]
    for i in range(n):
        truth = "" if i == 0 else CLASSES[i % 2]
        p = 0.3 if i % 2 and i != 3 else 0.8
        number = "" if i == 1 else f"{true[i]:.9g}"
        lines.append([i, truth, CLASSES[p < 0.5], p, 1 - p, number, guess[i], guess[i] - 2, guess[i] + 2])
    _write(folder / "predictions_test.csv", lines)
    splits = {name: {"instances": n, "groups": None} for name in ("train", "val", "test")}
    overlap = {"instances": 0, "groups": None, "identical": 0}
    summary = {
        "test": {
            "state": {"accuracy": 0.9, "macro_f1": 0.8, "f1": dict.fromkeys(CLASSES, 0.8)},
            "wear": {"rmse": 1.0, "r2": None},
        },
        "best": {"epoch": 3, "monitor": "val/loss", "score": 0.33},
        "val": {"epoch": 3, "val/loss": 0.33, "val/state/macro_f1": 0.5, "val/wear/rmse": 8 / 3},
        "best_model_path": str(folder / "best_model.pt"),
        "epochs": EPOCHS,
        "labelled": {task: dict.fromkeys(splits, 0.5) for task in ("state", "wear")},
        "data": {
            "where": f"{NASTY}.npz",
            "sha256": "d" * 64,
            "notes": [f"note {NASTY}"],
            "rule": "stratified",
            "splits": splits,
            "overlap": dict.fromkeys(("train-val", "train-test", "val-test"), overlap),
            "leaks": False,
        },
        "weighting": {"name": "fixed", "weights": {"state": 0.5, "wear": 0.5}},
        "calibration": {
            "state": {"temperature": 1.25},
            "wear": {"labelled": [20], "test": {"0.9": {"coverage": 0.95}}},
        },
        "parameters": 1234,
        "seconds": {"training": 1.5, "all": 2.0},
        "device": "cpu",
        "devices": 1,
        "threads": 1,
        "versions": {"tsmtl": "0.1.0", "python": "3.11"},
        "tasks": {
            "state": _task("state", "cls", NASTY, CLASSES, None),
            "wear": _task("wear", "reg", "wear", [], "<mm>"),
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def _write(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
