"""The order of a sweep's jobs."""

import heapq
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.sweep.job import Job
from tsmtl.sweep.job_order import LongestFirst


def grid(**values: list[int]) -> list[Job]:
    """Jobs of all combinations, the last setting changing first, as Hydra has them."""
    swept: list[dict[str, str]] = [{}]
    for key, of_key in values.items():
        swept = [{**one, key: str(value)} for one in swept for value in of_key]
    return [Job(one, one, frozenset(one), {}) for one in swept]


def end_of_all(jobs: Iterator[Job], processes: int, seconds: Callable[[Job], float]) -> float:
    """Let so many processes take jobs as they come free; give when the last one ends."""
    now, busy = 0.0, list[tuple[float, int, Job]]()
    told = jobs.ended if isinstance(jobs, LongestFirst) else lambda job, seconds: None
    for number, job in enumerate(jobs):
        heapq.heappush(busy, (now + seconds(job), number, job))
        if len(busy) == processes:
            now, _, done = heapq.heappop(busy)
            told(done, seconds(done))
    return max((end for end, _, _ in busy), default=now)


def test_one_process_takes_the_jobs_as_they_were_listed():
    jobs = grid(lr=[1, 2, 3], hidden_size=[4, 8, 16])
    order, taken = LongestFirst(jobs), list[Job]()
    for job in order:
        taken.append(job)
        order.ended(job, float(job.swept["hidden_size"]))
    assert taken == jobs


def test_of_two_processes_none_waits_for_the_longest_job():
    jobs = grid(lr=[1, 2, 3, 4], hidden_size=[4, 8, 16, 32])
    seconds = {job.name: float(job.swept["hidden_size"]) for job in jobs}
    half = sum(seconds.values()) / 2
    assert end_of_all(iter(jobs), 2, lambda job: seconds[job.name]) == half + 16
    assert end_of_all(LongestFirst(jobs), 2, lambda job: seconds[job.name]) <= half + 4


def test_values_that_none_had_yet_come_before_those_known_to_be_short():
    jobs = grid(hidden_size=[4, 8, 16, 32])
    order = LongestFirst(jobs)
    first, second = next(order), next(order)
    order.ended(first, 4.0)
    assert next(order).name == "hidden_size=16"
    order.ended(second, 8.0)
    assert next(order).name == "hidden_size=32"


@pytest.mark.parametrize(("took", "then"), [(None, [4, 8]), (0.0, [4, 8]), (4.0, [8, 4])])
def test_a_job_that_was_not_done_says_nothing_of_its_settings(took, then):
    order = LongestFirst(grid(seed=[0, 1, 2], hidden_size=[4, 8]))
    first, second, _ = (next(order) for _ in range(3))
    order.ended(second, 8.0)
    order.ended(first, took)
    expected = ["seed=1 hidden_size=8", *(f"seed=2 hidden_size={size}" for size in then)]
    assert [next(order).name for _ in expected] == expected


@pytest.mark.parametrize("processes", [1, 2, 5])
@given(data=st.data(), n=st.integers(0, 12))
def test_every_job_is_given_once_and_the_last_one_is_known(processes, data, n):
    jobs = grid(hidden_size=list(range(n)), seed=[0, 1])
    order, busy, given_out = LongestFirst(jobs), list[Job](), list[Job]()
    while True:
        while len(busy) < processes and (job := next(order, None)) is not None:
            busy.append(job)
            given_out.append(job)
        if not busy:
            break
        assert order.last_is_under_way == (len(given_out) == len(jobs) and len(busy) == 1)
        order.ended(busy.pop(data.draw(st.integers(0, len(busy) - 1))), data.draw(st.none() | st.floats(0, 1e6)))
    assert sorted(job.name for job in given_out) == sorted(job.name for job in jobs)
