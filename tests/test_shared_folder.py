"""A folder that lives as long as the process that it belongs to."""

import multiprocessing
import os
import signal
import time

from filelock import FileLock

from tsmtl.storage.shared_folder import A_DAY, BEGUN, folder_to_share, remove_if_left


def _killed_in(place):
    with folder_to_share(place) as folder:
        (folder / "data").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_it_is_gone_at_the_end_and_so_is_that_of_a_killed_process(tmp_path):
    (tmp_path / "job").mkdir()
    process = multiprocessing.get_context("fork").Process(target=_killed_in, args=(tmp_path,))
    process.start()
    process.join()
    (left,) = tmp_path.glob(".*")
    assert (left / "data").exists()
    with folder_to_share(tmp_path) as folder:
        assert not left.exists()
        assert folder.stat().st_mode & 0o077 == 0, "of this user alone"
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_what_was_begun_a_day_ago_is_gone_and_what_is_being_begun_stays(tmp_path):
    for name, age in (("old", A_DAY + 60), ("new", 0)):
        (tmp_path / f"{BEGUN}{name}").mkdir()
        os.utime(tmp_path / f"{BEGUN}{name}", times=(time.time() - age,) * 2)
    with folder_to_share(tmp_path):
        assert [path.name for path in tmp_path.glob(f"{BEGUN}*")] == [f"{BEGUN}new"]


def test_one_is_removed_once_its_process_holds_it_no_more(tmp_path):
    with folder_to_share(tmp_path) as folder:
        remove_if_left(folder)
        assert folder.exists()
    folder.mkdir()
    remove_if_left(folder)
    assert not folder.exists()


def test_that_of_another_process_that_lives_stays(tmp_path):
    with folder_to_share(tmp_path) as first:
        (first / "data").touch()
        with folder_to_share(tmp_path) as second:
            assert (first / "data").exists()
            assert second != first
        assert (first / "data").exists()
    assert not list(tmp_path.iterdir())


def test_one_that_another_process_is_making_stays(tmp_path, monkeypatch):
    made = []

    class Interrupted(FileLock):
        """Lets another process come before each lock of this one is taken."""

        def acquire(self, *given, **named):
            monkeypatch.setattr("tsmtl.storage.shared_folder.FileLock", FileLock)
            with folder_to_share(tmp_path) as other:
                made.append(other)
            return super().acquire(*given, **named)

    monkeypatch.setattr("tsmtl.storage.shared_folder.FileLock", Interrupted)
    with folder_to_share(tmp_path) as folder:
        assert made
        assert folder.stat().st_mode & 0o077 == 0, "of this user alone"
    assert not list(tmp_path.iterdir())
