"""What Hydra puts together anew for every command of a test process, remembered.

A command composes its settings twice, and there goes most of the time of a tiny run: the same YAML files are read, and
merged in the same way. Here this happens once for each choice of groups, as long as no file changes. What else a
command line sets is worked into the result each time, by Hydra itself.
"""

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import Overrides
from hydra.core.config_store import ConfigStore

HYDRAS = (
    (ConfigRepository, "load_config", ConfigRepository.load_config),
    (config_loader_impl, "create_defaults_list", config_loader_impl.create_defaults_list),
    (ConfigLoaderImpl, "_compose_config_from_defaults_list", ConfigLoaderImpl._compose_config_from_defaults_list),
)


@contextmanager
def remembered_configs() -> Iterator[None]:
    """Let Hydra read and merge the files of one choice of groups once."""
    remembered: dict[Any, bytes] = {}
    read, list_files, merge = (function for _, _, function in HYDRAS)

    def once(make: Callable[[], Any], *key: Any) -> Any:
        if key not in remembered:
            remembered[key] = pickle.dumps(make())
        return pickle.loads(remembered[key])

    def load_config(self: Any, config_path: str) -> Any:
        return once(lambda: read(self, config_path), "read", state(self), config_path)

    def create_defaults_list(repo: Any, config_name: str, overrides_list: list[Any], **kinds: bool) -> Any:
        values = Overrides(repo, overrides_list).config_overrides
        groups = [override for override in overrides_list if not any(override is value for value in values)]
        key = (state(repo), config_name, *(override.input_line for override in groups), *kinds.items())
        found = once(lambda: list_files(repo, config_name, groups, **kinds), "list", *key)
        found.config_overrides = values
        return found

    def compose_config(self: Any, defaults: list[Any], repo: Any) -> Any:
        return once(lambda: merge(self, defaults, repo), "merge", state(repo), repr(defaults))

    try:
        for (owner, name, _), ours in zip(HYDRAS, (load_config, create_defaults_list, compose_config), strict=True):
            setattr(owner, name, ours)
        yield
    finally:
        for owner, name, theirs in HYDRAS:
            setattr(owner, name, theirs)


def state(repo: Any) -> tuple[Any, ...]:
    """Give where configs are read from, and which folders and YAML files are there, with size and time."""
    found: list[Any] = [repr(ConfigStore.instance().repo.get("experiment"))]  # files that a command line names
    for source in repo.get_sources():
        found.append((source.provider, source.scheme(), source.path))
        for folder, _, names in os.walk(source.path) if source.scheme() == "file" else ():
            stats = [os.stat(os.path.join(folder, name)) for name in sorted(names) if name.endswith((".yaml", ".yml"))]
            found.append((folder, *((each.st_ino, each.st_mtime_ns, each.st_size) for each in stats)))
    return tuple(found)
