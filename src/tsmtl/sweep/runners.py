"""Where the jobs of a sweep run: processes of this machine, or a cluster."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tsmtl.config.errors import UserError
from tsmtl.config.launcher_settings import LauncherSettings, LocalSettings, RaySettings, SlurmSettings
from tsmtl.sweep.cluster import Cluster, ClusterRunner
from tsmtl.sweep.job import Job, Needs
from tsmtl.sweep.pool import Follower, Pool, end_all, may_have
from tsmtl.sweep.process import WorkerProcess


class Runner(Protocol):
    """Runs jobs somewhere."""

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, asking for the next one when there is room, and tell the follower."""


class RunnerMaker(AbstractContextManager["RunnerMaker"]):
    """Makes runners; what waits for jobs that never came is ended with its ``with`` block."""

    @abstractmethod
    def __call__(self, most: int | None, left: Sequence[Job] | None, needs: Needs) -> Runner:
        """Make a runner.

        Args:
            most: Jobs that the sweep has; None: unknown.
            left: Jobs that are to run; None: unknown.
            needs: What each takes.
        """

    def expect(self, most: int, needs: Needs) -> None:
        """Get ready for a runner of so many jobs, which will be made soon."""

    def __exit__(self, *error: object) -> None:
        """End what waits."""


class _OnCluster(RunnerMaker):
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, most: int | None, left: Sequence[Job] | None, needs: Needs) -> ClusterRunner:
        return ClusterRunner(self._cluster)


class _OnThisMachine(RunnerMaker):
    def __init__(self, settings: LocalSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._early: list[WorkerProcess] = []

    def __call__(self, most: int | None, left: Sequence[Job] | None, needs: Needs) -> Pool:
        n_jobs, per_gpu = self._settings.n_jobs, self._settings.jobs_per_gpu
        count, folder = None if left is None else len(left), self._folder
        return Pool(n_jobs, most, count, needs, folder=folder, jobs_per_gpu=per_gpu, early=self._early, jobs=left)

    def expect(self, most: int, needs: Needs) -> None:
        """Start processes, which import PyTorch meanwhile; not where each may be told a GPU of its own."""
        if not may_have(needs.gpu):
            self._early += [WorkerProcess() for _ in range(self(most, None, needs).processes)]

    def __exit__(self, *error: object) -> None:
        """End the processes that have no place."""
        end_all(self._early)


def runner_maker(settings: LauncherSettings, folder: Path) -> RunnerMaker:
    """Find where the settings say that jobs run; nothing is written or started yet.

    Args:
        settings: The launcher's.
        folder: The sweep's folder.

    Returns:
        What makes runners.

    Raises:
        UserError: If an extra is missing, or there is no such cluster here.
    """
    try:
        if isinstance(settings, SlurmSettings):
            from tsmtl.sweep.slurm import Slurm

            return _OnCluster(Slurm(settings, folder.absolute()))
        if isinstance(settings, RaySettings):
            from tsmtl.sweep.ray_cluster import Ray

            return _OnCluster(Ray(settings))
    except ModuleNotFoundError as error:
        extra = "slurm" if isinstance(settings, SlurmSettings) else "ray"
        raise UserError(f"{error.name} is missing: pip install 'tsmtl[{extra}]' brings it") from error
    assert isinstance(settings, LocalSettings), "all others run on clusters"
    return _OnThisMachine(settings, folder)
