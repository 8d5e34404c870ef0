"""MOMENT: a transformer encoder pretrained to fill masked patches."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from tsmtl.representation.pretrained import Pretrained, load_weights, resized


class Moment(Pretrained):
    """The mean over patches of MOMENT's encoder (Goswami et al. 2024, arXiv:2402.03885).

    The model reads a fixed number of steps in patches. Longer series are shrunk to it, linearly; shorter ones are
    stretched to whole patches and padded in front, the padding masked.
    """

    module: ClassVar[str] = "momentfm"
    package: ClassVar[str] = "momentfm"
    install: ClassVar[str] = "pip install --no-deps momentfm && pip install transformers"

    def open_model(self, config: dict[str, Any], weights: list[Path]) -> int:
        """Open the model as it was pretrained; its head is not used."""
        model = self._library.MOMENTPipeline(config, model_kwargs={"task_name": "reconstruction"})
        load_weights(model, weights)
        self._model = model.eval().to(self.device)
        return int(model.config.d_model)

    def embed(self, x: Tensor) -> Tensor:
        """Give the embeddings (n, width) of channels (n, T)."""
        most, patch = self._model.seq_len, self._model.patch_len
        own = min(-(-x.shape[1] // patch) * patch, most)
        series = pad(resized(x, own), (most - own, 0))
        mask = torch.zeros_like(series)
        mask[:, most - own :] = 1
        found: Tensor = self._model.embed(x_enc=series[:, None], input_mask=mask, reduction="mean").embeddings
        return found
