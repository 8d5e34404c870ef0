"""Launcher of sweeps on this machine; what it does stands in :mod:`tsmtl.sweep`.

Hydra finds launchers in this namespace alone, and imports them at every start: the rest of tsmtl only when used.
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from tsmtl.sweep.job import Job
    from tsmtl.sweep.launch import Runner


class TsmtlLauncher(Launcher):
    """Runs the jobs of a sweep in processes of this machine.

    Args:
        settings: What stands under ``hydra.launcher``.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composes the jobs."""
        from tsmtl.config.command import expect_sweep

        self.hydra_context, self.config = hydra_context, config
        expect_sweep(config)

    def make_runner(self, example: "Job", most: int) -> "Runner":
        """Make what runs the jobs of a search.

        Args:
            example: One of them.
            most: Their number at most.

        Raises:
            UserError: If the launcher's settings are refused.
        """
        from tsmtl.config.launcher_settings import launcher_settings
        from tsmtl.sweep.pool import Pool

        return Pool(launcher_settings(self.settings).n_jobs, most, None, example.flat.get("device") == "cuda")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Check all jobs, then run those that are left.

        Raises:
            UserError: If the settings of any job are refused; no job has run.
            SweepError: If a job failed; the others are done.
        """
        from tsmtl.config.launcher_settings import launcher_settings
        from tsmtl.sweep.composition import Composer

        settings = launcher_settings(self.settings)
        jobs = Composer(self.hydra_context, self.config).jobs(job_overrides)
        gc.enable()  # off since the start
        from tsmtl.sweep.launch import launch  # numpy and more, not for a refusal

        launch(jobs, settings, Path(str(self.config.hydra.sweep.dir)))
        return []
