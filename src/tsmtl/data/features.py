"""What a recording becomes before windows are read from it: scaled per condition, with derived channels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsmtl.data.conditions import ConditionColumns, Conditions
from tsmtl.data.derived import Derived, derive
from tsmtl.data.instances import BLOCK_VALUES, FloatArray, IntArray
from tsmtl.data.row_space import RowSpace
from tsmtl.data.windows import Windows


@dataclass(frozen=True)
class RowContext:
    """What features need to know of the rows of a recording, beside their values.

    Attributes:
        start: (P,) first row of each piece.
        stop: (P,) row behind its last.
        birth: (P,) first row of its entity.
        condition: The columns of the operating condition, or None.
        derived: What is to be derived.
        clusters: The setting ``condition_clusters``.
        seed: The setting ``seed``.
        space: Where new rows go.
    """

    start: IntArray
    stop: IntArray
    birth: IntArray
    condition: ConditionColumns | None
    derived: list[Derived] = field(default_factory=list)
    clusters: int | None = None
    seed: int = 0
    space: RowSpace = field(default_factory=RowSpace)

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return self.condition is not None or bool(self.derived)


@dataclass(frozen=True)
class Features:
    """The fitted way from a recording (R, C) to what windows are read from (R, C').

    Attributes:
        channels: C names.
        conditions: Scaling per operating condition, or None.
        derived: Derived channels.
    """

    channels: list[str]
    conditions: Conditions | None
    derived: list[Derived]

    @property
    def names(self) -> list[str]:
        """C' names."""
        return [*self.channels, *(name for kind in self.derived for name in kind.names)]

    @classmethod
    def fit(cls, windows: Windows, train: IntArray, context: RowContext, channels: list[str]) -> "Features":
        """Learn from the rows that train windows read.

        Args:
            windows: Windows over the recording.
            train: The train instances.
            context: Of its rows.
            channels: C names.

        Raises:
            UserError: If the conditions cannot be found.
        """
        conditions = None
        if context.condition is not None:
            runs = windows.rows_read(train, horizon=False)
            conditions = Conditions.fit(windows.values, context.condition, runs, context.clusters, context.seed)
        return cls(channels, conditions, context.derived)

    def apply(self, values: FloatArray, context: RowContext) -> FloatArray:
        """Give the recording (R, C') that windows are read from."""
        if self.conditions is not None:
            assert context.condition is not None
            scaled = context.space.array(*values.shape)
            size = max(1, BLOCK_VALUES // max(1, values.shape[1]))
            for at in range(0, len(values), size):
                rows = np.arange(at, min(at + size, len(values)))
                scaled[rows] = self.conditions.scaled(values, context.condition, rows)
            values = scaled
        if not self.derived:
            return values
        return derive(values, self.channels, self.derived, context.start, context.stop, context.birth, context.space)

    def state(self) -> dict[str, Any]:
        """Give plain values for a checkpoint."""
        derived = [{"kind": d.kind, "parameter": d.parameter, "of": d.of} for d in self.derived]
        conditions = None if self.conditions is None else self.conditions.state()
        return {"channels": self.channels, "conditions": conditions, "derived": derived}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Features":
        """Make what :meth:`state` described."""
        conditions = None if state["conditions"] is None else Conditions.from_state(state["conditions"])
        return cls(state["channels"], conditions, [Derived(**d) for d in state["derived"]])
