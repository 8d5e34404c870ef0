"""A model's outputs, or a backbone's embeddings, over a whole split."""

import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.precision import float32_products
from tsmtl.training.batches import Split, in_order
from tsmtl.training.ranks import ALONE, Ranks

EVALUATION_BATCH = 256  # instances per pass without gradients


def outputs_of(
    model: MultiTaskModel, split: Split, batch_size: int = EVALUATION_BATCH, ranks: Ranks = ALONE
) -> dict[str, Tensor]:
    """Give each task's outputs, (N, K) or (N, D), for all instances in order, in eval mode; each rank makes a share."""
    return _in_passes(model, split, batch_size, ranks)


def embeddings_of(backbone: Backbone, split: Split, batch_size: int = EVALUATION_BATCH, ranks: Ranks = ALONE) -> Tensor:
    """Give the embeddings (N, E) of all instances in order, in eval mode; each rank makes a share."""
    return _in_passes(backbone, split, batch_size, ranks)[""]


def _in_passes(module: nn.Module, split: Split, batch_size: int, ranks: Ranks) -> dict[str, Tensor]:
    """Give what a module makes of all instances, by name where it gives several things."""
    found: dict[str, Tensor] = {}
    own = ranks.share(len(split))
    n, at = own.stop - own.start, 0
    was_training = module.training
    if was_training:  # going through the modules takes as long as a small one's pass
        module.eval()
    with torch.inference_mode(), float32_products(split.device):
        for x, lengths in in_order(split, own, batch_size):
            made = module(x) if lengths is None else module(x, lengths)
            for name, part in (made if isinstance(made, dict) else {"": made}).items():
                _keep(found, name, part, at, n)
            at += len(x)
    if was_training:
        module.train()
    return ranks.whole(found, len(split))


def _keep(found: dict[str, Tensor], name: str, part: Tensor, at: int, n: int) -> None:
    """Copy a part of ``n`` rows to its place, but for one that is all of them.

    Parts kept one by one between the large tensors of passes would split the memory up.
    """
    if len(part) == n:
        found[name] = part.contiguous()
        return
    if name not in found:
        found[name] = part.new_empty((n, *part.shape[1:]))
    found[name][at : at + len(part)] = part
