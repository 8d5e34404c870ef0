"""The order of a sweep's jobs: the longest first, so that none is left over at the end while other processes wait."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean

from tsmtl.sweep.job import Job


class LongestFirst(Iterator[Job]):
    """Gives jobs one by one: while others run, the one that promises to take longest, or else the first of the list.

    Where the longest come first, the last process ends within a third of the best time of all (Graham, "Bounds on
    multiprocessing timing anomalies", SIAM J. Appl. Math. 17, 1969). How long a job takes is learnt from those that
    have ended: each value of a swept setting is worth the mean logarithm of the seconds of its jobs, less that of all.
    A value that no job had yet is worth the most of those of its setting, so that the longest are soon known.

    Args:
        jobs: In the order of the list.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = list(enumerate(jobs))
        self._under_way = 0
        self._logs: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._all: list[float] = []

    def __next__(self) -> Job:
        if not self._left:
            raise StopIteration
        at = min(self._left, key=lambda one: one[0]) if self._under_way == 0 else self._left[0]
        self._left.remove(at)
        self._under_way += 1
        return at[1]

    @property
    def last_is_under_way(self) -> bool:
        """Whether all jobs but one have ended, and that one runs."""
        return not self._left and self._under_way == 1

    def ended(self, job: Job, seconds: float | None) -> None:
        """Learn from a job that has ended.

        Args:
            job: One that was given.
            seconds: That it took; None where that says nothing.
        """
        self._under_way -= 1
        if seconds is None or seconds <= 0:
            return
        self._all.append(math.log(seconds))
        for setting in job.swept.items():
            self._logs[setting].append(self._all[-1])
        mean = fmean(self._all)
        worth = {setting: fmean(logs) - mean for setting, logs in self._logs.items()}
        most: dict[str, float] = {}
        for (key, _), value in worth.items():
            most[key] = max(value, most.get(key, value))

        def place(one: tuple[int, Job]) -> tuple[float, int]:
            number, left = one
            return -sum(worth.get((key, value), most.get(key, 0)) for key, value in left.swept.items()), number

        self._left.sort(key=place)
