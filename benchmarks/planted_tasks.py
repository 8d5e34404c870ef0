"""Does tsmtl-compare find what was planted? Ten data sets with a second task that must help, ten with one that cannot.

    python benchmarks/planted_tasks.py

Vectors of 20 mixed and noisy features hide four latents; the class is the sign of a product of two of them, and 2 %
of the train instances have its label. ``related``: the number is that very product, known everywhere.
``unrelated``: the number is noise. Every repetition draws other data and runs ``tsmtl-compare`` as a user would, the
negative control included.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

N, FEATURES, LATENTS, LABELLED = 2000, 20, 4, 0.02
SETTINGS = [
    *("data=npz", "model=fc", f"data.label_share={{cls: {LABELLED}}}", "compare.variants=[multi,control]"),
    *(
        "num_epochs=20",
        "batch_size=32",
        "lr=2e-3",
        "compare.lr_factors=[0.3,1,3]",
        "hidden_sizes=[64,64]",
        "device=cpu",
    ),
]


def write(path: Path, case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(N, LATENTS))
    x = latents @ rng.normal(size=(LATENTS, FEATURES)) + 0.3 * rng.normal(size=(N, FEATURES))
    product = latents[:, 0] * latents[:, 1]
    number = product if case == "related" else rng.normal(size=N)
    np.savez(path, X=x.astype(np.float32), y_cls=(product > 0).astype(int), y_reg=number.astype(np.float32))


def compare(folder: Path, case: str, seed: int, seeds: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "data.npz", case, seed)
    command = [str(Path(sys.executable).parent / "tsmtl-compare"), *SETTINGS, f"data.path={folder / 'data.npz'}"]
    command += [f"compare.seeds={seeds}", f"compare.folder={folder / 'comparison'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return dict(json.loads((folder / "comparison" / "comparison.json").read_text(encoding="utf-8")))


def difference(found: dict[str, Any], variant: str, task: str) -> float:
    (figure,) = [f for f in found["figures"] if f["variant"] == variant and f["task"] == task]
    return float(figure["difference"]["mean"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("outputs/planted"))
    asked = parser.parse_args()
    began = time.perf_counter()
    print("| case | task | helps | cannot tell | hurts | gain of all tasks, median | of shuffled labels, median |")
    print("|---|---|---|---|---|---|---|")
    for case in ("related", "unrelated"):
        runs = [compare(asked.folder / f"{case}_{i}", case, i, asked.seeds) for i in range(asked.repetitions)]
        for task, metric in (("cls", "macro-F1"), ("reg", "RMSE")):
            said = Counter(found["verdicts"][task]["verdict"] for found in runs)
            gains = [statistics.median(difference(f, v, task) for f in runs) for v in ("multi", f"control_{task}")]
            counts = " | ".join(str(said[word]) for word in ("helps", "cannot tell", "hurts"))
            print(f"| {case} | {task} | {counts} | {gains[0]:+.3f} {metric} | {gains[1]:+.3f} {metric} |", flush=True)
    print(f"\n{asked.repetitions} repetitions a case, {asked.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
