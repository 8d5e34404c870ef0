"""Vectors of new series with a fitted transform, block by block."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.assembly import choose_device
from tsmtl.config.errors import UserError, memory_told
from tsmtl.config.logs import set_up_logs
from tsmtl.config.predict_settings import PredictDataSettings, kind_problems
from tsmtl.config.represent_settings import RepresentNewSettings
from tsmtl.data.contract import Names
from tsmtl.data.instances import Bundle, FloatArray, IntArray, blocks
from tsmtl.data.manifest import INSTANCE
from tsmtl.data.stream import NAMED_IN_TRAINING, Request
from tsmtl.data.streaming import open_stream
from tsmtl.predict_table import new_rows, trained_on_table
from tsmtl.represent_data import about_transform
from tsmtl.representation.vector_file import VectorFile, vector_file
from tsmtl.splits import with_features
from tsmtl.transform import Transform, load_transform

log = logging.getLogger(__name__)


def represent_file(settings: RepresentNewSettings, data: PredictDataSettings, typed: frozenset[str]) -> int:
    """Make vectors of new series and write them.

    Args:
        settings: Which transform, and where to.
        data: Which file.
        typed: Keys that the user gave on the command line.

    Returns:
        The number of instances.

    Raises:
        UserError: If a file cannot be used; no output is left.
        FailedError: If the memory or the disk does not suffice.
    """
    set_up_logs(None)
    device = choose_device(settings.device, "device" in typed)
    weights = None if settings.weights is None else Path(settings.weights).expanduser()
    transform = load_transform(Path(settings.fitted).expanduser(), str(device), settings.plugins, weights)
    on_table = trained_on_table(transform)
    if problems := kind_problems(data.path, on_table, typed):
        raise UserError(problems)
    about = about_transform(transform, transform.content["seed"])
    output = Path(settings.output).expanduser()
    with vector_file(output, transform.names) as file:
        with memory_told(f"not enough memory for batch_size={settings.batch_size}; take a smaller one"):
            in_utc = False
            if on_table:
                columns, where, in_utc = _add_rows(file, transform, data)
            else:
                columns, where = _add_instances(file, transform, settings, data, typed)
        about |= {"data": where, "data_sha256": None, "split_sha256": None, "units": {}}
        file.finish(columns, about, in_utc)
    log.info("represented: %d instances of %s by %s, E = %d", file.n, where, transform.method, len(transform.names))
    log.info("vectors: %s", output)
    return file.n


def _add_instances(
    file: VectorFile,
    transform: Transform,
    settings: RepresentNewSettings,
    data: PredictDataSettings,
    typed: frozenset[str],
) -> tuple[dict[str, Any], str]:
    fitted = transform.settings["data"]
    stream = open_stream(
        Request(
            Path(data.path),
            transform.contract,
            settings.batch_size,
            data.input_key,
            data.lengths_key,
            {key: fitted.get(key) for key in NAMED_IN_TRAINING},
            data.instance_key,
            "data.instance_key" in typed,
        )
    )
    names: list[Names] = []
    bar: Any = tqdm(total=stream.total, unit="instance", disable=None, dynamic_ncols=True)
    with bar, logging_redirect_tqdm(), closing(stream.blocks) as parts:
        for block in parts:
            checked = transform.contract.check(block.x, block.lengths, stream.where, block.names)
            file.add(transform.transform_checked(*checked))
            names.append(block.names)
            bar.update(len(block.names))
    if not names:
        raise UserError(f"{stream.where}: holds no instance")
    return {INSTANCE: np.concatenate([np.asarray(part) for part in names])}, stream.where


def _add_rows(file: VectorFile, transform: Transform, data: PredictDataSettings) -> tuple[dict[str, Any], str, bool]:
    bundle = new_rows(transform, data.path, {}, {"test_windows": data.windows, "stride": data.stride})
    for note in bundle.notes:
        log.info("data: %s", note)
    for vectors in vectors_of_rows(transform, bundle, bundle.splits["test"]):
        file.add(vectors)
    instances = bundle.instances
    return {INSTANCE: np.arange(file.n), **instances.places}, instances.where, instances.in_utc


def vectors_of_rows(transform: Transform, bundle: Bundle, rows: IntArray) -> Iterator[FloatArray]:
    """Yield the vectors of rows (N,) of a data set, in blocks.

    Raises:
        UserError: If channels or length are not those of the fit.
    """
    bundle, _ = with_features(bundle, transform.features)
    instances = bundle.instances
    transform.contract.check_shape(instances.x.shape, instances.where)
    if instances.places:  # of a table, whose columns have names
        transform.contract.check_channels(instances.channels, instances.where)
    for block in blocks(len(rows), instances.x):
        part = rows[block]
        lengths = None if instances.lengths is None else instances.lengths[part]
        yield transform.transform_checked(
            *transform.contract.check(instances.x[part], lengths, instances.where, part.tolist())
        )
