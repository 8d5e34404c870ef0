"""A sweep from its checked jobs to its results: what is left is run, what was done before stays."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from tsmtl.config.command import forget_sweep
from tsmtl.config.comparability import why_not_comparable
from tsmtl.config.errors import Interrupted, SweepError, UserError
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.config.logs import set_up_logs
from tsmtl.config.schema import Settings, check
from tsmtl.report.sweep_table import lines_of, terminal_width
from tsmtl.storage.alone import alone_in
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.job_order import LongestFirst
from tsmtl.sweep.plan import Planned, plan
from tsmtl.sweep.pool import Follower
from tsmtl.sweep.progress import Progress
from tsmtl.sweep.record import read_record, record_of, records_in
from tsmtl.sweep.results import SEED, results_of
from tsmtl.sweep.runners import Runner, RunnerMaker
from tsmtl.sweep.summary import conclude, get_ready
from tsmtl.sweep.tables import JOBS

log = logging.getLogger(__name__)
LOCK = "sweep.lock"
MOST_NAMED = 5  # jobs in the last line


def launch(jobs: Sequence[Job], settings: LauncherSettings, folder: Path, make_runner: RunnerMaker) -> None:
    """Run the jobs of a sweep that are not done, show and write its results.

    Args:
        jobs: Checked, without folders.
        settings: The launcher's.
        folder: The sweep's folder.
        make_runner: Makes what runs them.

    Raises:
        UserError: If another process is at this sweep.
        SweepError: If a job failed, now or before; the others are done.
        Interrupted: If a signal came; says how to go on.
    """
    if settings.dry_run:
        _show(plan(jobs, folder))
        return
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder / LOCK, "hydra.sweep.dir", "at the sweep in"):
        set_up_logs(folder)
        if why := why_not_comparable([*(job.settings() for job in jobs), *_settings_of_others(folder, jobs)]):
            log.warning("%s", why)
        planned = plan(jobs, folder)
        settle(planned)
        to_run = [one.job for one in planned if is_left(one, settings.retry_failed)]
        _say_what_is_left(planned, len(to_run), folder)
        runner = make_runner(len(jobs), to_run, Needs.of(jobs))
        order = LongestFirst(to_run)
        pictures = any(job.flat["trainer"]["pictures"] for job in jobs)

        def on_end(job: Job, outcome: Outcome) -> None:
            order.ended(job, _seconds(job))
            if pictures and order.last_is_under_way and set(job.swept) - {SEED}:
                get_ready()

        try:
            outcomes = run_jobs(runner, order, len(to_run), folder, on_end)
        finally:
            conclude(folder, results_of(folder), pictures)
        before = {one.job.key: Outcome(one.status, one.reason) for one in planned}
        bad = [(one.job.name, outcomes.get(one.job.key, before[one.job.key])) for one in planned]
        fail_for([(name, outcome) for name, outcome in bad if outcome.status != "done"], len(planned))


def _settings_of_others(folder: Path, jobs: Sequence[Job]) -> Iterator[Settings]:
    """Give the settings of the folder's other jobs, which the table will rank among these."""
    asked = {job.key for job in jobs}
    for record in records_in(folder):
        if record.key not in asked:
            with suppress(UserError):  # of another version, with settings of its own
                yield check(record.settings)


def _seconds(job: Job) -> float | None:
    """Give how long a job took; None where it was not done."""
    record = None if job.folder is None else read_record(job.folder)
    summary = None if record is None else record.summary()
    return None if summary is None else float(summary["seconds"]["all"])


def fail_for(bad: Sequence[tuple[str, Outcome]], total: int, noun: str = "jobs") -> None:
    """End the command for the jobs that are not done.

    Args:
        bad: Name and outcome of each.
        total: How many there are, with the others.
        noun: What they are.

    Raises:
        SweepError: If there are any.
    """
    if bad:
        said = [f"{noun.removesuffix('s')} ({name}): {outcome.reason}" for name, outcome in bad[:MOST_NAMED]]
        if len(bad) > MOST_NAMED:
            said.append(f"and {len(bad) - MOST_NAMED} more, see {JOBS}")
        raise SweepError(f"{len(bad)} of {total} {noun} failed: {'; '.join(said)}")


def is_left(one: Planned, retry_failed: bool) -> bool:
    """Say whether a job is to be run: it is new or cut, or failed and asked for again."""
    return one.status in ("new", "cut", "pruned") or (one.status == "failed" and retry_failed)


def settle(planned: Sequence[Planned]) -> None:
    """Let the records of jobs whose process died behind its work, but before it said so, say that they are done."""
    for one in planned:
        record = None if one.status != "done" or one.job.folder is None else read_record(one.job.folder)
        if record is not None and (record.status != "done" or record.half_written):
            record.ended(Outcome("done")).write()


def _say_what_is_left(planned: Sequence[Planned], to_run: int, folder: Path) -> None:
    counts = {status: sum(one.status == status for one in planned) for status in ("done", "cut", "failed")}
    if any(counts.values()):
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        hint = "; hydra.launcher.retry_failed=true tries failed ones again" if counts["failed"] else ""
        log.info("%s holds %s of %d jobs; %d to run%s", folder, said, len(planned), to_run, hint)


def _show(planned: Sequence[Planned]) -> None:
    forget_sweep()
    names = {"new": "to run", "cut": "to go on", "pruned": "to go on", "done": "done", "failed": "failed"}
    rows = [{"job": one.job.name, "state": names[one.status], "": one.reason} for one in planned]
    sys.stdout.write("\n".join([*lines_of(rows, most=len(rows), width=terminal_width()), ""]))


def run_jobs(
    runner: Runner,
    jobs: Iterator[Job],
    total: int | None,
    folder: Path,
    on_end: Callable[[Job, Outcome], None] = lambda job, outcome: None,
    place: str = "hydra.sweep.dir",
) -> dict[str, Outcome]:
    """Run jobs and give their outcomes by key.

    Args:
        runner: Where they run.
        jobs: With folders.
        total: How many there are, or None.
        folder: The sweep's folder.
        on_end: Is told of every job's end.
        place: The setting that names the folder.

    Raises:
        Interrupted: If a signal came; says how to go on.
    """
    progress = Progress(total)
    try:
        with logging_redirect_tqdm():
            runner.run(jobs, _Recorder(progress, on_end))
    except KeyboardInterrupt as stop:
        signum = stop.signum if isinstance(stop, Interrupted) else signal.SIGINT
        said = f"{Interrupted(signum).word} after {len(progress.outcomes)} jobs"
        raise Interrupted(signum, f"{said}; to go on, give the same command {place}={folder.absolute()}") from stop
    finally:
        progress.close()
    return progress.outcomes


class _Recorder:
    """Writes the end of a job whose process could not, before anybody else hears of it."""

    def __init__(self, then: Follower, on_end: Callable[[Job, Outcome], None]) -> None:
        self.started, self.event, self._then, self._on_end = then.started, then.event, then, on_end

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None:
        if outcome.status in ("killed", "cut") and job.folder is not None:
            (read_record(job.folder) or record_of(job)).ended(outcome).write()
        self._then.ended(job, slot, outcome)
        self._on_end(job, outcome)
