import ast
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tsmtl
from tsmtl.checkpoint import archive
from tsmtl.checkpoint.file import FORMAT_VERSION, KEYS, read_checkpoint, write_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.storage import whole


def content(epoch: int = 3) -> dict[str, Any]:
    """Give what a run may store: tensors and plain values."""
    return {
        "settings": {"model": "gru", "lr": 1e-3, "plugins": [], "data": {"path": None, "scale": "standard"}},
        "backbone": {"name": "gru", "arguments": {"hidden_size": 4, "bidirectional": True}, "input_size": 2},
        "input": {"channels": ["a", "b"], "preparation": {"mean": [0.1, -2.5]}},
        "tasks": {"cls": {"class_names": ["안녕", "b"], "unit": None}},
        "state": {
            "w": torch.linspace(-1, 1, 7),
            "double": torch.tensor([1e-300], dtype=torch.float64),
            "count": torch.tensor(5),
            "odd": torch.tensor([float("nan"), float("inf")]),
        },
        "epoch": epoch,
        "score": 0.123456789012345,
        "monitor": "val/loss",
        "versions": {"tsmtl": "0"},
    }


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    back = read_checkpoint(path)
    assert back.pop("format_version") == FORMAT_VERSION
    expected = content()
    tensors, expected_tensors = back.pop("state"), expected.pop("state")
    assert back == expected
    assert list(tensors) == list(expected_tensors)
    for name, tensor in expected_tensors.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0, equal_nan=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


def test_writing_replaces_the_old_checkpoint(tmp_path):
    path = tmp_path / "best.pt"
    for epoch in (1, 2):
        write_checkpoint(path, content(epoch))
    assert read_checkpoint(path)["epoch"] == 2


def fails(*arguments: Any, **options: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("owner", "name"), [(archive.torch, "save"), (whole.os, "fsync"), (Path, "replace")])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, owner, name):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content(epoch=1))
    before = path.read_bytes()
    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, content(epoch=2))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


def test_a_disk_that_is_full_halfway_is_an_os_error_and_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "best.pt"
    write_checkpoint(path, content(epoch=1))
    big = content(epoch=2) | {"state": {"w": torch.zeros(1_000_000)}}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))  # the system refuses to write beyond it
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(path, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(path)["epoch"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


def test_content_must_be_complete(tmp_path):
    partial = content()
    del partial["score"]
    with pytest.raises(AssertionError, match="score"):
        write_checkpoint(tmp_path / "best.pt", partial)
    assert not list(tmp_path.iterdir())


def test_subclasses_of_plain_values_become_plain(tmp_path):
    path = tmp_path / "best.pt"
    versions = {"torch": torch.__version__, "label": np.str_("a"), "mean": np.float64(0.5)}  # reading refuses these
    write_checkpoint(path, content() | {"versions": versions})
    back = read_checkpoint(path)["versions"]
    assert back == versions
    assert [type(value) for value in back.values()] == [str, str, float]


@pytest.mark.parametrize("value", [np.zeros(2), Path("a"), {1, 2}, object()], ids=lambda v: type(v).__name__)
def test_what_reading_would_refuse_is_refused_when_it_is_written(tmp_path, value):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content(epoch=1))
    with pytest.raises(TypeError, match=rf"\(got {type(value).__name__} in settings\.data\.path\)$"):
        write_checkpoint(path, content(epoch=2) | {"settings": {"data": {"path": [value]}}})
    assert read_checkpoint(path)["epoch"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(UserError) as error:
            read_checkpoint(path)
        assert error.value.lines == [f"{path}: there is no such checkpoint"]


@pytest.mark.parametrize("text", ["", "model: gru\n", "\x80\x02}q\x00."])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    path = tmp_path / "notes.pt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert error.value.lines == [f"{path}: not a checkpoint of tsmtl (nor any archive of PyTorch)"]


def test_a_foreign_archive_is_refused(tmp_path):
    path = tmp_path / "arrays.pt"
    with path.open("wb") as file:
        np.savez(file, X=np.zeros(3))
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert error.value.lines == [f"{path}: not a readable checkpoint of tsmtl"]


def test_the_state_of_a_run_is_no_model(tmp_path):
    path = tmp_path / "last.pt"
    torch.save({"format_version": 1, "optimizer": {}}, path)
    with pytest.raises(UserError, match="state of a run under way, for resume=true; take its best_model"):
        read_checkpoint(path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path, share):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    (line,) = error.value.lines
    assert line.startswith(f"{path}: damaged or cut off")
    assert line.endswith("; take another copy")


def test_a_flipped_bit_is_refused_but_in_the_length_of_the_digest(tmp_path):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    length = whole.rindex(archive.DIGEST) - 2  # of two bytes; too large, it changes nothing that is read
    tables = np.arange(len(whole) - 900, len(whole))  # where a changed bit can make PyTorch give memory never written
    for at in [*rng.choice(len(whole), 200, replace=False), *tables]:
        if at in (length, length + 1):
            continue
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(UserError) as error:
            read_checkpoint(path)
        assert len(error.value.lines) == 1, at


def test_a_changed_mark_of_a_part_is_refused(tmp_path):
    """The attributes of a zip entry have no checksum; with one bit PyTorch takes the weights for an empty folder."""
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    whole = bytearray(path.read_bytes())
    entry = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"archive/data/0"))
    whole[entry + 38] ^= 0x10  # external attributes: a folder
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"damaged or cut off, it does not fit its digest; take another copy$"):
        read_checkpoint(path)


def test_other_programs_read_the_file_too(tmp_path):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    torch.testing.assert_close(torch.load(path, weights_only=True)["state"]["w"], content()["state"]["w"])


def test_a_flipped_byte_in_the_weights_names_the_part(tmp_path):
    path = tmp_path / "best.pt"
    write_checkpoint(path, content())
    whole = bytearray(path.read_bytes())
    at = whole.index(content()["state"]["w"].numpy().tobytes())
    whole[at + 5] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    (line,) = error.value.lines
    assert line.startswith(f"{path}: damaged, its part archive/data/")
    assert line.endswith("does not fit its checksum; take another copy")


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("pack", ["torch", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, pack):
    path, made = tmp_path / "best.pt", tmp_path / "made"
    poisoned = {"format_version": FORMAT_VERSION, **content(), "settings": {"model": Payload(made)}}
    if pack == "torch":
        torch.save(poisoned, path)
    else:
        path.write_bytes(pickle.dumps(poisoned))
    reason = {
        "torch": "holds more than tensors and plain values, which could run code when read; refused",
        "pickle": "not a checkpoint of tsmtl (nor any archive of PyTorch)",
    }
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert error.value.lines == [f"{path}: {reason[pack]}"]
    assert not made.exists()
    torch.load(path, weights_only=False) if pack == "torch" else pickle.loads(path.read_bytes())
    assert made.exists()  # the payload does work where nothing stops it


def test_a_newer_format_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "best.pt"
    torch.save({**content(), "format_version": FORMAT_VERSION + 1}, path)
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    newer, known = FORMAT_VERSION + 1, FORMAT_VERSION
    assert error.value.lines == [f"{path}: format {newer} is newer than this tsmtl reads ({known}); update tsmtl"]


@pytest.mark.parametrize(
    "foreign", [{}, {"state_dict": {}}, {"format_version": "1"}, [1, 2], torch.zeros(2), 7], ids=repr
)
def test_what_another_program_saved_is_refused(tmp_path, foreign):
    path = tmp_path / "other.pt"
    torch.save(foreign, path)
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert error.value.lines == [f"{path}: not a checkpoint of tsmtl"]


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_part_is_named(tmp_path, key):
    path = tmp_path / "best.pt"
    partial = {"format_version": FORMAT_VERSION, **content()}
    del partial[key]
    torch.save(partial, path)
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert error.value.lines == [f"{path}: the checkpoint lacks {key}"]


OF_ONE_SWEEP = {"shared.py"}  # reads what a process of the same sweep left in a folder that is its user's alone


def test_every_load_in_the_package_is_weights_only():
    found = 0
    for path in Path(tsmtl.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "weights_only=False" not in text, path
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None)
                names = {alias.name for alias in node.names}
                assert "pickle" not in {module, *names} or path.name in OF_ONE_SWEEP, path
                assert not (module in ("torch", "torch.serialization") and "load" in names), path
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("torch.load"):
                found += 1
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{path}:{node.lineno}"
    assert found  # otherwise this test looks in the wrong place
