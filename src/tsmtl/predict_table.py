"""Predictions for the rows of a table, with a model that was trained on one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.config.evaluate_settings import data_of_checkpoint
from tsmtl.config.table_settings import CmapssSettings, TableSettings
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle, IntArray
from tsmtl.predictor import Predictor
from tsmtl.splits import prepared, splits_of_rows, with_features
from tsmtl.tasks.task import Prediction
from tsmtl.training.evaluation import EVALUATION_BATCH


class TrainedOnRows(Protocol):
    """A model, or a transform, that may have been fitted on the rows of a table."""

    settings: dict[str, Any]
    channels: list[str]
    features: Features | None


def trained_on_table(predictor: TrainedOnRows) -> bool:
    """Say whether a model, or a transform, was fitted on the rows of a table."""
    return predictor.settings["data"]["source"] in ("table", "cmapss")


def predict_table(
    predictor: Predictor, path: str, windows: Literal["all", "last"], stride: int, level: float | None = None
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Prediction]]:
    """Predict for new rows; see :meth:`tsmtl.predictor.Predictor.predict_table`."""
    bundle = new_rows(predictor, path, {}, {"test_windows": windows, "stride": stride})
    return bundle.instances.places, predict_bundle(predictor, bundle, bundle.splits["test"], level=level)


def new_rows(
    predictor: TrainedOnRows,
    path: str,
    tasks: dict[str, str],
    replaced: dict[str, Any],
    targets: Mapping[str, str | list[str]] = MappingProxyType({}),
) -> Bundle:
    """Read rows as in training.

    Args:
        predictor: The model.
        path: The files.
        tasks: Kind by name of the tasks whose targets are read too.
        replaced: Settings of the data to replace, by name.
        targets: Other targets of tasks of ``task=custom``, by task.

    Raises:
        UserError: If the model was not trained on a table, or the rows are not as in training.
    """
    from tsmtl.data.cmapss import source_of_new_engines  # polars takes a while to import, and only tables need it
    from tsmtl.data.table import load_new_rows
    from tsmtl.data.table_reading import source_of_files

    if not trained_on_table(predictor):
        source = predictor.settings["data"]["source"]
        raise UserError(f"{path}: the model was trained on data.source={source}, not on a table")
    known = {"path": path, "test_path": None, "root": None, "spill_folder": None}  # of this machine, not of the model
    given = {**known, **replaced}
    settings = cast(TableSettings, data_of_checkpoint(predictor.settings, given, "the checkpoint", targets))
    if not tasks:
        settings = settings.model_copy(update={"horizon": 0})  # nothing behind the last row is needed
    if isinstance(settings, CmapssSettings):
        settings, source = source_of_new_engines(settings)
    else:
        source = source_of_files(settings)
    settings = settings.model_copy(update={"channels": _input_columns(predictor), "split_key": None})
    instances = load_new_rows(settings, tasks, source)
    return Bundle(instances, dict(instances.given or {}), instances.notes)


def _input_columns(predictor: TrainedOnRows) -> list[str]:
    return predictor.channels if predictor.features is None else predictor.features.channels


def predict_bundle(
    predictor: Predictor,
    bundle: Bundle,
    rows: IntArray,
    batch_size: int = EVALUATION_BATCH,
    level: float | None = None,
) -> dict[str, Prediction]:
    """Predict for some windows of a table.

    Args:
        predictor: The model.
        bundle: The table, raw; its recording is scaled in place.
        rows: (N,) which windows.
        batch_size: Windows at a time.
        level: Of the intervals of numbers; None: none.

    Raises:
        UserError: If channels or length are not those of the training.
    """
    bundle, _ = with_features(bundle, predictor.features)
    where = bundle.instances.where
    predictor.contract.check_shape(bundle.instances.x.shape, where)
    predictor.contract.check_channels(bundle.instances.channels, where)
    bundle, left = prepared(bundle, predictor.preparation)
    found = splits_of_rows(bundle, {"test": np.asarray(rows)}, left, {}, predictor.device)
    return predictor.predict_split(found["test"], batch_size, level)
