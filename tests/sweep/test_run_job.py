"""A job in a folder where another process is at it."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tests.test_train import SMALL, TINY_MODEL
from tsmtl.run_job import run_job
from tsmtl.sweep.job import Job
from tsmtl.sweep.record import read_record


@pytest.fixture
def job(compose, tmp_path: Path) -> Job:
    settings = compose("model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "num_epochs=1")
    return Job({}, settings.flat, settings.typed, {}, folder=tmp_path / "job")


def test_a_job_of_a_search_waits_for_its_twin_and_one_of_a_grid_is_refused(job, tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.run_job.PATIENCE", 0.05)
    (tmp_path / "job").mkdir()
    ready, release = threading.Event(), threading.Event()

    def twin() -> None:
        with FileLock(tmp_path / "job" / "run.lock"):
            ready.set()
            release.wait(30)

    thread = threading.Thread(target=twin)
    thread.start()
    assert ready.wait(30)
    outcome = run_job(job)
    assert outcome.status == "failed"
    assert "another process is training in" in outcome.reason

    threading.Timer(0.5, release.set).start()
    began = time.monotonic()
    assert run_job(replace(job, search={"trial": 3})).status == "done"
    thread.join()
    assert time.monotonic() - began > 0.5, "it has waited, whatever the patience"
    record = read_record(tmp_path / "job")
    assert record is not None
    assert (record.status, record.trial) == ("done", 3)
