"""Throughput of prediction against the bare model: ``Predictor``, the loop of ``tsmtl-predict``, and ONNX Runtime.

    python -m benchmarks.prediction [--instances 4096] [--repeats 9] [--threads 1] [--models fc cnn1d gru lstm lstm_fcn]

Models as shipped. *Bare* is the network alone on prepared tensors: eval mode, no gradients. *Predictor* takes a raw
array, checks and scales it, and gives class probabilities and numbers in their own units. *Command* is what
``tsmtl-predict`` does with its defaults from the loaded model to its end: a ``.npz`` file in, a table out, with the
intervals of numbers that a calibrated model has. *ONNX* is the exported model, its scaling inside, where the extra
``export`` is installed. All take the batches of ``tsmtl-predict``, in turn; a ratio is that of a round, median and
quartiles, above 1 faster than the bare model. With one thread times are those of the processor, which other work on the
machine disturbs less.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import tsmtl
from benchmarks import machine
from benchmarks.cases import BY_NAME, MODELS, Case, write_data
from benchmarks.contestants import in_turn
from benchmarks.table import markdown, ratios, spread
from benchmarks.workers.in_tsmtl import words_of
from benchmarks.workers.rounds import clock_of
from tsmtl.config.predict_settings import PredictDataSettings, PredictSettings
from tsmtl.config.section import Section
from tsmtl.config.sister_command import checked_sections
from tsmtl.data.stream import Request
from tsmtl.data.streaming import open_stream
from tsmtl.predict_file import level_for, predicted
from tsmtl.predictor import load_model
from tsmtl.report.predictions import predictions_file

TRAINED_ON = 192  # instances; what is held out suffices for the ends of intervals
BARE = "bare"


def trained(case: Case, folder: Path) -> Path:
    """Train the model for an epoch, on few instances; gives its checkpoint."""
    write_data(case, TRAINED_ON, folder / "data.npz")
    told = {"model": case.model, "settings": case.settings, "batch_size": 16, "data": str(folder / "data.npz")}
    return tsmtl.train([*words_of(told, ["num_epochs=1"]), f"hydra.run.dir={folder}/run"]).best_model_path


def settings_of(checkpoint: Path, output: Path) -> PredictSettings:
    """Give what ``tsmtl-predict`` has where nothing else is typed."""
    words = [f"checkpoint={checkpoint}", f"output={output}", "device=cpu", "data.path=new.npz"]
    sections: dict[str, type[Section]] = {"": PredictSettings, "data": PredictDataSettings}
    found = checked_sections("tsmtl-predict", "predict", sections, words)[0][""]
    assert isinstance(found, PredictSettings)
    return found


def command(settings: PredictSettings, data: Path) -> Callable[[], None]:
    """Give what the command does once the model is loaded."""
    predictor, size = load_model(settings.checkpoint), settings.batch_size
    level = level_for(predictor, settings, frozenset())

    def run() -> None:
        request = Request(data, predictor.contract, size, None, None, {}, "instance", False)
        with predictions_file(Path(settings.output), predictor.tasks) as add:
            for block, predictions in predicted(predictor, open_stream(request), size, level):
                add({"instance": list(block.names)}, predictions)

    return run


def ways(case: Case, folder: Path, x: np.ndarray[Any, Any], threads: int) -> dict[str, Callable[[], object]]:
    """Give the ways to predict, by name."""
    checkpoint = trained(case, folder)
    predictor = load_model(checkpoint)
    prepared = torch.from_numpy(predictor.preparation.apply(x, None))
    as_csv, as_arrays = (settings_of(checkpoint, folder / f"out.{ending}") for ending in ("csv", "npz"))
    size = as_csv.batch_size

    @torch.inference_mode()
    def bare() -> None:
        for rows in prepared.split(size):
            predictor.model(rows)

    np.savez(folder / "new.npz", X=x)
    found: dict[str, Callable[[], object]] = {
        BARE: bare,
        "Predictor": lambda: predictor.predict(x),
        "command, .csv": command(as_csv, folder / "new.npz"),
        "command, .npz": command(as_arrays, folder / "new.npz"),
    }
    if find_spec("onnxruntime") is not None:
        found["ONNX"] = onnx(checkpoint, folder / "model.onnx", x, size, threads)
    return found


def onnx(checkpoint: Path, path: Path, x: np.ndarray[Any, Any], size: int, threads: int) -> Callable[[], None]:
    """Export the model; give what predicts with it."""
    import onnxruntime

    from tsmtl.export import export

    export(str(checkpoint), str(path), 1e-3, [])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run() -> None:
        for at in range(0, len(x), size):
            session.run(None, {"x": x[at : at + size]})

    return run


def main() -> None:
    """Print a row per model and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()
    clock = clock_of(arguments.threads)
    logging.disable(logging.INFO)
    print(machine.said(machine.facts("onnxruntime"), machine.of_threads(arguments.threads)) + "\n")
    body = []
    for model in arguments.models:
        print(model, file=sys.stderr, flush=True)
        case = BY_NAME[model]
        with TemporaryDirectory() as name:
            x = np.random.default_rng(1).standard_normal((arguments.instances, *case.shape), dtype=np.float32)
            with redirect_stdout(sys.stderr):  # what training and export say is no part of the table
                found = ways(case, Path(name), x, arguments.threads)
            torch.set_num_threads(arguments.threads)
            seconds: dict[str, list[float]] = {way: [] for way in found}
            for repeat in range(arguments.repeats + 1):
                for way in in_turn(found, repeat):
                    began = clock()
                    found[way]()
                    if repeat:
                        seconds[way].append(clock() - began)
        for way, took in seconds.items():
            rate = f"{arguments.instances / spread(took).median:,.0f}"
            body.append([model, way, rate, spread(ratios(seconds[BARE], took)).said()])
    print(markdown(["model", "way", "series/s", "against the bare model"], body))


if __name__ == "__main__":
    main()
