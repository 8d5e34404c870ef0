"""Processes of a sweep: kept on cores, started once, and fed from one reading of the data."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

import tsmtl.data.shared
from tests.sweep.conftest import write_series
from tsmtl.sweep.job import Job, Needs
from tsmtl.sweep.pool import Pool

# A plugin that notes where and how often things happen, a line each: what, process, more.
NOTED = """
import os
import tsmtl.loaded
import tsmtl.run

inside, fit = tsmtl.loaded.load_bundle, tsmtl.run._threads


def note(what, more=""):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {os.getpid()} {more}\\n")


def noted(*given):
    note("read")
    return inside(*given)


def noted_threads(*given):
    note("run", ",".join(map(str, sorted(os.sched_getaffinity(0)))))
    return fit(*given)


note("import")
tsmtl.loaded.load_bundle, tsmtl.run._threads = noted, noted_threads
"""
JOBS = ["lr=1e-2,3e-3,1e-3,3e-4", "seed=0,1", "num_epochs=1", "plugins=[tiny_plugin,noted_plugin]"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are kept on cores on Linux alone")


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Give what the processes have noted: lines of what, process, more."""
    (tmp_path / "noted_plugin.py").write_text(NOTED)
    path = tmp_path / "notes"
    monkeypatch.setenv("NOTES", str(path))
    return lambda: [line.split(" ") for line in path.read_text().splitlines()]


@pytest.fixture
def two_cores():
    """Keep this process on two cores at most, which the processes that it starts inherit."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:2])
    yield sorted(before)[:2]
    os.sched_setaffinity(0, before)


@linux
def test_a_process_imports_once_stays_on_its_cores_and_the_data_is_read_once_for_all(sweep, tmp_path, notes, two_cores):
    answer = sweep(*JOBS)
    assert answer.code == 0, answer.err
    said = notes()
    counts = Counter(what for what, _, _ in said)
    workers = {process for _, process, _ in said}
    assert len(workers) == len(two_cores)
    assert counts == {"import": len(workers), "read": 1, "run": 8}
    cores = {process: {more for what, p, more in said if what == "run" and p == process} for process in workers}
    assert sorted(core for of_one in cores.values() for core in of_one) == sorted(map(str, two_cores))
    assert not [path for path in (tmp_path / "s").iterdir() if path.name.startswith(".")]
    summaries = [json.loads(path.read_text()) for path in (tmp_path / "s").glob("*/summary.json")]
    assert {summary["threads"] for summary in summaries} == {1}


@linux
def test_other_data_is_read_too_and_a_file_that_changes_between_two_sweeps_again(sweep, tmp_path, notes):
    write_series(tmp_path / "other.npz", seed=1)
    words = [*JOBS[1:], "hydra.launcher.n_jobs=1"]
    assert sweep(*words, "data.path=data.npz,other.npz").code == 0
    assert Counter(what for what, _, _ in notes())["read"] == 2
    hashes = {json.loads(path.read_text())["data"]["sha256"] for path in (tmp_path / "s").glob("*/summary.json")}
    assert len(hashes) == 2
    write_series(tmp_path / "data.npz", seed=2)
    assert sweep(*words).code == 0
    assert Counter(what for what, _, _ in notes())["read"] == 3
    hashes |= {json.loads(path.read_text())["data"]["sha256"] for path in (tmp_path / "s").glob("*/summary.json")}
    assert len(hashes) == 3


@pytest.mark.parametrize(("words", "written"), [(["data.seed=1,2,3"], 0), (["data.seed=1,2", "seed=0,1"], 2)])
def test_data_that_one_job_alone_needs_is_not_written(sweep_here, monkeypatch, words, written):
    done, write = [], tsmtl.data.shared._write
    monkeypatch.setattr("tsmtl.data.shared._write", lambda path, value: done.append(path.parent) or write(path, value))
    assert sweep_here(*words).code == 0
    assert len(set(done)) == written


@linux
def test_jobs_that_start_from_a_checkpoint_with_settings_of_its_own_read_once_too(sweep, own_model, notes):
    first = [*own_model, "data.scale=minmax", "num_epochs=1", "hydra.run.dir=first"]
    subprocess.run([sys.executable, "-m", "tsmtl.train", *first], check=True)  # the plugin changes its process
    words = ["stage=finetune", "pretrained_path=first/best_model.pt", "lr=1e-2,1e-3,1e-4", "num_epochs=1"]
    answer = sweep(*words, "plugins=[tiny_plugin,noted_plugin]")
    assert answer.code == 0, answer.err
    assert Counter(what for what, _, _ in notes())["read"] == 1


@linux
def test_shared_data_gives_the_numbers_of_data_read_alone(sweep_here, tsmtl_train, tmp_path):
    assert sweep_here("hidden_size=4", "seed=0,1").code == 0
    alone = ["model=gru", "hidden_size=4", "data=npz", "data.path=data.npz", "device=cpu", "num_epochs=1", "seed=1"]
    assert tsmtl_train(*alone, "hydra.run.dir=alone").code == 0
    job = next((tmp_path / "s").glob("seed=1-*"))
    for name in ("predictions_test.csv",):
        assert (job / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def pool_of(monkeypatch, usable, n_jobs, needs=None, quota=None, **more):
    for module in ("tsmtl.sweep.pool", "tsmtl.config.processor"):
        monkeypatch.setattr(f"{module}.usable_cores", lambda: usable)
    monkeypatch.setattr("tsmtl.config.processor.core_quota", lambda: quota)
    return Pool(n_jobs, 100, 100, needs or Needs(), **more)


@pytest.mark.parametrize(
    ("n_jobs", "needs", "expected"),
    [
        (None, Needs(), [[1], [3], [5], [7]]),
        (2, Needs(), [[1, 3], [5, 7]]),
        (3, Needs(), [[1], [3], [5]]),
        (1, Needs(), [[1, 3, 5, 7]]),
        (8, Needs(), [None] * 8),
        (None, Needs(devices=2), [[1, 3], [5, 7]]),
        (None, Needs(threads=2), [[1, 3], [5, 7]]),
        (4, Needs(threads=2), [None] * 4),
        (None, Needs(devices=2, threads=4), [None]),
    ],
)
def test_each_process_has_its_share_of_the_cores_of_the_sweep(monkeypatch, n_jobs, needs, expected):
    pool = pool_of(monkeypatch, [1, 3, 5, 7], n_jobs, needs)
    assert pool.processes == len(expected)
    assert [pool._cores_of(slot) for slot in range(len(expected))] == expected


def test_nobody_is_kept_on_cores_that_others_share(monkeypatch):
    assert pool_of(monkeypatch, [0, 1, 2, 3], None, quota=2).processes == 2
    assert pool_of(monkeypatch, [0, 1, 2, 3], None, quota=2)._cores_of(0) is None
    assert pool_of(monkeypatch, [0, 1, 2, 3], 1, cores=2)._cores_of(0) is None, "a job of a cluster's"


def test_a_job_needs_as_many_cores_as_it_asks_for():
    flats = [{"devices": 1, "trainer": {"threads": None}}, {"devices": 2, "trainer": {"threads": 3}}]
    needs = Needs.of([Job({}, flat, frozenset(), {}) for flat in flats])
    assert (needs.devices, needs.threads, needs.cores) == (2, 3, 6)
