"""Chronos: encoders pretrained to forecast."""

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from tsmtl.config.errors import UserError
from tsmtl.representation.pretrained import Pretrained, names_of, resized


class Chronos(Pretrained):
    """The mean over time of the encoder of Chronos (Ansari et al. 2024, arXiv:2403.07815), Chronos-Bolt or Chronos-2.

    Tokens that stand for no time (end of series, register, masked output) are left out of the mean. Series longer than
    the model reads are shrunk to what it reads, linearly; shorter ones are read as they are.
    """

    module: ClassVar[str] = "chronos"
    package: ClassVar[str] = "chronos-forecasting"
    install: ClassVar[str] = "pip install 'tsmtl[chronos]'"

    def open_model(self, config: dict[str, Any], weights: list[Path]) -> int:
        """Open the kind of model that the folder holds."""
        of_kind: dict[str, Any] = config["chronos_config"]
        if of_kind.get("model_type", "seq2seq") != "seq2seq":
            raise UserError(f"{self.folder}: a Chronos model of the decoder alone has no embedding; take another")
        import_module("transformers").utils.logging.disable_progress_bar()
        given = {"torch_dtype": torch.float32, "local_files_only": True, "use_safetensors": True}
        given["trust_remote_code"] = False  # no file decides what code runs
        pipeline = self._library.BaseChronosPipeline.from_pretrained(self.folder, **given)
        _check_complete(pipeline.inner_model, names_of(weights))
        pipeline.inner_model.eval().to(self.device)
        self._pipeline = pipeline
        self._steps = int(of_kind["context_length"])
        self._is_second = isinstance(pipeline, self._library.Chronos2Pipeline)
        self._timeless = int(bool(of_kind.get("use_eos_token") or of_kind.get("use_reg_token"))) + self._is_second
        return int(pipeline.inner_model.config.d_model)

    def embed(self, x: Tensor) -> Tensor:
        """Give the embeddings (n, width) of channels (n, T)."""
        series = resized(x, min(x.shape[1], self._steps)).cpu()  # the pipelines take it to the device
        if self._is_second:
            tokens = torch.cat(self._pipeline.embed(series[:, None], batch_size=len(series))[0])
        else:
            tokens = self._pipeline.embed(series)[0]  # (n, tokens, width)
        return tokens[:, : tokens.shape[1] - self._timeless].mean(dim=1)


def _check_complete(model: torch.nn.Module, given: set[str]) -> None:
    """Check that no weight was left as it was drawn, which the library only warns of; shared ones count once.

    Raises:
        RuntimeError: If one was.
    """
    state = model.state_dict()
    there = {tensor.data_ptr() for name, tensor in state.items() if name in given}
    if missing := [name for name, tensor in state.items() if name not in given and tensor.data_ptr() not in there]:
        raise RuntimeError(f"no weights for {missing[0]}")
