"""What processes share: made once, the same everywhere, and nobody's to spoil."""

import multiprocessing
import os
import resource
import signal
import sys
from shutil import rmtree
from types import SimpleNamespace

import numpy as np
import pytest

from tsmtl.config.errors import UserError
from tsmtl.data.shared import shared


class Made:
    """Counts how often something is made."""

    def __init__(self, value):
        self.value, self.times = value, 0

    def __call__(self):
        self.times += 1
        return self.value


@pytest.mark.parametrize(
    "arrays",
    [
        [np.arange(12, dtype=np.float32).reshape(3, 4), np.array(["a", "bc"]), np.zeros((0, 3))],
        [np.asfortranarray(np.ones((3, 5)))[::2], np.array([1, -1], dtype=np.int8)],
        [],
    ],
    ids=["plain", "not contiguous", "none"],
)
def test_it_is_made_once_and_comes_back_with_the_same_bits(tmp_path, arrays):
    make = Made({"arrays": arrays, "names": ["x", "ä"], "one": 1.5})
    found = [shared(tmp_path, "0f", make) for _ in range(3)]
    assert make.times == 1
    for other in found[1:]:
        assert other["names"] == ["x", "ä"]
        assert other["one"] == 1.5
        for a, b in zip(arrays, other["arrays"], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_what_one_writes_no_other_sees(tmp_path):
    make = Made(np.zeros(10_000))
    shared(tmp_path, "0f", make)
    mine = shared(tmp_path, "0f", make)
    mine += 1
    assert not shared(tmp_path, "0f", make).any()


def test_arrays_lie_where_the_vectors_of_the_processor_begin(tmp_path):
    make = Made([np.ones(3, dtype=np.int8), np.ones(5, dtype=np.float32), np.ones(7)])
    shared(tmp_path, "0f", make)
    assert [array.ctypes.data % 64 for array in shared(tmp_path, "0f", make)] == [0, 0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_shared_is_in_memory_once(tmp_path):
    make = Made(np.ones(2**20))
    shared(tmp_path, "0f", make)
    found = shared(tmp_path, "0f", make)
    found.sum()
    with open("/proc/self/smaps") as lines:
        text = lines.read()
    own = text[text.index("0f.arrays") :]
    values = dict(line.split()[:2] for line in own.splitlines()[1:20] if line.split()[0].endswith(":"))
    assert int(values["Rss:"]) >= 8 * 1024
    assert int(values["Anonymous:"]) == 0, "a copy of this process alone"


@pytest.mark.parametrize("case", ["map", "file"])
def test_what_lies_in_a_file_of_its_own_is_not_copied(tmp_path, case):
    with (tmp_path / "x").open("w+b") as file:
        value = np.memmap(file, dtype=np.float32, shape=(4,), mode="w+") if case == "map" else {"file": file}
        make = Made(value)
        assert shared(tmp_path, "0f", make) is value
        assert shared(tmp_path, "0f", make) is value
    assert make.times == 2
    assert not (tmp_path / "0f.arrays").exists()


def test_a_full_disk_only_means_that_each_makes_its_own(tmp_path, monkeypatch):
    def full(*given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tsmtl.data.shared.whole_file", full)
    make = Made([1, 2])
    assert [shared(tmp_path, "0f", make) for _ in range(2)] == [[1, 2], [1, 2]]
    assert make.times == 2


def test_an_error_is_everyones_own(tmp_path):
    def fail():
        raise UserError("data.path: no")

    for _ in range(2):
        with pytest.raises(UserError, match="no"):
            shared(tmp_path, "0f", fail)
    assert shared(tmp_path, "0f", Made(3)) == 3


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_while_it_makes_it_leaves_it_to_the_next(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=shared, args=(tmp_path, "0f", _die))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert shared(tmp_path, "0f", Made(3)) == 3


def test_without_a_folder_each_makes_its_own(tmp_path):
    make = Made([1, 2])
    assert [shared(tmp_path / "none", "0f", make) for _ in range(2)] == [[1, 2], [1, 2]]
    assert make.times == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("free", "times"), [(3 * 800, 1), (3 * 800 - 1, 2)])
def test_it_leaves_the_disk_twice_the_room_that_it_takes(tmp_path, monkeypatch, free, times):
    monkeypatch.setattr("tsmtl.data.shared.disk_usage", lambda path: SimpleNamespace(free=free))
    make = Made(np.ones(100))
    for _ in range(2):
        assert shared(tmp_path, "0f", make).sum() == 100
    assert make.times == times
    assert (tmp_path / "0f.arrays").exists() == (times == 1)


def test_half_of_it_does_not_stay(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        assert shared(tmp_path, "0f", Made(np.ones(10_000))).sum() == 10_000
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "0f").exists()
    assert not (tmp_path / "0f.arrays").exists()


def test_a_disk_without_room_for_a_lock_stops_nobody(tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tsmtl.data.shared.FileLock", full)
    assert shared(tmp_path, "0f", Made(3)) == 3


def test_nor_does_a_folder_that_is_removed_meanwhile(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    make = Made(3)
    assert shared(folder, "0f", lambda: rmtree(folder) or make()) == 3
    assert make.times == 1
