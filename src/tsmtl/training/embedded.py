"""Heads on a frozen backbone: what it makes of each instance is computed once, not in every epoch."""

from collections.abc import Mapping

import torch

from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.evaluation import embeddings_of
from tsmtl.training.ranks import ALONE, Ranks

LARGEST = 2**28  # values of all embeddings, 1 GiB; larger ones are computed again in every epoch


def embedded(model: MultiTaskModel, splits: Mapping[str, Split], ranks: Ranks = ALONE) -> dict[str, TensorSplit] | None:
    """Give the splits with embeddings (N, E) in place of the input; None if they would be too large.

    Args:
        model: With a frozen backbone: without dropout and batch-norm updates the embeddings never change.
        splits: The splits to embed.
        ranks: The processes that share the work; all get all embeddings.
    """
    assert model.frozen
    if sum(map(len, splits.values())) * model.backbone.embed_dim > LARGEST:
        return None
    with torch.no_grad():  # the clones may be trained on, what inference mode gives may not
        return {
            name: TensorSplit(embeddings_of(model.backbone, split, ranks=ranks).clone(), split.targets)
            for name, split in splits.items()
        }
