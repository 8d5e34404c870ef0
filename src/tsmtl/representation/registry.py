"""Names of representations that need nothing but their settings, and of those that train a network."""

from dataclasses import fields
from typing import Any

import torch

from tsmtl.representation.catch22 import Catch22
from tsmtl.representation.contrastive import Contrastive
from tsmtl.representation.masked import Masked
from tsmtl.representation.method import Representation
from tsmtl.representation.minirocket import MiniRocket
from tsmtl.representation.multirocket import MultiRocket
from tsmtl.representation.self_supervised import Learner, Recipe, SelfSupervised
from tsmtl.representation.summary import Summary
from tsmtl.representation.ts2vec import TS2Vec

FIXED: dict[str, type[Representation]] = {
    "summary": Summary,
    "minirocket": MiniRocket,
    "multirocket": MultiRocket,
    "catch22": Catch22,
}
TRAINED: dict[str, type[SelfSupervised]] = {
    "ts2vec": TS2Vec,
    "contrastive": Contrastive,
    "masked": Masked,
}
METHODS: dict[str, type[Representation]] = FIXED | TRAINED


def build_method(
    name: str, arguments: dict[str, Any], device: torch.device, learner: Learner | None = None
) -> Representation:
    """Make a method that is still to be fitted, or to take over a state.

    Args:
        name: One of :data:`METHODS`.
        arguments: Its settings.
        device: Where a network works.
        learner: Trains it; None where that is not to come.
    """
    if name in FIXED:
        return FIXED[name](**arguments)
    recipe = {field.name for field in fields(Recipe)}
    own = {key: value for key, value in arguments.items() if key not in recipe}
    how = Recipe(**{key: arguments[key] for key in recipe})
    return TRAINED[name](how, device, learner, **own)
