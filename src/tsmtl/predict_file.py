"""Predictions of a checkpoint for the instances of a file, block by block."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.assembly import choose_device, warn_of_fallback
from tsmtl.calibrate import warn_of_no_ends
from tsmtl.config.errors import UserError, memory_told
from tsmtl.config.logs import set_up_logs
from tsmtl.config.predict_settings import ModelSettings, PredictDataSettings, PredictSettings, kind_problems
from tsmtl.data.stream import NAMED_IN_TRAINING, Block, Request, Stream
from tsmtl.data.streaming import open_stream
from tsmtl.predict_table import new_rows, predict_bundle, trained_on_table
from tsmtl.predictor import Predictor, load_model
from tsmtl.report.predictions import predictions_file
from tsmtl.tasks.task import Prediction
from tsmtl.training.step_environment import freed_memory_kept
from tsmtl.training.threads import threads_for, threads_put_back

if TYPE_CHECKING:
    from tsmtl.transform import Transform

log = logging.getLogger(__name__)


@threads_put_back()
@freed_memory_kept()
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
    level = level_for(predictor, settings, typed)
    transform = transform_for(predictor, settings)
    on_table = trained_on_table(transform or predictor)
    if problems := kind_problems(data.path, on_table, typed):
        raise UserError(problems)
    output = Path(settings.output).expanduser()
    if on_table:
        n, where = _of_table(predictor, transform, settings, data, output, level)
    else:
        n, where = _of_instances(predictor, transform, settings, data, typed, output, level)
    tasks = (f"{name} ({task.key}{f' in {task.unit}' if task.unit else ''})" for name, task in predictor.tasks.items())
    log.info("predicted: %d instances of %s, %s", n, where, ", ".join(tasks))
    warn_of_no_ends(predictor.tasks, predictor.calibration, level)
    log.info("output: %s", output)
    return n


def transform_for(predictor: Predictor, settings: ModelSettings) -> "Transform | None":
    """Load the transform of a command, if there is one.

    Raises:
        UserError: If it cannot be used, or is not that of the vectors that the model was trained on.
    """
    if settings.transform is None:
        return None
    from tsmtl.transform import load_transform  # most models have none, and start without it

    made_by = predictor.representation
    if made_by is None:
        raise UserError("transform: the model was not trained on vectors of tsmtl-represent; leave it out")
    weights = None if settings.weights is None else Path(settings.weights).expanduser()
    place = Path(settings.transform).expanduser()
    transform = load_transform(place, str(predictor.device), settings.plugins, weights)
    if transform.sha256 != made_by["transform_sha256"]:
        raise UserError(
            f"transform: {settings.transform} (representation={transform.method}) is not the one that made the vectors "
            f"of {settings.checkpoint} (representation={made_by['method']})"
        )
    return transform


def _of_table(
    predictor: Predictor,
    transform: "Transform | None",
    settings: PredictSettings,
    data: PredictDataSettings,
    output: Path,
    level: float | None,
) -> tuple[int, str]:
    with predictions_file(output, predictor.tasks) as add:
        bundle = new_rows(transform or predictor, data.path, {}, {"test_windows": data.windows, "stride": data.stride})
        warn_of_fallback(settings.device, predictor.device)
        for note in bundle.notes:
            log.info("data: %s", note)
        rows = bundle.splits["test"]
        with memory_told(f"not enough memory for batch_size={settings.batch_size}; take a smaller one"):
            if transform is None:
                predictions = predict_bundle(predictor, bundle, rows, settings.batch_size, level)
            else:
                from tsmtl.represent_file import vectors_of_rows

                vectors = np.concatenate(list(vectors_of_rows(transform, bundle, rows)))
                predictions = predictor.predict_checked(vectors, None, settings.batch_size, level)
            add(bundle.instances.places, predictions, bundle.instances.in_utc)
    return len(rows), bundle.instances.where


def _of_instances(
    predictor: Predictor,
    transform: "Transform | None",
    settings: PredictSettings,
    data: PredictDataSettings,
    typed: frozenset[str],
    output: Path,
    level: float | None,
) -> tuple[int, str]:
    reader = transform or predictor
    trained = reader.settings["data"]
    request = Request(
        Path(data.path),
        reader.contract,
        settings.batch_size,
        data.input_key,
        data.lengths_key,
        {key: trained.get(key) for key in NAMED_IN_TRAINING},
        data.instance_key,
        "data.instance_key" in typed,
        made_by=predictor.representation,
    )
    stream = open_stream(request)
    n = 0
    with predictions_file(output, predictor.tasks) as add:
        warn_of_fallback(settings.device, predictor.device)
        for block, predictions in predicted(predictor, stream, settings.batch_size, level, transform):
            add({"instance": list(block.names)}, predictions)
            n += len(block.names)
    return n, stream.where


def load_for(settings: ModelSettings, typed: frozenset[str]) -> Predictor:
    """Load the model of a command, its log set up.

    Raises:
        UserError: If it cannot be loaded, or the device that was typed is not there.
    """
    set_up_logs(None)
    device = choose_device(settings.device, "device" in typed)
    predictor = load_model(Path(settings.checkpoint).expanduser(), str(device), settings.plugins)
    if device.type == "cpu":
        steps = predictor.contract.seq_len or 1
        torch.set_num_threads(threads_for(predictor.model, settings.batch_size, steps))
    return predictor


def level_for(predictor: Predictor, settings: ModelSettings, typed: frozenset[str]) -> float | None:
    """Give the level of the intervals of a command; the default asks for none of a model that has none.

    Raises:
        UserError: If a level was typed, and the model has none.
    """
    if "level" in typed:
        predictor.check_level(settings.level)
    elif not predictor.calibration:
        return None
    return settings.level


def predicted(
    predictor: Predictor,
    stream: Stream,
    batch_size: int,
    level: float | None = None,
    transform: "Transform | None" = None,
) -> Iterator[tuple[Block, dict[str, Prediction]]]:
    """Give the blocks of a file with their predictions by task; a terminal sees how many instances are done.

    Raises:
        UserError: If the file cannot be read on, or an instance is not what the model was trained on.
        FailedError: If the memory does not suffice.
    """
    bar: Any = tqdm(total=stream.total, unit="instance", disable=None, dynamic_ncols=True)
    with bar, logging_redirect_tqdm(), closing(stream.blocks) as blocks:
        for block in blocks:
            with memory_told(f"not enough memory for batch_size={batch_size}; take a smaller one"):
                reader = transform or predictor
                x, lengths = reader.contract.check(block.x, block.lengths, stream.where, block.names)
                if transform is not None:
                    x, lengths = transform.transform_checked(x, lengths), None
                predictions = predictor.predict_checked(x, lengths, batch_size, level)
            yield block, predictions
            bar.update(len(block.names))
