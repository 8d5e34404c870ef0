"""Files that are written whole or not at all."""

import os

import pytest

from tsmtl.storage.whole import whole_file


def test_a_file_takes_the_old_ones_place_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(5, "of the input", "in.npz")])
def test_whatever_fails_the_old_file_stays_and_the_error_is_its_own(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert raised.value is error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_full_disk_names_the_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with whole_file(path) as file:
            if failing == "write":
                full(0)
            monkeypatch.setattr(os, "fsync", full)
            file.write(b"new")

    with pytest.raises(OSError, match="No space left on device") as raised:
        write()
    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_not_there_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No such file") as raised, whole_file(tmp_path / "none" / "a.txt"):
        pass
    assert raised.value.filename == str(tmp_path / "none" / "a.txt")


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with whole_file(tmp_path / "link.txt") as file:
        file.write(b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
