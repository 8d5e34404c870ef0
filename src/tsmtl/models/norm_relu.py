"""What stands behind a convolution: batch norm, ReLU, and squeeze-and-excite or a readout."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import _has_any_global_hook

from tsmtl.models.masking import BatchNorm
from tsmtl.models.norm_relu_native import NORM_KERNELS, NormReLU, Way
from tsmtl.models.readout import Readout
from tsmtl.models.squeeze_excite import SqueezeExcite
from tsmtl.models.transformed import transformed


def norm_relu(
    maps: Tensor,
    norm: nn.Module,
    valid: Tensor | None,
    excite: nn.Module | None = None,
    readout: Readout | None = None,
) -> Tensor:
    """Normalise, cut off below 0, then weigh or read out where a module for it is given.

    In training steps by the native kernel, where ``norm`` is to take it and all steps count. Numbers, gradients and
    running statistics are those of the modules one after another, but for rounding.

    Args:
        maps: (N, F, T) of a convolution.
        norm: The :class:`BatchNorm`.
        valid: (N, 1, T), or None where all steps count.
        excite: The :class:`SqueezeExcite`, or None; not with ``readout``.
        readout: Turns the maps into an embedding, or None.

    Returns:
        (N, F, T), or (N, E) of the readout.
    """
    assert isinstance(norm, BatchNorm)
    assert excite is None or isinstance(excite, SqueezeExcite)
    if norm.native and valid is None and _fits(maps, norm):
        mean = readout is not None and readout.method == "mean"  # part of the kernel; the others read the maps
        out = _by_kernel(maps, norm, excite, mean)
        return out if readout is None or mean else readout(out)
    if norm.training and valid is None and maps.dim() == 3 and maps.stride(1) == 1 and _unseen(norm):
        maps = norm(maps.unsqueeze(2)).relu_().squeeze(2)  # in the place of what nothing reads; not of a view of it
    else:
        maps = F.relu(norm(maps, valid))
    if excite is not None:
        maps = excite(maps, valid)
    return maps if readout is None else readout(maps, valid)


def _fits(maps: Tensor, norm: BatchNorm) -> bool:
    """Say whether the kernel covers this: a training step on a CPU, by a batch norm of one process."""
    if transformed() or not (norm.affine and norm.track_running_stats and norm.momentum is not None):
        return False  # a backbone of one's own may leave the latter out
    learns = norm.training and torch.is_grad_enabled() and (maps.requires_grad or norm.weight.requires_grad)
    here = maps.device.type == norm.weight.device.type == "cpu" and norm.weight.dtype is torch.float32
    covered = maps.dtype in (torch.float32, torch.bfloat16) and type(norm) is BatchNorm
    shaped = maps.dim() == 3 and maps.shape[1] == norm.num_features and maps.numel() > norm.num_features
    return learns and here and covered and shaped  # where the shape is wrong, torch complains


def _unseen(norm: BatchNorm) -> bool:
    """Say whether nobody else sees what a norm gives: no class of one's own, no hook."""
    own = norm._forward_hooks or norm._backward_hooks or norm._backward_pre_hooks or norm._forward_pre_hooks
    return type(norm) is BatchNorm and not (own or _has_any_global_hook())


def _by_kernel(maps: Tensor, norm: BatchNorm, excite: SqueezeExcite | None, mean: bool) -> Tensor:
    weights = (None, None) if excite is None else (excite.squeeze.weight, excite.excite.weight)
    given = (maps, Way(norm.eps, mean), norm.remember, norm.weight, norm.bias, *weights)
    out: Tensor = NormReLU.apply(NORM_KERNELS.loaded, *given)  # type: ignore[no-untyped-call]
    return out
