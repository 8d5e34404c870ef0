"""A search: trials chosen one by one from what came of those before, up to a number that all processes share."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from tsmtl.config.errors import UserError
from tsmtl.config.search_settings import SearchSettings
from tsmtl.sweep.composition import Composer
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.plan import Plan
from tsmtl.sweep.record import read_record
from tsmtl.sweep.search_space import SearchSpace
from tsmtl.sweep.study import sampler_of

log = logging.getLogger(__name__)
LOCKS = "trials"  # a lock for each trial under way: held by the process that is at it, free when that has died
MOST_REPEATS = 100  # times that settings come again which have failed, before the search ends
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass
class _Trial:
    """A trial under way: a job for each seed."""

    number: int
    lock: FileLock
    jobs: list[Job]
    ran: bool = False  # whether a job of it ran for it, and not for a trial before
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)  # with the names of the jobs
    values: list[list[float]] = field(default_factory=list)  # of each seed that is done: a value for each objective


class Search:
    """Gives a runner its jobs, follows them, and tells the study.

    Args:
        study: Optuna's.
        space: What is searched.
        composer: Makes jobs of settings.
        settings: The sweeper's.
        plan: Of the sweep's folder.
        objectives: The scores, ``val/<task>/<metric>`` or ``val/loss``.
        reporting: How a job opens the study, to report its epochs; None where no trial is pruned.
        retry_failed: Run settings again that failed in an earlier process.

    Attributes:
        failures: Name and outcome of each trial that failed in this process.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        composer: Composer,
        settings: SearchSettings,
        plan: Plan,
        objectives: Sequence[str],
        reporting: dict[str, Any] | None,
        retry_failed: bool,
    ) -> None:
        self.study, self.space, self.composer, self.settings = study, space, composer, settings
        self.folder, self.objectives, self.reporting = plan.folder, objectives, reporting
        self.failures: list[tuple[str, Outcome]] = []
        self._plan = plan
        self._composed: dict[tuple[str, ...], Job] = {}  # by arguments: what has failed comes again and again
        self._of_job: dict[str, list[_Trial]] = {}  # by the job's key: two trials may ask for the same settings
        self._mine: set[int] = set()
        self._retry, self._retried = retry_failed, set[str]()  # keys of jobs
        self._repeats = 0  # trials that failed since their settings had failed before
        self._study_lock = FileLock(self.folder / LOCKS / "study.lock")  # held to count trials, ask for one, tell one

    @property
    def left(self) -> int:
        """How many trials are neither finished nor under way."""
        return self._left(self.study.get_trials(deepcopy=False))

    def _left(self, trials: Sequence[FrozenTrial]) -> int:
        taken = sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials)
        return max(0, self.settings.n_trials - taken)

    @property
    def exhausted(self) -> str | None:
        """Why this process asks for no more trials, though some may be left; None while it does."""
        if len(self.failures) >= self.settings.max_failed:
            return f"hydra.sweeper.max_failed: {len(self.failures)} trials failed; the search ends"
        if self._repeats >= MOST_REPEATS:
            return (
                "the search asks only for settings that have failed, and ends; hydra.launcher.retry_failed=true tries "
                "again those of an earlier command"
            )
        return None

    @property
    def wants_more(self) -> bool:
        """Whether trials are left to do for this process: some failed, and others take their place."""
        return self.exhausted is None and self.left > 0

    def jobs(self) -> Iterator[Job]:
        """Give jobs, each when it is asked for, until the study has its trials or too many have failed."""
        (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
        while self.exhausted is None and (trial := self._next_trial()) is not None:
            for job in trial.jobs:
                placed = self._plan.place(job)
                again = self._retry and placed.status == "failed" and job.key not in self._retried
                if placed.status in ("done", "failed", "pruned") and not again:  # by another trial, or another sweep
                    self._take(trial, placed.job, Outcome(placed.status, placed.reason))
                elif trials := self._of_job.get(job.key):
                    trials.append(trial)
                else:
                    self._retried.add(job.key)
                    self._of_job[job.key], trial.ran = [trial], True
                    yield placed.job

    def _next_trial(self) -> _Trial | None:
        with self._study_lock:
            trials = self.study.get_trials(deepcopy=False)
            for trial in trials:
                if trial.state is TrialState.RUNNING and trial.number not in self._mine:
                    lock = self._lock(trial.number)
                    if lock is not None and (adopted := self._adopt(trial, lock)) is not None:
                        return adopted
            if not self._left(trials):
                return None
            self.study.sampler = sampler_of(self.settings.sampler, self.settings.seed, len(trials))
            asked = self.study.ask(self.space.distributions)
            lock = self._lock(asked.number)
            assert lock is not None, "a new trial is nobody else's"
            return self._trial(asked.number, asked._trial_id, self.space.typed(asked.params), lock)

    def _lock(self, number: int) -> FileLock | None:
        lock = FileLock(self.folder / LOCKS / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _adopt(self, trial: FrozenTrial, lock: FileLock) -> _Trial | None:
        """Go on with a trial whose process has died; one that never got its settings is given up."""
        if set(trial.params) != set(self.space.distributions):
            self.study.tell(trial.number, state=TrialState.FAIL)
            _let_go(lock)
            return None
        log.info("trial %d: going on with it", trial.number)
        return self._trial(trial.number, trial._trial_id, self.space.typed(trial.params), lock)

    def _trial(self, number: int, trial_id: int, typed: dict[str, str], lock: FileLock) -> _Trial:
        self._mine.add(number)
        trial = _Trial(number, lock, [])
        search: dict[str, Any] = {"trial": number}
        if self.reporting is not None:
            search |= {"trial_id": trial_id, "study": self.reporting}
        try:
            for seed in self.space.seeds:
                seeds = {key.lstrip("+"): value for key, _, value in (one.partition("=") for one in seed)}
                asked = (*self.space.overrides(typed), *seed)
                if asked not in self._composed:
                    self._composed[asked] = self.composer.job(number, asked, typed | seeds)
                trial.jobs.append(replace(self._composed[asked], search=search))
        except UserError as error:
            trial.jobs = []
            name = " ".join(f"{key}={value}" for key, value in typed.items())
            trial.outcomes.append((name, Outcome("failed", "; ".join(error.lines))))
            self._tell(trial)
        return trial

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Take note of a job's end."""
        for trial in self._of_job.pop(job.key):
            self._take(trial, job, outcome)

    def _take(self, trial: _Trial, job: Job, outcome: Outcome) -> None:
        if outcome.status == "done":
            values = self._values(job)
            trial.values.append(values)
            if not all(map(math.isfinite, values)):
                outcome = Outcome("failed", f"{' or '.join(self.objectives)} is not a number")
        trial.outcomes.append((job.name, outcome))
        if len(trial.outcomes) < len(trial.jobs):
            return
        if any(one.status == "cut" for _, one in trial.outcomes):  # it stays under way, for whoever goes on with it
            self._mine.discard(trial.number)
            trial.lock.release()
        else:
            self._tell(trial)

    def _values(self, job: Job) -> list[float]:
        record = None if job.folder is None else read_record(job.folder)
        summary = None if record is None else record.summary()
        found = {} if summary is None else summary["val"]
        return [math.nan if found.get(name) is None else float(found[name]) for name in self.objectives]

    def _tell(self, trial: _Trial) -> None:
        bad = next(((name, one) for name, one in trial.outcomes if one.status not in ("done", "pruned")), None)
        pruned = any(one.status == "pruned" for _, one in trial.outcomes)
        with self._study_lock:
            if bad is None and not pruned:
                means = [sum(values) / len(trial.values) for values in zip(*trial.values, strict=True)]
                self.study.tell(trial.number, means)
            else:
                self.study.tell(trial.number, state=TrialState.PRUNED if bad is None else TrialState.FAIL)
            _let_go(trial.lock)
        if bad is not None and (trial.ran or all(bad[0] != name for name, _ in self.failures)):
            self.failures.append(bad)
        elif bad is not None:
            self._repeats += 1


def _let_go(lock: FileLock) -> None:
    """Release a lock that nobody asks for again, and remove its file."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
