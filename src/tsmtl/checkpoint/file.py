"""Write a checkpoint whole or not at all; read one without running anything it may carry."""

import io
import os
from pathlib import Path
from typing import Any

import torch

from tsmtl.config.errors import UserError

FORMAT_VERSION = 1
KEYS = ("settings", "backbone", "input", "tasks", "state", "epoch", "score", "monitor", "versions")


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` by a new checkpoint; killed at any moment, the old file or the new one is there whole.

    Args:
        path: Where to; the folder exists.
        content: Tensors and plain values under :data:`KEYS`.

    Raises:
        TypeError: If the content holds anything else, which reading would refuse.
        OSError: If the disk is full or not writable; the old file stays.
    """
    assert set(content) == set(KEYS), set(content) ^ set(KEYS)
    temporary = path.with_name(path.name + ".tmp")  # a fixed name: a kill leaves one file, not one per try
    buffer = io.BytesIO()  # torch.save on a file turns the OSError of a full disk into a RuntimeError of its own
    torch.save({"format_version": FORMAT_VERSION, **_plain(content, "")}, buffer)
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values alone, nothing in the file is executed.

    Raises:
        UserError: If the file is missing, damaged, no checkpoint of tsmtl, or of a newer format.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises anything: KeyError, RuntimeError, UnpicklingError ...
        raise UserError(
            f"{path}: not a readable checkpoint of tsmtl (damaged, or it holds more than tensors and plain values)"
        ) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise UserError(f"{path}: not a checkpoint of tsmtl")
    if version > FORMAT_VERSION:
        raise UserError(f"{path}: format {version} is newer than this tsmtl reads ({FORMAT_VERSION}); update tsmtl")
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise UserError(f"{path}: the checkpoint lacks {', '.join(missing)}")
    return dict(content)
