"""A job's side of a search: it reports every epoch to the study, and ends where the study sees no use in it."""

import logging
from collections.abc import Mapping
from typing import Any

from optuna.exceptions import OptunaError
from optuna.trial import Trial
from sqlalchemy.exc import SQLAlchemyError

from tsmtl.config.errors import Pruned, first_line
from tsmtl.sweep.study import open_study

log = logging.getLogger(__name__)


class Reporter:
    """Reports the epochs of a trial.

    Args:
        search: ``study`` (arguments of :func:`tsmtl.sweep.study.open_study`), ``trial`` (its number),
            ``trial_id`` (its id in the storage).
    """

    def __init__(self, search: Mapping[str, Any]) -> None:
        study = open_study(**search["study"])
        self._trial = Trial(study, search["trial_id"])
        self._last = max(study.trials[search["trial"]].intermediate_values, default=0)

    def report(self, epoch: int, score: float) -> None:
        """Report the score at the end of an epoch.

        Raises:
            Pruned: If the trial is not worth going on with.
        """
        if epoch <= self._last:  # a run that went on trains the cut epochs again
            return
        self._last = epoch
        try:
            self._trial.report(score, epoch)
            hopeless = self._trial.should_prune()
        except (OSError, OptunaError, SQLAlchemyError) as error:
            log.warning("the study cannot be told of epoch %d (%s); the trial goes on", epoch, first_line(error))
            return
        if hopeless:
            raise Pruned(f"in epoch {epoch}, at {score:.4g}")
