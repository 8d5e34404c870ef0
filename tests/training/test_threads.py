"""The number of threads follows from the model and the batch alone."""

import threading
import time

import pytest
import torch

from tsmtl.models.registry import build_backbone
from tsmtl.training.threads import WORTH_A_THREAD, by_one_thread_each, threads_for, threads_put_back

RECURRENT = {"hidden_size": 64, "num_layers": 2, "dropout": 0.1, "bidirectional": True, "readout": "last"}


@pytest.fixture
def eight(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("tsmtl.training.threads.core_count", lambda: 8)


def convolution(weights: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv1d(1, weights, 1), torch.nn.Linear(weights, 10_000))


@pytest.mark.parametrize(("batches", "threads"), [(0.5, 1), (1.9, 1), (2.1, 2), (7.5, 7), (100, 8)])
def test_every_so_many_multiply_adds_of_convolutions_are_worth_a_thread(eight, batches, threads):
    assert threads_for(convolution(100), int(batches * WORTH_A_THREAD / 10_000), steps=100) == threads


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_recurrent_layers_run_in_one(eight, model):
    assert threads_for(build_backbone(model, dict(RECURRENT), 9, 128), 256, 128) == 1


def test_a_container_has_no_more_threads_than_it_has_the_time_of_cores(eight, monkeypatch):
    monkeypatch.setattr("tsmtl.training.threads.core_count", lambda: 3)
    assert threads_for(convolution(10_000), 10**6, 100) == 3


def test_a_run_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    with threads_put_back():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before


@pytest.fixture
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("quota", [None, 1, 2])
def test_each_part_is_done_once_by_a_thread_that_works_alone(three, monkeypatch, quota):
    monkeypatch.setattr("tsmtl.training.threads.core_count", lambda: quota or 8)
    done, threads = [], set()

    def work(part):
        assert torch.get_num_threads() == 1
        threads.add(threading.get_ident())
        done.append(part)
        time.sleep(0.02)  # for the others to take theirs

    by_one_thread_each(work, iter(range(9)))
    assert sorted(done) == list(range(9))
    assert len(threads) == (quota or 3)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("parts", [1, 50])
def test_what_fails_in_a_part_is_raised_and_ends_the_work(three, parts):
    done = []

    def work(part):
        done.append(part)
        if part == 0:
            raise RuntimeError("no memory")
        time.sleep(0.02)

    with pytest.raises(RuntimeError, match="no memory"):
        by_one_thread_each(work, range(parts))
    assert len(done) < 20
    assert torch.get_num_threads() == 3
