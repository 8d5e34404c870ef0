"""Derived channels: what an entity's past tells that a window cannot see; causal, within a piece of a recording."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.config.words import did_you_mean
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.row_space import RowSpace

if TYPE_CHECKING:  # takes a while to import, and only derived channels need it
    import polars as pl

SHORT = {"difference": "diff", "rolling_mean": "mean", "rolling_sd": "sd"}  # in the names of channels


@dataclass(frozen=True)
class Derived:
    """One kind of derived channel.

    Attributes:
        kind: ``age``, ``ema``, ``difference``, ``rolling_mean`` or ``rolling_sd``.
        parameter: Weight of the newest row of ``ema``; rows of the others; 0 of ``age``.
        of: Names of the channels it is derived from; none of ``age``.
    """

    kind: str
    parameter: float
    of: list[str]

    @property
    def names(self) -> list[str]:
        """Names of the channels it gives."""
        if self.kind == "age":
            return ["age"]
        return [f"{name}_{SHORT.get(self.kind, self.kind)}{self.parameter:g}" for name in self.of]

    def column(self, channel: str) -> "pl.Expr":
        """Give the values from the column ``channel``; the column ``piece`` says where they begin anew."""
        import polars as pl

        x, n = pl.col(channel), int(self.parameter)
        if self.kind == "ema":  # y = a x + (1 - a) y of the row before; a missing x leaves y
            return x.ewm_mean(alpha=self.parameter, adjust=False, ignore_nulls=True).forward_fill().over("piece")
        if self.kind == "difference":  # to the first row, where there are not yet n before
            return x - pl.when(pl.int_range(pl.len()).over("piece") < n).then(x.first().over("piece")).otherwise(
                x.shift(n).over("piece")
            )
        if self.kind == "rolling_mean":
            return x.rolling_mean(n, min_samples=1).over("piece")
        return x.rolling_std(n, min_samples=1, ddof=0).over("piece")


def derived_channels(entries: list[Any], channels: list[str]) -> list[Derived]:
    """Read the setting ``data.derive``.

    Args:
        entries: ``age``, or a mapping of a kind to its parameter, with ``of`` the channels (default: all).
        channels: Names of the input channels.

    Raises:
        UserError: If a channel is not there, or two would have the same name.
    """
    found = []
    for entry in entries:
        if entry == "age":
            found.append(Derived("age", 0, []))
            continue
        of = entry.get("of", channels)
        if unknown := [name for name in of if name not in channels]:
            raise UserError(
                f"data.derive: no channel '{unknown[0]}' in the input; it has {', '.join(channels[:20])}"
                f"{did_you_mean(unknown[0], channels)}"
            )
        found += [Derived(kind, float(value), list(of)) for kind, value in entry.items() if kind != "of"]
    names = [*channels, *(name for kind in found for name in kind.names)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"data.derive: there would be two channels named '{twice[0]}'; leave one out")
    return found


def derive(
    values: FloatArray,
    channels: list[str],
    derived: list[Derived],
    start: IntArray,
    stop: IntArray,
    birth: IntArray,
    space: RowSpace,
) -> FloatArray:
    """Give the channels of a recording with the derived ones behind them.

    Args:
        values: (R, C) scaled rows.
        channels: C names.
        derived: What to derive.
        start: (P,) first row of each piece: no value of another piece has a part in what is derived.
        stop: (P,) row behind its last.
        birth: (P,) first row of its entity, from which its age is counted.
        space: Where the result goes.

    Returns:
        (R, C'), 0 in rows of no piece; NaN where all values that have a part in it are missing, of differences one.
    """
    import polars as pl

    names = [*channels, *(name for kind in derived for name in kind.names)]
    out = space.array(len(values), len(names))
    out[:, : len(channels)] = values
    piece = np.full(len(values), -1, dtype=np.int32)
    for number, (a, b) in enumerate(zip(start, stop, strict=True)):
        piece[a:b] = number
    place = len(channels)
    for kind in derived:
        if kind.kind == "age":
            out[:, place] = 0
            for a, b, born in zip(start, stop, birth, strict=True):
                out[a:b, place] = np.arange(a - born, b - born)
            place += 1
        for name in kind.of:
            column = pl.Series(name, values[:, channels.index(name)], dtype=pl.Float32).cast(pl.Float64).fill_nan(None)
            frame = pl.DataFrame({"piece": piece, name: column})
            result = frame.select(kind.column(name).alias(name))[name]
            out[:, place] = result.fill_null(float("nan")).to_numpy()
            out[piece < 0, place] = 0
            place += 1
    return out
