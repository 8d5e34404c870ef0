"""Does training in bfloat16 cost accuracy? Short trainings in both precisions, over data sets, models and seeds.

Usage: python benchmarks/precision.py [--seeds 3] [--folder outputs/precision] [--data har hydraulic]

Every run goes through ``tsmtl.train`` in a folder of its own with resume=true: after a kill the same command goes on.
Both precisions of a seed share initial weights, order of batches and dropout, so that their difference is paired.
Prints a Markdown table of the test split, each difference with its 95 % interval (Student) over the seeds, then the
mean over data sets with its interval over these. Takes about 15 minutes of one core that does nothing else.
"""

import argparse
import statistics
from pathlib import Path

import tsmtl
from tsmtl.sweep.statistics import spread

ARCHIVE = ["data=archive", "batch_size=16"]
SETTINGS = {
    "synthetic": ["data=synthetic", "data.n_instances=400", "batch_size=16", "num_epochs=12"],
    "hydraulic": [
        *(
            "data=hydraulic",
            "data.class_target=valve",
            "data.scale=standard_per_step",
            "batch_size=16",
            "num_epochs=15",
        ),
    ],
    "har": ["data=har", "task=cls", "batch_size=32", "num_epochs=4", "trainer.epoch_fraction=0.25"],
    "cmapss": ["data=cmapss", "batch_size=64", "num_epochs=4", "trainer.epoch_fraction=0.25"],
    "ett": ["data=ett", "data.stride=6", "batch_size=32", "num_epochs=5"],
    "BasicMotions": [*ARCHIVE, "task=cls", "num_epochs=50"],
    "JapaneseVowels": [*ARCHIVE, "task=cls", "num_epochs=12"],
    "ArrowHead": [*ARCHIVE, "task=cls", "num_epochs=60"],
    "Covid3Month": [*ARCHIVE, "task=reg", "num_epochs=20"],
    "GunPoint": [*ARCHIVE, "task=cls", "num_epochs=40"],
    "ItalyPowerDemand": [*ARCHIVE, "task=cls", "num_epochs=30"],
    "OSULeaf": [*ARCHIVE, "task=cls", "num_epochs=15"],
}
MODELS = {
    "lstm_fcn": ["model=lstm_fcn", "conv_channels=[64,128,64]", "num_layers=1", "lr=1e-3"],
    "cnn1d": ["model=cnn1d", "readout=mean", "lr=1e-3"],
    "lstm": ["model=lstm", "lr=1e-3"],
}
WITH_LSTM = ("BasicMotions", "JapaneseVowels", "ItalyPowerDemand")
METRICS = {"cls": "accuracy", "reg": "rmse"}


def test_of(folder: Path, data: str, model: str, precision: str, seed: int) -> dict[str, dict[str, float]]:
    """Train one run, or read it where it is done; give its test metrics."""
    own = ["device=cpu", f"seed={seed}", f"hydra.run.dir={folder / data / model}_{precision}_{seed}", "resume=true"]
    named = [f"data.name={data}"] if "data=archive" in SETTINGS[data] else []
    words = [*MODELS[model], *SETTINGS[data], *named, f"trainer.precision={precision}", *own]
    return tsmtl.train(words).test


def row_of(float32: list[float], bf16: list[float]) -> tuple[str, float]:
    """Give means, and the paired difference with its interval; and its mean."""
    differences = [b - a for a, b in zip(float32, bf16, strict=True)]
    of = spread(differences)
    means = f"{statistics.mean(float32):.4g} | {statistics.mean(bf16):.4g}"
    return f"{means} | {of.mean:+.3g} ± {of.high - of.mean:.2g}", of.mean


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("outputs/precision"))
    parser.add_argument("--data", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    arguments = parser.parse_args()
    of_sets: dict[tuple[str, str], list[float]] = {}
    print("| data | model | metric | float32 | bf16 | difference |\n|---|---|---|---|---|---|")
    for data in arguments.data:
        for model in MODELS if data in WITH_LSTM else list(MODELS)[:2]:
            tests = [
                [test_of(arguments.folder, data, model, precision, seed) for precision in ("float32", "bf16")]
                for seed in range(arguments.seeds)
            ]
            for task, metric in METRICS.items():
                if task not in tests[0][0]:
                    continue
                values = [[pair[which][task][metric] for pair in tests] for which in (0, 1)]
                figures, mean = row_of(*values)
                print(f"| {data} | {model} | {metric} | {figures} |", flush=True)
                scale = 1.0 if metric == "accuracy" else statistics.mean(values[0])
                of_sets.setdefault((model, metric), []).append(mean / scale)
    print("\n| model | metric | data sets | mean difference | worst |\n|---|---|---|---|---|")
    for (model, metric), means in of_sets.items():
        if len(means) > 1:
            what, worst = (metric, min(means)) if metric == "accuracy" else (f"{metric}, relative", max(means))
            of = spread(means)
            print(f"| {model} | {what} | {of.n} | {of.mean:+.4f} ± {of.high - of.mean:.4f} | {worst:+.4f} |")


if __name__ == "__main__":
    main()
