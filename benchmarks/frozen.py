"""What freezing saves: seconds of an epoch of fine-tuning, the backbone learning, frozen, and frozen and embedded once.

Usage: python benchmarks/frozen.py [--epochs 15] [--models cnn1d lstm lstm_fcn]      medians, in turn in one process
"""

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import tsmtl
from tsmtl.training import embedded

DATA = ["device=cpu", "data.n_instances=600", "data.n_steps=64", "batch_size=64"]


def epoch_seconds(settings: list[str]) -> list[float]:
    """Give the seconds of every epoch but the first, which warms up."""
    lines = (tsmtl.train(settings).folder / "metrics.csv").read_text().splitlines()[2:]
    return [float(line.rpartition(",")[2]) for line in lines]


def main() -> None:
    """Print one row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--models", nargs="+", default=["cnn1d", "lstm", "lstm_fcn"])
    arguments = parser.parse_args()
    print("| model | learning, ms an epoch | frozen | frozen, embedded once | learning / embedded |")
    print("|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for model in arguments.models:
            base = [f"model={model}", *DATA]
            start = tsmtl.train([*base, "task=reg", "num_epochs=1", f"hydra.run.dir={folder}/{model}"])
            tune = [*base, "stage=finetune", f"pretrained_path={start.best_model_path}"]
            tune += [f"num_epochs={arguments.epochs}"]
            seconds: dict[str, list[float]] = {"learning": [], "frozen": [], "embedded": []}
            largest = embedded.LARGEST
            for turn in range(3):
                for way in seconds:
                    embedded.LARGEST = largest if way == "embedded" else 0
                    more = ["freeze=true"] if way != "learning" else []
                    run = Path(folder) / f"{model}_{way}_{turn}"
                    seconds[way] += epoch_seconds([*tune, *more, f"hydra.run.dir={run}"])
            medians = {way: statistics.median(values) for way, values in seconds.items()}
            cells = [f"{1000 * median:.1f}" for median in medians.values()]
            print(
                f"| {model} | " + " | ".join(cells) + f" | {medians['learning'] / medians['embedded']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
