"""Which epoch is the best so far, and when to stop waiting for a better one."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Weights = dict[str, Tensor]


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


class BestOfEach:
    """The best epochs by several scores, side by side, each with its weights.

    Args:
        scores: Column of an epoch's row that holds the score, by name.
        higher_is_better: Which way each column goes.

    Attributes:
        best: Epoch and score of the best, by name.
        weights: State dict of the best epoch, by name; one for all whose best epoch is the same.
    """

    def __init__(self, scores: Mapping[str, str], higher_is_better: Mapping[str, bool]) -> None:
        self.scores = dict(scores)
        self.best = {name: BestEpoch(higher_is_better[score], patience=None) for name, score in scores.items()}
        self.weights: dict[str, Weights] = {}

    def update(self, row: Mapping[str, float], weights: Callable[[], Weights]) -> list[str]:
        """Take an epoch's row; give the names of the scores by which it is the best so far.

        Args:
            row: The row, with ``epoch`` and all scores.
            weights: Gives a copy of the weights; asked once, and only where the epoch is the best of any.
        """
        better = [name for name, best in self.best.items() if best.update(int(row["epoch"]), row[self.scores[name]])]
        if better:
            self.weights |= dict.fromkeys(better, weights())
        return better

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"best": {name: best.state() for name, best in self.best.items()}, "weights": self.weights}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        for name, best in self.best.items():
            best.load_state(state["best"][name])
        self.weights = state["weights"]


def weights_of(model: nn.Module) -> Weights:
    """Give a copy of a model's state dict, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
