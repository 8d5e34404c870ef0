"""The file of a trained model: enough to predict."""

from pathlib import Path
from typing import Any

from tsmtl.checkpoint.archive import read_archive, write_archive
from tsmtl.config.errors import UserError

FORMAT_VERSION = 2
STEP_BY_STEP = 2  # the first format whose models flatten step by step; before, feature by feature
KEYS = ("settings", "backbone", "input", "tasks", "state", "epoch", "score", "monitor", "versions")
CALIBRATION = "calibration"  # a key that checkpoints have from the end of the training on; older ones lack it
SEEN = "seen"  # codes of the instances that it was trained and chosen on; older checkpoints lack it


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` by a new checkpoint; killed at any moment, the old file or the new one is there whole.

    Args:
        path: Where to; the folder exists.
        content: Tensors and plain values under :data:`KEYS`, and what there is of :data:`CALIBRATION` and :data:`SEEN`.

    Raises:
        TypeError: If the content holds anything else, which reading would refuse.
        OSError: If the disk is full or not writable; the old file stays.
    """
    assert set(content) - {CALIBRATION, SEEN} == set(KEYS), set(content) ^ set(KEYS)
    write_archive(path, {"format_version": FORMAT_VERSION, **content})


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values alone, nothing in the file is executed.

    Raises:
        UserError: If the file is missing, damaged, no checkpoint of tsmtl, or of a newer format.
    """
    content = checked_version(path, read_archive(path))
    if "optimizer" in content:
        raise UserError(f"{path}: the state of a run under way, for resume=true; take its best_model.pt")
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise UserError(f"{path}: the checkpoint lacks {', '.join(missing)}")
    return content


def checked_version(path: Path, content: Any) -> dict[str, Any]:
    """Check that a file's content is of a format that this version reads.

    Raises:
        UserError: If it is another program's, or of a newer format.
    """
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise UserError(f"{path}: not a checkpoint of tsmtl")
    if version > FORMAT_VERSION:
        raise UserError(f"{path}: format {version} is newer than this tsmtl reads ({FORMAT_VERSION}); update tsmtl")
    return dict(content)
