"""Processes of a sweep that start while its jobs are still being composed."""

import os
from typing import Any

import pytest

from tests.sweep.conftest import write_series
from tsmtl.config.launcher_settings import LocalSettings
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.pool import Pool
from tsmtl.sweep.process import WorkerProcess
from tsmtl.sweep.runners import runner_maker


class Notes:
    def __init__(self) -> None:
        self.slots: list[int] = []

    def started(self, job: Job, slot: int) -> None:
        self.slots.append(slot)

    def event(self, job: Job, slot: int, event: dict[str, Any]) -> None: ...

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None: ...


@pytest.fixture
def processes(tmp_path, monkeypatch):
    """Let a script be Python, which says of every job that it is done; give the numbers of the processes so far."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho $$ >> "$0.log"\nread -r place || exit\necho \'{"event": "ready"}\'\n'
        'while read -r line; do echo \'{"event": "ended", "status": "done", "reason": "", "leaves": false}\'; done\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    log = tmp_path / "python.log"
    return lambda: [int(line) for line in log.read_text().split()] if log.exists() else []


@pytest.fixture
def refused(tmp_path, tsmtl_train):
    """Run a sweep whose second job has a setting that is refused."""
    write_series(tmp_path / "data.npz", seed=0)
    words = ["model=fc", "data=npz", "data.path=data.npz", "device=cpu", "hydra.sweep.dir=s", "hydra.launcher.n_jobs=2"]
    return lambda *more: tsmtl_train("-m", *words, "lr=1e-3,-1", *more)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_pool_takes_those_that_wait_and_ends_what_is_too_many(processes, monkeypatch):
    early = [WorkerProcess() for _ in range(3)]
    pids = [worker._process.pid for worker in early]
    monkeypatch.setattr(WorkerProcess, "__init__", lambda worker, gpu: pytest.fail("started another"))
    notes = Notes()
    Pool(2, 5, 5, needs=Needs(), early=early).run(iter([Job({}, {}, frozenset(), {})] * 5), notes)
    assert len(notes.slots) == 5
    assert set(notes.slots) <= {0, 1}
    assert not early
    assert not any(map(is_there, pids))


def test_a_process_that_died_while_it_waited_is_replaced(processes):
    early = [WorkerProcess()]
    early[0]._process.kill()
    early[0]._process.wait()
    notes = Notes()
    Pool(1, 2, 2, needs=Needs(), early=early).run(iter([Job({}, {}, frozenset(), {})] * 2), notes)
    assert notes.slots == [0, 0]


def test_a_sweep_that_is_refused_ends_what_it_started(processes, refused, monkeypatch):
    started: list[WorkerProcess] = []
    begin = WorkerProcess.__init__

    def noted(worker: WorkerProcess, *given: Any) -> None:
        begin(worker, *given)
        started.append(worker)

    monkeypatch.setattr(WorkerProcess, "__init__", noted)
    answer = refused()
    assert (answer.code, answer.lines) == (
        2,
        ["tsmtl-train: job 1 (lr=-1): lr: must be a number in (0, 0.1] (got -1)"],
    )
    assert len(started) == 2
    assert not any(is_there(worker._process.pid) for worker in started)


def test_none_starts_where_each_may_be_told_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.sweep.pool.GPU_FILES", [str(tmp_path)])
    monkeypatch.setattr(WorkerProcess, "__init__", lambda worker: pytest.fail("started"))
    settings = LocalSettings(n_jobs=2, retry_failed=False, dry_run=False, jobs_per_gpu=1)
    with runner_maker(settings, tmp_path) as make_runner:
        make_runner.expect(4, Needs(gpu=True))


def test_none_starts_for_a_sweep_that_is_only_shown_or_was_here_before(processes, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(WorkerProcess, "__init__", lambda worker: pytest.fail("started"))
    assert refused("hydra.launcher.dry_run=true").code == 2
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "results.csv").touch()
    assert refused().code == 2
