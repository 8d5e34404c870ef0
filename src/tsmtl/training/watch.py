"""Whoever follows a run from outside its loop: a sweep that shows progress, a search that prunes."""

from tsmtl.training.loop import Row


class Watch:
    """Is told how far a run is. This one does not care; what a subclass raises ends the run."""

    def starts(self, data: str, epochs: int, done: int) -> None:
        """Take note of a run that is about to train.

        Args:
            data: SHA-256 of its data.
            epochs: Most epochs.
            done: Epochs that an earlier process trained.
        """

    def epoch_ends(self, row: Row) -> None:
        """Take note of an epoch, by its row of ``metrics.csv``."""
