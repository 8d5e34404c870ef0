"""How jobs are handed to a cluster; here to one that only keeps count."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tsmtl.config.errors import FailedError
from tsmtl.sweep import cluster as module
from tsmtl.sweep.cluster import ClusterRunner, RefusedError
from tsmtl.sweep.job import Job, Outcome


@dataclass
class Counting:
    """Takes ``takes`` jobs at a time, ends one at every look."""

    takes: int
    asked: int | None = None
    patience: float = 0.0
    under_way: int = 0
    most: int = 0
    cancelled: list[str] = field(default_factory=list)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def room(self):
        return self.asked

    def submit(self, job, place):
        if self.under_way >= self.takes:
            raise RefusedError("no more")
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return Submitted(self, job)


@dataclass
class Submitted:
    cluster: Counting
    job: Job
    looks: int = 0

    def outcome(self):
        self.looks += 1
        if self.looks < 2:
            return None
        self.cluster.under_way -= 1
        return Outcome("done")

    def cancel(self):
        self.cluster.cancelled.append(self.job.name)


class Following:
    def __init__(self):
        self.slots, self.ends = [], []

    def started(self, job, slot):
        self.slots.append(slot)

    def event(self, job, slot, event):
        pass

    def ended(self, job, slot, outcome):
        self.ends.append(job.name)
        if outcome.status == "stop":
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)


def jobs(folder: Path, number: int, fetched: list[int] | None = None):
    for n in range(number):
        if fetched is not None:
            fetched.append(n)
        yield Job({"lr": str(n)}, {}, frozenset(), {}, folder=folder / str(n))


@pytest.mark.parametrize(("asked", "takes", "most"), [(2, 9, 2), (None, 9, 5), (None, 2, 2), (4, 3, 3)])
def test_as_many_jobs_at_a_time_as_asked_for_and_as_the_cluster_takes(tmp_path, asked, takes, most):
    counting, following = Counting(takes, asked), Following()
    ClusterRunner(counting).run(jobs(tmp_path, 5), following)
    assert sorted(following.ends) == [f"lr={n}" for n in range(5)]
    assert counting.most == most
    assert set(following.slots) == set(range(most))


def test_the_next_job_is_asked_for_when_there_is_room(tmp_path):
    fetched: list[int] = []
    seen: list[tuple[int, int]] = []

    class Watching(Following):
        def ended(self, job, slot, outcome):
            super().ended(job, slot, outcome)
            seen.append((len(self.ends), len(fetched)))

    ClusterRunner(Counting(9, asked=2)).run(jobs(tmp_path, 6, fetched), Watching())
    assert all(asked_for <= ended + 1 for ended, asked_for in seen), seen


def test_a_cluster_that_takes_no_job_ends_the_sweep(tmp_path):
    with pytest.raises(FailedError, match="no more"):
        ClusterRunner(Counting(0)).run(jobs(tmp_path, 2), Following())


def test_an_interrupted_sweep_cancels_its_jobs(tmp_path):
    counting = Counting(9)

    class Stopping(Following):
        def ended(self, job, slot, outcome):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ClusterRunner(counting).run(jobs(tmp_path, 3), Stopping())
    assert counting.cancelled == ["lr=1", "lr=2"]


def test_a_cluster_is_not_asked_where_no_job_is_left(monkeypatch):
    monkeypatch.setattr(Counting, "__enter__", lambda self: pytest.fail("asked"))
    ClusterRunner(Counting(9)).run(iter([]), Following())
