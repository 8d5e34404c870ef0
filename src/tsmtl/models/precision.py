"""bfloat16 and TF32 in training steps: what computes in them, and where a processor has units for them.

What is measured or predicted is always float32: validation, test, predictions, exports. A model in bfloat16 or TF32 is
never seen outside its training steps, so that every way to its numbers gives the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tsmtl.config.processor import processor_flags
from tsmtl.models.backbone import Backbone

NO_BF16 = "PyTorch's layers take no bfloat16 on this processor"


def embed_in_bf16(backbone: Backbone, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Embed a batch with matrix products in bfloat16 where :func:`takes_bf16`; give float32, for heads and losses.

    Autocast lets convolutions, linear layers and, on a CPU, LSTMs take inputs and weights rounded to bfloat16, with
    sums in float32; batch norms, activations and readouts take what these give, batch norms with statistics and weights
    in float32. The weights themselves, their gradients and what the optimiser remembers stay float32.

    Args:
        backbone: Gives embeddings (N, E).
        x: The batch, as ``backbone`` takes it.
        lengths: Likewise.
    """
    with torch.autocast(x.device.type, torch.bfloat16, enabled=takes_bf16(x.device)):
        embedding: Tensor = backbone(x) if lengths is None else backbone(x, lengths)
    return embedding.float()


def takes_bf16(device: torch.device) -> bool:
    """Say whether PyTorch's layers compute in bfloat16 on a device: on x86 oneDNN wants AVX-512.

    Without it an LSTM ends in an error, and a convolution takes six times as long as in float32.
    """
    if device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def in_bf16_on_cpu(x: Tensor) -> bool:
    """Say whether layers that read ``x`` are to compute in bfloat16, as within :func:`embed_in_bf16`, by oneDNN."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


@contextmanager
def recurrent_in_float32(x: Tensor) -> Iterator[None]:
    """Keep an LSTM or GRU that reads ``x`` in float32 within :func:`embed_in_bf16` on a GPU, its products in TF32.

    Autocast there knows but float16 for them, whatever is asked for, in which small gradients become 0.
    """
    if not (x.is_cuda and torch.is_autocast_enabled("cuda")):
        yield
        return
    with torch.autocast("cuda", enabled=False):
        yield


def exact_on_gpu(x: Tensor) -> bool:
    """Say whether layers that read ``x`` compute on a GPU in float32, unrounded; see :func:`float32_products`."""
    if not (x.is_cuda and x.dtype is torch.float32) or torch.is_autocast_enabled("cuda"):
        return False
    newer = _newer_switches()
    return newer[1].fp32_precision != "tf32" if newer else not torch.backends.cudnn.allow_tf32


@contextmanager
def float32_products(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Let a GPU multiply float32 as what it is, or rounded to TF32, in matrix products, convolutions and cuDNN's LSTMs.

    TF32 keeps 10 of float32's 23 bits behind the point, and adds up in float32. PyTorch by itself takes it in
    convolutions and recurrent layers, and not in matrix products. The switches are the process's; they are put back.

    Args:
        device: Where the products are; nothing is switched on a CPU.
        tf32: Whether to round.
    """
    if device.type != "cuda":
        yield
        return
    older, newer = _older_switches(), _newer_switches()
    before = [switch.fp32_precision for switch in newer]
    try:
        if older is not None:
            _set_older_switches("high" if tf32 else "highest", tf32)
        for switch in newer:  # the older ones alone leave these to torch.backends.fp32_precision
            switch.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        if older is not None:
            _set_older_switches(*older)
        for switch, precision in zip(newer, before, strict=True):
            switch.fp32_precision = precision


def _newer_switches() -> list[Any]:
    """Give those of matrix products, convolutions and recurrent layers; none before PyTorch 2.9."""
    cudnn: Any = torch.backends.cudnn
    return [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn] if hasattr(cudnn, "conv") else []


def _older_switches() -> tuple[str, bool] | None:
    """Give those of matrix products and cuDNN; None where a script has set the newer ones.

    PyTorch then refuses to read the older ones, as they say something else, and they count nothing.
    """
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set_older_switches(products: str, cudnn: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = cudnn


def has_tf32(device: torch.device) -> bool:
    """Say whether a device has units for TF32: GPUs of NVIDIA's from Ampere (compute capability 8.0) on."""
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def cost_of_bf16(device: torch.device) -> str | None:
    """Say what bfloat16 costs on a device without units for its products; None where there are some.

    The figure is that of a training step of ``lstm_fcn`` at batch 16 on one core (docs/precision.md).
    """
    if device.type == "cuda":
        there = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if there else "this GPU has no units for bfloat16, which is slower than float32 without them"
    flags = processor_flags()
    if flags is None:
        return "whether this processor has units for bfloat16 is not known here"
    if flags & {"amx_bf16", "avx512_bf16"}:
        return None
    return "this processor has no units for bfloat16, and takes about twice as long in it as in float32"


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Make new tensors float32, whatever the script around says with ``torch.set_default_dtype``.

    The weights of a model are float32 in every checkpoint, and their layers take no other input.
    """
    given = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(given)
