"""What fine-tuning takes from a checkpoint: the backbone's architecture and weights, and the scaling of the input."""

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tsmtl.checkpoint.file import SEEN, read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.pretraining import DROPOUTS, rows_of_start
from tsmtl.config.schema import Settings
from tsmtl.data.features import Features
from tsmtl.data.instances import Bundle
from tsmtl.data.preparation import InputPreparation
from tsmtl.data.seen import SeenInstances
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import BACKBONES
from tsmtl.storage.run_folder import sha256_of

log = logging.getLogger(__name__)
BACKBONE = "backbone."


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint to start from.

    Attributes:
        path: The file.
        content: What it holds.
        sha256: Hash of the file.
        reused: Whether an earlier job had made it; None where the user named it.
    """

    path: Path
    content: dict[str, Any]
    sha256: str
    reused: bool | None = None

    @property
    def identity(self) -> str:
        """SHA-256 of what fine-tuning takes: the same for the same training wherever its files lay and it ran."""
        taken = {key: self.content[key] for key in ("backbone", "input", "tasks", "epoch")}
        digest = hashlib.sha256(json.dumps(taken, sort_keys=True).encode())
        for name, tensor in self.content["state"].items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def preparation(self) -> InputPreparation:
        """Filling and scaling of the input that the backbone was trained with."""
        return InputPreparation.from_state(self.content["input"]["preparation"])

    @property
    def features(self) -> Features | None:
        """Derived channels, and scaling per condition, that the backbone was trained with."""
        state = self.content["input"].get("features")
        return None if state is None else Features.from_state(state)

    @property
    def seen(self) -> SeenInstances | None:
        """Instances that it was trained and chosen on; None of a checkpoint that does not say."""
        return SeenInstances.from_state(self.content[SEEN]) if SEEN in self.content else None

    def settings_of(self, settings: Settings) -> Settings:
        """Give the settings of the fine-tuning: architecture and preparation from the checkpoint, all else as asked.

        Raises:
            UserError: If the checkpoint holds another model, or a typed value contradicts it; with both values.
        """
        spec, name = self.content["backbone"], settings.model.model
        if BACKBONES.get(spec["name"]) is not BACKBONES.get(name):
            raise UserError(f"model: {name} contradicts {self.path}, which holds model={spec['name']}; take that one")
        asked = settings.model.backbone_arguments()
        architecture = {key: value for key, value in spec["arguments"].items() if key not in DROPOUTS}
        preparation = self.content["input"]["preparation"]
        data = {
            "scale": preparation["method"],
            "input_limit": self.preparation.limit,
            "signed_log": self.preparation.signed_log,
            "missing": preparation["missing"],
            "nan_padding": self.content["input"]["nan_padding"],
        }
        theirs = self.content["settings"]["data"]
        data |= rows_of_start(theirs)
        data = {key: value for key, value in data.items() if key in type(settings.data).model_fields}
        if not data.get("nan_padding"):
            data.pop("nan_padding", None)  # there was none in that data; here it may be
        problems = [
            f"{key}: {asked.get(key)} contradicts {self.path}, where it is {value}"
            for key, value in architecture.items()
            if key in settings.typed and asked.get(key) != value
        ]
        problems += [
            f"data.{key}: {getattr(settings.data, key)} contradicts {self.path}, where it is {value}"
            for key, value in data.items()
            if f"data.{key}" in settings.typed and getattr(settings.data, key) != value
        ]
        if problems:
            raise UserError(problems)
        return replace(
            settings,
            model=settings.model.model_copy(update=architecture),
            data=settings.data.model_copy(update=data),
            flat={**settings.flat, **architecture, "data": {**settings.flat["data"], **data}},
        )

    def overruled(self, asked: Settings) -> list[str]:
        """Name the settings that the checkpoint overrules, with its value and theirs."""
        taken = self.settings_of(asked)
        pairs = [(key, taken.flat[key], asked.flat.get(key)) for key in taken.flat if key not in ("data", "pretrain")]
        pairs += [(f"data.{key}", taken.flat["data"][key], value) for key, value in asked.flat["data"].items()]
        return [f"{key} {ours} (not {theirs})" for key, ours, theirs in pairs if ours != theirs]

    def check_input(self, bundle: Bundle) -> None:
        """Check that the data is of the kind that the backbone was trained on.

        Raises:
            UserError: If channels or their names differ; with both.
        """
        known, instances = self.content["input"], bundle.instances
        channels: list[str] = known["channels"]
        kind = "series" if instances.x.ndim == 3 else "vectors"
        if kind != known["kind"]:
            raise UserError(f"{instances.where}: holds {kind}, {self.path} was trained on {known['kind']}")
        if len(instances.channels) != len(channels):
            raise UserError(
                f"{instances.where}: {len(instances.channels)} channels, {self.path} was trained on {len(channels)}"
            )
        noun = "channel" if kind == "series" else "feature"
        turned = sorted(channels) == sorted(instances.channels)
        hint = "; give them in that order (data=vectors: by data.features)" if turned and kind == "vectors" else ""
        for ours, theirs in zip(instances.channels, channels, strict=True):
            if ours != theirs:
                raise UserError(f"{instances.where}: a {noun} is named {ours}, in {self.path} it is {theirs}{hint}")
        made_by, vectors = known.get("representation"), instances.facts.get("representation")
        if made_by and vectors and made_by["transform_sha256"] != vectors["transform_sha256"]:
            log.warning(
                "%s: its vectors are of another transform than those that %s was trained on; features that are called "
                "alike may mean others",
                *(instances.where, self.path),
            )

    def check_unseen(self, bundle: Bundle, overlap: str) -> None:
        """Check that the test split is new to the checkpoint, as far as its codes tell; warn where val is not.

        Args:
            bundle: The data, not scaled yet.
            overlap: The setting of this name.

        Raises:
            UserError: If test instances are among those that it was trained or chosen on.
        """
        if self.seen is None:
            return
        test, val = self.seen.overlap(bundle)
        said = (
            f"{test} of the {len(bundle.splits['test'])} test instances are among those that {self.path} was trained "
            "and chosen on"
        )
        if test and overlap == "refuse":
            where = "pretrained_path" if self.reused is None else "pretrain.data"
            raise UserError(
                f"{where}: {said}, so that what is measured on them would say too much; give both trainings the same "
                "split (data.seed, data.split_targets, data.split_key), or say overlap=warn"
            )
        if test:
            log.warning("pretrained: %s: what is measured on them says too much", said)
        if val:
            log.warning(
                "pretrained: %d of the %d val instances are among those that it was trained on; the epoch is chosen by "
                "scores that say too much",
                *(val, len(bundle.splits["val"])),
            )

    def check_length(self, bundle: Bundle, model: MultiTaskModel) -> None:
        """Check T where backbone or scaling know one length only.

        Raises:
            UserError: With both numbers.
        """
        if model.backbone.reads == "vectors" or (model.backbone.takes_lengths and self.preparation.seq_len is None):
            return
        steps, known = bundle.instances.x.shape[2], self.content["input"]["seq_len"]
        if steps != known:
            raise UserError(
                f"{bundle.instances.where}: {steps} time steps, {self.path} was trained on {known} and reads no other"
            )

    def load_into(self, model: MultiTaskModel) -> dict[str, Any]:
        """Load the backbone's weights, strictly; the heads stay new.

        Returns:
            The load report: tensors and number of parameters of what was loaded, new, and left over.

        Raises:
            UserError: If the weights do not fit, or there are none.
        """
        state = self.content["state"]
        weights = {key: v for key, v in state.items() if key.startswith(BACKBONE)}
        if not weights:
            raise UserError(f"{self.path}: holds no weights of a backbone; there is nothing to start from")
        try:
            model.backbone.load_state_dict({key.removeprefix(BACKBONE): v for key, v in weights.items()})
        except RuntimeError as error:
            raise UserError(f"{self.path}: its weights do not fit the backbone that it describes") from error
        buffers = {name for name, _ in model.named_buffers()}  # counted among tensors, not among parameters
        new = {key: v for key, v in model.state_dict().items() if not key.startswith(BACKBONE)}
        left = {key: v for key, v in state.items() if not key.startswith(BACKBONE)}
        made = {} if self.reused is None else {"reused": self.reused}
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            **made,
            "loaded": _inventory(weights, buffers),
            "new": _inventory(new, buffers),
            "left_over": _inventory(left, buffers),
        }


def _inventory(tensors: dict[str, Any], buffers: set[str]) -> dict[str, Any]:
    parameters = sum(tensor.numel() for name, tensor in tensors.items() if name not in buffers)
    return {"tensors": list(tensors), "parameters": parameters}


def say_what_was_loaded(report: dict[str, Any], overruled: list[str]) -> None:
    """Log the load report, a line for each of its parts, and the settings that the checkpoint overrules."""
    said = {"loaded": "loaded", "new": "new, in the heads", "left_over": "left over, in the checkpoint's own heads"}
    log.info("pretrained: %s (sha256 %s)", report["path"], report["sha256"][:16])
    if overruled:
        log.info("pretrained: as in the checkpoint: %s", ", ".join(overruled))
    for part, words in said.items():
        parameters, tensors = report[part]["parameters"], len(report[part]["tensors"])
        log.info("pretrained: %s parameters in %d tensors %s", f"{parameters:,}", tensors, words)


def read_pretrained(path: Path, reused: bool | None = None) -> Pretrained:
    """Read a checkpoint to start from.

    Args:
        path: The file.
        reused: Whether an earlier job had made it; None where the user named it.

    Raises:
        UserError: If it cannot be read.
    """
    content = read_checkpoint(path)
    return Pretrained(path, content, sha256_of(path), reused)


def seen_by(bundle: Bundle, pretrained: Pretrained | None, overlap: str) -> SeenInstances:
    """Take down the instances of a training, with those of the one before it, which must not be tested on.

    Args:
        bundle: The data, not scaled yet.
        pretrained: What it starts from.
        overlap: The setting of this name.

    Raises:
        UserError: As :meth:`Pretrained.check_unseen`.
    """
    seen = SeenInstances.of(bundle)
    if pretrained is None:
        return seen
    pretrained.check_unseen(bundle, overlap)
    return seen if pretrained.seen is None else seen | pretrained.seen
