"""On what a training runs: in this process, in several that it starts, or as one of those that torchrun started."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tsmtl.config.errors import UserError, first_line
from tsmtl.config.schema import Settings
from tsmtl.config.torchrun import Place, place

if TYPE_CHECKING:
    from tsmtl.run import TrainingResult
    from tsmtl.training.watch import Watch

log = logging.getLogger(__name__)


def train_on_devices(settings: Settings, folder: Path, watch: "Watch | None" = None) -> "TrainingResult":
    """Train where the settings, or torchrun, say; see :func:`tsmtl.run.run_training`."""
    here = place()
    if here is not None:
        return _as_one_of(here, settings, folder, watch)
    if settings.run.devices > 1:
        from tsmtl.started_ranks import train_on_ranks

        return train_on_ranks(settings, folder, watch)
    from tsmtl.models.precision import float32_by_default
    from tsmtl.run import run_training

    with float32_by_default():
        return run_training(settings, folder, watch)


def _as_one_of(here: Place, settings: Settings, folder: Path, watch: "Watch | None") -> "TrainingResult":
    from tsmtl.models.precision import float32_by_default
    from tsmtl.run import run_training
    from tsmtl.training.loop import NotFiniteError
    from tsmtl.training.process_group import joined
    from tsmtl.training.ranks import RankLostError

    before = logging.root.manager.disable
    if here.rank > 0:
        logging.disable(logging.ERROR)  # what they would say, rank 0 says
    try:
        with float32_by_default(), joined("env://", here.rank, here.size, here.local_rank) as ranks:
            try:
                return run_training(settings, folder, watch, ranks)
            except Exception as error:
                of_all = error is ranks.shared or isinstance(error, UserError | NotFiniteError | RankLostError)
                if here.rank > 0 and not of_all:
                    log.critical("rank %d failed: %s: %s", here.rank, type(error).__name__, first_line(error))
                raise
    finally:
        logging.disable(before)
