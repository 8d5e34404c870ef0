"""``representation=checkpoint``: the model, and whether it has learnt from what is to be val or test."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.evaluate_settings import data_of_checkpoint
from tsmtl.config.representation_settings import CheckpointSettings
from tsmtl.config.schema import Settings
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle
from tsmtl.data.loading import load_bundle
from tsmtl.data.sharing import content_of
from tsmtl.data.windows import Windows

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


def check_unseen(content: dict[str, Any], path: str, bundle: Bundle, data_sha256: str) -> Features | None:
    """Check that the model has not learnt from instances that are val or test here, as far as that can be known.

    Its training's data is read again, where it is still there; the same data with the same split needs no look.

    Args:
        content: Of the checkpoint.
        path: Its file, for messages.
        bundle: The data, raw.
        data_sha256: Its hash.

    Returns:
        What the model needs made of the rows of a table first, or None.

    Raises:
        UserError: If it has.
    """
    described = content["input"]
    features = None if described.get("features") is None else Features.from_state(described["features"])
    if described.get("data_sha256") == data_sha256:
        return features
    instances = bundle.instances
    if isinstance(instances.x, Windows):
        log.warning(
            "representation: whether %s was trained on val or test rows is not known: other data, or split", path
        )
        return features
    try:
        kinds = {name: state["kind"] for name, state in content["tasks"].items()}
        theirs = load_bundle(data_of_checkpoint(content["settings"], {}, path, {}), kinds)
    except (UserError, OSError) as error:
        log.warning("representation: whether %s was trained on val or test instances is not known: %s", path, error)
        return features
    if isinstance(theirs.instances.x, Windows) or theirs.instances.x.shape[1:] != instances.x.shape[1:]:
        return features  # other series: nothing of these can be among them
    seen = content_of(theirs.instances, theirs.splits["train"])
    for split in ("test", "val"):
        n = int(np.isin(content_of(instances, bundle.splits[split]), seen).sum())
        if n:
            raise UserError(
                f"representation.path: {path} was trained on {n} of the {len(bundle.splits[split])} {split} instances; "
                "train it on the same split, or take that split here"
            )
    return features
