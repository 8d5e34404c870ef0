"""What is measured: the shipped models at their default sizes, on series of one shape, and tsai's LSTM-FCN."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml

from benchmarks.stock_models import CLASSES
from tsmtl.config.location import config_dir
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
from tsmtl.training.batches import TensorSplit

SERIES, VECTOR = (9, 128), (128,)  # (C, T) and (E,)
BATCH_SIZES = (16, 64, 256)
HELD_OUT = 16  # instances of val, and of test: tsmtl wants them, and this measures none of what they are for
OF_TRAINING = {"model", "input_size", "seq_len", "num_epochs", "batch_size", "lr"}  # keys that no layer reads


@dataclass(frozen=True)
class Case:
    """A model to measure.

    Attributes:
        name: In tables.
        model: As in ``model=...``.
        instances: About how many make a round of a third of a second.
        shape: Of an instance, (C, T) or (E,).
        changed: Settings that are not the shipped defaults.
    """

    name: str
    model: str
    instances: int
    shape: tuple[int, ...] = SERIES
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The model's own settings: what is shipped, and what is changed."""
        return {key: value for key, value in self._shipped().items() if key not in OF_TRAINING} | self.changed

    @property
    def batch_size(self) -> int:
        """The shipped batch size, where a benchmark has none of its own."""
        return int(self._shipped()["batch_size"])

    def count(self, batch_size: int) -> int:
        """Give the instances of a round: whole batches."""
        return batch_size * max(1, round(self.instances / batch_size))

    def _shipped(self) -> dict[str, Any]:
        return dict(yaml.safe_load((config_dir() / "model" / f"{self.model}.yaml").read_text()))


TSAI_SIZES = {
    "kernel_sizes": [7, 5, 3],
    "lstm_hidden_size": 100,
    "num_layers": 1,
    "squeeze_excite": False,
    "dimension_shuffle": True,
    "lstm_drop_out": 0.8,
    "fc_drop_out": 0.0,
}
CASES = [
    Case("fc", "fc", 8192, VECTOR),
    Case("cnn1d", "cnn1d", 1024),
    Case("gru", "gru", 128),
    Case("lstm", "lstm", 256),
    Case("lstm_fcn", "lstm_fcn", 192),
    Case("lstm_fcn, tsai's sizes", "lstm_fcn", 256, changed=TSAI_SIZES),
]
BY_NAME = {case.name: case for case in CASES}
MODELS = [case.name for case in CASES if not case.changed]  # as shipped


def write_data(case: Case, count: int, path: Path) -> None:
    """Write random instances as .npz: ``X``, a class ``state``, a number ``wear`` and the split of each."""
    rng = np.random.default_rng(0)
    n = count + 2 * HELD_OUT
    x: npt.NDArray[np.float32] = rng.standard_normal((n, *case.shape), dtype=np.float32)
    split = np.array(["train"] * count + ["val"] * HELD_OUT + ["test"] * HELD_OUT)
    state = np.arange(n) % CLASSES  # every class in every split
    np.savez(path, X=x, state=state, wear=rng.standard_normal(n).astype(np.float32), split=split)


def model_of(case: Case, bf16: bool = False) -> MultiTaskModel:
    """Build tsmtl's model of a class and a number, with fresh weights."""
    steps = case.shape[1] if len(case.shape) == 2 else None
    backbone = build_backbone(case.model, case.settings, case.shape[0], steps)
    return MultiTaskModel(backbone, {"cls": CLASSES, "reg": 1}, bf16=bf16)


def split_of(case: Case, count: int) -> TensorSplit:
    """Make random instances in memory, each with a class and a number."""
    targets = {"cls": torch.randint(CLASSES, (count,)), "reg": torch.randn(count, 1)}
    return TensorSplit(torch.randn(count, *case.shape), targets)
