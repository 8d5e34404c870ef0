"""Through which kernels a run trains: those it began with, those asked for, or torch's and why."""

import logging
from pathlib import Path
from typing import Any

import torch

from tsmtl.assembly import Parts
from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings
from tsmtl.models.gru_layers import GRULayers
from tsmtl.models.kernels import kernels_of, train_natively
from tsmtl.models.masking import BatchNorm
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.native import NativeError

log = logging.getLogger(__name__)


def take_kernels(
    settings: Settings, parts: Parts, device: torch.device, state: dict[str, Any] | None, folder: Path
) -> str | None:
    """Let a model train through the kernels that the run began with, or that are asked for.

    Args:
        settings: Checked settings.
        parts: Of the run.
        device: What it trains on.
        state: What an earlier process left of the run, or None.
        folder: The run folder.

    Returns:
        Why it trains through torch although native kernels are asked for, or None.

    Raises:
        UserError: If the run began with native kernels, which cannot be had here: others would round otherwise.
    """
    if settings.trainer.kernels == "torch":
        return None
    why_none = _why_no_step(settings, parts, device)
    if state is not None and state["kernels"] == "torch":
        return why_none or "the run began without native kernels"
    try:
        if why_none is not None:
            raise NativeError(why_none)
        train_natively(parts.model)
    except NativeError as error:
        if state is None:
            return str(error)
        raise UserError(
            f"trainer.kernels: the run in {folder} began with native kernels and goes on with them alone, but {error}"
        ) from error
    return None


def _why_no_step(settings: Settings, parts: Parts, device: torch.device) -> str | None:
    """Say why no training step would take the kernels: those of batch norms need equal lengths and one process."""
    if device.type != "cpu":
        return "native kernels are for the CPU"
    if settings.run.freeze:
        return "the backbone is frozen"
    kinds = (BatchNorm, GRULayers)
    found = {kind for kind in kinds for module in parts.model.modules() if isinstance(module, kind)}
    if found != {BatchNorm}:
        return None
    if settings.run.devices > 1:
        return f"model={settings.model.model} has batch norms over the rows of all devices"
    if not parts.splits["train"].equal_lengths:
        return f"model={settings.model.model} has batch norms, and the series unequal lengths"
    return None


def say_kernels(settings: Settings, model: MultiTaskModel, why_torch: str | None) -> None:
    """Log through which kernels a run trains, where native ones are asked for."""
    if why_torch is not None:
        log.warning("trainer.kernels: %s; the training goes through torch", why_torch)
    elif kernels_of(model) == "native":
        name = settings.model.model
        log.info("kernels: training steps of %s take native ones; all that is measured goes through torch", name)
