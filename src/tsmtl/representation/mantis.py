"""Mantis: a transformer pretrained by contrast for classification."""

import inspect
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from tsmtl.config.errors import UserError
from tsmtl.representation.pretrained import Pretrained, load_weights, names_of, resized


class Mantis(Pretrained):
    """The class token of Mantis (Feofanov et al. 2025, arXiv:2502.15637), version 1 or 2, as the weights are.

    Each channel is stretched or shrunk to ``steps``, linearly, as its authors do.

    Args:
        path: The folder of the weights.
        steps: Time steps that the model reads.
        device: Where it runs.
    """

    module: ClassVar[str] = "mantis.architecture"
    package: ClassVar[str] = "mantis-tsfm"
    install: ClassVar[str] = "pip install 'tsmtl[mantis]'"

    def __init__(self, path: str, steps: int, device: torch.device) -> None:
        super().__init__(path, device)
        self.steps = steps

    def open_model(self, config: dict[str, Any], weights: list[Path]) -> int:
        """Open the version that the weights are of."""
        if any(name.startswith("vit_unit.") for name in names_of(weights)):
            version = self._library.Mantis8M  # version 1 under the names of its first release
        else:
            version = self._library.MantisV2 if "kernel_size" in config else self._library.MantisV1
        taken = {key: value for key, value in config.items() if key in inspect.signature(version).parameters}
        taken |= {"device": "cpu", "pre_training": False}  # the token itself, not its projection
        model = version(**taken)
        load_weights(model, weights)
        fits = self.steps == model.seq_len if hasattr(model, "seq_len") else self.steps % model.num_patches == 0
        if not fits:
            must = f"be {model.seq_len}" if hasattr(model, "seq_len") else f"be a multiple of {model.num_patches}"
            raise UserError(f"representation.steps: must {must}, as {self.folder} was trained (got {self.steps})")
        self._model = model.eval().to(str(self.device))
        return int(model.hidden_dim)

    def embed(self, x: Tensor) -> Tensor:
        """Give the embeddings (n, width) of channels (n, T)."""
        found: Tensor = self._model(resized(x, self.steps)[:, None])
        return found
