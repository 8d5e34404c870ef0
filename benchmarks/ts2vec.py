"""Self-supervised vectors of small archive sets beside the paper of TS2Vec: accuracy of a support vector machine.

    python benchmarks/ts2vec.py                              # three seeds, as many threads as a training would take
    python benchmarks/ts2vec.py --threads 1 --methods ts2vec contrastive

Each method is trained on the whole train file, by the recipe of its YAML file and by the loop of every training; the
vectors of the train file fit a support vector machine as the paper does (an RBF kernel; C from a five-fold
cross-validation, infinite where there are fewer than 50 train series or 5 of a class), and those of the test file are
counted once. The sets are those in aeon's wheel. The numbers are in docs/representations.md.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from aeon.datasets import load_from_ts_file
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from tsmtl.config.location import config_dir
from tsmtl.config.python_call import composed
from tsmtl.config.represent_settings import RepresentSettings
from tsmtl.config.representation_settings import REPRESENTATIONS
from tsmtl.data.preparation import InputPreparation
from tsmtl.represent_training import RepresentationTraining
from tsmtl.representation.method import TrainSeries, of_equal_length, prepared
from tsmtl.transform import build_representation

PUBLISHED = {"BasicMotions": 0.975, "JapaneseVowels": 0.984}  # of TS2Vec, in its paper's table of the UEA archive


def padded(name: str, part: str) -> tuple[Any, Any, Any]:
    """Give series (N, C, T), lengths (N,), or None where all are equal, and classes of a file in aeon's wheel."""
    import aeon.datasets

    path = Path(aeon.datasets.__file__).parent / "data" / name / f"{name}_{part}.ts"
    series, classes = load_from_ts_file(str(path))
    lengths = np.array([one.shape[1] for one in series])
    x = np.zeros((len(series), series[0].shape[0], lengths.max()), np.float32)
    for row, one in enumerate(series):
        x[row, :, : one.shape[1]] = one
    return x, None if (lengths == x.shape[2]).all() else lengths, classes


def accuracy(train: Any, of_train: Any, test: Any, of_test: Any) -> float:
    """Fit a support vector machine, and count what it gets right."""
    n, k = len(of_train), len(np.unique(of_train))
    machine: Any = SVC(C=np.inf)
    if n >= 50 and n // k >= 5:
        grid = {"C": [10.0**power for power in range(-4, 5)] + [np.inf]}
        machine = GridSearchCV(machine, grid, cv=5)
    return float(machine.fit(train, of_train).score(test, of_test))


def run(name: str, method: str, seed: int, threads: int | None, changes: dict[str, Any]) -> tuple[float, float]:
    """Train on a set; give the accuracy and the processor's seconds of the training."""
    x, lengths, classes = padded(name, "TRAIN")
    device = torch.device("cpu")
    rows = np.arange(len(x))
    defaults = yaml.safe_load((config_dir() / "representation" / f"{method}.yaml").read_text())
    section = REPRESENTATIONS[method].model_validate(defaults | changes)
    words = [] if threads is None else [f"trainer.threads={threads}"]
    settings, _ = composed([f"seed={seed}", "device=cpu", *words])
    with tempfile.TemporaryDirectory() as folder:
        own = RepresentSettings(output=f"{folder}/vectors.npz", transform=None, resume=False)
        learner = RepresentationTraining(own, section, settings, "", device)
        representation = build_representation(section, device, [], learner)
        preparation = InputPreparation.fit(x, lengths, rows, "standard", "interpolate")
        channels = [f"c{i}" for i in range(x.shape[1])]
        began = time.process_time()
        representation.fit(TrainSeries(x, lengths, rows, channels, preparation, representation.takes_gaps), seed)
        seconds = time.process_time() - began

    def vectors(series: Any, valid: Any) -> Any:
        found = np.empty((len(series), len(representation.names)), np.float32)
        for part in of_equal_length(series, valid):
            cut = prepared(preparation, part.of(series), representation.takes_gaps)
            found[part.rows] = representation.transform(cut)
        return found

    new, new_lengths, new_classes = padded(name, "TEST")
    return accuracy(vectors(x, lengths), classes, vectors(new, new_lengths), new_classes), seconds


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--methods", nargs="+", default=["ts2vec"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the method's settings")
    given = parser.parse_args()
    changes = {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in given.set)}
    print(f"{'set':16s} {'method':12s} {'accuracy of each seed':24s} {'mean':>6s} {'TS2Vec, paper':>14s} {'CPU s':>8s}")
    for name in given.sets:
        for method in given.methods:
            found = [run(name, method, seed, given.threads, changes) for seed in range(given.seeds)]
            scores, seconds = zip(*found, strict=True)
            each = " ".join(f"{score:.3f}" for score in scores)
            mean, took = statistics.mean(scores), statistics.median(seconds)
            print(f"{name:16s} {method:12s} {each:24s} {mean:6.3f} {PUBLISHED[name]:14.3f} {took:8.1f}", flush=True)


if __name__ == "__main__":
    main()
