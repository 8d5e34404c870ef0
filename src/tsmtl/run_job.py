"""One job of a sweep, in whichever process and on whichever machine: a run that keeps a record of how it ended."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tsmtl.config.errors import Interrupted, Pruned, UserError, reason_of
from tsmtl.config.logs import close_logs, set_up_logs
from tsmtl.config.schema import Settings
from tsmtl.devices import train_on_devices
from tsmtl.storage.run_folder import LOCK
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.record import JobRecord, read_record, record_of
from tsmtl.training.loop import Row
from tsmtl.training.watch import Watch

log = logging.getLogger(__name__)
PATIENCE = 30.0  # seconds for a process of an earlier sweep that is dying in the same folder


def run_job(
    job: Job, tell: Callable[[dict[str, Any]], None] = lambda event: None, shared: Path | None = None
) -> Outcome:
    """Run a job, or go on with it, in its folder.

    Args:
        job: With a folder.
        tell: Is told of the start and of every epoch, in plain values.
        shared: Folder of what it shares with other jobs on this machine.

    Returns:
        How it ended; its folder says so too. Nothing but a death of the process leaves this function otherwise.
    """
    assert job.folder is not None, "a job runs in its folder"
    try:
        _wait_for_others(job.folder, PATIENCE if job.search is None else -1)
        before = read_record(job.folder)
        record = replace(record_of(job), data=None if before is None else before.data)
        watch = _JobWatch(record, tell, job.search)
        watch.record.write()
        set_up_logs(job.folder, console=False)
        outcome = _outcome(job, job.folder, watch, shared)
        watch.record.ended(outcome).write()
    except Interrupted as stop:
        return Outcome("cut", stop.word)
    except UserError as error:
        return Outcome("failed", "; ".join(error.lines))
    except OSError as error:  # a full disk cannot keep how the job ended, but the sweep is told
        return Outcome("failed", reason_of(error))
    finally:
        close_logs()
    return outcome


def _outcome(job: Job, folder: Path, watch: "_JobWatch", shared: Path | None) -> Outcome:
    try:
        settings = job.settings()
        first = None if settings.pretraining is None else _sharing(settings.pretraining, shared)
        run = settings.run.model_copy(update={"resume": True})
        train_on_devices(replace(_sharing(settings, shared), run=run, pretraining=first), folder, watch)
    except Interrupted as stop:
        return Outcome("cut", stop.word)
    except Pruned as reason:
        return Outcome("pruned", str(reason))
    except UserError as error:
        return Outcome("failed", "; ".join(error.lines))
    except (Exception, SystemExit) as error:  # a plugin may leave; the other jobs stay
        log.error("the run failed: %s", reason_of(error), exc_info=error)
        return Outcome("failed", reason_of(error))
    return Outcome("done")


def _sharing(settings: Settings, shared: Path | None) -> Settings:
    """Give settings that know the folder of their data: by what was asked, as the sweep made it."""
    return settings if shared is None else replace(settings, shared=shared / settings.data_name)


def _wait_for_others(folder: Path, patience: float) -> None:
    """Wait for a process of an earlier sweep that is dying, or for one of the same search with the same settings.

    Args:
        folder: The job's.
        patience: Seconds, or -1 for as long as it takes.
    """
    if not (folder / LOCK).exists():
        return
    try:
        with FileLock(folder / LOCK).acquire(timeout=patience):
            pass
    except Timeout:
        log.warning("another process is at it in %s", folder)  # the run refuses it by name


class _JobWatch(Watch):
    """Keeps the record of a run under way, and tells the sweep of it."""

    def __init__(
        self, record: JobRecord, tell: Callable[[dict[str, Any]], None], search: Mapping[str, Any] | None
    ) -> None:
        self.record, self.tell, self.reporter = record, tell, None
        if search is not None and "study" in search:
            from tsmtl.sweep.pruning import Reporter  # of an extra

            self.reporter = Reporter(search)

    def starts(self, data: str, epochs: int, done: int) -> None:
        """Note the data that the run has read."""
        self.record = replace(self.record, data=data)
        self.record.write()
        self.tell({"event": "starts", "epochs": epochs, "done": done})

    def epoch_ends(self, row: Row) -> None:
        """Tell how far the run is."""
        epoch, score = int(row["epoch"]), row[self.record.monitor]
        self.tell({"event": "epoch", "epoch": epoch, "score": score})
        if self.reporter is not None:
            self.reporter.report(epoch, score)
