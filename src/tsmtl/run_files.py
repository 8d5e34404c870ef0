"""What a training keeps on disk while it runs: best checkpoint, history, and the state to go on from."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tsmtl.checkpoint.best import BestCheckpoint
from tsmtl.checkpoint.file import CALIBRATION
from tsmtl.checkpoint.last import LastState
from tsmtl.report.files import HistoryFile
from tsmtl.storage.run_folder import LAST, side_checkpoint
from tsmtl.training.best_epoch import BestOfEach
from tsmtl.training.loop import Fit, Row


def checkpoint_of(about: dict[str, Any], result: Fit, calibration: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give the content of the best checkpoint.

    Args:
        about: What it says beside weights, epoch and score.
        result: Knows these.
        calibration: What was fitted on val when the training had ended, by task.
    """
    found = {"state": result.best_state, "epoch": result.best.epoch, "score": result.best.score}
    return {**about, **found, **({} if calibration is None else {CALIBRATION: calibration})}


def side_content(
    about: dict[str, Any], name: str, each: BestOfEach, calibration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Give the content of the best checkpoint by one of the scores beside the main one; see :func:`checkpoint_of`."""
    best = each.best[name]
    found = {"state": each.weights[name], "epoch": best.epoch, "score": best.score, "monitor": each.scores[name]}
    return {**about, **found, **({} if calibration is None else {CALIBRATION: calibration})}


class NoFiles:
    """Of a rank that leaves the files to rank 0.

    Args:
        collect: Gives the state to go on from, which ranks collect together.
    """

    due = False

    def __init__(self, collect: Callable[[], dict[str, Any]]) -> None:
        self.collect = collect

    def begin(self, history: list[Row]) -> None:
        """Start with the epochs that there are."""

    def better(self, result: Fit) -> None:
        """Take a new best epoch."""

    def better_by(self, name: str, each: BestOfEach) -> None:
        """Take an epoch that is the best by one of the scores beside the main one."""

    def epoch(self, row: Row) -> None:
        """Take an epoch's row."""

    def keep(self) -> None:
        """Bring everything on disk up to date."""
        self.collect()

    def finish(self) -> None:
        """Write the best checkpoints, if that is still to be done."""

    def forget(self) -> None:
        """Remove the state, which nothing can go on from."""


class RunFiles(NoFiles):
    """Files of a run.

    Args:
        folder: The run folder.
        best_path: Where the best checkpoint goes.
        about: What it says beside weights, epoch and score.
        collect: Gives the state to go on from.
        side: Names of the scores that have a checkpoint of their own beside it.
    """

    def __init__(
        self,
        folder: Path,
        best_path: Path,
        about: dict[str, Any],
        collect: Callable[[], dict[str, Any]],
        side: Iterable[str] = (),
    ) -> None:
        super().__init__(collect)
        self.about = about
        self.best, self.last = BestCheckpoint(best_path), LastState(folder / LAST, collect)
        self.side = {name: BestCheckpoint(folder / side_checkpoint(name)) for name in side}
        self.history = HistoryFile(folder / "metrics.csv")

    @property
    def due(self) -> bool:  # type: ignore[override]  # a question of time here
        """Whether it is time for :meth:`keep`."""
        return self.last.due

    def begin(self, history: list[Row]) -> None:
        """Start with the epochs that there are."""
        self.history.restart(history)

    def better(self, result: Fit) -> None:
        """Take a new best epoch."""
        self.best.offer(checkpoint_of(self.about, result))

    def better_by(self, name: str, each: BestOfEach) -> None:
        """Take an epoch that is the best by one of the scores beside the main one."""
        self.side[name].offer(side_content(self.about, name, each))

    def epoch(self, row: Row) -> None:
        """Take an epoch's row."""
        self.history.write(row)
        for checkpoint in (self.best, *self.side.values()):
            checkpoint.tick()

    def keep(self) -> None:
        """Bring everything on disk up to date."""
        self.finish()  # first: what the state calls the best is then on disk
        self.last.write()

    def finish(self) -> None:
        """Write the best checkpoints, if that is still to be done."""
        for checkpoint in (self.best, *self.side.values()):
            checkpoint.finish()

    def forget(self) -> None:
        """Remove the state, which nothing can go on from."""
        self.last.path.unlink(missing_ok=True)
