"""What the file of ``data=npz`` may be: a whole .npz file, read without running code, and closed again."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_npz import BOTH
from tests.data.test_npz_refusals import without
from tsmtl.config.errors import UserError
from tsmtl.data.loading import load_bundle


@pytest.mark.parametrize("content", ["text", "npy", "pickle", "empty", "truncated"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, arrays, settings_of, refuses, content):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    whole = path.read_bytes()
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, arrays["X"])
    else:
        path.write_bytes(
            {"text": b"a,b\n1,2\n", "pickle": pickle.dumps([1, 2]), "empty": b"", "truncated": whole[:-50]}[content]
        )
    said = "a single array; tsmtl reads .npz files" if content == "npy" else "not a readable .npz file ("
    with refuses(f"{path}: {said}"):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


def test_damaged_bytes_inside_an_array_are_refused(tmp_path, arrays, settings_of, refuses):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("X.npy").header_offset
    content = bytearray(path.read_bytes())
    name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
    first = start + 30 + name + extra
    content[first : first + 40] = b"\xff" * 40  # no such kind of deflate block
    path.write_bytes(bytes(content))
    with refuses(f"{path}: 'X' cannot be read, the file is damaged ("):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


@pytest.mark.parametrize(
    ("member", "said"),
    [("X", "'X' is no array; save it with numpy.savez"), ("X.npy", "'X'")],
)
def test_a_zip_of_other_things_is_refused(tmp_path, settings_of, refuses, member, said):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, "1,2,3")
    with refuses(f"{path}: {said}"):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed under /proc")
@pytest.mark.parametrize("content", ["whole", "refused", "truncated"])
def test_the_file_is_closed_whatever_becomes_of_it(tmp_path, arrays, settings_of, content):
    path = tmp_path / "data.npz"
    np.savez(path, **(without(arrays, "y_cls") if content == "refused" else arrays))
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
    try:
        kept = load_bundle(settings_of("npz", path=str(path)), BOTH)
    except UserError as error:
        kept = error  # with its frames
    assert isinstance(kept, UserError) == (content != "whole")
    assert str(path) not in {os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("absent.npz", ["data.path: there is no file", "absent.npz; check the name, or the folder you started from"]),
        ("folder.npz", ["data.path:", "folder.npz is a folder without any .npy file"]),
    ],
)
def test_a_path_without_a_file_is_refused(tmp_path, settings_of, refuses, name, parts):
    (tmp_path / "folder.npz").mkdir()
    with refuses(*parts):
        load_bundle(settings_of("npz", path=str(tmp_path / name)), BOTH)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["X", "y_cls", "y_reg", "g", "n", "c", "k", "s"])
def test_an_object_array_is_refused_and_never_unpickled(tmp_path, arrays, load_arrays, refuses, name):
    folder = tmp_path / "made_by_the_payload"
    arrays |= {"g": np.arange(40), "n": np.full(40, 8), "c": np.array(["a", "b"]), "k": np.array(["a", "b", "c"])}
    arrays["s"] = np.repeat([0, 1], 20)
    arrays[name] = np.array([Payload(folder)] * len(arrays[name]), dtype=object)
    keys = {"group_key": "g", "lengths_key": "n", "channels_key": "c", "class_names_key": "k", "split_key": "s"}
    with refuses(f"data.npz: '{name}' is an object array, which could run code", "save it with a plain type"):
        load_arrays(arrays, test_fold=1, **keys)
    assert not folder.exists()
    with np.load(tmp_path / "data.npz", allow_pickle=True) as unsafe:
        _ = unsafe[name]
    assert folder.exists()  # the payload was live
