"""What ``hydra/sweeper=tsmtl_optuna`` was given: arguments and settings, checked before Optuna is imported."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig

from tsmtl.config.errors import UserError
from tsmtl.config.schema import check_section
from tsmtl.config.search_settings import SearchSettings
from tsmtl.sweep.composition import Composer


def search(
    context: HydraContext, config: DictConfig, values: Mapping[str, Any], launcher: Any, arguments: Sequence[str]
) -> None:
    """Run a search.

    Args:
        context: Hydra's own.
        config: The config of the sweep.
        values: What stands under ``hydra.sweeper``.
        launcher: Runs the jobs; one of tsmtl's.
        arguments: The command line's.

    Raises:
        UserError: If a setting is refused, or Optuna is not there; nothing was trained.
        SweepError: If a trial failed; the others are done.
        Interrupted: If a signal came; says how to go on.
    """
    problems: list[str] = []
    settings = check_section(SearchSettings, values, "hydra.sweeper", problems, "the search")
    if not hasattr(launcher, "make_runner"):
        problems.append(f"hydra/launcher: a search needs one of tsmtl's (got {type(launcher).__name__})")
    if find_spec("optuna") is None:
        problems.append("hydra/sweeper: a search needs Optuna; install it with: pip install 'tsmtl[sweep]'")
    if problems or settings is None:
        raise UserError(problems)
    from tsmtl.sweep.search_launch import launch_search
    from tsmtl.sweep.search_space import search_space

    typed = [f"{key}={value}" for key, value in settings.params.items()]
    parsed = OverridesParser.create(config_loader=context.config_loader).parse_overrides([*typed, *arguments])
    overrides = list(
        {override.get_key_element().lstrip("+"): override for override in parsed}.values()
    )  # the last counts
    launch_search(
        search_space(overrides),
        Composer(context, config),
        settings,
        Path(str(config.hydra.sweep.dir)),
        launcher.make_runner,
        launcher.checked,
    )
