"""Settings of ``hydra/launcher=tsmtl``, which runs the jobs of a sweep."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from tsmtl.config.errors import UserError
from tsmtl.config.schema import check_section
from tsmtl.config.section import Count, Section


class LauncherSettings(Section):
    """Settings under ``hydra.launcher``."""

    n_jobs: Count | None = Field(
        description="jobs at a time, a process each, the cores divided among them; null: one per core, or per GPU"
    )
    retry_failed: bool = Field(description="try jobs of the sweep's folder again that failed")
    dry_run: bool = Field(description="show what is left to do, and do nothing")


def launcher_settings(values: Mapping[str, Any]) -> LauncherSettings:
    """Check what stands under ``hydra.launcher``.

    Raises:
        UserError: With a line for every problem.
    """
    problems: list[str] = []
    checked = check_section(LauncherSettings, values, "hydra.launcher", problems, "the launcher")
    if checked is None:
        raise UserError(problems)
    return checked
