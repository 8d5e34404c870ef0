"""A fitted way from raw series to representation vectors."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsmtl.checkpoint.archive import read_archive, write_archive
from tsmtl.config.errors import UserError
from tsmtl.config.representation_settings import AnyRepresentation
from tsmtl.data.contract import InputContract, Series
from tsmtl.data.features import Features
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.data.preparation import InputPreparation
from tsmtl.models.precision import float32_by_default
from tsmtl.predictor import device_of, predictor_of
from tsmtl.representation.checkpoint import Checkpoint
from tsmtl.representation.method import Part, Representation, of_equal_length, prepared
from tsmtl.representation.registry import METHODS, PRETRAINED, build_method
from tsmtl.representation.self_supervised import Learner
from tsmtl.storage.run_folder import sha256_of
from tsmtl.training.threads import by_one_thread_each

FORMAT_VERSION = 1
KIND = "representation"  # the key that tells the file from a checkpoint


class Transform:
    """A fitted representation with all that comes before it.

    Attributes:
        method: Name of the representation.
        representation: The fitted representation.
        channels: Names of the C channels it reads, in order.
        settings: The settings of the data that it was fitted on.
        contract: What it reads.
        features: Derived channels, and scaling per condition, of the rows of a table; None without such.
        sha256: Of its file; empty before there is one.
    """

    def __init__(self, representation: Representation, content: dict[str, Any], sha256: str = "") -> None:
        self.representation, self.content, self.sha256 = representation, content, sha256
        self.method: str = content[KIND]["name"]
        self.settings: dict[str, Any] = content["settings"]
        described: dict[str, Any] = content["input"]
        self.channels: list[str] = described["channels"]
        self.preparation = InputPreparation.from_state(described["preparation"])
        features = described["features"]
        self.features = None if features is None else Features.from_state(features)
        self.contract = InputContract(
            kind="series",
            channels=self.channels,
            seq_len=described["seq_len"],
            nan_padding=described["nan_padding"],
            missing=self.preparation.missing,
            takes_lengths=True,
            shortest=representation.shortest,
            scaled_per_step=self.preparation.seq_len is not None,
            otherwise="; vectors need no transform=",
        )
        if isinstance(representation, Checkpoint):
            self.contract = representation.model.contract

    @property
    def names(self) -> list[str]:
        """E names of features."""
        return self.representation.names

    def transform(self, x: Series, lengths: npt.NDArray[np.integer] | None = None) -> FloatArray:
        """Give the vectors of new series.

        Args:
            x: Raw, unscaled series (N, C, T) as in the fit, or a list of (C, T_i) series of different lengths.
            lengths: (N,) valid steps of padded series, or None.

        Returns:
            (N, E) float32.

        Raises:
            UserError: A ValueError: if the input is not what the representation was fitted on.
        """
        if self.features is not None:
            raise UserError(
                "x: this transform reads channels that are derived from, or scaled within, a whole table; "
                "tsmtl-represent fitted=... takes its rows"
            )
        return self.transform_checked(*self.contract.check(x, lengths))

    def transform_checked(self, x: FloatArray, lengths: IntArray | None) -> FloatArray:
        """Give the vectors (N, E) of what :attr:`contract` has checked."""
        found = np.empty((len(x), len(self.names)), dtype=np.float32)

        def fill(part: Part) -> None:
            series = part.of(x)
            if not self.representation.takes_raw:
                series = prepared(self.preparation, series, self.representation.takes_gaps)
            found[part.rows] = self.representation.transform(series)

        steps = self.representation.steps_of_a_thread
        parts = of_equal_length(x, lengths, steps)
        if steps is not None:
            by_one_thread_each(fill, parts)
        else:
            for part in parts:
                fill(part)
        return found

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: If the disk is full or not writable; what was there stays.
        """
        write_archive(path, {"format_version": FORMAT_VERSION, **self.content, "state": self.representation.state()})
        self.sha256 = sha256_of(path)


def build_representation(
    settings: AnyRepresentation, device: torch.device, plugins: Sequence[str], learner: Learner
) -> Representation:
    """Make a representation that is still to be fitted.

    Args:
        settings: Of the method.
        device: Where networks work.
        plugins: Modules that register the backbones of checkpoints.
        learner: Trains the network of a method that has one to train.
    """
    arguments = settings.model_dump(exclude={"name"})
    return _build(settings.name, arguments, "representation.path", device, plugins, learner)


def _build(
    name: str,
    arguments: dict[str, Any],
    where: str,
    device: torch.device,
    plugins: Sequence[str],
    learner: Learner | None,
) -> Representation:
    if name == "checkpoint":
        return Checkpoint(lambda content: predictor_of(content, where, device, plugins))
    return build_method(name, arguments, device, learner)


@float32_by_default()
@torch.random.fork_rng(devices=[])  # weights are drawn before those of the file take their place
def load_transform(
    path: str | os.PathLike[str],
    device: str = "cpu",
    plugins: Sequence[str] = (),
    weights: str | os.PathLike[str] | None = None,
) -> Transform:
    """Load a fitted transform that ``tsmtl-represent`` has left.

    Args:
        path: The file.
        device: Where networks work, such as ``cpu`` or ``cuda``.
        plugins: Modules to import that register their backbones; no file decides what code runs.
        weights: Of a transform of a pretrained model: the folder of its weights, where that has moved since the fit.

    Raises:
        UserError: A ValueError: if the file is missing, damaged, of a newer format, or no transform; or weights are
            others than those of the fit.
    """
    file = Path(path)
    if not file.exists():
        raise UserError(f"{file}: there is no such transform")
    content = read_archive(file)
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or KIND not in content:
        raise UserError(f"{file}: not a fitted transform of tsmtl-represent")
    if version > FORMAT_VERSION:
        raise UserError(f"{file}: format {version} is newer than this tsmtl reads ({FORMAT_VERSION}); update tsmtl")
    about, state = dict(content[KIND]), content.pop("state")
    name = about.pop("name")
    if name not in ("checkpoint", *METHODS, *PRETRAINED):
        raise UserError(f"{file}: holds representation={name}, which this tsmtl does not know; update tsmtl")
    if name in PRETRAINED:
        about["path"] = state["folder"] if weights is None else os.fspath(weights)
    elif weights is not None:
        raise UserError(f"weights: the transform {file} (representation={name}) reads none; leave it out")
    representation = _build(name, about, str(file), device_of(device), plugins, None)
    representation.load_state(state)
    return Transform(representation, content, sha256_of(file))
