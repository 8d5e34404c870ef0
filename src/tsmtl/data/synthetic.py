"""Simulated vibration of a rotating machine: the class is the fault, the number its severity.

Sensors stand around a shaft. A healthy machine shakes at the shaft's speed (a rest of unbalance); each fault adds its
textbook signature, in proportion to its size: unbalance at once the speed, misalignment at twice, a damaged bearing
rings at every passing of a ball, looseness shakes at half and odd multiples of half the speed, a worn gear at its mesh
frequency with sidebands. Speed and load vary from instance to instance and tell nothing; a wear of another part is
heard as hiss (R. B. Randall, Vibration-based Condition Monitoring, Wiley 2011, gives the signatures).
"""

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import SyntheticSettings
from tsmtl.data.instances import ClassTarget, Instances, LabelTarget, NumberTarget, Target

FAULTS = ["healthy", "unbalance", "misalignment", "bearing", "looseness", "gear"]
SPEED = 0.125  # revolutions per sample: 7500 rpm at 1 kHz
SMALLEST_FAULT = 0.25
BALL_PASSINGS = 3.57  # per revolution, of a common ball bearing's outer race
RESONANCE = 0.37  # of the bearing's housing, periods per sample
MESH = 3.0  # teeth meet so often per revolution
Array = npt.NDArray[np.float64]


def load_synthetic(settings: SyntheticSettings, tasks: dict[str, str]) -> Instances:
    """Simulate a data set; the same settings give the same numbers.

    Args:
        settings: Size, noise and how related the two targets are.
        tasks: Kind by task name; ``cls`` gets the fault, ``reg`` the severity in percent, and named tasks what they
            name.

    Returns:
        Series (N, C, T) with the severity ``100 * (r * fault size + (1 - r) * wear)``, r the relatedness;
        a healthy machine has fault size 0. Named tasks may also learn the wear itself in percent, its level (low below
        a third, high from two thirds on), and whether the machine is faulty, severe (fault size above 0.6) or worn
        (wear above a half).
    """
    rng = np.random.default_rng(settings.seed)
    n, c, t = settings.n_instances, settings.n_channels, settings.n_steps
    fault = rng.permutation(np.arange(n) % settings.n_classes)
    size = np.where(fault == 0, 0.0, rng.uniform(SMALLEST_FAULT, 1.0, n))
    wear = rng.uniform(0.0, 1.0, n)
    speed = SPEED * rng.uniform(0.9, 1.1, (n, 1, 1))
    load = rng.uniform(0.8, 1.2, (n, 1, 1))
    start = rng.uniform(0.0, 1.0, (n, 1, 1))

    seat = np.arange(c).reshape(1, c, 1) / c  # (1, C, 1) where round the shaft a sensor sits, in revolutions
    turns = start + speed * np.arange(t) - seat  # (N, C, T) revolutions as each sensor sees them
    signal = _wave(turns)
    size_nct = size.reshape(n, 1, 1)
    for number, name in enumerate(FAULTS[1 : settings.n_classes], 1):
        rows = fault == number
        signal[rows] += size_nct[rows] * _signature(
            name, turns[rows], start[rows] + speed[rows] * np.arange(t), speed[rows]
        )
    hiss = np.diff(rng.normal(size=(n, c, t + 1)), axis=2) * 0.5 * wear.reshape(n, 1, 1)
    x = load * signal + hiss + settings.noise * rng.normal(size=(n, c, t))

    severity = 100.0 * (settings.relatedness * size + (1.0 - settings.relatedness) * wear)
    classes = {
        "fault": (fault.astype(np.int64), FAULTS[: settings.n_classes]),
        "wear_level": (np.digitize(wear, [1 / 3, 2 / 3]), ["low", "medium", "high"]),
    }
    numbers = {"severity": severity, "wear": 100.0 * wear}
    labels = {"faulty": fault > 0, "severe": size > 0.6, "worn": wear > 0.5}
    targets: dict[str, Target] = {}
    for task, kind in tasks.items():
        place = settings.place_of(task)
        if kind == "cls":
            key = place.keys[0] if place.keys else "fault"
            targets[task] = ClassTarget(key, *classes[key])
        elif kind == "reg":
            keys = place.keys or ("severity",)
            values = np.stack([numbers[key] for key in keys], axis=1).astype(np.float32)
            targets[task] = NumberTarget(", ".join(keys), values, place.unit or "%")
        else:
            values = np.stack([labels[key] for key in place.keys], axis=1).astype(np.float32)
            targets[task] = LabelTarget(place.said, values, list(place.keys))
    return Instances(x.astype(np.float32), targets, "data=synthetic", [f"sensor_{i + 1}" for i in range(c)])


def _wave(turns: Array) -> Array:
    return np.asarray(np.cos(2 * np.pi * turns))


def _signature(name: str, turns: Array, shaft: Array, speed: Array) -> Array:
    """Give what a fault of size 1 adds to the signal (N, C, T); ``shaft`` (N, 1, T) is the shaft's own angle."""
    if name == "unbalance":
        return 4.0 * _wave(turns)
    if name == "misalignment":
        return 3.0 * _wave(2 * turns)
    if name == "bearing":
        since = (shaft * BALL_PASSINGS) % 1.0 / (speed * BALL_PASSINGS)  # samples since the last ball passed
        ring = np.exp(-since / 3.0) * np.cos(2 * np.pi * RESONANCE * since)
        return np.asarray(5.0 * ring * np.ones_like(turns))
    if name == "looseness":
        return 2.0 * (_wave(0.5 * turns) + _wave(1.5 * turns))
    return 3.0 * (1.0 + 0.8 * _wave(turns)) * _wave(MESH * shaft)
