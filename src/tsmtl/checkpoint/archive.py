"""Tensors and plain values in one file: written whole or not at all, read without running anything it may carry."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from tsmtl.config.errors import UserError
from tsmtl.storage.whole import whole_file

DIGEST = b"tsmtl sha256 "  # how the comment of our archives begins


def write_archive(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` by a new file; killed at any moment, the old file or the new one is there whole.

    Args:
        path: Where to; the folder exists.
        content: Tensors and plain values.

    Raises:
        TypeError: If the content holds anything else, which reading would refuse.
        OSError: If the disk is full or not writable; the old file stays.
    """
    buffer = io.BytesIO()  # torch.save on a file turns the OSError of a full disk into a RuntimeError of its own
    torch.save(_plain(content, ""), buffer)
    with whole_file(path) as file:
        for part in _with_digest(buffer.getbuffer()):
            file.write(part)


def _with_digest(archive: memoryview) -> tuple[memoryview, bytes]:
    """Put the SHA-256 of a zip archive into its comment, which ends it; other readers pass over it.

    Gives what is to be written, the archive's part without a copy.
    """
    assert bytes(archive[-22:-18]) == b"PK\x05\x06", "a zip archive without a comment ends so"
    body = archive[:-2]  # all but the length of the comment
    comment = DIGEST + hashlib.sha256(body).hexdigest().encode()
    return body, len(comment).to_bytes(2, "little") + comment


def _plain(value: Any, where: str) -> Any:
    """Make subclasses plain: reading refuses them, and torch's version, for one, is a text of its own kind."""
    if isinstance(value, dict):
        return {_plain(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if value is None or isinstance(value, torch.Tensor):
        return value
    raise TypeError(f"a checkpoint holds tensors and plain values (got {type(value).__name__} in {where[1:]})")


def read_archive(path: Path) -> Any:
    """Read what :func:`write_archive` wrote; nothing in the file is executed.

    PyTorch reads changed bytes without a word, and where some bits of the zip's own tables are changed it even gives
    memory that was never written: the digest is checked first.

    Raises:
        UserError: If the file is missing, of another kind, cut off, changed, or holds more than tensors and plain
            values.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint")
    try:
        content = path.read_bytes()
        if content[:2] != b"PK":
            raise UserError(f"{path}: not a checkpoint of tsmtl (nor any archive of PyTorch)")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            changed, comment = archive.testzip(), archive.comment
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: damaged or cut off ({error}); take another copy") from error
    if changed is not None:
        raise UserError(f"{path}: damaged, its part {changed} does not fit its checksum; take another copy")
    body = content[: -len(comment) - 2]
    if comment and comment != DIGEST + hashlib.sha256(body).hexdigest().encode():
        raise UserError(f"{path}: damaged or cut off, it does not fit its digest; take another copy")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # the parts of a foreign archive raise anything: KeyError, RuntimeError ...
        if type(error).__name__ == "UnpicklingError":
            raise UserError(
                f"{path}: holds more than tensors and plain values, which could run code when read; refused"
            ) from error
        raise UserError(f"{path}: not a readable checkpoint of tsmtl") from error
