"""Throughput of prediction against the bare model: ``Predictor``, the loop of ``tsmtl-predict``, and ONNX Runtime.

    python -m benchmarks.prediction [--instances 4096] [--repeats 9] [--models fc cnn1d gru lstm lstm_fcn]

Models of the default sizes at batch 256, one thread. *Bare* is the network alone on prepared tensors: eval mode, no
gradients. *Predictor* takes a raw array, checks and scales it, and gives class probabilities and numbers in their own
units. *Command* is what ``tsmtl-predict`` does between its start and its end: a ``.npz`` file in, a table out. *ONNX*
is the exported model, its scaling inside, where the extra ``export`` is installed. All take turns; a ratio is the
median over the rounds (min - max), above 1 faster than the bare model. Times are those of the processor, which other
work on the machine disturbs less.
"""

import argparse
import logging
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import tsmtl
from tsmtl.data.stream import Request
from tsmtl.data.streaming import open_stream
from tsmtl.predict_file import predicted
from tsmtl.predictor import load_model
from tsmtl.report.predictions import predictions_file

BATCH, THREADS = 256, 1
MODELS = {"fc": (128,), "cnn1d": (9, 128), "gru": (9, 128), "lstm": (9, 128), "lstm_fcn": (9, 128)}


def trained(model: str, folder: Path) -> Path:
    """Train the default model for an epoch, on few instances; gives its checkpoint."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, *MODELS[model])).astype(np.float32)
    np.savez(folder / "small.npz", X=x, state=rng.choice(["a", "b", "c", "d"], 64), wear=rng.random(64))
    words = ["data=npz", f"data.path={folder}/small.npz", "data.class_target=state", "data.regression_target=wear"]
    words += [f"model={model}", "num_epochs=1", "device=cpu", "trainer.calibrate=false"]
    return tsmtl.train([*words, f"hydra.run.dir={folder}/{model}"]).best_model_path


def command(checkpoint: Path, data: Path, output: Path) -> Callable[[], None]:
    """Give what the command does once the model is loaded."""
    predictor = load_model(checkpoint)

    def run() -> None:
        request = Request(data, predictor.contract, BATCH, None, None, {}, "instance", False)
        stream = open_stream(request)
        with predictions_file(output, predictor.tasks) as add:
            for block, predictions in predicted(predictor, stream, BATCH):
                add({"instance": list(block.names)}, predictions)

    return run


def ways(model: str, folder: Path, x: np.ndarray[Any, Any]) -> dict[str, Callable[[], object]]:
    """Give the ways to predict, by name."""
    checkpoint = trained(model, folder)
    predictor = load_model(checkpoint)
    prepared = torch.from_numpy(predictor.preparation.apply(x, None))

    @torch.inference_mode()
    def bare() -> None:
        for rows in prepared.split(BATCH):
            predictor.model(rows)

    np.savez(folder / f"{model}.npz", X=x)
    found: dict[str, Callable[[], object]] = {
        "bare": bare,
        "Predictor": lambda: predictor.predict(x),
        "command, .csv": command(checkpoint, folder / f"{model}.npz", folder / "out.csv"),
        "command, .npz": command(checkpoint, folder / f"{model}.npz", folder / "out.npz"),
    }
    if find_spec("onnxruntime") is not None:
        found["ONNX"] = onnx(checkpoint, folder / "model.onnx", x)
    return found


def onnx(checkpoint: Path, path: Path, x: np.ndarray[Any, Any]) -> Callable[[], None]:
    """Export the model; give what predicts with it."""
    import onnxruntime

    from tsmtl.export import export

    export(str(checkpoint), str(path), 1e-3, [])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run() -> None:
        for at in range(0, len(x), BATCH):
            session.run(None, {"x": x[at : at + BATCH]})

    return run


def main() -> None:
    """Print a row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    logging.disable(logging.INFO)
    print(f"torch {torch.__version__}, {THREADS} thread, {torch.backends.cpu.get_cpu_capability()}")
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print("| model | way | series/s | against the bare model (min - max) |")
    print("|---|---|---|---|")
    for model in arguments.models:
        with TemporaryDirectory() as name:
            x = np.random.default_rng(1).normal(size=(arguments.instances, *MODELS[model])).astype(np.float32)
            found = ways(model, Path(name), x)
            seconds: dict[str, list[float]] = {way: [] for way in found}
            for repeat in range(arguments.repeats + 1):
                for way in list(found)[:: 1 if repeat % 2 else -1]:
                    began = time.process_time()
                    found[way]()
                    if repeat:
                        seconds[way].append(time.process_time() - began)
        rates = {way: arguments.instances / statistics.median(took) for way, took in seconds.items()}
        for way, took in seconds.items():
            ratios = sorted(bare / one for bare, one in zip(seconds["bare"], took, strict=True))
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} - {ratios[-1]:.2f})"
            print(f"| {model} | {way} | {rates[way]:,.0f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
