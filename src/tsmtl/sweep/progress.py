"""What the terminal shows of a sweep under way: one bar over all jobs, one for each that runs, a line for each end."""

import logging
import math
from typing import Any, NoReturn

from tqdm import tqdm

from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.record import read_record

log = logging.getLogger(__name__)
MOST_LETTERS = 50  # of a job's name beside its bar


class Progress:
    """Follows the jobs of a pool; see :class:`tsmtl.sweep.pool.Follower`.

    Args:
        total: Jobs to run, or None.

    Attributes:
        outcomes: How each job ended, by its key.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.outcomes: dict[str, Outcome] = {}
        self._all: tqdm[NoReturn] = tqdm(total=total, desc="sweep", unit="job", disable=None, dynamic_ncols=True)
        self._bars: dict[int, tqdm[NoReturn]] = {}

    def started(self, job: Job, slot: int) -> None:
        """Nothing is shown before it trains."""

    def event(self, job: Job, slot: int, event: dict[str, Any]) -> None:
        """Move its bar."""
        if event["event"] == "starts":
            self._close(slot)
            self._bars[slot] = tqdm(
                total=event["epochs"],
                initial=event["done"],
                desc=job.name[:MOST_LETTERS],
                unit="epoch",
                position=slot + 1,
                leave=False,
                disable=None,
                dynamic_ncols=True,
            )
        elif slot in self._bars:
            self._bars[slot].update(event["epoch"] - self._bars[slot].n)

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None:
        """Say how it ended."""
        self.outcomes[job.key] = outcome
        self._close(slot)
        self._all.update()
        self._all.refresh()
        number = f"job {len(self.outcomes)}" + ("" if self.total is None else f" of {self.total}")
        if outcome.status == "done":
            log.info("%s (%s): done%s", number, job.name, _score(job))
        elif outcome.status == "pruned":
            log.info("%s (%s): pruned, %s", number, job.name, outcome.reason)
        else:
            log.error("%s (%s): %s", number, job.name, outcome.words)

    def _close(self, slot: int) -> None:
        if slot in self._bars:
            self._bars.pop(slot).close()

    def close(self) -> None:
        """Take the bars away."""
        for slot in list(self._bars):
            self._close(slot)
        self._all.close()


def _score(job: Job) -> str:
    record = None if job.folder is None else read_record(job.folder)
    summary = None if record is None else record.summary()
    if record is None or summary is None or not math.isfinite(summary["best"]["score"]):
        return ""
    return f", {record.monitor} {summary['best']['score']:.4g}, {summary['seconds']['all']:.1f} s"
