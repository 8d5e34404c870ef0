"""A comparison from its settings to its runs: the search of every variant, then its repetitions, nothing twice."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsmtl.comparison.tuning import Candidate, Tried, candidates, chosen, job_of
from tsmtl.comparison.variants import Variant
from tsmtl.config.compare_settings import CompareSettings
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.config.schema import Settings
from tsmtl.storage.run_folder import BEST
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.launch import is_left, run_jobs, settle
from tsmtl.sweep.plan import Plan, Planned
from tsmtl.sweep.record import read_record
from tsmtl.sweep.runners import RunnerMaker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of the comparison.

    Attributes:
        variant: Name of its variant.
        candidate: Its learning rate and epochs.
        seed: Its seed.
        search: Whether the search tried it.
        folder: Its run folder.
        name: How it is called in messages.
        summary: What it reported; None where it failed.
        outcome: How it ended.
    """

    variant: str
    candidate: Candidate
    seed: int
    search: bool
    folder: Path
    name: str
    summary: Mapping[str, Any] | None
    outcome: Outcome


class Stages:
    """Runs the jobs of a comparison.

    Args:
        own: The settings under ``compare``.
        training: Those of the training.
        launcher: Those of the launcher.
        folder: Where all is kept.
        make_runner: Makes what runs jobs.

    Attributes:
        seeds: Of the repetitions; the first one is that of the search.
        searched: The runs of each variant's search.
        repeated: Its repetitions, by seed.
        chosen: Learning rate and epochs that its search chose.
        warnings: Signs that a variant's search should have tried more, by its name.
    """

    def __init__(
        self,
        own: CompareSettings,
        training: Settings,
        launcher: LauncherSettings,
        folder: Path,
        make_runner: RunnerMaker,
    ) -> None:
        self.training, self.launcher, self.folder, self.make_runner = training, launcher, folder, make_runner
        self.seeds = list(range(training.run.seed, training.run.seed + own.seeds))
        self.searched: dict[str, list[Run]] = {}
        self.repeated: dict[str, dict[int, Run]] = {}
        self.chosen: dict[str, Candidate] = {}
        self.warnings: dict[str, list[str]] = {}
        self._candidates = candidates(own, training)
        self._plan = Plan(folder)
        self._placed: dict[str, Planned] = {}  # by the job's key

    def run(self, variants: Sequence[Variant]) -> None:
        """Run all variants, those that start from another one's models behind it.

        Raises:
            Interrupted: If a signal came; says how to go on.
        """
        by_name = {variant.name: variant for variant in variants}
        scratch = [variant for variant in variants if variant.start is None]
        self._do(self._searches(scratch, by_name))
        scratch = self._choose(scratch)
        later = [variant for variant in variants if variant.start in self.chosen]
        self._do([*self._repetitions(scratch, by_name), *self._searches(later, by_name)])
        later = [variant for variant in self._choose(later) if variant.start and self.complete(variant.start)]
        self._do(self._repetitions(later, by_name))
        for variant in variants:
            if variant.start is not None and not self.complete(variant.start):
                log.warning("%s: left out, since not all runs of %s are done", variant.name, variant.start)

    def complete(self, name: str) -> bool:
        """Whether all repetitions of a variant are done."""
        done = [run for run in self.repeated.get(name, {}).values() if run.summary is not None]
        return len(done) == len(self.seeds)

    @property
    def runs(self) -> list[Run]:
        """Every run that was asked for, those of the searches first; one may be asked for twice."""
        runs = [run for found in self.searched.values() for run in found]
        return runs + [run for found in self.repeated.values() for run in found.values()]

    @property
    def summaries(self) -> list[Mapping[str, Any]]:
        """What every run that is done reported, those of searches too, each once."""
        return list({run.folder: run.summary for run in self.runs if run.summary is not None}.values())

    @property
    def failures(self) -> list[tuple[str, Outcome]]:
        """Name and outcome of the runs that failed, each once; those of a search aside that others stand in for."""
        lost = [run for run in self.runs if not (run.search and run.variant in self.chosen)]
        no_score = Outcome("failed", "its joint score on val is no number")
        ended = {run.folder: (run.name, no_score if run.search and run.summary else run.outcome) for run in lost}
        return [(name, outcome) for name, outcome in ended.values() if outcome.status != "done"]

    def show(self, variants: Sequence[Variant]) -> None:
        """Say how much is left to do, as far as that is known before the search."""
        by_name = {variant.name: variant for variant in variants}
        scratch = [variant for variant in variants if variant.start is None]
        planned = {job.key: self._place(job) for _, job in self._searches(scratch, by_name)}
        left = sum(is_left(one, self.launcher.retry_failed) for one in planned.values())
        more = len(variants) * (len(self.seeds) - 1) + (len(variants) - len(scratch)) * len(self._candidates)
        sys.stdout.write(
            f"{left} of {len(planned)} runs of the search are left; at most {more} runs follow from what it finds\n"
        )

    def _searches(self, variants: Sequence[Variant], by_name: Mapping[str, Variant]) -> list[tuple[Run, Job]]:
        return [
            self._asked(variant, candidate, self.seeds[0], True, by_name)
            for variant in variants
            for candidate in self._candidates
        ]

    def _repetitions(self, variants: Sequence[Variant], by_name: Mapping[str, Variant]) -> list[tuple[Run, Job]]:
        return [
            self._asked(variant, self.chosen[variant.name], seed, False, by_name)
            for seed in self.seeds
            for variant in variants
        ]

    def _asked(
        self, variant: Variant, candidate: Candidate, seed: int, search: bool, by_name: Mapping[str, Variant]
    ) -> tuple[Run, Job]:
        start = None
        if variant.start is not None:
            before = self._place(job_of(by_name[variant.start], self.chosen[variant.start], seed, None, self.training))
            start = _folder(before) / BEST
        job = job_of(variant, candidate, seed, start, self.training)
        return Run(variant.name, candidate, seed, search, Path(), job.name, None, Outcome("cut")), job

    def _choose(self, variants: Sequence[Variant]) -> list[Variant]:
        """Let the search choose for each variant; give those that it found something for."""
        for variant in variants:
            choice = chosen(variant, [Tried(run.candidate, run.summary) for run in self.searched[variant.name]])
            if choice is None:
                log.warning("%s: left out, since no run of its search came to an end with a score", variant.name)
                continue
            self.chosen[variant.name], self.warnings[variant.name] = choice.candidate, choice.warnings
            for line in choice.warnings:
                log.warning("%s: %s", variant.name, line)
        return [variant for variant in variants if variant.name in self.chosen]

    def _place(self, job: Job) -> Planned:
        if job.key not in self._placed:
            self._placed[job.key] = self._plan.place(job)
        return self._placed[job.key]

    def _do(self, asked: Sequence[tuple[Run, Job]]) -> None:
        """Run what is left of some jobs, and note what came of each."""
        planned = {job.key: self._place(job) for _, job in asked}
        settle(list(planned.values()))
        new = [one.job for one in planned.values() if is_left(one, self.launcher.retry_failed)]
        outcomes: dict[str, Outcome] = {}
        if new:
            log.info("%d of %d runs of this stage are to be done", len(new), len(planned))
            runner = self.make_runner(None, new, Needs.of(new))
            outcomes = run_jobs(runner, iter(new), len(new), self.folder, place="compare.folder")
        lost: dict[str, str] = {}
        for run, job in asked:
            placed = planned[job.key]
            record = read_record(_folder(placed))
            summary = None if record is None else record.summary()
            if summary is not None:
                self._placed[job.key] = replace(placed, status="done")
            outcome = outcomes.get(job.key, Outcome("done"))
            if summary is None and outcome.status == "done":  # of an earlier process
                outcome = Outcome("failed", "" if record is None else record.reason)
            run = replace(run, folder=_folder(placed), summary=summary, outcome=outcome)
            if run.search:
                self.searched.setdefault(run.variant, []).append(run)
            else:
                self.repeated.setdefault(run.variant, {})[run.seed] = run
            if summary is None:
                lost[job.key] = f"{job.name}: {outcome.words}"
        for line in lost.values():
            log.warning("%s", line)


def _folder(planned: Planned) -> Path:
    assert planned.job.folder is not None, "a placed job has a folder"
    return planned.job.folder
