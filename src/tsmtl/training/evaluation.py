"""A model's outputs, or a backbone's embeddings, over a whole split."""

from typing import Any

import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import Split, in_order

EVALUATION_BATCH = 256  # instances per pass without gradients


def outputs_of(model: MultiTaskModel, split: Split, batch_size: int = EVALUATION_BATCH) -> dict[str, Tensor]:
    """Give each task's outputs, (N, K) or (N, D), for all instances in order, in eval mode."""
    parts = _passes(model, split, batch_size)
    return {task: torch.cat([part[task] for part in parts]) for task in parts[0]}


def embeddings_of(backbone: Backbone, split: Split, batch_size: int = EVALUATION_BATCH) -> Tensor:
    """Give the embeddings (N, E) of all instances in order, in eval mode."""
    return torch.cat(_passes(backbone, split, batch_size))


@torch.inference_mode()
def _passes(module: nn.Module, split: Split, batch_size: int) -> list[Any]:
    was_training = module.training
    module.eval()
    parts = []
    for rows in in_order(len(split), batch_size, split.device):
        x, lengths, _ = split.batch(rows)
        parts.append(module(x) if lengths is None else module(x, lengths))
    module.train(was_training)
    return parts
