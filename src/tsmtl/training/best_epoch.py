"""Which epoch is the best so far, and when to stop waiting for a better one."""

import math
from typing import Any


class BestEpoch:
    """Watches the score of each epoch.

    Args:
        higher_is_better: Which way the score goes.
        patience: Epochs without a better score before the end; None: never.
        take_each: Take every epoch for the best so far, whatever its score, so that the last one is.

    Attributes:
        epoch: The best epoch, counted from 1; 0 before the first.
        score: Its score.
    """

    def __init__(self, higher_is_better: bool, patience: int | None, take_each: bool = False) -> None:
        self.sign = 1.0 if higher_is_better else -1.0
        self.patience = patience
        self.take_each = take_each
        self.epoch = 0
        self.score = math.nan
        self.last = 0

    def update(self, epoch: int, score: float) -> bool:
        """Take an epoch's score; say whether it is the best so far. A score that is not a number never is by itself."""
        self.last = epoch
        first = self.epoch == 0
        better = not math.isnan(score) and (first or self.sign * score > self.sign * self.score)
        if better or self.take_each:
            self.epoch, self.score = epoch, score
        return better or self.take_each

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"epoch": self.epoch, "score": self.score, "last": self.last}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.epoch, self.score, self.last = state["epoch"], state["score"], state["last"]

    @property
    def exhausted(self) -> bool:
        """Whether the patience is at its end."""
        return self.patience is not None and self.last - self.epoch >= self.patience
