"""Settings of the launchers, which run the jobs of a sweep: on this machine, on SLURM, on Ray."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tsmtl.config.errors import UserError
from tsmtl.config.schema import check_section
from tsmtl.config.section import Count, Section, Text
from tsmtl.config.words import did_you_mean


class LauncherSettings(Section):
    """Settings under ``hydra.launcher`` that every launcher has."""

    n_jobs: Count | None = Field(description="jobs at a time; null: one per core or GPU; on SLURM: all")
    retry_failed: bool = Field(description="try jobs of the sweep's folder again that failed")
    dry_run: bool = Field(description="show what is left to do, and do nothing")


class LocalSettings(LauncherSettings):
    """Settings under ``hydra.launcher`` of ``hydra/launcher=tsmtl``."""

    jobs_per_gpu: Count = Field(description="jobs that share each GPU and its memory, where n_jobs is null")


class SlurmSettings(LauncherSettings):
    """Settings under ``hydra.launcher`` of ``hydra/launcher=tsmtl_slurm``."""

    cluster: Literal["slurm", "local"] = Field(description="local: processes of this machine, to try it")
    partition: Text | None = Field(description="partition; null: SLURM's default")
    account: Text | None = Field(description="account")
    qos: Text | None = Field(description="quality of service")
    time: Count = Field(description="minutes of a job; when they are up it writes its state and is queued again")
    requeues: Annotated[int, Field(ge=0)] = Field(description="times that this happens to a job; then it counts as cut")
    cpus: Count = Field(description="cores of a job")
    gpus: Annotated[int, Field(ge=0)] = Field(description="GPUs of a job; on Ray a fraction shares one")
    mem: Annotated[float, Field(gt=0)] | None = Field(description="memory of a job in GB")
    setup: list[Text] = Field(description="shell lines before each job")
    sbatch: dict[str, bool | int | float | str] = Field(description="further options of sbatch by name")


class RaySettings(LauncherSettings):
    """Settings under ``hydra.launcher`` of ``hydra/launcher=tsmtl_ray``."""

    address: Text | None = Field(description="Ray cluster, host:port; auto: that of this machine; null: started here")
    cpus: Count = Field(description="cores of a job")
    gpus: Annotated[float, Field(ge=0)] = Field(description="GPUs of a job; on Ray a fraction shares one")
    mem: Annotated[float, Field(gt=0)] | None = Field(description="memory of a job in GB")
    retries: Annotated[int, Field(ge=0)] = Field(description="times that a job is started again whose machine died")


LAUNCHERS: dict[str, type[LauncherSettings]] = {
    "tsmtl": LocalSettings,
    "tsmtl_slurm": SlurmSettings,
    "tsmtl_ray": RaySettings,
}


def launcher_settings(name: str, values: Mapping[str, Any]) -> LauncherSettings:
    """Check what stands under ``hydra.launcher``.

    Args:
        name: What ``hydra/launcher`` says.
        values: The settings.

    Raises:
        UserError: With a line for every problem.
    """
    problems: list[str] = []
    checked = check_section(LAUNCHERS[name], values, "hydra.launcher", problems, f"hydra/launcher={name}")
    if checked is None:
        raise UserError(problems)
    return checked


def unknown_setting(name: str) -> str:
    """Say why ``hydra.launcher.<key>`` is refused: it is another launcher's, or nobody's."""
    known = {f"hydra.launcher.{key}": launcher for launcher, c in LAUNCHERS.items() for key in c.model_fields}
    owners = [launcher for launcher, c in LAUNCHERS.items() if name.rpartition(".")[2] in c.model_fields]
    if owners:
        return f"{name}: a setting of {' and '.join(f'hydra/launcher={owner}' for owner in owners)}"
    return f"{name}: unknown setting{did_you_mean(name, known) or '; tsmtl-train --help lists all'}"
