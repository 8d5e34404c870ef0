"""What choosing the epoch for one task costs the others: the best epochs by each score, tested on all tasks."""

from functools import partial
from pathlib import Path
from typing import Any

from tsmtl.assembly import Parts
from tsmtl.calibrate import Seen, decoded, fit_on, seen_on, states_of
from tsmtl.checkpoint.file import write_checkpoint
from tsmtl.run_files import side_content
from tsmtl.storage.run_folder import side_checkpoint
from tsmtl.tasks.measure import measure
from tsmtl.tasks.task import Calibration
from tsmtl.training.best_epoch import BestOfEach
from tsmtl.training.ranks import Ranks


def test_each_best(
    parts: Parts, each: BestOfEach, calibrate: bool, folder: Path, about: dict[str, Any], ranks: Ranks
) -> dict[str, Any] | None:
    """Give epoch, score and test metrics of all tasks of the best epoch by each score; None where none was asked for.

    Args:
        parts: The parts of the run; the model ends with weights of one of the epochs.
        each: The best epochs; one whose score was never a number is left out.
        calibrate: Whether each is calibrated on val, and its checkpoint written anew.
        folder: The run folder.
        about: What a checkpoint says beside weights, epoch and score.
        ranks: The processes that share the work.
    """
    if not each.scores:
        return None
    by_epoch: dict[int, tuple[dict[str, dict[str, float]], dict[str, Any]]] = {}
    found = {}
    for name, weights in each.weights.items():
        best = each.best[name]
        if best.epoch not in by_epoch:
            parts.model.load_state_dict(weights)
            seen = {split: seen_on(parts, split, ranks) for split in ("val", "test")}
            by_epoch[best.epoch] = ranks.from_first(partial(_measured, parts, seen, calibrate))
        test, states = by_epoch[best.epoch]
        if states:
            content = side_content(about, name, each, states)
            ranks.from_first(partial(write_checkpoint, folder / side_checkpoint(name), content))
        found[name] = {
            "checkpoint": side_checkpoint(name),
            "monitor": each.scores[name],
            "epoch": best.epoch,
            "score": best.score,
            "test": test,
        }
    return {name: found[name] for name in each.scores if name in found}


def _measured(
    parts: Parts, seen: dict[str, Seen], calibrate: bool
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Give the test metrics by task, and the calibration as a checkpoint holds it."""
    calibration: dict[str, Calibration] = fit_on(seen["val"], parts.tasks) if calibrate else {}
    predictions = decoded(seen["test"], parts.tasks, calibration)
    truth = seen["test"].truth
    test = {name: measure(task, truth[name], predictions[name]) for name, task in parts.tasks.items()}
    return test, states_of(calibration)
