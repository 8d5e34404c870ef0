"""Channels scaled within each operating condition, by statistics of the train split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray
from tsmtl.data.kmeans import kmeans, nearest

Double = npt.NDArray[np.float64]
FEWEST_ROWS = 2  # of each combination of values, on average
MOST = 10_000  # combinations of values
ROWS = 2**18  # whose combinations are told apart at a time
Runs = IntArray  # (runs, 2) first row and end


@dataclass(frozen=True)
class ConditionColumns:
    """The columns that tell the operating condition of each row.

    Attributes:
        names: Names of the columns.
        numbers: (R, c) numbers, for conditions found by k-means; else None.
        texts: For conditions as they stand: by column (R,) codes and the words they stand for.
    """

    names: list[str]
    numbers: FloatArray | None
    texts: list[tuple[npt.NDArray[np.int16], list[str]]]


@dataclass(frozen=True)
class Conditions:
    """K operating conditions, and the scaling ``(x - shift) / scale`` of C channels in each.

    Attributes:
        columns: Names of the columns that tell the condition.
        centres: (K, c) of k-means in standardised units; None where each combination of values is a condition.
        mean: (c,) and ``sd`` (c,): the columns are standardised with them before the nearest centre is sought.
        sd: See ``mean``.
        combinations: K combinations of values, where there are no centres.
        shift: (K + 1, C); the last row is of all conditions together, for one that train never had.
        scale: (K + 1, C); 1 where a channel is constant.
    """

    columns: list[str]
    centres: Double | None
    mean: Double
    sd: Double
    combinations: list[list[str]]
    shift: Double
    scale: Double

    @classmethod
    def fit(
        cls, values: FloatArray, columns: ConditionColumns, train: Runs, clusters: int | None, seed: int
    ) -> "Conditions":
        """Find the conditions of the train rows, and learn the scaling in each.

        Args:
            values: (R, C) the recording.
            columns: What tells the condition.
            train: Rows that train windows read.
            clusters: K of k-means, or None.
            seed: Of its draws.

        Raises:
            UserError: If there are fewer different rows than clusters, or a value is missing.
        """
        rows = np.concatenate([np.arange(a, b) for a, b in train])
        c = values.shape[1]
        nothing = np.zeros((0, c))
        if clusters is None:
            found = sorted(_combinations_found(columns, rows))
            unfitted = cls(columns.names, None, np.zeros(0), np.ones(0), [list(key) for key in found], nothing, nothing)
        else:
            assert columns.numbers is not None
            numbers = columns.numbers[rows].astype(np.float64)
            if np.isnan(numbers).any():
                name = columns.names[int(np.argmax(np.isnan(numbers).any(axis=0)))]
                raise UserError(f"data.condition: column '{name}' has empty cells; every row needs its condition")
            mean, sd = numbers.mean(axis=0), numbers.std(axis=0)
            sd = np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-300), sd, 1.0)
            try:
                centres = kmeans((numbers - mean) / sd, clusters, np.random.default_rng(seed))
            except ValueError as error:
                raise UserError(
                    f"data.condition_clusters: the train split has {error}; take a smaller number"
                ) from error
            unfitted = cls(columns.names, centres, mean, sd, [], nothing, nothing)
        ids = unfitted.of_rows(columns, rows)
        k = len(unfitted.centres) if unfitted.centres is not None else len(unfitted.combinations)
        shift, scale = np.zeros((k + 1, c)), np.ones((k + 1, c))
        shift[k], scale[k] = _moments(values, rows)
        rows = rows[np.argsort(ids, kind="stable")]  # those of a condition together, in their order
        ends = np.cumsum(np.bincount(ids, minlength=k))
        for j, end in enumerate(ends):
            shift[j], scale[j] = _moments(values, rows[ends[j - 1] if j else 0 : end])
        return cls(columns.names, unfitted.centres, unfitted.mean, unfitted.sd, unfitted.combinations, shift, scale)

    def of_rows(self, columns: ConditionColumns, rows: npt.NDArray[np.int64]) -> IntArray:
        """Give the condition of some rows; K for one that train never had."""
        if self.centres is None:
            places = {tuple(combination): j for j, combination in enumerate(self.combinations)}
            ids: IntArray = np.empty(len(rows), dtype=np.int32)
            for at, different, which in _combinations(columns, rows):
                known = np.array([places.get(key, len(places)) for key in different], dtype=np.int32)
                ids[at : at + len(which)] = known[which]
            return ids
        assert columns.numbers is not None
        numbers = (columns.numbers[rows].astype(np.float64) - self.mean) / self.sd
        unknown = np.isnan(numbers).any(axis=1)
        return np.where(unknown, len(self.centres), nearest(np.nan_to_num(numbers), self.centres))

    def scaled(self, values: FloatArray, columns: ConditionColumns, rows: npt.NDArray[np.int64]) -> Double:
        """Give some rows (n, C), each scaled within its condition."""
        ids = self.of_rows(columns, rows)
        return (values[rows].astype(np.float64) - self.shift[ids]) / self.scale[ids]

    def state(self) -> dict[str, Any]:
        """Give plain values for a checkpoint."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "sd", "shift", "scale")}
        centres = None if self.centres is None else self.centres.tolist()
        return {"columns": self.columns, "centres": centres, "combinations": self.combinations, **arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Conditions":
        """Make what :meth:`state` described."""
        mean, sd, shift, scale = (np.array(state[name], dtype=np.float64) for name in ("mean", "sd", "shift", "scale"))
        centres = None if state["centres"] is None else np.array(state["centres"], dtype=np.float64)
        return cls(state["columns"], centres, mean, sd, state["combinations"], shift, scale)


def _combinations(
    columns: ConditionColumns, rows: npt.NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[str, ...]], IntArray]]:
    """Give, block by block, its first place in ``rows``, the different combinations in it, and which one each row has.

    A tuple for every row would take more memory than the rows.
    """
    texts = [[*words, ""] for _, words in columns.texts]  # the last one is that of -1, an empty cell
    for at in range(0, len(rows), ROWS):
        codes = np.stack([codes[rows[at : at + ROWS]] for codes, _ in columns.texts], axis=1)
        different, which = np.unique(codes, axis=0, return_inverse=True)
        keys = [tuple(words[code] for words, code in zip(texts, row, strict=True)) for row in different.tolist()]
        yield at, keys, which.ravel()


def _combinations_found(columns: ConditionColumns, rows: npt.NDArray[np.int64]) -> set[tuple[str, ...]]:
    """Give the different combinations of values of the train rows.

    Raises:
        UserError: If they are too many to scale within each.
    """
    found: set[tuple[str, ...]] = set()
    for at, different, which in _combinations(columns, rows):
        found.update(different)
        whole = at + len(which) == len(rows)
        if len(found) * FEWEST_ROWS > len(rows) or len(found) > MOST:
            said = f"{', '.join(columns.names)} have {'' if whole else 'more than '}{len(found)} combinations of values"
            raise UserError(
                f"data.condition: {said} in {len(rows)} train rows, too few rows of each to scale by; "
                "data.condition_clusters=6, say, finds six conditions in them"
            )
    return found


def _moments(values: FloatArray, rows: npt.NDArray[np.int64]) -> tuple[Double, Double]:
    """Give mean and sd (C,) of some rows, NaN left out; 0 and 1 without any."""
    c = values.shape[1]
    size = max(1, BLOCK_VALUES // max(1, c))
    blocks = [rows[at : at + size] for at in range(0, len(rows), size)]
    count, total, squares = np.zeros(c), np.zeros(c), np.zeros(c)
    for block in blocks:
        count += (~np.isnan(values[block])).sum(axis=0)
        total += np.nansum(values[block], axis=0, dtype=np.float64)
    mean = total / np.maximum(count, 1)
    for block in blocks:
        squares += np.nansum((values[block].astype(np.float64) - mean) ** 2, axis=0)
    sd = np.sqrt(squares / np.maximum(count, 1))
    return mean, np.where(sd > 1e-6 * np.maximum(np.abs(mean), 1e-300), sd, 1.0)
