"""A model's outputs and losses over a whole split."""

import torch
from torch import Tensor

from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import TensorSplit, in_order

EVALUATION_BATCH = 256  # instances per pass without gradients


@torch.inference_mode()
def outputs_of(model: MultiTaskModel, split: TensorSplit) -> dict[str, Tensor]:
    """Give each task's outputs, (N, K) or (N, D), for all instances in order, in eval mode."""
    was_training = model.training
    model.eval()
    parts = []
    for rows in in_order(len(split), EVALUATION_BATCH, split.x.device):
        x, lengths, _ = split.batch(rows)
        parts.append(model(x, lengths))
    model.train(was_training)
    return {task: torch.cat([part[task] for part in parts]) for task in parts[0]}
