"""Does pretraining help? Single tasks, both from scratch, and both from a pretrained backbone, over several seeds.

Usage: python benchmarks/finetuning.py [--seeds 5] [--folder outputs/finetuning] [--data synthetic hydraulic]

Every run goes through ``tsmtl.train`` in a folder of its own with resume=true: after a kill the same command goes on.
Prints a Markdown table: mean and standard deviation (n - 1) over the seeds, of the test split.
"""

import argparse
import statistics
from pathlib import Path

import tsmtl

SETTINGS = {
    "synthetic": [
        *("data=synthetic", "data.n_instances=300", "data.noise=1.0", "conv_channels=[32,64,32]", "lr=1e-3"),
        "batch_size=16",
    ],
    "hydraulic": ["experiment=hydraulic", "data.class_target=cooler", "data.scale=standard"],
}
MODELS = {"synthetic": ("lstm_fcn", "lstm_fcn_multi"), "hydraulic": ("cnn1d", "cnn1d")}  # of one task, of both
COLUMNS = (("cls", "accuracy"), ("cls", "macro_f1"), ("reg", "rmse"), ("reg", "r2"))
SAME_LAYERS = {"synthetic": ["num_layers=1", "lstm_drop_out=0.4"], "hydraulic": []}  # lstm_fcn's own default is 2
EPOCHS = {"synthetic": 40, "hydraulic": 30}
ROWS = {
    "single cls": ["task=cls"],
    "single reg": ["task=reg"],
    "multi from scratch": ["task=multi"],
    "multi from scratch, twice as long": ["task=multi", "num_epochs=twice"],  # as many epochs as both stages
    "reg -> multi": ["task=multi", "stage=finetune", "from=single reg"],
    "reg -> multi, frozen": ["task=multi", "stage=finetune", "from=single reg", "freeze=true"],
    "cls -> multi": ["task=multi", "stage=finetune", "from=single cls"],
    "cls -> multi, frozen": ["task=multi", "stage=finetune", "from=single cls", "freeze=true"],
}


def folder_of(folder: Path, data: str, row: str, seed: int) -> Path:
    """Give the run folder of a row and seed."""
    return folder / data / f"{row.replace(' -> ', '_to_').replace(', ', '_').replace(' ', '_')}_{seed}"


def train(folder: Path, data: str, row: str, seed: int) -> tsmtl.TrainingResult:
    """Train one row with one seed, or read it where it is done."""
    single, multi = MODELS[data]
    settings = [f"model={multi if 'task=multi' in ROWS[row] else single}", *SETTINGS[data], *SAME_LAYERS[data]]
    settings.append(f"num_epochs={EPOCHS[data]}")
    for setting in ROWS[row]:
        key, _, value = setting.partition("=")
        start = folder_of(folder, data, value, seed) / "best_model.pt"
        if value == "twice":
            setting = f"num_epochs={2 * EPOCHS[data]}"
        settings.append(f"pretrained_path={start}" if key == "from" else setting)
    if "freeze=true" in ROWS[row]:  # has no dropout
        settings = [setting for setting in settings if not setting.startswith("lstm_drop_out")]
    own = ["device=cpu", f"seed={seed}", f"hydra.run.dir={folder_of(folder, data, row, seed)}", "resume=true"]
    return tsmtl.train([*settings, *own])


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("outputs/finetuning"))
    parser.add_argument("--data", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    arguments = parser.parse_args()
    for data in arguments.data:
        print(f"\n{data}, {arguments.seeds} seeds\n")
        print("| run | " + " | ".join(f"{task} {metric}" for task, metric in COLUMNS) + " |")
        print("|---" * (1 + len(COLUMNS)) + "|")
        for row in ROWS:
            tests = [train(arguments.folder, data, row, seed).test for seed in range(arguments.seeds)]
            cells = []
            for task, metric in COLUMNS:
                values = [test[task][metric] for test in tests if task in test]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}" if values else "")
            print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
