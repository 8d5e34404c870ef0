"""Configs of many jobs, composed as Hydra composes one; what jobs have in common is composed once."""

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig

from tsmtl.config.arguments import as_typed


class _FilesReadOnce(CachingConfigRepository):
    """Reads every YAML file once for all jobs."""

    def load_config(self, config_path: str) -> Any:
        """Give a file's content, which Hydra changes."""
        return copy.deepcopy(super().load_config(config_path))

    def __deepcopy__(self, memo: dict[int, Any]) -> "_FilesReadOnce":
        """Stay the same one for each composition, which takes a copy."""
        return self


class SharedComposition:
    """Composes the configs of jobs, of which those that choose the same files differ in values alone.

    Hydra finds and merges the chosen files, then sets what the command line says of single keys, which is the cheap
    part: a fifth of the whole. The merged files are kept for all jobs that choose the same ones.

    Args:
        loader: Hydra's, of the sweep.
        master: The config of the sweep.
    """

    def __init__(self, loader: Any, master: DictConfig) -> None:
        if not isinstance(loader.repository, _FilesReadOnce):
            loader.repository = _FilesReadOnce(loader.repository)
        self._loader, self._master = loader, master
        self._parser = OverridesParser.create()
        # With the places that hydra.searchpath names.
        _, self._groups = loader._parse_overrides_and_create_caching_repo(
            master.hydra.job.config_name, as_typed(master.hydra.overrides.hydra)
        )
        self._merged: dict[tuple[str, ...], DictConfig] = {}

    def config(self, overrides: Sequence[str]) -> DictConfig:
        """Give the config of a job, as Hydra would compose it.

        Args:
            overrides: The job's arguments, as Hydra takes them.

        Raises:
            HydraException: If it cannot be composed.
            ValueError: If it cannot be composed either.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        choices = [override for override in parsed if self._is_choice(override)]
        values = [override for override in parsed if _is_value(override) and not self._is_choice(override)]
        if len(choices) + len(values) < len(parsed):  # added or deleted, whose order may matter; Hydra's own; a sweep
            return self._composed(overrides)
        merged = tuple(_line(override) for override in choices)
        if merged not in self._merged:
            self._merged[merged] = self._composed(merged)
        config = copy.deepcopy(self._merged[merged])
        self._loader._apply_overrides_to_config(values, config)
        _note(config, parsed)
        return config

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        config: DictConfig = self._loader.load_sweep_config(self._master, list(overrides))
        return config

    def _is_choice(self, override: Override) -> bool:
        """Say whether it chooses a file of a group."""
        group = not override.is_hydra_override() and bool(self._groups.group_exists(override.key_or_group))
        return group and not isinstance(override.value(), dict)


def _is_value(override: Override) -> bool:
    """Say whether it gives a key a value, whatever the key had, as arguments of tsmtl do."""
    given = override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
    return given and override.package is None and not override.is_hydra_override() and not override.is_sweep_override()


def _note(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Write down what was typed, as Hydra does."""
    job = config.hydra.job
    config.hydra.overrides.task = [_line(override) for override in overrides]
    job.override_dirname = get_overrides_dirname(overrides=list(overrides), **job.config.override_dirname)


def _line(override: Override) -> str:
    assert override.input_line is not None, "parsed from a line"
    return override.input_line
