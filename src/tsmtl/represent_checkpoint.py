"""``representation=checkpoint``: the model, and whether it has learnt from what is to be test."""

import logging
from pathlib import Path
from typing import Any

from tsmtl.checkpoint.file import SEEN, read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.representation_settings import CheckpointSettings
from tsmtl.config.schema import Settings
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle
from tsmtl.data.seen import SeenInstances

log = logging.getLogger(__name__)
_OWN = ("signed_log", "scale", "input_limit", "missing")


def checkpoint_of(method: CheckpointSettings, settings: Settings) -> dict[str, Any]:
    """Read the checkpoint.

    Raises:
        UserError: If it cannot be used, or a setting was typed that it has of its own.
    """
    if typed := [f"data.{key}" for key in _OWN if f"data.{key}" in settings.typed]:
        raise UserError([f"{key}: the checkpoint fills and scales as it was trained; leave it out" for key in typed])
    content = read_checkpoint(Path(method.path).expanduser())
    if content["input"]["kind"] != "series":
        raise UserError(f"representation.path: {method.path} reads vectors; a model of series makes them")
    return content


def features_of(content: dict[str, Any]) -> Features | None:
    """Give what a checkpoint needs made of the rows of a table first, or None."""
    described = content["input"].get("features")
    return None if described is None else Features.from_state(described)


def check_unseen(content: dict[str, Any], path: str, bundle: Bundle) -> None:
    """Check that the test split is new to the checkpoint, as far as its codes tell; warn where val is not.

    Args:
        content: Of the checkpoint.
        path: Its file, for messages.
        bundle: The data, not scaled yet.

    Raises:
        UserError: If test instances are among those that it was trained or chosen on.
    """
    if SEEN not in content:
        log.warning("representation: whether %s was trained on test instances is not known: an earlier tsmtl", path)
        return
    test, val = SeenInstances.from_state(content[SEEN]).overlap(bundle)
    if test:
        raise UserError(
            f"representation.path: {test} of the {len(bundle.splits['test'])} test instances are among those that "
            f"{path} was trained and chosen on; train it on the same split, or take that split here"
        )
    if val:
        log.warning(
            "representation: %d of the %d val instances are among those that %s was trained on",
            *(val, len(bundle.splits["val"]), path),
        )
