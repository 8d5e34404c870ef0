"""Sweeper over grids: Hydra's own grammar, without what it does before the launcher has checked the jobs."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class TsmtlSweeper(BasicSweeper):
    """Gives every combination of the swept settings to the launcher, all at once.

    Args:
        params: Swept settings from a file, as on the command line.
    """

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the jobs; nothing is written and composed here, since the launcher may refuse, or only show them."""
        assert self.launcher is not None, "Hydra calls setup first"
        assert self.hydra_context is not None, "as above"
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (jobs,) = self.split_arguments(overrides, max_batch_size=None)
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        for job in returns:
            _ = job.return_value  # raises what the job raised, where the launcher does not
        return [returns]
