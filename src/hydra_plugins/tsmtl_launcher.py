"""Launchers of sweeps, on this machine and on clusters; what it does stands in :mod:`tsmtl.sweep`.

Hydra finds launchers in this namespace alone, and imports them at every start: the rest of tsmtl only when used.
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from tsmtl.sweep.job import Job
    from tsmtl.sweep.runners import Runner


class TsmtlLauncher(Launcher):
    """Runs the jobs of a sweep in processes of this machine.

    Args:
        settings: What stands under ``hydra.launcher``.

    Attributes:
        name: What ``hydra/launcher`` says.
    """

    name = "tsmtl"

    def __init__(self, **settings: Any) -> None:
        self.settings: Any = OmegaConf.to_container(OmegaConf.create(settings))  # lists and mappings as plain values

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composes the jobs, and find where they are to run.

        Raises:
            UserError: If the launcher's settings are refused, or an extra is missing.
        """
        from tsmtl.config.command import expect_sweep
        from tsmtl.config.launcher_settings import launcher_settings
        from tsmtl.sweep.runners import runner_maker

        self.hydra_context, self.config = hydra_context, config
        expect_sweep(config)
        self.folder = Path(str(config.hydra.sweep.dir))
        self.checked = launcher_settings(self.name, self.settings)
        self.runner_maker = runner_maker(self.checked, self.folder)

    def make_runner(self, example: "Job", most: int) -> "Runner":
        """Make what runs the jobs of a search.

        Args:
            example: One of them.
            most: Their number at most.
        """
        from tsmtl.sweep.job import Needs

        return self.runner_maker(most, None, Needs.of([example]))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Check all jobs, then run those that are left.

        Raises:
            UserError: If the settings of any job are refused; no job has run.
            SweepError: If a job failed; the others are done.
        """
        from tsmtl.sweep.composition import Composer

        with self.runner_maker as make_runner:
            jobs = Composer(self.hydra_context, self.config).jobs(
                job_overrides, on_first=lambda job: self._expect(job, len(job_overrides))
            )
            gc.enable()  # off since the start
            from tsmtl.sweep.launch import launch  # numpy and more, not for a refusal

            launch(jobs, self.checked, self.folder, make_runner)
        return []

    def _expect(self, first: "Job", most: int) -> None:
        """Let what runs the jobs get ready, unless the sweep was here before and may have few left, or none."""
        from tsmtl.sweep.job import Needs

        is_new = not self.folder.exists() or next(self.folder.iterdir(), None) is None
        if is_new and not self.checked.dry_run:
            self.runner_maker.expect(most, Needs.of([first]))


class TsmtlSlurmLauncher(TsmtlLauncher):
    """Runs the jobs of a sweep on a SLURM cluster."""

    name = "tsmtl_slurm"


class TsmtlRayLauncher(TsmtlLauncher):
    """Runs the jobs of a sweep on a Ray cluster."""

    name = "tsmtl_ray"
