"""A trained model from its checkpoint: raw series in, predictions in the targets' own units out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.data.padding import lengths_of_nan_padding, pad
from tsmtl.data.preparation import InputPreparation
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import BACKBONES, build_backbone, import_plugins
from tsmtl.tasks.task import ClassPrediction, NumberPrediction, Task
from tsmtl.training.batches import TensorSplit
from tsmtl.training.evaluation import outputs_of

Series = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]


class Predictor:
    """A trained model with the scalers it was trained with.

    Attributes:
        tasks: What it predicts, by task name, with class names and units.
        channels: Names of the C channels (or E features) it reads, in order.
        settings: The settings it was trained with.
        input: What it reads: kind, channel names, time steps, and whether NaN at the end is padding.
        preparation: What is done to raw input before the model sees it.
    """

    def __init__(self, model: MultiTaskModel, content: dict[str, Any]) -> None:
        self.model = model.eval()
        self.tasks = {name: Task.from_state(state) for name, state in content["tasks"].items()}
        self.settings: dict[str, Any] = content["settings"]
        self.input: dict[str, Any] = content["input"]
        self.channels: list[str] = self.input["channels"]
        self.preparation = InputPreparation.from_state(self.input["preparation"])

    def predict(
        self, x: Series, lengths: npt.NDArray[np.integer] | None = None
    ) -> dict[str, ClassPrediction | NumberPrediction]:
        """Predict for new instances.

        Args:
            x: Raw, unscaled series (N, C, T) or vectors (N, E), as in training; or a list of (C, T_i) series of
                different lengths. NaN is filled as in training.
            lengths: (N,) valid steps of padded series, or None.

        Returns:
            By task name a :class:`ClassPrediction` (labels (N,), probabilities (N, K)) or a
            :class:`NumberPrediction` (values (N, D) in the target's own units).

        Raises:
            UserError: A ValueError: if the input is not what the model was trained on.
        """
        array, lengths = self._checked(x, lengths)
        prepared = torch.from_numpy(self.preparation.apply(array, lengths))
        device = next(self.model.parameters()).device
        split = TensorSplit(prepared.to(device), {}, None if lengths is None else torch.from_numpy(lengths))
        outputs = outputs_of(self.model, split)
        return {name: task.decode(outputs[name].cpu().numpy()) for name, task in self.tasks.items()}

    def _checked(
        self, x: Series, lengths: npt.NDArray[np.integer] | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64] | None]:
        kind, sizes = self.input["kind"], f"C = {len(self.channels)}"
        if not isinstance(x, np.ndarray):
            if lengths is not None:
                raise UserError("lengths: a list holds the length of each series itself; give lengths with (N, C, T)")
            if not len(x) or any(np.ndim(series) != 2 for series in x):
                raise UserError("x: a list must hold series of shape (C, T), one at least")
            if len({len(series) for series in x}) > 1:
                raise UserError("x: the series of a list must have the same number of channels")
            x, lengths = pad([np.asarray(series, dtype=np.float32) for series in x])
        array = np.asarray(x, dtype=np.float32)
        wanted = "(N, C, T)" if kind == "series" else "(N, E)"
        if array.ndim != (3 if kind == "series" else 2) or not array.size:
            raise UserError(f"x: the model reads {kind} {wanted} (got shape {array.shape})")
        if array.shape[1] != len(self.channels):
            raise UserError(f"x: the model was trained with {sizes} (got {array.shape[1]}, shape {array.shape})")
        if lengths is None and kind == "series" and self.input["nan_padding"]:
            lengths = lengths_of_nan_padding(array)
        backbone = self.model.backbone
        if lengths is not None and not backbone.takes_lengths:
            raise UserError("x: this model reads series of equal lengths only")
        if kind == "series" and not backbone.takes_lengths and array.shape[2] != self.input["seq_len"]:
            raise UserError(
                f"x: the model was trained with {self.input['seq_len']} time steps and reads no other length "
                f"(got {array.shape[2]})"
            )
        steps = None if lengths is None else _checked_lengths(lengths, len(array), array.shape[-1])
        if kind == "series":
            fewest = array.shape[2] if steps is None else int(steps.min())
            if fewest < backbone.shortest:
                raise UserError(f"x: the model reads series of {backbone.shortest} time steps or more (got {fewest})")
        valid = True if steps is None else np.arange(array.shape[2]) < steps[:, None, None]  # padding may hold anything
        if (np.isinf(array) & valid).any():
            raise UserError("x: holds infinite values; a missing value is NaN")
        if self.preparation.missing == "error" and (np.isnan(array) & valid).any():
            raise UserError("x: holds NaN, and the model was trained with data.missing=error")
        return array, steps


def _checked_lengths(lengths: npt.NDArray[np.integer], n: int, t: int) -> npt.NDArray[np.int64]:
    steps = np.asarray(lengths)
    if steps.shape != (n,) or steps.dtype.kind not in "iu":
        raise UserError(f"lengths: must be whole numbers of shape ({n},) (got {steps.dtype} of shape {steps.shape})")
    if steps.min() < 1 or steps.max() > t:
        raise UserError(f"lengths: must lie in [1, {t}] (got {steps.min()} to {steps.max()})")
    return steps.astype(np.int64)


def load_model(path: str | os.PathLike[str], device: str = "cpu", plugins: Sequence[str] = ()) -> Predictor:
    """Load a checkpoint for prediction.

    Args:
        path: A checkpoint that ``tsmtl-train`` wrote.
        device: Where to predict, such as ``cpu`` or ``cuda``.
        plugins: Modules to import that register the backbone, where it is the user's own. A checkpoint only names
            them: no file decides what code runs.

    Raises:
        UserError: A ValueError: if the file is missing, damaged, of a newer format, or no checkpoint.
    """
    path = Path(path)
    content = read_checkpoint(path)
    spec = content["backbone"]
    import_plugins(list(plugins))
    if spec["name"] not in BACKBONES:
        modules = content["settings"]["plugins"]
        raise UserError(f"{path}: its backbone '{spec['name']}' is a user's own; load it with plugins={modules}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device: {device} was asked for, but PyTorch finds no CUDA device here; take 'cpu'")
    backbone = build_backbone(spec["name"], spec["arguments"], spec["input_size"], spec["seq_len"])
    sizes = {name: state["size"] for name, state in content["tasks"].items()}
    model = MultiTaskModel(backbone, sizes, spec["head_bias"])
    try:
        model.load_state_dict(content["state"])
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit the model that it describes") from error
    return Predictor(model.to(device), content)
