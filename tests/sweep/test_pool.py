"""Processes of a sweep that cannot start."""

from typing import Any

import pytest

from tsmtl.config.errors import FailedError
from tsmtl.sweep.gpus import visible_gpus
from tsmtl.sweep.job import Job, Needs, Outcome
from tsmtl.sweep.pool import MOST_STARTS, Pool
from tsmtl.sweep_worker import _use_gpu


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
    pool.slots = n_jobs or 8
    assert (pool.processes, pool._threads()) == (processes, threads)


@pytest.mark.parametrize(
    ("devices", "gpus", "jobs_per_gpu", "at_a_time"),
    [(1, 0, 1, 8), (2, 0, 1, 4), (16, 0, 1, 1), (1, 4, 1, 4), (1, 4, 3, 12), (1, 0, 3, 8), (2, 4, 3, 1)],
)
def test_jobs_of_several_devices_are_fewer_at_a_time(monkeypatch, devices, gpus, jobs_per_gpu, at_a_time):
    monkeypatch.setattr("tsmtl.sweep.pool.may_have", lambda gpu: gpu)
    monkeypatch.setattr("tsmtl.sweep.pool.visible_gpus", lambda: [str(number) for number in range(gpus)])
    needs = Needs(gpu=gpus > 0, devices=devices)
    pool = Pool(None, 100, 100, needs=needs, cores=8, jobs_per_gpu=jobs_per_gpu)
    assert (pool.slots, pool._threads()) == (at_a_time, max(1, 8 // at_a_time))


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Let a script be Python, in which PyTorch finds two GPUs; give what the processes of a sweep were started with.

    A line each: what CUDA_VISIBLE_DEVICES says, the slot that it was told, and how many share the GPU.
    """
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\ncase "$*" in *device_count*) echo 2; exit;; esac\n'
        "read -r place; slot=${place#*: }\n"
        'echo "${CUDA_VISIBLE_DEVICES-all} ${slot%%,*} $4" >> "$0.log"\necho \'{"event": "ready"}\'\n'
        'while read -r line; do echo \'{"event": "ended", "status": "done", "reason": "", "leaves": false}\'; done\n'
    )
    python.chmod(0o755)
    (tmp_path / "gpu").touch()
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setattr("tsmtl.sweep.pool.GPU_FILES", (str(tmp_path / "gpu"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def lines() -> list[str]:
        return sorted((tmp_path / "python.log").read_text().splitlines(), key=lambda line: int(line.split()[1]))

    return lines


@pytest.mark.parametrize(
    ("n_jobs", "jobs_per_gpu", "jobs", "visible", "expected"),
    [
        (None, 1, 9, None, ["0 0 1", "1 1 1"]),
        (None, 3, 9, None, ["0 0 3", "1 1 3", "0 2 3", "1 3 3", "0 4 3", "1 5 3"]),
        (None, 2, 3, None, ["0 0 2", "1 1 1", "0 2 2"]),  # three jobs: the second GPU has one to itself
        (3, 1, 9, None, ["0 0 2", "1 1 1", "0 2 2"]),
        (1, 4, 9, None, ["0 0 1"]),
        (None, 1, 9, "5,GPU-8932f937", ["5 0 1", "GPU-8932f937 1 1"]),
    ],
)
def test_each_process_is_told_its_gpu_and_how_many_share_it(
    started, monkeypatch, n_jobs, jobs_per_gpu, jobs, visible, expected
):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    pool = Pool(n_jobs, jobs, jobs, needs=Needs(gpu=True), jobs_per_gpu=jobs_per_gpu)
    pool.run(iter([Job({}, {}, frozenset(), {})] * jobs), Nobody())
    assert started() == expected


def test_jobs_of_several_devices_and_those_of_the_cpu_see_all_gpus(started):
    for needs in (Needs(gpu=True, devices=2), Needs(gpu=False)):
        Pool(1, 2, 2, needs=needs, jobs_per_gpu=2).run(iter([Job({}, {}, frozenset(), {})] * 2), Nobody())
    assert started() == ["all 0 1", "all 0 1"]


@pytest.mark.usefixtures("started")
def test_gpus_are_those_that_pytorch_counts_under_the_names_of_the_environment(tmp_path, monkeypatch):
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", " 3, 7,9")
    assert visible_gpus() == ["3", "7"]
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    assert visible_gpus() == [], "no PyTorch, no GPUs; the processes of the sweep say the rest"


@pytest.mark.parametrize(("devices", "slot", "sharing"), [(0, 1, 2), (1, 3, 1), (1, 3, 4), (2, 3, 1)])
def test_a_process_takes_its_part_of_the_memory_of_its_gpu(monkeypatch, devices, slot, sharing):
    did: list[Any] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: devices)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: did.append(device))
    monkeypatch.setattr("torch.cuda.set_per_process_memory_fraction", lambda share: did.append(share))
    _use_gpu(slot, sharing)
    assert did == ([slot % devices] if devices else []) + ([1 / sharing] if devices and sharing > 1 else [])
