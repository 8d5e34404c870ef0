"""Launcher of sweeps: checks the settings of every job first, and goes on when one fails.

Hydra finds launchers in this namespace alone, and imports them at every start: the rest of tsmtl only when used.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

log = logging.getLogger(__name__)


@dataclass
class LauncherConf:
    """Config of ``hydra/launcher=tsmtl``."""

    _target_: str = "hydra_plugins.tsmtl_launcher.TsmtlLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="tsmtl", node=LauncherConf, provider="tsmtl")


class TsmtlLauncher(Launcher):
    """Runs the jobs of a sweep one after another in this process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        from tsmtl.config.arguments import typed_keys
        from tsmtl.config.command import expect_sweep

        typed = typed_keys(list(config.hydra.overrides.hydra))
        expect_sweep(Path(str(config.hydra.sweep.dir)), own_layout="hydra.sweep.dir" not in typed)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Check all jobs, then run them.

        Raises:
            UserError: If the settings of any job are refused; no job has run.
            SweepError: If a job failed; the others are done.
        """
        from tsmtl.config.arguments import plain_settings, typed_keys
        from tsmtl.config.errors import SweepError, UserError
        from tsmtl.config.logs import set_up_logs
        from tsmtl.config.schema import check

        setup_globals()
        folder = Path(str(self.config.hydra.sweep.dir))
        jobs, problems = [], []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            name = " ".join(o.lstrip("+") for o in filter_overrides(overrides))
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = number
            try:
                check(plain_settings(config), typed_keys(list(overrides)))
            except UserError as error:
                problems += [f"job {number} ({name}): {line}" for line in error.lines]
            jobs.append((number, name, config))
        paths = [str(config.best_model_path) for _, _, config in jobs if config.get("best_model_path") is not None]
        if twice := {path for path in paths if paths.count(path) > 1}:
            problems.append(
                f"best_model_path: {len(jobs)} jobs would overwrite each other's {min(twice)}; without it each run "
                "folder gets its own"
            )
        if problems:
            raise UserError(problems)
        folder.mkdir(parents=True, exist_ok=True)
        returns: list[JobReturn] = []
        failed: list[str] = []
        for number, name, config in jobs:
            set_up_logs(folder)
            log.info("job %d of %d: %s", number + 1, len(jobs), name)
            result: Any = run_job(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            set_up_logs(folder)
            if result.status == JobStatus.FAILED:
                raised = result._return_value
                lines = raised.lines if isinstance(raised, UserError) else str(raised).splitlines()[:1]
                reason = "; ".join(lines) or type(raised).__name__
                failed.append(f"job {number} ({name}): {reason}")
                log.error("job %d failed: %s", number, reason)
            returns.append(result)
        if failed:
            raise SweepError(f"{len(failed)} of {len(jobs)} jobs failed: " + "; ".join(failed))
        return returns
