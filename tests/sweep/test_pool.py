"""Processes of a sweep that cannot start."""

from typing import Any

import pytest

from tsmtl.config.errors import FailedError
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.pool import MOST_STARTS, Pool


class Nobody:
    def started(self, job: Job, slot: int) -> None: ...

    def event(self, job: Job, slot: int, event: dict[str, Any]) -> None: ...

    def ended(self, job: Job, slot: int, outcome: Outcome) -> None: ...


def test_processes_that_never_start_end_the_sweep_with_their_last_words(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho start >> "$0.log"\necho "no such library" >&2\nexit 4\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    pool = Pool(1, 2, 2, needs=Needs())
    with pytest.raises(FailedError) as caught:
        pool.run(iter([Job({}, {}, frozenset(), {})]), Nobody())
    said = "a process of the sweep could not start: its process ended with exit code 4 (no such library)"
    assert str(caught.value) == said
    assert len((tmp_path / "python.log").read_text().split()) == MOST_STARTS


def test_no_jobs_need_no_process(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere")
    Pool(2, 5, 0, needs=Needs()).run(iter([]), Nobody())


@pytest.mark.parametrize(
    ("n_jobs", "most", "left", "processes", "threads"),
    [(2, 8, 8, 2, 4), (None, 8, 8, 8, 1), (None, 20, 3, 3, 1), (3, 2, 2, 2, 4), (16, 100, 100, 16, 1), (1, 9, 9, 1, 8)],
)
def test_the_cores_are_divided_by_what_the_sweep_has_and_not_by_what_is_left(n_jobs, most, left, processes, threads):
    pool = Pool(n_jobs, most, left, needs=Needs())
    pool.cores = 8
    pool.slots = pool.slots if n_jobs else 8
    assert (pool._processes(), pool._threads()) == (processes, threads)


@pytest.mark.parametrize(("devices", "gpus", "at_a_time"), [(1, 0, 8), (2, 0, 4), (16, 0, 1), (1, 4, 4), (2, 4, 1)])
def test_jobs_of_several_devices_are_fewer_at_a_time(devices, gpus, at_a_time):
    pool = Pool(None, 100, 100, needs=Needs(devices=devices), cores=8)
    assert pool._slots(gpus) == at_a_time
    if not gpus:
        assert (pool.slots, pool._threads()) == (at_a_time, 8 // at_a_time)
