"""Prediction: a bare torch model, tsmtl's Predictor and ONNX Runtime on the same raw batches, in turn."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cases import CASES, Case, write_data
from benchmarks.table import Row, markdown, number, ratios, spread
from benchmarks.workers.in_tsmtl import words_of
from benchmarks.workers.rounds import clock_of

PART = "inference"
BATCHES = (1, 16, 256)
BARE, OURS, ONNX = "bare model", "Predictor", "ONNX Runtime"
BURST = 0.05  # seconds of calls that make a measurement
CHECKED = 1e-3  # largest difference of a number, of standard deviation 1, between ONNX Runtime and torch


def measure(threads: int, repeats: int, say: Callable[[str], None], cases: Sequence[Case] = CASES) -> list[Row]:
    """Measure all cases and batch sizes; see :func:`benchmarks.training.measure`.

    Returns:
        A row per case, batch size and way, with the seconds of a call in each round.
    """
    rows: list[Row] = []
    clock = clock_of(threads)
    for case in cases:
        say(case.name)
        with TemporaryDirectory() as folder:
            calls = _calls_of(case, Path(folder), threads)
        rng = np.random.default_rng(1)
        for batch in BATCHES:
            x = rng.standard_normal((batch, *case.shape), dtype=np.float32)
            bound = {name: partial(call, x) for name, call in calls.items()}
            for call in bound.values():
                call()  # the first is slower
            counts = {name: max(1, round(BURST / _seconds(call, 1, clock))) for name, call in bound.items()}
            seconds: dict[str, list[float]] = {name: [] for name in bound}
            for repeat in range(repeats + 1):
                for name in list(bound) if repeat % 2 else list(reversed(bound)):
                    took = _seconds(bound[name], counts[name], clock)
                    if repeat:
                        seconds[name].append(took)
            about = {"part": PART, "case": case.name, "batch": batch}
            rows += [about | {"way": name, "seconds": found} for name, found in seconds.items()]
    return rows


def _calls_of(case: Case, folder: Path, threads: int) -> dict[str, Callable[[Any], Any]]:
    """Give what predicts a raw batch in each way, of one trained model."""
    import onnxruntime
    import torch

    import tsmtl
    from tsmtl.onnx_graph import INPUT_NAME, onnx_model
    from tsmtl.tasks.task import NumberPrediction

    write_data(case, 64, folder / "data.npz")
    told = {"model": case.model, "settings": case.settings, "batch_size": 16, "data": str(folder / "data.npz")}
    result = tsmtl.train([*words_of(told, ["num_epochs=1"]), f"hydra.run.dir={folder}/run"])
    torch.set_num_threads(threads)
    predictor = tsmtl.load_model(result.best_model_path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    graph = onnx_model(predictor).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    model = predictor.model

    @torch.inference_mode()
    def bare(x: Any) -> Any:
        return model(torch.from_numpy(x))

    def onnx(x: Any) -> Any:
        return session.run(["cls", "reg"], {INPUT_NAME: x})

    x = np.random.default_rng(2).standard_normal((8, *case.shape), dtype=np.float32)
    numbers = predictor.predict(x)["reg"]
    assert isinstance(numbers, NumberPrediction)
    far = float(np.abs(onnx(x)[1] - numbers.values).max())
    if not far <= CHECKED:
        raise RuntimeError(f"{case.name}: ONNX Runtime and torch differ by {far:.2g}")
    return {BARE: bare, OURS: predictor.predict, ONNX: onnx}


def _seconds(call: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    """Give the mean seconds of some calls in a row."""
    began = clock()
    for _ in range(count):
        call()
    return (clock() - began) / count


def tables(rows: Sequence[Row]) -> str:
    """Write a table: latency of a call and instances per second, and the ratios to the bare model."""
    found = {(row["case"], row["batch"], row["way"]): row["seconds"] for row in rows if row["part"] == PART}
    header = ["model", "batch", *(f"{name}, ms" for name in (BARE, OURS, ONNX)), "Predictor: instances/s"]
    header += [f"{OURS} of bare model", f"{ONNX} of bare model"]
    body = []
    for case, batch in dict.fromkeys((case, batch) for case, batch, _ in found):
        bare, ours, onnx = (found[case, batch, way] for way in (BARE, OURS, ONNX))
        medians = [spread(seconds).median for seconds in (bare, ours, onnx)]
        cells = [case, str(batch), *(number(1000 * median) for median in medians), f"{batch / medians[1]:,.0f}"]
        body.append([*cells, spread(ratios(bare, ours)).said(), spread(ratios(bare, onnx)).said()])
    return markdown(header, body)
