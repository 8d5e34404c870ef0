"""A comparison written out by hand, as ``comparison.json`` holds it."""

import copy
from typing import Any

NASTY = '<b>&"$x$'
TASKS = {
    "cls": {"kind": "cls", "target": "valve", "metric": "macro_f1", "higher_is_better": True, "unit": None},
    "reg": {"kind": "reg", "target": NASTY, "metric": "rmse", "higher_is_better": False, "unit": "bar"},
}
VARIANTS = [
    ("single:cls", "single task: cls", "twin", ["cls"], None, None),
    ("single:reg", "single task: reg", "twin", ["reg"], None, None),
    ("multi", "both tasks from scratch", "multi", ["cls", "reg"], "single", None),
    ("reg->multi", "reg, then both, with a name that goes on and on", "transfer", ["cls", "reg"], "single", None),
    ("control", NASTY, "control", ["cls"], "single", None),
    ("alpha:0.1", "alpha 0.1", "alpha", ["cls", "reg"], "single", 0.1),
    ("budget:cls:0.1", "10 % of the labels of cls", "budget", ["cls"], "single", 0.1),
]
# variant, task, mean, difference: mean, low, high, verdict
FIGURES = [
    ("single:cls", "cls", 0.90, None, None, None, None),
    ("single:reg", "reg", 7.30, None, None, None, None),
    ("multi", "cls", 0.92, 0.02, 0.01, 0.03, "helps"),
    ("multi", "reg", 7.60, -0.30, -0.50, -0.10, "hurts"),
    ("reg->multi", "cls", 0.91, 0.01, -0.01, 0.03, "cannot tell"),
    ("reg->multi", "reg", 6.90, 0.40, -0.10, 0.90, "cannot tell"),
    ("control", "cls", 0.89, -0.01, None, None, "cannot tell"),
    ("alpha:0.1", "cls", 0.88, None, None, None, None),
    ("alpha:0.1", "reg", 6.80, None, None, None, None),
]


def _difference(mean: float | None, low: float | None, high: float | None) -> dict[str, Any] | None:
    if mean is None:
        return None
    spread = {"mean": mean, "sd": None if low is None else 0.01, "low": low, "high": high, "relative": 100 * mean}
    wider = (None if low is None else low - 0.01, None if high is None else high + 0.01)
    sample = {f"{of}_{end}": v for of in ("sample", "total") for end, v in zip(("low", "high"), wider, strict=True)}
    return {"against": "single", **spread, **sample, "p": 0.04, "p_corrected": 0.16}


_DATA = {
    "where": f"{NASTY}.npz",
    "sha256": "d" * 64,
    "notes": [f"note {NASTY}"],
    "rule": "stratified",
    "splits": {name: {"instances": n, "groups": None} for name, n in (("train", 60), ("val", 20), ("test", 20))},
    "overlap": {
        pair: {"instances": 0, "groups": None, "identical": 1} for pair in ("train-val", "train-test", "val-test")
    },
    "leaks": False,
    "instances": {"train": 60, "val": 20, "test": 20},
    "labelled": {task: {"train": 1.0, "val": 1.0, "test": 0.5} for task in TASKS},
}
_EXAMPLE: dict[str, Any] = {
    "format": 1,
    "command": f"tsmtl-compare data.path='{NASTY}.npz'",
    "version": "0.1.0",
    "process_seconds": 75.5,
    "training_seconds": 140.25,
    "data": _DATA,
    "model": "cnn1d",
    "seeds": [0, 1, 2],
    "search": {"lr_factors": [0.3, 1, 3], "epoch_factors": [1, 2], "runs": 24},
    "level": 0.95,
    "tasks": TASKS,
    "variants": [
        {
            "name": name,
            "label": label,
            "settings": {"lr": 1e-3, "num_epochs": 20},
            "tasks": tasks,
            "twin": twin,
            "kind": kind,
            "x": x,
            "warnings": [],
        }
        for name, label, kind, tasks, twin, x in VARIANTS
    ],
    "figures": [
        {
            "variant": variant,
            "task": task,
            "metric": TASKS[task]["metric"],
            "n": 3,
            "mean": mean,
            "sd": 0.01,
            "low": mean - 0.02,
            "high": mean + 0.02,
            "difference": _difference(gain, low, high),
            "verdict": verdict,
        }
        for variant, task, mean, gain, low, high, verdict in FIGURES
    ],
    "delta_m": [
        {"variant": "multi", "n": 3, "mean": -0.9, "sd": 0.2, "low": -1.5, "high": -0.3},
        {"variant": "reg->multi", "n": 3, "mean": 3.3, "sd": 0.4, "low": 2.1, "high": 4.5},
        {"variant": "alpha:0.1", "n": 1, "mean": 1.0, "sd": None, "low": None, "high": None},
    ],
    "frontier": [
        {
            "variant": "alpha:0.1",
            "alpha": 0.1,
            "weighting": "fixed",
            "values": {"cls": 0.88, "reg": 6.8},
            "non_dominated": True,
        },
        {
            "variant": "multi",
            "alpha": 0.5,
            "weighting": "fixed",
            "values": {"cls": 0.92, "reg": 7.6},
            "non_dominated": True,
        },
        {
            "variant": "dwa",
            "alpha": None,
            "weighting": "dwa",
            "values": {"cls": 0.87, "reg": 7.7},
            "non_dominated": False,
        },
        {
            "variant": "lost",
            "alpha": None,
            "weighting": "rlw",
            "values": {"cls": None, "reg": 7.7},
            "non_dominated": False,
        },
    ],
    "budget": [
        {
            "task": "cls",
            "share": share,
            "kept": 1.0 if share == 1 else 0.24,
            "single": single,
            "multi": multi,
            "difference": _difference(multi - single, 0.01, 0.05),
            "verdict": verdict,
        }
        for share, single, multi, verdict in ((1.0, 0.90, 0.92, "cannot tell"), (0.1, 0.60, 0.70, "helps"))
    ],
    "verdicts": {
        "cls": {"verdict": "helps", "sentence": "The other task helps cls."},
        "reg": {"verdict": "hurts", "sentence": f"The other task hurts {NASTY}."},
    },
    "runs": [
        {
            "variant": variant,
            "seed": seed,
            "folder": f"runs/{variant.replace(':', '_')}-{seed}",
            "metrics": {f"test/{task}/{TASKS[task]['metric']}": mean + seed},
            "lr": 1e-3,
            "num_epochs": 20,
            "best_epoch": 9 + seed,
            "seconds": 1.5,
        }
        for variant, task, mean, *_ in FIGURES[:3]
        for seed in range(3)
    ],
}


def example() -> dict[str, Any]:
    """Give a comparison of two tasks, for a test to change as it likes."""
    return copy.deepcopy(_EXAMPLE)
