"""Through which kernels a run trains: those it began with, those asked for, or torch's and why."""

import logging
from pathlib import Path
from typing import Any

import torch

from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings
from tsmtl.models.kernels import kernels_of, train_natively
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.native import NativeError

log = logging.getLogger(__name__)


def take_kernels(
    settings: Settings, model: MultiTaskModel, device: torch.device, state: dict[str, Any] | None, folder: Path
) -> str | None:
    """Let a model train through the kernels that the run began with, or that are asked for.

    Args:
        settings: Checked settings.
        model: Of the run.
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
    if device.type != "cpu":
        return "native kernels are for the CPU"
    if settings.run.freeze:
        return "the backbone is frozen"
    if state is not None and state["kernels"] == "torch":
        return "the run began so"
    try:
        train_natively(model)
    except NativeError as error:
        if state is None:
            return str(error)
        raise UserError(
            f"trainer.kernels: the run in {folder} began with native kernels and goes on with them alone, but {error}"
        ) from error
    return None


def say_kernels(settings: Settings, model: MultiTaskModel, why_torch: str | None) -> None:
    """Log through which kernels a run trains, where native ones are asked for."""
    if why_torch is not None:
        log.warning("trainer.kernels: %s; the training goes through torch", why_torch)
    elif kernels_of(model) == "native":
        name = settings.model.model
        log.info("kernels: training steps of %s take native ones; all that is measured goes through torch", name)
