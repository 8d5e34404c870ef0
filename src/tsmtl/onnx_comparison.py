"""Whether an exported model gives the numbers that PyTorch gives."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from tsmtl.config.errors import FailedError, first_line
from tsmtl.data.preparation import values_of
from tsmtl.onnx_graph import INPUT_NAME
from tsmtl.predictor import Predictor
from tsmtl.tasks.task import NumberPrediction, Prediction, Task

FloatArray = npt.NDArray[np.float32]
BATCHES = (1, 7, 100)  # instances
GAPS = 0.05  # share of missing values where the model fills them


def largest_differences(model: onnx.ModelProto, predictor: Predictor) -> dict[str, float]:
    """Run the exported model in onnxruntime, and compare it with PyTorch on random inputs of the training's scale.

    Returns:
        By task the largest absolute difference of a probability, or of a number in units of its training scale (see
        :func:`difference`); NaN where either of the two gave NaN.

    Raises:
        FailedError: If onnxruntime refuses the model.
    """
    names, inputs = list(predictor.tasks), list(random_inputs(predictor))
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs = [session.run(names, {INPUT_NAME: x}) for x in inputs]
    except Exception as error:  # onnxruntime has a class of its own for each kind of error
        raise FailedError(
            f"onnxruntime does not run the exported model ({type(error).__name__}: {first_line(error)})"
        ) from error
    predictions = [predictor.predict(x) for x in inputs]
    return {
        name: float(np.max([difference(task, o[i], p[name]) for o, p in zip(outputs, predictions, strict=True)]))
        for i, (name, task) in enumerate(predictor.tasks.items())
    }  # np.max: a NaN stays the largest


def random_inputs(predictor: Predictor) -> Iterator[FloatArray]:
    """Draw batches of several sizes and, where the model reads them, of shorter and longer series; some with gaps."""
    preparation, read = predictor.preparation, predictor.contract
    rng = np.random.default_rng(0)
    if read.seq_len is None:
        shapes = [(n, 1) for n in BATCHES]
    else:
        steps = read.seq_len
        shapes = [(n, steps) for n in BATCHES]
        if read.any_length:
            shapes += [(3, max(predictor.model.backbone.shortest, steps // 2)), (3, steps + steps // 2 + 1)]
    for n, steps in shapes:
        noise = rng.standard_normal((n, len(predictor.channels), steps))
        centre = preparation.mean if preparation.seq_len is None else preparation.shift
        scale = preparation.over_steps(preparation.scale)
        x = values_of(preparation.over_steps(centre) + scale * noise, preparation.signed_log).astype(np.float32)
        if preparation.missing != "error":
            gaps = rng.random(x.shape) < GAPS
            if read.nan_padding:
                gaps[:, :, -1] = False  # NaN in every channel there would be padding
            x[gaps] = np.nan
        yield x[:, :, 0] if read.kind == "vectors" else x


def difference(task: Task, output: FloatArray, expected: Prediction) -> float:
    """Give the largest difference between an output and PyTorch's.

    Args:
        task: What is predicted.
        output: (N, K), (N, L) or (N, D).
        expected: PyTorch's prediction.

    Returns:
        Of probabilities the absolute difference. Of a number its share of the train split's standard deviation or,
        where the target was not scaled, of the largest prediction; with log1p it is that of the logarithm, which is
        what the deviation belongs to. One rounding step of float32 is no difference, because it alone is large where
        the mean is a million times the deviation.
    """
    if not isinstance(expected, NumberPrediction):
        return float(np.abs(output.astype(np.float64) - expected.probabilities).max())
    values = expected.values.astype(np.float64)
    beyond = np.maximum(np.abs(output - values) - np.spacing(np.abs(expected.values)), 0.0)
    if not was_scaled(task):
        return float((beyond / np.maximum(np.abs(values).max(axis=0), np.finfo(np.float32).tiny)).max())
    if task.transform == "log1p":
        beyond /= np.maximum(1 + values, 1)  # the slope of the logarithm
    return float((beyond / np.array(task.scale)).max())


def was_scaled(task: Task) -> bool:
    """Say whether a number was trained on in standard deviations."""
    return any(task.shift) or any(scale != 1 for scale in task.scale)
