"""Jobs of a sweep on a SLURM cluster, over submitit (extra ``slurm``).

What submitit writes (scripts, logs, results) lies in the sweep's folder, under ``slurm``. SLURM warns a job whose time
is up, or that gives way to another, by a signal: it writes its state, is queued again under its number, and goes on.
"""

import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError, UncompletedJobError
from submitit.slurm.slurm import SlurmInfoWatcher

from tsmtl.config.errors import Interrupted, UserError, raise_interrupted
from tsmtl.config.launcher_settings import SlurmSettings
from tsmtl.sweep.cluster import RefusedError
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.on_node import OnNode, ProgressReader
from tsmtl.sweep.process import STOPPING

log = logging.getLogger(__name__)
FOLDER = "slurm"  # in the sweep's folder
NUMBER = "slurm_job"  # in a job's folder: what SLURM calls the job, while it has it
WARNING = signal.Signals[f"SIG{submitit.JobEnvironment.USR_SIG}"]
WARNED = 90  # seconds before the end of a job's time; more than it takes to write the state
ASKED = 60  # seconds between two calls of sacct at most; submitit's own 600 keep a job that was killed for long
SETTLED = 600.0  # seconds after which what SLURM has thrown out is not coming back
LATE = 15.0  # seconds that a shared file system may take to show a result
FROM_OUTSIDE = ("TIMEOUT", "PREEMPTED", "CANCELLED", "DEADLINE", "REVOKED")  # states: nothing is wrong with the job


@dataclass(frozen=True)
class OnSlurm(OnNode):
    """The same, on a machine of SLURM's.

    Attributes:
        patience: Seconds to wait behind SIGTERM, with the state on disk, for SLURM to say what it wants: it sends it
            before it throws a job out to queue it again, and so does ``scancel``.
    """

    patience: float

    def __call__(self) -> tuple[str, str]:
        """Run the job; a warning of SLURM's leaves this function by the end of the process, to be queued again."""
        queue_again = cast(Callable[[int, FrameType | None], Any], signal.signal(WARNING, raise_interrupted))
        signal.signal(signal.SIGTERM, raise_interrupted)
        try:
            found = super().__call__()
            if found[0] != "cut":
                return found
            signum: int = signal.SIGTERM  # which went to all processes of the job
        except Interrupted as stop:
            signum = stop.signum
        if signum == signal.SIGTERM:
            try:
                time.sleep(self.patience)
            except Interrupted as stop:
                signum = stop.signum
        if signum != WARNING:
            sys.exit(128 + signum)  # without a result: SLURM knows what it has done
        try:
            queue_again(WARNING, None)
        except UncompletedJobError as error:
            return "cut", str(error)
        raise AssertionError("submitit ends the process")

    def checkpoint(self) -> DelayedSubmission:
        """Give what submitit is to run when the job comes again: the same, which goes on from its state."""
        return DelayedSubmission(self)


class Slurm:
    """A SLURM cluster, or what stands in for it on this machine; see :class:`tsmtl.sweep.cluster.Cluster`.

    Args:
        settings: The launcher's.
        folder: The sweep's folder.

    Raises:
        UserError: If there is no SLURM here.
    """

    def __init__(self, settings: SlurmSettings, folder: Path) -> None:
        self.settings, self.real = settings, settings.cluster == "slurm"
        if self.real and submitit.SlurmExecutor.affinity() < 0:
            raise UserError(
                "hydra.launcher.cluster: slurm needs a machine of the cluster, with srun; local tries the same in "
                "processes of this machine"
            )
        self.folder = folder / FOLDER
        self.patience = 0.0 if self.real else STOPPING

    def __enter__(self) -> "Slurm":
        """Make the submitter."""
        logging.getLogger("submitit").handlers.clear()  # it sets up its own; ours are on the way up
        s = self.settings
        self._executor: submitit.SlurmExecutor | submitit.LocalExecutor
        if not self.real:
            self._executor = submitit.LocalExecutor(self.folder, max_num_timeout=s.requeues)
            self._executor.update_parameters(timeout_min=s.time, gpus_per_node=s.gpus, signal_delay_s=30)
            return self
        submitit.SlurmJob.watcher = SlurmInfoWatcher(delay_s=ASKED)
        self._executor = submitit.SlurmExecutor(self.folder, max_num_timeout=s.requeues)
        asked = {
            "time": s.time,
            "partition": s.partition,
            "account": s.account,
            "qos": s.qos,
            "cpus_per_task": s.cpus,
            "gpus_per_node": s.gpus or None,
            "mem": None if s.mem is None else f"{round(s.mem * 1024)}M",
            "setup": s.setup or None,
            "additional_parameters": s.sbatch or None,
        }
        # SLURM since 22.05 gives srun one core where it is not told again.
        srun = [f"--cpus-per-task={s.cpus}"]
        given = {key: value for key, value in asked.items() if value is not None}
        self._executor.update_parameters(**given, signal_delay_s=WARNED, srun_args=srun)
        where = "" if s.partition is None else f" in partition {s.partition}"
        memory = "" if s.mem is None else f", {s.mem:g} GB"
        log.info(
            "SLURM%s, each job: %d cores, %d GPUs%s, %d min; logs in %s",
            where,
            s.cpus,
            s.gpus,
            memory,
            s.time,
            self.folder,
        )
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def room(self) -> int | None:
        """As the settings say."""
        return self.settings.n_jobs

    def submit(self, job: Job, place: Path) -> "SlurmSubmission":
        """Queue a job, or find it again where an earlier sweep, which died, has queued it.

        Raises:
            RefusedError: If SLURM does not take it.
        """
        assert job.folder is not None, "a job runs in its folder"
        note = job.folder / NUMBER
        if self.real and note.exists():
            before = submitit.SlurmJob[Any](self.folder, note.read_text(encoding="utf-8").strip())
            state = before.watcher.get_state(before.job_id, mode="force").upper()
            if state not in ("UNKNOWN", "PREEMPTED") and not before.watcher.is_done(before.job_id, mode="cache"):
                log.info("%s: SLURM has it already, as job %s", job.name, before.job_id)
                return SlurmSubmission(before, note)
        ProgressReader(job.folder).remove()
        work = OnSlurm(job.message(), str(place), self.settings.cpus, SETTLED if self.real else 0.0)
        if self.real:
            self._executor.update_parameters(job_name=job.folder.name)
        # Ctrl-C comes to the sweep, which cancels its jobs; submitit's local ones would inherit it.
        before_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            submitted = self._executor.submit(work)
        except (FailedJobError, FailedSubmissionError) as error:
            raise RefusedError(f"SLURM does not take {job.name}: {_of_sbatch(error)}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before_mask)
        if self.real:
            note.write_text(f"{submitted.job_id}\n", encoding="utf-8")
        return SlurmSubmission(submitted, note)


class SlurmSubmission:
    """A job in SLURM's hands; see :class:`tsmtl.sweep.cluster.Submission`.

    Args:
        job: As submitit knows it.
        note: The file with its number.
    """

    def __init__(self, job: "submitit.Job[tuple[str, str]]", note: Path) -> None:
        self.job, self._note = job, note
        self.real = isinstance(job, submitit.SlurmJob)
        self._since: float | None = None

    def outcome(self) -> Outcome | None:
        """Give how it ended; what has no result ended as SLURM says."""
        found = self._found()
        if found is not None:
            self._note.unlink(missing_ok=True)
        return found

    def _found(self) -> Outcome | None:
        state = self.job.state.upper() if self.real else ""
        done = self.job.done()
        if done and self.job.paths.result_pickle.exists():
            try:
                return Outcome(*self.job.results()[0])
            except UncompletedJobError as error:
                return Outcome("killed", f"SLURM job {self.job.job_id}: {_last_of_traceback(str(error))}")
        if not done and state != "PREEMPTED":
            self._since = None
            return None
        self._since = self._since or time.monotonic()
        if self.real and time.monotonic() - self._since < (LATE if done else SETTLED):
            return None
        said = f"SLURM job {self.job.job_id}: {state}" if self.real else "its process ended without a result"
        status = "cut" if state.startswith(FROM_OUTSIDE) else "killed"
        return Outcome(status, f"{said}; see {self.job.paths.stderr}")

    def cancel(self) -> None:
        """Take it from the queue, or ask it to end."""
        if self.real:
            self.job.cancel(check=False)
            log.info("SLURM job %s is cancelled", self.job.job_id)
            self._note.unlink(missing_ok=True)
        elif not self.job.done():
            os.kill(int(self.job.job_id), signal.SIGTERM)


def _of_sbatch(error: Exception) -> str:
    """Give the line in which sbatch says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("sbatch: error")), lines[-1] if lines else "sbatch failed")


def _last_of_traceback(text: str) -> str:
    """Give the last exception that a traceback names."""
    found = re.findall(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)\b.*$", text, re.MULTILINE)
    return found[-1] if found else text.partition("\n")[0]
