"""What the epoch loop trains for: a loss in parts, of a model's outputs."""

from collections.abc import Collection
from typing import Protocol

from torch import Tensor

Losses = tuple[Tensor, dict[str, Tensor]]  # what is minimised, and its parts by name


class Objective(Protocol):
    """The loss of a batch; :class:`tsmtl.tasks.losses.Criterion` is one, of the tasks.

    A self-supervised one compares what a model makes of views of the same batch, and needs no targets.
    """

    @property
    def losses(self) -> Collection[str]:
        """Names of the parts, in their order."""

    def __call__(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Losses:
        """Give the loss of a batch and its parts, as scalars."""
