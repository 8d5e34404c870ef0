"""A trained model as an ONNX graph: raw input in; probabilities, and numbers in the target's own units, out.

The graph repeats what :class:`tsmtl.data.preparation.InputPreparation` and :meth:`tsmtl.tasks.task.Task.decode` do in
NumPy, in double precision like them. ``tsmtl-export`` compares the two before it writes a file.
"""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from torch import Tensor, nn

import tsmtl
from tsmtl.config.errors import FailedError, first_line
from tsmtl.data.preparation import InputPreparation
from tsmtl.predictor import Predictor
from tsmtl.tasks.task import Calibration, Task
from tsmtl.tasks.temperature import Temperature

INPUT_NAME = "x"
METADATA_KEY = "tsmtl"  # of metadata_props; its value is JSON
OPSET = 17  # the newest that runtimes of 2022 read (onnxruntime 1.12); nothing here needs a newer one
EXPECTED_WARNINGS: tuple[tuple[type[Warning], str], ...] = (
    # The exporter that torch.export replaces is taken on purpose: the new one fixes the length that an LSTM was
    # exported with, and takes seconds (GRU: tens of them) where this one takes tenths.
    (DeprecationWarning, "You are using the legacy TorchScript-based ONNX export"),
    (DeprecationWarning, "The feature will be removed. Please remove usage of this function"),
    # What tracing may have fixed to the batch and length that it saw; the comparison runs others.
    (torch.jit.TracerWarning, ""),  # type: ignore[attr-defined]  # public, but not in torch's list of names
    (UserWarning, "Exporting a model to ONNX with a batch_size other than 1"),
    # The reordered gates of a recurrent layer are left for the runtime to compute when it loads the file.
    (UserWarning, "Constant folding - Only steps=1 can be constant folded"),
)


class PreparationGraph(nn.Module):
    """Prepares raw input as :class:`InputPreparation` does where all steps are valid.

    Args:
        preparation: What to repeat.
        vectors: Whether the input is vectors (N, E), not series (N, C, T).
        nan_padding: Whether NaN in every channel at the end was padding in training. A graph cannot cut it off, so it
            stays NaN instead of being filled like a gap.
    """

    mean: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, preparation: InputPreparation, vectors: bool, nan_padding: bool) -> None:
        super().__init__()
        self.method, self.missing, self.limit = preparation.method, preparation.missing, preparation.limit
        self.signed_log = preparation.signed_log
        self.vectors, self.nan_padding = vectors, nan_padding
        for name in ("mean", "shift", "scale"):
            values = preparation.over_steps(getattr(preparation, name))  # (C, 1), or (C, T) where steps have their own
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, x: Tensor) -> Tensor:
        """Prepare raw (N, C, T) or (N, E)."""
        values = x.double()
        if self.vectors:
            values = values[:, :, None]  # (N, E, 1)
        if self.signed_log is not None:
            values = values.sign() * (1 + values.abs() / self.signed_log).log()
        if self.missing != "error":
            values = self._filled(values)
        if self.method == "per_instance":
            mean = values.mean(dim=2, keepdim=True)  # (N, C, 1)
            centred = values - mean
            sd = (centred * centred).mean(dim=2, keepdim=True).sqrt()
            constant = sd <= 1e-12 * mean.abs().clamp(min=1e-300)
            values = centred / torch.where(constant, torch.ones_like(sd), sd)
        else:
            values = (values - self.shift) / self.scale
        if self.limit is not None:  # what is not finite stays so, and is answered with NaN
            values = torch.where(values.isfinite(), values.clamp(-self.limit, self.limit), values)
        return (values[:, :, 0] if self.vectors else values).float()

    def _filled(self, values: Tensor) -> Tensor:
        gaps = values.isnan()
        filling = self.mean.expand_as(values)
        if self.missing == "interpolate" and not self.vectors:
            known = (~gaps).any(dim=2, keepdim=True)  # (N, C, 1)
            filling = torch.where(known, _interpolated(values, gaps), filling)
        if self.nan_padding:
            padded = gaps[:, :, -1:].all(dim=1, keepdim=True)  # (N, 1, 1)
            gaps = gaps & ~padded
        return torch.where(gaps, filling, values)


def _interpolated(values: Tensor, gaps: Tensor) -> Tensor:
    """Draw a line in time between the known steps around each gap; the nearest known step beyond the ends.

    Time and memory are linear in T: the places of the known steps are written side by side, and read by their rank.

    Args:
        values: (N, C, T).
        gaps: (N, C, T) bool; a channel without any known step gets values without meaning.
    """
    place = torch.arange(values.shape[2]).expand_as(gaps)
    rank = (~gaps).long().cumsum(dim=2)  # known steps up to here, this one included
    count = rank[:, :, -1:]
    first_slot = torch.zeros_like(count)  # takes what gaps write; only a channel without a known step reads it
    places = torch.cat([first_slot, torch.zeros_like(rank)], dim=2)  # (N, C, T + 1): rank to place
    places = places.scatter(2, torch.where(gaps, torch.zeros_like(rank), rank), place)
    before = places.gather(2, rank.clamp(min=1))
    after = places.gather(2, torch.minimum(rank + 1, count))
    left, right = values.gather(2, before), values.gather(2, after)
    slope = (right - left) / (after - before).clamp(min=1).double()  # beyond the ends, right is left
    return slope * (place - before).double() + left


class ExportedGraph(nn.Module):
    """The whole way from raw input to predictions, one output per task.

    Args:
        predictor: The trained model.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        read = predictor.contract
        self.preparation = PreparationGraph(predictor.preparation, read.kind == "vectors", read.nan_padding)
        self.model = predictor.model
        self.tasks = predictor.tasks
        self.calibration = predictor.calibration

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Predict from raw (N, C, T) or (N, E): by task (N, K) or (N, L) probabilities or (N, D) numbers.

        An instance with NaN left, or with infinite values, gets NaN: max and ReLU might drop it on the way, and a
        runtime has no way to refuse it.
        """
        prepared = self.preparation(x)
        finite = prepared.isfinite().flatten(1).all(dim=1, keepdim=True)  # (N, 1)
        outputs = self.model(prepared)
        decoded = [_decoded(task, outputs[name], self.calibration.get(name)) for name, task in self.tasks.items()]
        return tuple(torch.where(finite, values, torch.full_like(values, torch.nan)) for values in decoded)


def _decoded(task: Task, output: Tensor, calibration: Calibration | None) -> Tensor:
    if task.kind == "cls":
        temperature = calibration.value if isinstance(calibration, Temperature) else 1.0
        return (output.double() / temperature).softmax(dim=1).float()
    if task.kind == "multilabel":
        return output.double().sigmoid().float()
    scale, shift = (torch.tensor(numbers, dtype=torch.float64) for numbers in (task.scale, task.shift))
    values = output.double() * scale + shift
    if task.transform == "log1p":
        values = values.exp() - 1  # ONNX has no expm1
    if task.clip is not None:
        values = values.clamp(*task.clip)
    return values.float()


def onnx_model(predictor: Predictor) -> onnx.ModelProto:
    """Trace a trained model.

    Returns:
        The model with input :data:`INPUT_NAME`, an output per task by its name, and under :data:`METADATA_KEY` what
        :func:`about` says.

    Raises:
        FailedError: If the backbone does what ONNX has no words for.
    """
    graph = ExportedGraph(predictor).eval()
    names, steps = list(predictor.tasks), predictor.contract.seq_len
    shape = (2, len(predictor.channels), *([] if steps is None else [steps]))
    axes = {name: {0: "batch"} for name in (INPUT_NAME, *names)}
    if predictor.contract.any_length:
        axes[INPUT_NAME][2] = "steps"
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        for category, message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message, category)
        path = Path(folder) / "traced.onnx"
        try:
            torch.onnx.export(
                graph,
                (torch.zeros(shape),),
                path,
                input_names=[INPUT_NAME],
                output_names=names,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        except Exception as error:  # a user's backbone may do anything
            raise FailedError(
                f"the model cannot be written as ONNX ({type(error).__name__}: {first_line(error)})"
            ) from error
        model = onnx.load(path)
    text = json.dumps(about(predictor), ensure_ascii=False)
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.checker.check_model(model)
    return model


def about(predictor: Predictor) -> dict[str, Any]:
    """Give what an exported file says of itself.

    Returns:
        ``version`` of tsmtl; ``input``: its ``name``, ``kind`` (series or vectors), ``channels``, ``steps`` (T, or
        null: any from ``shortest`` on) and ``missing`` (what becomes of NaN); ``tasks`` by name of their output:
        ``kind`` (cls and multilabel: probabilities, reg: numbers), ``target``, and ``classes`` in the order of the
        columns, or ``size`` (D) and ``unit``.
    """
    tasks: dict[str, dict[str, Any]] = {}
    for name, task in predictor.tasks.items():
        more = {"size": task.size, "unit": task.unit} if task.kind == "reg" else {"classes": list(task.class_names)}
        tasks[name] = {"kind": task.kind, "target": task.key, **more}
    read: dict[str, Any] = {
        "name": INPUT_NAME,
        "kind": predictor.contract.kind,
        "channels": predictor.channels,
        "missing": predictor.preparation.missing,
    }
    if read["kind"] == "series":
        read["steps"] = None if predictor.contract.any_length else predictor.contract.seq_len
        read["shortest"] = predictor.model.backbone.shortest if predictor.contract.any_length else read["steps"]
    return {"version": tsmtl.__version__, "input": read, "tasks": tasks}
