"""A model's outputs, or a backbone's embeddings, over a whole split."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.precision import float32_products
from tsmtl.training.batches import Split
from tsmtl.training.ranks import ALONE, Ranks

EVALUATION_BATCH = 256  # instances per pass without gradients


def outputs_of(
    model: MultiTaskModel, split: Split, batch_size: int = EVALUATION_BATCH, ranks: Ranks = ALONE
) -> dict[str, Tensor]:
    """Give each task's outputs, (N, K) or (N, D), for all instances in order, in eval mode; each rank makes a share."""
    found: dict[str, Tensor] = {}
    own = ranks.share(len(split))
    for at, part in _passes(model, split, own, batch_size):
        for task, rows in part.items():
            _keep(found, task, rows, at, own)
    return ranks.whole(found, len(split))


def embeddings_of(backbone: Backbone, split: Split, batch_size: int = EVALUATION_BATCH, ranks: Ranks = ALONE) -> Tensor:
    """Give the embeddings (N, E) of all instances in order, in eval mode; each rank makes a share."""
    found: dict[str, Tensor] = {}
    own = ranks.share(len(split))
    for at, part in _passes(backbone, split, own, batch_size):
        _keep(found, "", part, at, own)
    return ranks.whole(found, len(split))[""]


def _keep(found: dict[str, Tensor], name: str, rows: Tensor, at: int, own: slice) -> None:
    """Copy rows to their place; parts kept one by one between the large tensors of passes would split the memory up."""
    if name not in found:
        found[name] = rows.new_empty((own.stop - own.start, *rows.shape[1:]))
    found[name][at : at + len(rows)] = rows


@torch.inference_mode()
def _passes(module: nn.Module, split: Split, own: slice, batch_size: int) -> Iterator[tuple[int, Any]]:
    was_training = module.training
    if was_training:  # going through the modules takes as long as a small one's pass
        module.eval()
    at = 0
    batches = torch.arange(own.start, own.stop, device=split.device).split(batch_size)
    with split.ahead(batches), float32_products(split.device):
        for rows in batches:
            x, lengths, _ = split.batch(rows)
            yield at, module(x) if lengths is None else module(x, lengths)
            at += len(rows)
    if was_training:
        module.train()
