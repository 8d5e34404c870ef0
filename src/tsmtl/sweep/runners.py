"""Where the jobs of a sweep run: processes of this machine, or a cluster."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tsmtl.config.errors import UserError
from tsmtl.config.launcher_settings import LauncherSettings, LocalSettings, RaySettings, SlurmSettings
from tsmtl.sweep.cluster import ClusterRunner
from tsmtl.sweep.job import Job, Needs
from tsmtl.sweep.pool import Follower, Pool


class Runner(Protocol):
    """Runs jobs somewhere."""

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, asking for the next one when there is room, and tell the follower."""


RunnerMaker = Callable[[int | None, int | None, Needs], Runner]


def runner_maker(settings: LauncherSettings, folder: Path) -> RunnerMaker:
    """Find where the settings say that jobs run; nothing is written or started yet.

    Args:
        settings: The launcher's.
        folder: The sweep's folder.

    Returns:
        What makes a runner from the number of jobs that the sweep has (None: unknown), the number that is left, and
        what each takes.

    Raises:
        UserError: If an extra is missing, or there is no such cluster here.
    """
    try:
        if isinstance(settings, SlurmSettings):
            from tsmtl.sweep.slurm import Slurm

            slurm = Slurm(settings, folder.absolute())
            return lambda most, left, needs: ClusterRunner(slurm)
        if isinstance(settings, RaySettings):
            from tsmtl.sweep.ray_cluster import Ray

            ray = Ray(settings)
            return lambda most, left, needs: ClusterRunner(ray)
    except ModuleNotFoundError as error:
        extra = "slurm" if isinstance(settings, SlurmSettings) else "ray"
        raise UserError(f"{error.name} is missing: pip install 'tsmtl[{extra}]' brings it") from error
    assert isinstance(settings, LocalSettings), "all others run on clusters"
    jobs_per_gpu = settings.jobs_per_gpu
    return lambda most, left, needs: Pool(settings.n_jobs, most, left, needs, folder=folder, jobs_per_gpu=jobs_per_gpu)
