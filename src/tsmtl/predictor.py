"""A trained model from its checkpoint: raw series in, predictions in the targets' own units out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.checkpoint.file import CALIBRATION, STEP_BY_STEP, read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.data.contract import InputContract, Series
from tsmtl.data.features import Features
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.preparation import InputPreparation
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.precision import float32_by_default
from tsmtl.models.readout import flatten_by_feature
from tsmtl.models.registry import BACKBONES, build_backbone, import_plugins
from tsmtl.tasks.calibration import calibration_from_states
from tsmtl.tasks.task import Prediction, Task
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.evaluation import EVALUATION_BATCH, embeddings_of, outputs_of


class Predictor:
    """A trained model with the scalers it was trained with.

    Attributes:
        tasks: What it predicts, by task name, with class names and units.
        calibration: What was fitted on val, by task name: temperatures of classifications, errors of numbers; empty of
            a checkpoint without it.
        channels: Names of the C channels (or E features) it reads, in order.
        settings: The settings it was trained with.
        contract: What it reads.
        features: Derived channels, and scaling per condition, of the rows of a table; None without such.
        representation: What made the vectors that it was trained on, as their manifest says; None of other input.
        data_hash: SHA-256 of the data it was trained on, None of a checkpoint that does not hold it.
    """

    def __init__(self, model: MultiTaskModel, content: dict[str, Any]) -> None:
        self.model = model.eval()
        self.tasks = {name: Task.from_state(state) for name, state in content["tasks"].items()}
        self.calibration = calibration_from_states(content.get(CALIBRATION))
        self.settings: dict[str, Any] = content["settings"]
        described: dict[str, Any] = content["input"]
        self.channels: list[str] = described["channels"]
        self.data_hash: str | None = described.get("data_sha256")
        self.representation: dict[str, Any] | None = described.get("representation")
        self.preparation = InputPreparation.from_state(described["preparation"])
        features = described.get("features")
        self.features = None if features is None else Features.from_state(features)
        self.contract = InputContract(
            kind=described["kind"],
            channels=self.channels,
            seq_len=described["seq_len"],
            nan_padding=described["nan_padding"],
            missing=self.preparation.missing,
            takes_lengths=model.backbone.takes_lengths,
            shortest=model.backbone.shortest,
            scaled_per_step=self.preparation.seq_len is not None,
            otherwise="" if self.representation is None else "; transform= makes them of raw series",
        )

    @property
    def device(self) -> torch.device:
        """Where it predicts."""
        return next(self.model.heads.parameters()).device  # to find the first of all takes longer

    def predict(
        self, x: Series, lengths: npt.NDArray[np.integer] | None = None, level: float | None = None
    ) -> dict[str, Prediction]:
        """Predict for new instances.

        Args:
            x: Raw, unscaled series (N, C, T) or vectors (N, E), as in training; or a list of (C, T_i) series of
                different lengths. NaN, and what a masked array hides, is filled as in training. A table whose columns
                are named like the features may have them in any order, and others beside them.
            lengths: (N,) valid steps of padded series, or None.
            level: In (0, 1), share of new instances that the interval of a number shall hold; None: no intervals.

        Returns:
            By task name a :class:`ClassPrediction` (labels (N,), probabilities (N, K)) or a
            :class:`NumberPrediction` (values (N, D) in the target's own units; with a level ``low`` and ``high`` too,
            (N, D) each, which are infinite where the val split had too few labels for it).

        Raises:
            UserError: A ValueError: if the input is not what the model was trained on, or there are no intervals.
        """
        self._check_takes_windows()
        self.check_level(level)
        return self.predict_checked(*self.contract.check(x, lengths), level=level)

    def check_level(self, level: float | None) -> None:
        """Check that the model has intervals of a level.

        Raises:
            UserError: If not.
        """
        if level is None:
            return
        if not (isinstance(level, float | int) and 0 < level < 1):
            raise UserError(f"level: must be a number in (0, 1) (got {level!r})")
        if all(task.kind != "reg" for task in self.tasks.values()):
            raise UserError("level: intervals are of numbers, and the model predicts none; leave it out")
        if not self.calibration:
            raise UserError(
                "level: the checkpoint has no intervals: it was trained with trainer.calibrate=false, by an earlier "
                "tsmtl, or not to the end; level=null predicts without"
            )

    def predict_table(
        self,
        path: str | os.PathLike[str],
        windows: Literal["all", "last"] = "all",
        stride: int = 1,
        level: float | None = None,
    ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Prediction]]:
        """Predict for the rows of a table, with a model that was trained on one.

        Args:
            path: Files with the columns of the training, as ``data.path`` names them; targets are not needed.
            windows: ``all`` windows, or the ``last`` one of each entity.
            stride: Rows from one window to the next.
            level: Of the intervals of numbers, as for :meth:`predict`.

        Returns:
            ``entity`` (N,) and, where the table has times, ``time`` (N,) of each window's last row, in UTC if they have
            time zones; and the predictions by task as of :meth:`predict`.

        Raises:
            UserError: A ValueError: if the model was not trained on a table, the rows are not as in training, or there
                are no intervals.
        """
        from tsmtl.predict_table import predict_table  # which loads tables with polars, and this class

        self.check_level(level)
        return predict_table(self, os.fspath(path), windows, stride, level)

    def _check_takes_windows(self) -> None:
        if self.features is not None:
            raise UserError(
                "x: this model reads channels that are derived from, or scaled within, a whole table; predict_table, "
                "or tsmtl-predict, takes its rows"
            )

    def embed(self, x: Series, lengths: npt.NDArray[np.integer] | None = None) -> FloatArray:
        """Give the backbone's representations of new instances, what the heads read.

        Args:
            x: As for :meth:`predict`: series (N, C, T), vectors (N, E), or a list of (C, T_i) series.
            lengths: (N,) valid steps of padded series, or None.

        Returns:
            (N, E) float32, E the size of the backbone's embedding.

        Raises:
            UserError: A ValueError: if the input is not what the model was trained on.
        """
        self._check_takes_windows()
        return self.embed_checked(*self.contract.check(x, lengths))

    def embed_checked(self, x: FloatArray, lengths: IntArray | None) -> FloatArray:
        """Give the representations (N, E) of what :attr:`contract` has checked."""
        return embeddings_of(self.model.backbone, self._split(x, lengths)).float().cpu().numpy()

    @property
    def embed_dim(self) -> int:
        """E, the size of the backbone's embedding."""
        return self.model.backbone.embed_dim

    def predict_checked(
        self,
        x: FloatArray,
        lengths: IntArray | None,
        batch_size: int = EVALUATION_BATCH,
        level: float | None = None,
    ) -> dict[str, Prediction]:
        """Predict for what :attr:`contract` has checked, ``batch_size`` instances at a time."""
        return self.predict_split(self._split(x, lengths), batch_size, level)

    def predict_split(
        self, split: Split, batch_size: int = EVALUATION_BATCH, level: float | None = None
    ) -> dict[str, Prediction]:
        """Predict for prepared instances."""
        outputs = outputs_of(self.model, split, batch_size)
        return {
            name: task.decode(outputs[name].cpu().numpy(), self.calibration.get(name), level)
            for name, task in self.tasks.items()
        }

    def _split(self, x: FloatArray, lengths: IntArray | None) -> TensorSplit:
        # An array of NumPy's is not ALIGNED, and each batch would be a copy.
        prepared = torch.empty(x.shape, dtype=torch.float32, device="cpu")
        self.preparation.apply(x, lengths, out=prepared.numpy())
        steps = None if lengths is None else torch.from_numpy(lengths)
        return TensorSplit(prepared.to(self.device), {}, steps, once=True)


@float32_by_default()
@torch.random.fork_rng(devices=[])  # weights are drawn before those of the file take their place
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
    if isinstance(plugins, str):
        raise UserError(f"plugins: must be a list of modules (got {plugins!r})")
    place = device_of(device)
    return predictor_of(read_checkpoint(Path(path)), str(path), place, plugins)


def predictor_of(content: dict[str, Any], where: str, device: torch.device, plugins: Sequence[str]) -> Predictor:
    """Make a model of what a checkpoint holds.

    Args:
        content: Of the checkpoint.
        where: Its file, for messages.
        device: Where to predict.
        plugins: Modules to import that register the backbone.

    Raises:
        UserError: If its backbone is unknown, or its weights do not fit.
    """
    spec = content["backbone"]
    import_plugins(list(plugins))
    if spec["name"] not in BACKBONES:
        modules = content["settings"]["plugins"]
        raise UserError(f"{where}: its backbone '{spec['name']}' is a user's own; load it with plugins={modules}")
    backbone = build_backbone(spec["name"], spec["arguments"], spec["input_size"], spec["seq_len"])
    if content["format_version"] < STEP_BY_STEP:
        flatten_by_feature(backbone)
    sizes = {name: state["size"] for name, state in content["tasks"].items()}
    model = MultiTaskModel(backbone, sizes, spec["head_bias"])
    try:
        model.load_state_dict(content["state"])
    except RuntimeError as error:
        raise UserError(f"{where}: its weights do not fit the model that it describes") from error
    return Predictor(model.to(device), content)


def device_of(name: str) -> torch.device:
    """Give a device by its name.

    Raises:
        UserError: If there is none of that name here.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"device: must be 'cpu' or 'cuda' (got {name!r})") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device: must be 'cpu' or 'cuda' (got {name!r})")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device: {name} was asked for, but PyTorch finds no CUDA device here; take 'cpu'")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise UserError(f"device: {name} was asked for, but the last CUDA device here is cuda:{count - 1}")
    return device
