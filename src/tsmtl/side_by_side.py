"""What choosing the epoch for one task costs the others: the best epochs by each score, tested on all tasks."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tsmtl.assembly import Parts, truth_of
from tsmtl.storage.run_folder import side_checkpoint
from tsmtl.tasks.measure import measure
from tsmtl.tasks.task import Prediction
from tsmtl.training.best_epoch import BestOfEach
from tsmtl.training.ranks import Ranks


def test_each_best(
    parts: Parts, each: BestOfEach, predict: Callable[[], Mapping[str, Prediction]], ranks: Ranks
) -> dict[str, Any] | None:
    """Give epoch, score and test metrics of all tasks of the best epoch by each score; None where none was asked for.

    Args:
        parts: The parts of the run; the model ends with weights of one of the epochs.
        each: The best epochs; one whose score was never a number is left out.
        predict: Predicts the test split, by task.
        ranks: The processes that share the work.
    """
    if not each.scores:
        return None
    by_epoch: dict[int, dict[str, dict[str, float]]] = {}
    found = {}
    for name, weights in each.weights.items():
        best = each.best[name]
        if best.epoch not in by_epoch:
            parts.model.load_state_dict(weights)
            by_epoch[best.epoch] = ranks.from_first(partial(_measured, parts, predict()))
        found[name] = {
            "checkpoint": side_checkpoint(name),
            "monitor": each.scores[name],
            "epoch": best.epoch,
            "score": best.score,
            "test": by_epoch[best.epoch],
        }
    return {name: found[name] for name in each.scores if name in found}


def _measured(parts: Parts, predictions: Mapping[str, Prediction]) -> dict[str, dict[str, float]]:
    truth = truth_of(parts.bundle, "test")
    return {name: measure(task, truth[name], predictions[name]) for name, task in parts.tasks.items()}
