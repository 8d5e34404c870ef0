"""Which weighting of two tasks? Every method against single-task twins, over several seeds of data and training.

Usage: python benchmarks/weighting.py [--seeds 5] [--folder outputs/weighting] [--targets standardised raw noisy]

The data are simulated: ``standardised`` is the default, ``raw`` leaves the number in percent, so that its loss begins
at two thousand times the class's, ``noisy`` makes nine tenths of the number's variance noise. Every run goes through
``tsmtl.train`` in a folder of its own with resume=true: after a kill the same command goes on. Prints a Markdown table:
mean and standard deviation (n - 1) over the seeds, of the test split after the last epoch. ``gain`` is the mean of the
relative gains of error and rmse over the twins of the same seed, in percent.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np

import tsmtl
from tsmtl.config.python_call import settings_and_folder
from tsmtl.config.weighting_settings import WEIGHTINGS
from tsmtl.data.instances import ClassTarget, NumberTarget
from tsmtl.data.loading import load_bundle

SETTINGS = [
    *("model=cnn1d", "output_channels=16", "readout=mean", "num_epochs=25", "batch_size=32", "lr=3e-3", "device=cpu"),
    *("trainer.schedule=cosine", "trainer.keep=last"),
]
DATA = ["data.n_instances=1000", "data.test_fraction=0.6", "data.noise=2.0"]
ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
ROWS = {
    "one task alone": [["task=cls"], ["task=reg"]],
    **{f"fixed, alpha={alpha}": [[f"alpha={alpha}"]] for alpha in ALPHAS},
    **{name: [[f"weighting={name}"]] for name in WEIGHTINGS if name != "fixed"},
    "uncertainty, lr=0.05": [["weighting=uncertainty", "weighting.lr=0.05"]],
}


def data_of(folder: Path, targets: str, seed: int) -> list[str]:
    """Give the settings of the data; noise is added to a copy of the simulated ones."""
    simulated = [*DATA, f"data.seed={seed}"]
    if targets == "standardised":
        return simulated
    if targets == "raw":
        return [*simulated, "data.scale_target=none"]
    path = folder / f"noisy_{seed}.npz"
    if not path.exists():
        settings, _ = settings_and_folder([*simulated, "device=cpu"])
        bundle = load_bundle(settings.data, settings.tasks)
        kind, number = (bundle.instances.targets[name] for name in ("cls", "reg"))
        assert isinstance(kind, ClassTarget)
        assert isinstance(number, NumberTarget)
        noise = 3 * number.values.std() * np.random.default_rng(seed).normal(size=number.values.shape)
        split = np.empty(len(kind.ids), dtype="<U5")
        for name, rows in bundle.splits.items():
            split[rows] = name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, X=np.asarray(bundle.instances.x), y_cls=kind.ids, y_reg=number.values + noise, split=split)
    return ["data=npz", f"data.path={path}", "data.split_key=split"]


def tests_of(folder: Path, targets: str, row: str, seed: int) -> tuple[float, float]:
    """Give error and rmse on the test split of a row and seed; trains what is not done."""
    found: dict[str, dict[str, float]] = {}
    for number, settings in enumerate(ROWS[row]):
        name = row.replace(", ", "_").replace("=", "").replace(" ", "_")
        own = [f"seed={seed}", f"hydra.run.dir={folder / targets / f'{name}_{number}_{seed}'}", "resume=true"]
        found |= tsmtl.train([*SETTINGS, *data_of(folder, targets, seed), *settings, *own]).test
    return 1 - found["cls"]["accuracy"], found["reg"]["rmse"]


def shown(values: list[float], digits: int) -> str:
    """Give mean and standard deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("outputs/weighting"))
    parser.add_argument(
        "--targets", nargs="+", choices=["standardised", "raw", "noisy"], default=["standardised", "raw"]
    )
    arguments = parser.parse_args()
    for targets in arguments.targets:
        print(f"\n{targets}, {arguments.seeds} seeds\n\n| weighting | error | rmse | gain |\n|---|---|---|---|")
        twins: list[tuple[float, float]] = []
        for row in ROWS:
            tests = [tests_of(arguments.folder, targets, row, seed) for seed in range(arguments.seeds)]
            twins = twins or tests
            gains = [
                100 * statistics.mean((a - b) / a for a, b in zip(twin, test, strict=True))
                for twin, test in zip(twins, tests, strict=True)
            ]
            errors, rmses = ([test[i] for test in tests] for i in (0, 1))
            gain = "" if tests is twins else shown(gains, 1)
            print(f"| {row} | {shown(errors, 3)} | {shown(rmses, 2)} | {gain} |", flush=True)


if __name__ == "__main__":
    main()
