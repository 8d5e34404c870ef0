"""Predictions as a file: one line per instance, as CSV, Parquet or arrays."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import FailedError, UserError
from tsmtl.storage.whole import whole_file
from tsmtl.tasks.task import ClassPrediction, LabelPrediction, NumberPrediction, Prediction, Task, joined

ROWS = 2**14  # turned into text at a time
Column = npt.NDArray[Any] | list[Any]
Columns = Mapping[str, Column]


def column_names(task: Task) -> dict[str, list[str]]:
    """Name the columns of a task, by what they hold: ``true``, ``predicted``, ``p``, ``low`` and ``high``.

    All that the task can have: ``true`` is left out where the truth is not known, and ends where there are no
    intervals. Of each kind of content there are one or ``task.size``.
    """
    each = [f"_{name}" for name in task.class_names]
    if task.kind == "cls":
        ends = {"true": [""], "predicted": [""], "p": each}
    elif task.kind == "multilabel":
        ends = dict.fromkeys(("true", "predicted", "p"), each)
    else:
        numbers = [f"_{d + 1}" for d in range(task.size)] if task.size > 1 else [""]
        ends = dict.fromkeys(("true", "predicted", "low", "high"), numbers)
    return {what: [f"{task.name}_{what}{end}" for end in of] for what, of in ends.items()}


def check_columns(tasks: dict[str, Task]) -> None:
    """Check that no two tasks claim the same column; names of classes and labels are part of them.

    Arrays (:class:`_Npz`) need no check: what follows a task's name there has no ``_``, so that the names of the
    arrays differ as those of the tasks do.

    Raises:
        UserError: With a line for each column that two tasks would share.
    """
    owners: dict[str, str] = {}
    problems = []
    for name, task in tasks.items():
        for what, columns in column_names(task).items():
            for k, column in enumerate(columns):
                owner = name
                if task.kind == "multilabel" or what == "p":
                    owner += f" ({'class' if task.kind == 'cls' else 'label'} {task.class_names[k]})"
                if column in owners:
                    problems.append(f"tasks: {owners[column]} and {owner} would share the column {column}; rename one")
                owners[column] = owner
    if problems:
        raise UserError(problems)


def columns_of(
    places: Columns,
    tasks: dict[str, Task],
    predictions: dict[str, Prediction],
    truth: dict[str, npt.NDArray[Any]] | None = None,
) -> Columns:
    """Give the columns of a table of predictions.

    Args:
        places: What each instance is called: ``instance``, and for rows of tables ``entity`` and ``time``.
        tasks: The tasks, which passed :func:`check_columns`.
        predictions: By task.
        truth: By task (N,) class ids, -1 missing, or (N, D) numbers or (N, L) labels, NaN missing; None leaves its
            columns out.

    Returns:
        The places, then for each task ``<task>_true``, ``<task>_predicted`` (``..._1`` to ``..._D`` of several
        numbers, ``..._<label>`` of labels, 1 or 0), of numbers with intervals ``<task>_low`` and ``<task>_high``, and
        of classes and labels ``<task>_p_<class>``; a class is its name, "" where it is missing.
    """
    columns = dict(places)
    for name, task in tasks.items():
        names, contents = column_names(task), _contents_of(task, predictions[name])
        if truth is not None:
            contents = {"true": _true(task, truth[name]), **contents}
        for k in range(task.size):  # of several numbers or labels all of one stands together
            columns |= {names[what][k]: content[k] for what, content in contents.items() if k < len(content)}
    return columns


def _contents_of(task: Task, prediction: Prediction) -> dict[str, Sequence[Column]]:
    """Give the columns of a prediction, as :func:`column_names` names them."""
    if isinstance(prediction, ClassPrediction):
        return {"predicted": [_named(task, prediction.ids)], "p": list(prediction.probabilities.T)}
    if isinstance(prediction, LabelPrediction):
        present = prediction.present.T.astype(np.int8)
        return {"predicted": list(present), "p": list(prediction.probabilities.T)}
    return {what: list(values.T) for what, values in _numbers_of(prediction).items()}


def _true(task: Task, truth: npt.NDArray[Any]) -> Sequence[Column]:
    if task.kind == "cls":
        return [_named(task, truth)]
    return list(truth.T)


def _named(task: Task, ids: npt.NDArray[np.signedinteger]) -> list[str]:
    """Give the names of classes, "" where one is missing; however often one occurs, its text is there once."""
    return ["" if i < 0 else task.class_names[i] for i in ids]


def _numbers_of(prediction: NumberPrediction) -> dict[str, npt.NDArray[np.float32]]:
    """Give what is written of predicted numbers, (N, D) each, by the end of its columns' names."""
    found = {"predicted": prediction.values}
    if prediction.low is not None and prediction.high is not None:
        found |= {"low": prediction.low, "high": prediction.high}
    return found


def write_predictions(
    path: Path,
    places: Columns,
    tasks: dict[str, Task],
    truth: dict[str, npt.NDArray[Any]],
    predictions: dict[str, Prediction],
    in_utc: bool = False,
) -> None:
    """Write truth and prediction of each instance as CSV; see :func:`columns_of` and :class:`Add`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        _CsvTable(file).write(columns_of(places, tasks, predictions, truth), in_utc)


class _CsvTable:
    """A table as CSV, written as it comes; numbers read back to the same single-precision value, NaN is empty."""

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file)
        self._has_header = False

    def write(self, columns: Columns, in_utc: bool) -> None:
        if not self._has_header:
            self._writer.writerow(columns)
            self._has_header = True
        whole = [_in_one_unit(column, in_utc) for column in columns.values()]
        for at in range(0, max(map(len, whole)), ROWS):
            self._writer.writerows(zip(*(_cells(column[at : at + ROWS], in_utc) for column in whole), strict=True))


def _in_one_unit(column: Column, in_utc: bool) -> Column:
    """Give times in the coarsest unit that holds all of them: written alike, they are read as times."""
    if not isinstance(column, np.ndarray) or column.dtype.kind != "M":
        return column
    coarse = ("m",) if in_utc else ("D", "m")  # a day has no time zone
    units = (column.astype(f"M8[{unit}]") for unit in (*coarse, "s", "ms"))
    return next((times for times in units if (times == column).all()), column)


def _cells(column: Column, in_utc: bool) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return list(np.datetime_as_string(column, timezone="UTC" if in_utc else "naive"))
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        cells = ("%.9g " * len(column) % tuple(column.tolist())).split()  # all at once takes half as long
        return ["" if cell == "nan" else cell for cell in cells] if np.isnan(column).any() else cells
    return list(column)


class _Csv:
    """CSV, written as predictions come."""

    def __init__(self, file: IO[bytes], tasks: dict[str, Task]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._table = _CsvTable(self._text)
        self._tasks = tasks

    def add(self, places: Columns, predictions: dict[str, Prediction], in_utc: bool = False) -> None:
        self._table.write(columns_of(places, self._tasks, predictions), in_utc)

    def finish(self) -> None:
        self._text.flush()


class _Collected:
    """Predictions, collected: they are small beside the input."""

    def __init__(self, file: IO[bytes], tasks: dict[str, Task]) -> None:
        self._file = file
        self._tasks = tasks
        self._places: dict[str, list[npt.NDArray[Any]]] = {}
        self._parts: dict[str, list[Prediction]] = {name: [] for name in tasks}
        self._in_utc = False

    def add(self, places: Columns, predictions: dict[str, Prediction], in_utc: bool = False) -> None:
        self._in_utc = in_utc
        for name, column in places.items():
            self._places.setdefault(name, []).append(np.asarray(column))
        for name, part in predictions.items():
            self._parts[name].append(part)

    @property
    def places(self) -> Columns:
        return {name: np.concatenate(parts) for name, parts in self._places.items()}

    @property
    def predictions(self) -> dict[str, Prediction]:
        return {name: joined(parts) for name, parts in self._parts.items()}


class _Npz(_Collected):
    """Arrays: ``instance`` (N,), ``<task>_predicted`` (N,), (N, D) or (N, L), ``<task>_p`` (N, K) or (N, L) and
    ``<task>_classes`` (K,) or (L,).

    With intervals ``<task>_low`` and ``<task>_high`` too, of the shape of ``<task>_predicted``.
    """

    def finish(self) -> None:
        arrays = {name: np.asarray(column) for name, column in self.places.items()}
        for name, prediction in self.predictions.items():
            if isinstance(prediction, NumberPrediction):
                one = self._tasks[name].size == 1
                for what, values in _numbers_of(prediction).items():
                    arrays[f"{name}_{what}"] = values[:, 0] if one else values
                continue
            found = prediction.labels if isinstance(prediction, ClassPrediction) else prediction.present.astype(np.int8)
            arrays[f"{name}_predicted"] = found
            arrays[f"{name}_p"] = prediction.probabilities
            arrays[f"{name}_classes"] = np.array(self._tasks[name].class_names)
        content = io.BytesIO()  # zipfile would raise again when it is cleared away
        np.savez(content, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle
        self._file.write(content.getbuffer())


class _Parquet(_Collected):
    """The table of the CSV format as Parquet."""

    def finish(self) -> None:
        import polars as pl  # it takes a while, and only this format needs it

        table = pl.DataFrame(columns_of(self.places, self._tasks, self.predictions))
        if self._in_utc:
            table = table.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
        content = io.BytesIO()  # polars has an exception of its own for a full disk
        table.write_parquet(content)
        self._file.write(content.getbuffer())


_FORMATS: dict[str, type[_Csv] | type[_Npz] | type[_Parquet]] = {".csv": _Csv, ".npz": _Npz, ".parquet": _Parquet}


class Add(Protocol):
    """Adds predictions to a file."""

    def __call__(self, places: Columns, predictions: dict[str, Prediction], in_utc: bool = False) -> None:
        """Add the predictions of consecutive instances.

        Args:
            places: As for :func:`columns_of`.
            predictions: By task.
            in_utc: Whether times are in UTC; CSV and Parquet then say so. A datetime64 of NumPy has no time zone.
        """


@contextmanager
def predictions_file(path: Path, tasks: dict[str, Task]) -> Iterator[Add]:
    """Open a file for predictions; it is there whole at the end, or as it was if anything fails on the way.

    Args:
        path: Where to; its ending (.csv, .npz, .parquet) says the format.
        tasks: The tasks.

    Yields:
        What adds predictions.

    Raises:
        UserError: If nothing can be written there.
        FailedError: If the disk refuses on the way.
    """
    if path.resolve().is_dir():
        raise UserError(f"output: {path} is a folder; name a file in it")
    if not path.resolve().parent.is_dir():
        raise UserError(f"output: there is no folder {path.resolve().parent}")
    began = False
    try:
        with whole_file(path) as file:
            table = _FORMATS[path.suffix.lower()](file, tasks)
            began = True
            yield table.add
            table.finish()
    except OSError as error:
        if error.filename != str(path):  # of the input
            raise
        said = f"output: cannot write {path} ({error.strerror})"
        raise (FailedError(said) if began else UserError(said)) from error
