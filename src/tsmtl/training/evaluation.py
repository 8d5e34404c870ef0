"""A model's outputs, or a backbone's embeddings, over a whole split."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import Split, in_order

EVALUATION_BATCH = 256  # instances per pass without gradients


def outputs_of(model: MultiTaskModel, split: Split, batch_size: int = EVALUATION_BATCH) -> dict[str, Tensor]:
    """Give each task's outputs, (N, K) or (N, D), for all instances in order, in eval mode."""
    found: dict[str, Tensor] = {}
    for at, part in _passes(model, split, batch_size):
        for task, rows in part.items():
            _keep(found, task, rows, at, len(split))
    return found


def embeddings_of(backbone: Backbone, split: Split, batch_size: int = EVALUATION_BATCH) -> Tensor:
    """Give the embeddings (N, E) of all instances in order, in eval mode."""
    found: dict[str, Tensor] = {}
    for at, part in _passes(backbone, split, batch_size):
        _keep(found, "", part, at, len(split))
    return found[""]


def _keep(found: dict[str, Tensor], name: str, rows: Tensor, at: int, n: int) -> None:
    """Copy rows to their place; parts kept one by one between the large tensors of passes would split the memory up."""
    if name not in found:
        found[name] = rows.new_empty((n, *rows.shape[1:]))
    found[name][at : at + len(rows)] = rows


@torch.inference_mode()
def _passes(module: nn.Module, split: Split, batch_size: int) -> Iterator[tuple[int, Any]]:
    was_training = module.training
    module.eval()
    at = 0
    for rows in in_order(len(split), batch_size, split.device):
        x, lengths, _ = split.batch(rows)
        yield at, module(x) if lengths is None else module(x, lengths)
        at += len(rows)
    module.train(was_training)
