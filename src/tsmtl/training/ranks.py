"""The processes that train one model together, seen from one of them; here the usual one, which is alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from tsmtl.config.errors import FailedError
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.batches import Split
from tsmtl.training.seeding import random_numbers, set_random_numbers

if TYPE_CHECKING:  # it evaluates, which ranks do together
    from tsmtl.training.augmentation import Augmentation

T = TypeVar("T")


class RankLostError(FailedError):
    """Another process of the training has ended; its reason is its own."""


class Ranks:
    """One process: its share is everything, and it agrees with itself.

    Several are a :class:`tsmtl.training.process_group.ProcessGroup`, which has the same methods. All ranks must call
    those in the same order, but for ``first`` and ``share``.

    Attributes:
        rank: Number of this process.
        size: How many there are.
    """

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, the one that writes files."""
        return self.rank == 0

    def use(self, device: torch.device) -> torch.device:
        """Give the device of this rank among those of a kind."""
        return device

    def spread(
        self, model: MultiTaskModel, train: Split, augmentation: "Augmentation | None", seed: int
    ) -> tuple[Split, "Augmentation | None"]:
        """Let the ranks share the work on each batch of the training.

        Args:
            model: Gives outputs of the whole batch in train mode from now on, from inputs of this rank's share of it.
            train: The train split.
            augmentation: Changes each batch.
            seed: Seed of the run.

        Returns:
            Split and augmentation that give this rank's inputs, and targets of the whole batch.
        """
        return train, augmentation

    def sum_gradients(self, model: nn.Module) -> None:
        """Make the gradient of the whole batch from those of the shares; for after ``backward``."""

    def summed(self, values: Tensor) -> Tensor:
        """Give the sum of the ranks' values, which has no history."""
        return values

    def random_numbers(self) -> dict[str, Any]:
        """Give the state of all random numbers that this rank draws: of those alike on all ranks, and of its own."""
        return random_numbers()

    def set_random_numbers(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`random_numbers` gave."""
        set_random_numbers(state)

    def share(self, n: int) -> slice:
        """Give the rows, of ``n``, that this rank works on: one at least, even where there are fewer than ranks."""
        return slice(0, n)

    def whole(self, parts: dict[str, Tensor], n: int) -> dict[str, Tensor]:
        """Put what all ranks made of their shares in order.

        Args:
            parts: Tensors (rows, size) by name, of the rows of :meth:`share`.
            n: Rows of all.

        Returns:
            (n, size) by name. Gradients flow back into ``parts`` of this rank alone.
        """
        return parts

    def agreed(self, signum: int | None, due: bool) -> tuple[int | None, bool]:
        """Exchange what is asked for at the end of a step; all ranks get the same answer.

        Args:
            signum: A signal that came to this rank, or None.
            due: Whether it is time to write the state; rank 0 says so.
        """
        return signum, due

    def from_first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do something; all ranks get its result, or raise what it raised."""
        return work()

    def together(self, work: Callable[[], T]) -> T:
        """Let every rank do something; where one fails, all raise what the first of those raised."""
        return work()

    def check_alike(self, value: str, problem: str) -> None:
        """Check that every rank has the same value.

        Args:
            value: What this rank has.
            problem: What to say else; ``{rank}`` stands for the first that has another than rank 0.

        Raises:
            UserError: If not.
        """

    def own_random(self) -> list[dict[str, Any]]:
        """Give the state of the random numbers that each rank has for itself, dropout's; none of a process alone."""
        return []

    def set_own_random(self, states: list[dict[str, Any]]) -> None:
        """Put back what :meth:`own_random` gave."""


ALONE = Ranks()
