"""What a tracker is told of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

EVENTS = "events.out.tfevents.*"  # TensorBoard's, in a run folder
RUN_FILE = "mlflow.json"  # in a run folder: which run of MLflow's store it is


class Status(StrEnum):
    """How a run ended."""

    FINISHED = "FINISHED"
    KILLED = "KILLED"  # by a signal, or given up by a search
    FAILED = "FAILED"


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker knows it.

    Attributes:
        folder: The run folder, absolute.
        sweep: Folder of the sweep that the run is a job of, absolute; None for a run of its own.
        settings: All settings by dotted name: numbers, truth values and texts.
        tags: What else is known at the start, such as the hash of the data.
        goes_on: Whether an earlier process began it; then some of it may be tracked already.
    """

    folder: Path
    sweep: Path | None
    settings: dict[str, str | int | float | bool]
    tags: dict[str, str]
    goes_on: bool


@dataclass(frozen=True)
class Epoch:
    """A finished epoch.

    Attributes:
        number: 1 for the first.
        ended: When, in seconds since 1970.
        values: Its row of ``metrics.csv``, but for the number.
    """

    number: int
    ended: float
    values: dict[str, float]


class Tracker(Protocol):
    """Is told of a run: :meth:`start` first and :meth:`end` last.

    Any method may raise anything, also half-way; it is then called again with the same arguments, later.
    """

    def start(self, run: TrackedRun) -> None:
        """Begin to track a run, or go on where an earlier process was."""

    def epochs(self, epochs: Sequence[Epoch]) -> None:
        """Take the next epochs; a run that goes on gives those of earlier processes again."""

    def results(self, epoch: int, test: dict[str, float], pictures: Sequence[Path], checkpoint: Path) -> None:
        """Take what a finished training leaves.

        Args:
            epoch: The best one, whose weights were tested.
            test: Metrics of the test split by ``test/<task>/<metric>``.
            pictures: PNG files.
            checkpoint: The best checkpoint.
        """

    def end(self, status: Status) -> None:
        """Take how the run ended."""
