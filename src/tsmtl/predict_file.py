"""Predictions of a checkpoint for the instances of a file, block by block."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.assembly import choose_device, warn_of_fallback
from tsmtl.config.errors import FailedError
from tsmtl.config.logs import set_up_logs
from tsmtl.config.predict_settings import ModelSettings, PredictDataSettings, PredictSettings
from tsmtl.data.stream import Block, Request, Stream
from tsmtl.data.streaming import open_stream
from tsmtl.predictor import Predictor, load_model
from tsmtl.report.predictions import predictions_file
from tsmtl.tasks.task import Prediction

log = logging.getLogger(__name__)


def predict_file(settings: PredictSettings, data: PredictDataSettings, typed: frozenset[str]) -> int:
    """Predict for a file and write the predictions.

    Args:
        settings: Which model, and where to.
        data: Which file.
        typed: Keys that the user gave on the command line.

    Returns:
        The number of instances.

    Raises:
        UserError: If a file cannot be used; no output is left.
        FailedError: If the memory or the disk does not suffice.
    """
    predictor = load_for(settings, typed)
    trained = predictor.settings["data"]
    request = Request(
        Path(data.path),
        predictor.contract,
        settings.batch_size,
        data.input_key,
        data.lengths_key,
        {key: trained.get(key) for key in ("input_key", "lengths_key", "channels_key")},
        data.instance_key,
        "data.instance_key" in typed,
    )
    stream = open_stream(request)
    output, n = Path(settings.output).expanduser(), 0
    with predictions_file(output, predictor.tasks) as add:
        warn_of_fallback(settings.device, predictor.device)
        for block, predictions in predicted(predictor, stream, settings.batch_size):
            add({"instance": list(block.names)}, predictions)
            n += len(block.names)
    tasks = (f"{name} ({task.key}{f' in {task.unit}' if task.unit else ''})" for name, task in predictor.tasks.items())
    log.info("predicted: %d instances of %s, %s", n, stream.where, ", ".join(tasks))
    log.info("output: %s", output)
    return n


def load_for(settings: ModelSettings, typed: frozenset[str]) -> Predictor:
    """Load the model of a command, its log set up.

    Raises:
        UserError: If it cannot be loaded, or the device that was typed is not there.
    """
    set_up_logs(None)
    device = choose_device(settings.device, "device" in typed)
    return load_model(Path(settings.checkpoint).expanduser(), str(device), settings.plugins)


def predicted(predictor: Predictor, stream: Stream, batch_size: int) -> Iterator[tuple[Block, dict[str, Prediction]]]:
    """Give the blocks of a file with their predictions by task; a terminal sees how many instances are done.

    Raises:
        UserError: If the file cannot be read on, or an instance is not what the model was trained on.
        FailedError: If the memory does not suffice.
    """
    bar: Any = tqdm(total=stream.total, unit="instance", disable=None, dynamic_ncols=True)
    with bar, logging_redirect_tqdm(), closing(stream.blocks) as blocks:
        for block in blocks:
            try:
                x, lengths = predictor.contract.check(block.x, block.lengths, stream.where, block.names)
                predictions = predictor.predict_checked(x, lengths, batch_size)
            except (MemoryError, torch.OutOfMemoryError) as error:
                raise FailedError(f"not enough memory for batch_size={batch_size}; take a smaller one") from error
            yield block, predictions
            bar.update(len(block.names))
