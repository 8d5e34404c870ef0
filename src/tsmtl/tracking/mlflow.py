"""``trainer.tracker=[mlflow]``: a run in an MLflow store, by default a file in the current folder."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import mlflow.store.tracking.sqlalchemy_store  # not by the thread that needs it: it warns, and filters are everybody's
from filelock import FileLock
from mlflow.entities import Metric, Param, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient, is_tracking_uri_set

from tsmtl.storage.whole import whole_file
from tsmtl.tracking.tracker import RUN_FILE, Epoch, Status, TrackedRun

STORE = "mlflow.db"  # unless MLFLOW_TRACKING_URI says where
EXPERIMENT = "tsmtl"  # unless MLFLOW_EXPERIMENT_NAME says which
SQLITE = "sqlite:///"
PARENT = "mlflow.parentRunId"  # MLflow's own tag
METRICS_A_CALL, PARAMS_A_CALL = 1000, 100  # the most that MLflow takes
LOCK_SECONDS = 30.0  # to wait for another job of the sweep
T = TypeVar("T")


class MlflowTracker:
    """Logs settings as params, epochs and test metrics as metrics, pictures and best checkpoint as artifacts.

    A job of a sweep is a child of the sweep's run, which the first job makes, and which is as its worst job is.
    """

    def __init__(self) -> None:
        self._uri = mlflow.get_tracking_uri() if is_tracking_uri_set() else f"{SQLITE}{Path(STORE).absolute()}"
        self._run_id = self._experiment_id = ""
        self._parent_id: str | None = None
        self._sweep: Path | None = None
        self._known: set[int] = set()  # epochs

    def start(self, run: TrackedRun) -> None:
        """Find the run that the folder names, or make one."""
        self._sweep = run.sweep
        if self._uri.startswith(SQLITE):
            _check_writable(self._uri.removeprefix(SQLITE))
        self._client = MlflowClient(self._uri)  # not before: to make the tables of a new file takes seconds
        if not self._run_id:
            self._run_id = (run.goes_on and self._found(run.folder)) or self._made(run)
        with whole_file(run.folder / RUN_FILE) as file:
            file.write((json.dumps({"run_id": self._run_id}) + "\n").encode())
        there = self._client.get_run(self._run_id)
        self._experiment_id, self._parent_id = there.info.experiment_id, there.data.tags.get(PARENT)
        texts = {key: json.dumps(v) if isinstance(v, bool) else str(v) for key, v in run.settings.items()}
        params = [Param(key, text) for key, text in texts.items() if key not in there.data.params]
        for some in _cut(params, PARAMS_A_CALL):
            self._client.log_batch(self._run_id, params=some)
        if run.goes_on:
            self._known = {metric.step for metric in self._client.get_metric_history(self._run_id, "train/loss")}
            self._client.update_run(self._run_id, RunStatus.to_string(RunStatus.RUNNING))
        if self._sweep is not None and self._parent_id is not None:
            with _alone(self._sweep):
                self._client.update_run(self._parent_id, RunStatus.to_string(RunStatus.RUNNING))

    def epochs(self, epochs: Sequence[Epoch]) -> None:
        """Log a metric per column, the epoch's number as its step, unless it is there."""
        new = [epoch for epoch in epochs if epoch.number not in self._known]
        columns = max((len(epoch.values) for epoch in new), default=1)
        for some in _cut(new, max(1, METRICS_A_CALL // columns)):  # an epoch whole or not at all
            self._log([m for e in some for m in _metrics(e.values, e.ended, e.number)])
            self._known |= {epoch.number for epoch in some}

    def results(self, epoch: int, test: dict[str, float], pictures: Sequence[Path], checkpoint: Path) -> None:
        """Log test metrics at the best epoch, the checkpoint, and the pictures in a folder of their own."""
        self._log(_metrics(test, checkpoint.stat().st_mtime, epoch))  # the same time in every try
        self._client.log_artifact(self._run_id, str(checkpoint))
        for picture in pictures:
            self._client.log_artifact(self._run_id, str(picture), "pictures")

    def end(self, status: Status) -> None:
        """End the run, and the sweep's where no other job runs."""
        self._client.set_terminated(self._run_id, status.value)
        self._end_parent()

    def _log(self, metrics: list[Metric]) -> None:
        for some in _cut(metrics, METRICS_A_CALL):
            self._client.log_batch(self._run_id, metrics=some)

    def _found(self, folder: Path) -> str:
        """Give the run that an earlier process began; nothing where it is not, or no more, in this store."""
        try:
            run_id = str(json.loads((folder / RUN_FILE).read_text())["run_id"])
        except (OSError, ValueError, KeyError):  # it was not tracked
            return ""
        try:
            there = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ""
            raise
        return run_id if there.info.lifecycle_stage == "active" else ""

    def _made(self, run: TrackedRun) -> str:
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)
        tags = {f"tsmtl.{key}": text for key, text in run.tags.items()}
        if run.sweep is not None:
            tags |= {PARENT: self._parent(experiment, run.sweep), "tsmtl.sweep": str(run.sweep)}
        return str(self._client.create_run(experiment, tags=tags, run_name=run.folder.name).info.run_id)

    def _experiment(self, name: str) -> str:
        there = self._client.get_experiment_by_name(name)
        if there is not None:
            return str(there.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another job was faster, or it cannot be made
            there = self._client.get_experiment_by_name(name)
            if there is None:
                raise
            return str(there.experiment_id)

    def _parent(self, experiment: str, sweep: Path) -> str:
        """Find or make the run of a sweep."""
        key = hashlib.sha256(str(sweep).encode()).hexdigest()  # a path may hold what a filter cannot
        with _alone(sweep):
            found = self._client.search_runs([experiment], f"tags.`tsmtl.sweep_key` = '{key}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            tags = {"tsmtl.sweep_key": key, "tsmtl.sweep": str(sweep)}
            return str(self._client.create_run(experiment, tags=tags, run_name=sweep.name).info.run_id)

    def _end_parent(self) -> None:
        """Let the sweep's run end as its jobs have, where none runs: killed or failed if any is, else finished."""
        if self._sweep is None or self._parent_id is None:
            return
        with _alone(self._sweep):
            found = set(self._jobs(self._parent_id).values())
            if "RUNNING" not in found:
                status = next((s for s in (Status.KILLED, Status.FAILED) if s in found), Status.FINISHED)
                self._client.set_terminated(self._parent_id, status.value)

    def _jobs(self, parent_id: str) -> dict[str, str]:
        """Give the status of a sweep's jobs by folder; of a folder's runs the newest counts."""
        jobs: dict[str, str] = {}
        token = None
        while token != "":
            page: Any = self._client.search_runs(
                [self._experiment_id], f"tags.`{PARENT}` = '{parent_id}'", page_token=token
            )
            for job in page:  # newest first
                jobs.setdefault(job.data.tags["tsmtl.folder"], job.info.status)
            token = page.token or ""
        return jobs


def _check_writable(file: str) -> None:
    """Fail at once where MLflow would try for minutes."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")


def _alone(sweep: Path) -> FileLock:
    return FileLock(sweep / ".mlflow.lock", timeout=LOCK_SECONDS)


def _metrics(values: dict[str, float], when: float, step: int) -> list[Metric]:
    return [Metric(name, value, int(1000 * when), step) for name, value in values.items()]


def _cut(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[i : i + size] for i in range(0, len(items), size))
