"""Tiny runs, trained once for all tests of a process, and the same data in every format."""

import csv
import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir

from tsmtl.config.arguments import plain_settings, prepare_arguments
from tsmtl.config.location import config_dir
from tsmtl.config.schema import check
from tsmtl.run import run_training

CLASSES = ["ball, outer", "inner", "ok"]  # a comma, so that the CSV must quote it
CHANNELS = ["sensor_a", "sensor_b"]
SMALL = {
    "lstm": ["hidden_size=8", "dropout=0.3"],
    "gru": ["hidden_size=8", "dropout=0.3", "num_layers=2"],
    "cnn1d": ["output_channels=4", "dropout=0.3"],
    "lstm_fcn": ["lstm_hidden_size=4", "conv_channels=[8,8,8]", "lstm_drop_out=0.5"],
    "fc": ["hidden_sizes=[8]", "dropout=0.3"],
}
SERIES = ["data.path={folder}/series.npz", "data.channels_key=channels"]
CASES = {
    **{model: [f"model={model}", *SERIES, *small] for model, small in SMALL.items() if model != "fc"},
    "fc": ["model=fc", "data.path={folder}/vectors.npz", "data.channels_key=channels", *SMALL["fc"]],
    "lengths": [
        "model=gru",
        "data.path={folder}/padded.npz",
        "data.lengths_key=lengths",
        "data.channels_key=channels",
        *SMALL["gru"],
    ],
    "strict": ["model=gru", *SERIES, "data.missing=error", "hidden_size=4"],
    "ids": ["model=gru", *SERIES, "data.class_target=ids", "data.class_names_key=classes", "hidden_size=4"],
    "two numbers": ["model=gru", *SERIES, "data.regression_target=y_two", "hidden_size=4"],
    "reg": ["model=gru", "task=reg", *SERIES, "hidden_size=4"],
    "log": [
        "model=gru",
        *SERIES,
        "hidden_size=4",
        "data.transform_target=log1p",
        "data.clip_target=[null,210]",
        "data.regression_metrics=[phm08]",
        "trainer.monitor=val/reg/rmse_capped",
    ],
    "per step": ["model=gru", *SERIES, "hidden_size=4", "data.scale=standard_per_step"],
    "signed log": ["model=gru", *SERIES, "hidden_size=4", "data.signed_log=0.1"],
    "limit": ["model=gru", *SERIES, "hidden_size=4", "data.input_limit=0.5"],
    "bf16": ["model=lstm_fcn", *SERIES, *SMALL["lstm_fcn"], "trainer.precision=bf16"],
    "calibrated": ["model=gru", "data.path={folder}/many.npz", "data.channels_key=channels", "hidden_size=8"],
    "simulated": ["model=gru", "data=synthetic", "data.n_instances=40", "hidden_size=4"],
}


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, and the npz file of its data."""

    folder: Path
    data: Path

    @property
    def checkpoint(self) -> str:
        return f"checkpoint={self.folder / 'best_model.pt'}"

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.data) as file:
            return dict(file)


class Training:
    """Gives the run of a case; trains it when it is asked for first.

    Args:
        folder: Where runs and data go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, content in data_sets().items():
            np.savez(folder / f"{name}.npz", **content)

    def __call__(self, case: str) -> Trained:
        out = self._folder / case
        if not out.exists():
            arguments = ["data=npz", "num_epochs=2", "lr=0.01", "device=cpu", "batch_size=8"]
            arguments += [a.format(folder=self._folder) for a in CASES[case]]
            with initialize_config_dir(str(config_dir()), version_base="1.3"):
                settings = check(plain_settings(compose("train", prepare_arguments(arguments))))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                run_training(settings, out)  # its words are not the tested command's
        path = next((a.partition("=")[2] for a in CASES[case] if a.startswith("data.path=")), "")
        return Trained(out, Path(path.format(folder=self._folder)))


def data_sets() -> dict[str, dict[str, np.ndarray]]:
    """40 instances with a class and a number, some of them missing; as series, padded series and vectors."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (40, 2, 12)).astype(np.float32)
    ids = np.arange(40) % 3
    number = rng.normal(200, 30, 40)
    number[::7] = np.nan
    names = np.array(CLASSES)[ids]
    names[5] = ""
    common = {
        "y_cls": names,
        "ids": np.where(np.arange(40) == 5, -1, ids),
        "classes": np.array(CLASSES),
        "y_reg": number,
        "y_two": np.stack([number, rng.normal(size=40)], axis=1),
        "channels": np.array(CHANNELS),
    }
    lengths = rng.integers(6, 12, 40)
    lengths[0] = 12
    padded = np.where(np.arange(12) < lengths[:, None, None], x, 0)
    features = [f"f{i}" for i in range(6)]
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    many = np.arange(240) % 3
    return {
        "series": {"X": x, **common},
        "many": {
            "X": (rng.normal(size=(240, 2, 12)) + many[:, None, None] / 4).astype(np.float32),
            "y_cls": np.array(CLASSES)[many],
            "y_reg": many + rng.normal(size=240),
            "channels": np.array(CHANNELS),
        },
        "padded": {"X": padded, "lengths": lengths, **common},
        "vectors": {"X": vectors, **common, "channels": np.array(features)},
    }


def series_of(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Give the (C, T_i) series, padding cut off."""
    lengths = arrays.get("lengths", np.full(len(arrays["X"]), arrays["X"].shape[-1]))
    return [x[:, :length] for x, length in zip(arrays["X"], lengths, strict=True)]


def write_csv(path: Path, arrays: dict[str, np.ndarray], name: str = "m{}") -> Path:
    """Write the instances in the CSV form of their kind, targets and an extra column beside them."""
    channels = arrays["channels"].tolist()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "instance", *reversed(channels), "y_cls", "y_reg", "y_two_1", "y_two_2"])
        for i, values in enumerate(series_of(arrays) if arrays["X"].ndim == 3 else arrays["X"][:, :, None]):
            targets: list[Any] = [arrays["y_cls"][i], *(_cell(v) for v in (arrays["y_reg"][i], *arrays["y_two"][i]))]
            for step in values.T:
                writer.writerow(["x,y", name.format(i), *(_cell(v) for v in reversed(step)), *targets])
    return path


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.17g}"


def write_ts(path: Path, arrays: dict[str, np.ndarray], labels: str = "@classLabel false") -> Path:
    """Write the series in the archive format, labelled where the header has labels."""
    lines = [f"@dimensions {arrays['X'].shape[1]}", labels, "@data"]
    for i, series in enumerate(series_of(arrays)):
        parts = [",".join("?" if np.isnan(v) else f"{v:.17g}" for v in channel) for channel in series]
        if labels.startswith("@classLabel true"):
            parts.append(str(arrays["ids"][i]) if arrays["ids"][i] >= 0 else "?")
        elif labels.startswith("@targetLabel"):
            parts.append("?" if np.isnan(arrays["y_reg"][i]) else f"{arrays['y_reg'][i]:.17g}")
        lines.append(":".join(parts))
    path.write_text("\n".join(lines) + "\n")
    return path


def table_of(path: Path) -> dict[str, list[str]]:
    """Read a CSV file as columns."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}
