"""Sweeper that searches with Optuna; what it does stands in :mod:`tsmtl.sweep.search_launch`.

Hydra imports this module at every start: the rest of tsmtl, and Optuna, only when used.
"""

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class TsmtlOptunaSweeper(Sweeper):
    """Searches among the swept settings.

    Args:
        settings: What stands under ``hydra.sweeper``.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = {k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in settings.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need, and make the launcher."""
        self.context, self.master = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search.

        Raises:
            UserError: If a setting is refused, or Optuna is not there; nothing was trained.
            SweepError: If a trial failed; the others are done.
        """
        from tsmtl.sweep.search_command import search

        search(self.context, self.master, self.settings, self.launcher, arguments)
