"""Go on with a run that something ended: what its folder holds, and whether it is the same run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tsmtl.checkpoint.last import NAME, read_last
from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings

SUMMARY = "summary.json"  # written last: a run that has it is finished
_SAME = object()


def earlier_state(settings: Settings, data: str, pretrained: str | None, folder: Path) -> dict[str, Any] | None:
    """Give the state that a run goes on from; None where it starts anew.

    Args:
        settings: Checked settings, as asked.
        data: Hash of the data.
        pretrained: Hash of the checkpoint that it is fine-tuned from.
        folder: The run folder.

    Raises:
        UserError: If the folder holds an unfinished run and ``resume`` is false, or another run than this one, by
            settings, data or pretrained checkpoint.
    """
    path = folder / NAME
    if not path.exists():
        return None
    if not settings.run.resume:
        if (folder / SUMMARY).exists():
            return None
        raise UserError(
            f"hydra.run.dir: {folder} holds an unfinished run; resume=true goes on with it, or remove the folder to "
            "start anew"
        )
    state = read_last(path)
    problems = [
        f"{key}: {_shown(ours)} differs from the run in {folder}, where it is {_shown(theirs)}; a run goes on with its "
        "own settings"
        for key, ours, theirs in differences(settings.flat, state["settings"])
        if key != "resume"
    ]
    if not problems and state["data"] != data:
        problems = [f"data.path: the data is not what the run in {folder} began with"]
    if not problems and state["pretrained"] != pretrained:
        problems = [f"pretrained_path: the checkpoint is not what the run in {folder} began with"]
    if problems:
        raise UserError(problems)
    return state


def finished_summary(folder: Path) -> dict[str, Any] | None:
    """Give the summary of a finished run, or None."""
    path = folder / SUMMARY
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """List the dotted keys whose values differ, with both values."""
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(key, _SAME), theirs.get(key, _SAME)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append((prefix + str(key), a, b))
    return found


def _shown(value: Any) -> str:
    if value is _SAME:
        return "not set"
    return "null" if value is None else str(value)


def random_state(generator: torch.Generator) -> dict[str, Any]:
    """Give the state of all random numbers of a run: order of batches, initial weights and dropout."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"generator": generator.get_state(), "cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any], generator: torch.Generator) -> None:
    """Put all random numbers back as :func:`random_state` found them."""
    generator.set_state(state["generator"])
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
