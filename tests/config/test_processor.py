"""What is known of the processor before PyTorch is imported."""

import os
import sys

import pytest

from tsmtl.config.processor import core_count, core_quota, usable_cores, wait_briefly


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_wait_briefly_unless_the_user_says_how(given, spins):
    environment = dict(given)
    wait_briefly(environment)
    assert environment.get("GOMP_SPINCOUNT") == spins


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
def test_the_cores_are_those_that_the_process_is_kept_on():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == [min(before)]
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("member", "files", "cores"),
    [
        ("0::/job\n", {"job/cpu.max": "250000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        (
            "4:memory:/job\n3:cpu,cpuacct:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "400000\n", "cpu/job/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/../outside\n", {}, None),
        ("", {}, None),
    ],
)
def test_a_container_may_use_the_time_of_so_many_cores(tmp_path, member, files, cores):
    (tmp_path / "member").write_text(member)
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert core_quota(tmp_path / "groups", tmp_path / "member") == cores


@pytest.mark.parametrize(("quota", "cores"), [(None, 3), (2, 2), (5, 3)])
def test_a_process_has_the_cores_that_it_may_run_on_or_fewer(monkeypatch, quota, cores):
    monkeypatch.setattr("tsmtl.config.processor.usable_cores", lambda: [0, 4, 5])
    monkeypatch.setattr("tsmtl.config.processor.core_quota", lambda: quota)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert core_count({}) == cores
    assert core_count({"OMP_PROC_BIND": "close"}) == (quota or 8)  # the one that asks is kept on a core of its own


def test_where_nothing_is_told_there_is_no_limit(tmp_path):
    assert core_quota(tmp_path, tmp_path / "nothing") is None
