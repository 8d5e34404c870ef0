"""Tiny models of the libraries' own classes, drawn at random and saved by the libraries' own way."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

STEPS = 64  # what the tiny models read
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 2}
_PATCHED = {"context_length": STEPS, "input_patch_size": 8, "input_patch_stride": 8, "quantiles": [0.1, 0.5, 0.9]}


def tiny(kind: str, folder: Path, seed: int = 0) -> Any:
    """Make a model and save it; skip the test where its library is not installed."""
    maker, module, package = _MAKERS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own
        library = pytest.importorskip(module, reason=f"{package} is not installed: docs/representations.md says how")
        torch.manual_seed(seed)
        model = maker(library)
        model.save_pretrained(folder)
    return model.eval()


def _mantis(library: Any, version: str, **given: Any) -> Any:
    small = {"hidden_dim": 16, "num_patches": 8, "hidden_dim_scalar_enc": 4, "transf_depth": 2, "transf_num_heads": 2}
    small |= {"transf_mlp_dim": 16, "transf_dim_head": 8, "device": "cpu"}
    return getattr(library, version)(**small, **given)


def _moment(library: Any) -> Any:
    t5 = {**_T5, "model_type": "t5", "vocab_size": 4, "feed_forward_proj": "gated-gelu"}
    config = {"task_name": "reconstruction", "model_name": "MOMENT", "transformer_type": "encoder_only"}
    config |= {"d_model": 16, "seq_len": STEPS, "patch_len": 8, "patch_stride_len": 8, "transformer_backbone": "none"}
    config |= {"t5_config": t5, "add_positional_embedding": True, "enable_gradient_checkpointing": False}
    return library.MOMENTPipeline(config, model_kwargs={"task_name": "reconstruction"})


def _chronos(library: Any) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    limits = {"low_limit": -15.0, "high_limit": 15.0}
    tokens = {"n_tokens": 64, "n_special_tokens": 2, "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True}
    drawn = {"num_samples": 2, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "prediction_length": 8}
    own = {"tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": limits, "model_type": "seq2seq"}
    config = T5Config(**_T5, vocab_size=64, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    config.chronos_config = {**own, **tokens, **drawn, "context_length": STEPS}
    return T5ForConditionalGeneration(config)


def _bolt(library: Any) -> Any:
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    config = T5Config(**_T5, vocab_size=2, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    config.chronos_config = {**_PATCHED, "prediction_length": 8, "use_reg_token": True}
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    return ChronosBoltModelForForecasting(config)


def _second(library: Any) -> Any:
    from chronos.chronos2.config import Chronos2CoreConfig

    small = {key: value for key, value in _T5.items() if key != "num_decoder_layers"}
    config = Chronos2CoreConfig(**small, vocab_size=2, pad_token_id=0)
    config.chronos_config = {**_PATCHED, "output_patch_size": 8, "use_reg_token": True, "max_output_patches": 2}
    config.chronos_pipeline_class = "Chronos2Pipeline"
    return library.Chronos2Model(config)


_MAKERS: dict[str, tuple[Any, str, str]] = {
    "mantis": (lambda of: _mantis(of, "MantisV1", seq_len=STEPS), "mantis.architecture", "mantis-tsfm"),
    "mantis 8M": (lambda of: _mantis(of, "Mantis8M", seq_len=STEPS), "mantis.architecture", "mantis-tsfm"),
    "mantis 2": (lambda of: _mantis(of, "MantisV2", kernel_size=9), "mantis.architecture", "mantis-tsfm"),
    "moment": (_moment, "momentfm", "momentfm"),
    "chronos": (_chronos, "chronos", "chronos-forecasting"),
    "chronos bolt": (_bolt, "chronos", "chronos-forecasting"),
    "chronos 2": (_second, "chronos", "chronos-forecasting"),
}
KINDS = sorted(_MAKERS)
