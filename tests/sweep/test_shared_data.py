"""Data sets of a sweep have a folder as long as several jobs read them."""

import pytest

from tsmtl.sweep.job import Job
from tsmtl.sweep.shared_data import SharedData


@pytest.fixture
def job(compose):
    return lambda *words: Job({}, compose(*words).flat, frozenset(), {})


@pytest.fixture
def folders(tmp_path):
    """Give the names of the folders that are there."""
    return lambda: {path.name for path in tmp_path.iterdir()}


def name_of(job):
    return job.settings().data_name


def test_what_one_job_alone_reads_has_none_and_what_others_read_until_the_last_has_ended(tmp_path, job, folders):
    jobs = [job("data.seed=1", "lr=0.1"), job("data.seed=2"), job("data.seed=1", "lr=0.01")]
    data = SharedData(tmp_path, jobs)
    for one in jobs[:2]:
        data.begins(one)
        assert folders() == {name_of(jobs[0])}
        (tmp_path / name_of(jobs[0]) / "file").touch()
        data.ended(one)
    data.begins(jobs[2])
    assert folders() == {name_of(jobs[0])}
    data.ended(jobs[2])
    assert not folders()


def test_of_jobs_that_are_not_known_yet_it_is_there_until_another_one_is_asked_for(tmp_path, job, folders):
    one, other = job("data.seed=1"), job("data.seed=2")
    data = SharedData(tmp_path)
    data.begins(one)
    data.begins(one)
    data.ended(one)
    data.begins(other)
    assert folders() == {name_of(one), name_of(other)}
    data.ended(other)
    data.ended(one)
    assert folders() == {name_of(one), name_of(other)}
    data.begins(one)
    assert folders() == {name_of(one)}


def test_a_pretraining_reads_its_data_too(tmp_path, job, folders):
    jobs = [job("experiment=pretrain_finetune", f"lr={lr}") for lr in (0.1, 0.01)]
    SharedData(tmp_path, jobs)
    settings = jobs[0].settings()
    assert folders() == {settings.data_name, settings.pretraining.data_name}


def test_the_same_tasks_in_another_order_are_other_data(job):
    tasks = ["{name: a, target: fault, kind: cls}", "{name: b, target: severity, kind: reg}"]
    both = [job("task=custom", f"tasks=[{','.join(order)}]") for order in (tasks, tasks[::-1])]
    assert len(set(map(name_of, both))) == 2


def test_without_a_place_nothing_is_shared(job):
    data = SharedData(None, [job(), job()])
    data.begins(job())
    data.ended(job())
    assert data.place is None


def test_a_full_disk_stops_no_sweep(tmp_path, job):
    jobs = [job(), job()]
    data = SharedData(tmp_path / "nowhere", jobs)
    data.begins(jobs[0])
    data.ended(jobs[0])
