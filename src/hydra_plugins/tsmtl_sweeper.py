"""Sweeper over grids: Hydra's own, less its composing of every job beside the launcher, which names all problems."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class TsmtlSweeper(BasicSweeper):
    """Gives every combination of the swept settings to the launcher."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave it to the launcher."""
