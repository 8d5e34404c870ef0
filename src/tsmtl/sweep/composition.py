"""From the overrides of a sweep to its jobs, all checked before the first one runs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from tsmtl.config.arguments import GROUPS, composing, experiment_as_typed, plain_settings, typed_keys
from tsmtl.config.errors import UserError
from tsmtl.config.schema import check
from tsmtl.sweep.job import Job, value_of
from tsmtl.sweep.shared_composition import SharedComposition


@dataclass(frozen=True)
class Composer:
    """Composes the settings of jobs as the command line would.

    Attributes:
        context: Hydra's own.
        master: The config of the sweep.
    """

    context: HydraContext
    master: DictConfig

    @cached_property
    def _shared(self) -> SharedComposition:
        return SharedComposition(self.context.config_loader, self.master)

    def job(self, number: int, overrides: Sequence[str], swept: dict[str, str]) -> Job:
        """Compose and check one job.

        Args:
            number: What ``hydra.job.num`` stands for.
            overrides: Its arguments, as Hydra takes them.
            swept: Those that tell it from other jobs.

        Raises:
            UserError: If its settings are refused.
        """
        with composing():
            config = self._shared.config(overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        choices = {k: str(v) for k, v in config.hydra.runtime.choices.items() if k in GROUPS and k != "experiment"}
        flat, typed = plain_settings(config), typed_keys(list(overrides))
        check(flat, typed, choices)
        return Job(swept, flat, typed, choices, _within_the_sweep(str(config.hydra.sweep.subdir)))

    def jobs(
        self, job_overrides: Sequence[Sequence[str]], on_first: Callable[[Job], None] = lambda job: None
    ) -> list[Job]:
        """Compose and check all jobs of a grid, in order.

        Args:
            job_overrides: The arguments of each, as Hydra takes them.
            on_first: Is told of the first one while the others are still to come.

        Raises:
            UserError: With a line for every problem of every job.
        """
        swept = _swept(job_overrides)
        jobs: list[Job] = []
        problems: list[str] = []
        for number, overrides in enumerate(job_overrides):
            values = {key: value for key, value in _values(overrides).items() if key in swept}
            try:
                jobs.append(self.job(number, overrides, values))
                if number == 0:
                    on_first(jobs[0])
            except UserError as error:
                name = " ".join(f"{key}={value}" for key, value in values.items())
                problems += [f"job {number}{f' ({name})' if name else ''}: {line}" for line in error.lines]
        problems += _shared_checkpoints(jobs)
        if problems:
            raise UserError(problems)
        return _in_one_form(jobs)


def _within_the_sweep(subdir: str) -> str:
    """Check that a job's folder lies in that of its sweep, where results are looked for."""
    if Path(subdir).is_absolute() or Path(os.path.normpath(subdir)).parts[:1] in ((), ("..",)):
        raise UserError(f"hydra.sweep.subdir: must be the name of a folder within hydra.sweep.dir (got {subdir!r})")
    return subdir


def _values(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    return {key: experiment_as_typed(value) if key == "experiment" else value for key, _, value in pairs}


def _swept(job_overrides: Sequence[Sequence[str]]) -> set[str]:
    """Give the keys whose values differ between jobs; ``hydra.*`` aside."""
    seen: dict[str, set[str]] = {}
    for overrides in job_overrides:
        for key, value in _values(overrides).items():
            seen.setdefault(key, set()).add(value)
    return {key for key, values in seen.items() if len(values) > 1 and not key.startswith("hydra.")}


def _in_one_form(jobs: Sequence[Job]) -> list[Job]:
    """Give the jobs with their swept settings as they were understood, less those that are the same in all."""
    said = [{key: value_of(job.flat, key, value) for key, value in job.swept.items()} for job in jobs]
    differ = [key for key in said[0] if len({values[key] for values in said}) > 1]
    return [replace(job, swept={k: values[k] for k in differ}) for job, values in zip(jobs, said, strict=True)]


def _shared_checkpoints(jobs: Sequence[Job]) -> list[str]:
    """Refuse a ``best_model_path`` that several jobs would overwrite."""
    paths = [path for job in jobs if isinstance(path := job.flat.get("best_model_path"), str) and "{job}" not in path]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    return [
        f"best_model_path: {paths.count(path)} jobs would overwrite each other's {path}; {{job}} in it stands for the "
        "name of each job's folder, and without it each run folder gets its own"
        for path in twice
    ]
