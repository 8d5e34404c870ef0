"""Factories of the data tests: settings with the shipped defaults, files, and the text of a refusal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from omegaconf import OmegaConf

from tsmtl.config.data_settings import DataSettings
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.sources import SOURCES
from tsmtl.data.instances import Bundle
from tsmtl.data.loading import load_bundle

hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis_settings.load_profile("repeatable")

PATH = {"path": "not_read"}
NEEDED = {"synthetic": {}, "npz": PATH, "vectors": PATH, "ts": PATH, "table": PATH, "archive": {"name": "not_read"}}


@cache
def shipped_defaults(source: str) -> dict[str, Any]:
    return dict(OmegaConf.to_container(OmegaConf.load(config_dir() / "data" / f"{source}.yaml"), resolve=True))


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., DataSettings]:
    """Settings of a source: the defaults of its YAML file, and what the test changes."""

    def build(source: str, **changes: Any) -> DataSettings:
        return SOURCES[source](**{**shipped_defaults(source), **NEEDED[source], **changes})

    return build


@pytest.fixture(scope="session")
def refuses() -> Callable[..., AbstractContextManager[None]]:
    """Expect a refusal of one line with all the given parts, in this order."""

    @contextmanager
    def expect(*parts: str) -> Iterator[None]:
        with pytest.raises(UserError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        place = 0
        for part in parts:
            assert part in message[place:], f"{part!r} is not (or not at its place) in: {message}"
            place = message.index(part, place) + len(part)

    return expect


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """40 series of 2 channels and 8 steps, three classes and a number; tests change what they are about."""
    rng = np.random.default_rng(7)
    return {
        "X": rng.normal(size=(40, 2, 8)).astype(np.float32),
        "y_cls": np.arange(40) % 3,
        "y_reg": rng.normal(size=40),
    }


@pytest.fixture
def load_arrays(tmp_path: Path, settings_of: Callable[..., DataSettings]) -> Callable[..., Bundle]:
    """Write arrays as ``data.npz`` and load them as a run would, both targets unless told otherwise."""

    def load(arrays: dict[str, np.ndarray], tasks: tuple[str, ...] = ("cls", "reg"), **changes: Any) -> Bundle:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return load_bundle(
            settings_of("npz", path=str(path), **changes), {task: task.removesuffix("_2") for task in tasks}
        )

    return load


@pytest.fixture
def load_file(settings_of: Callable[..., DataSettings]) -> Callable[..., Bundle]:
    """Load files of a table as a run would, for the given tasks."""

    def load(path: Path | str, *tasks: str, **changes: Any) -> Bundle:
        return load_bundle(settings_of("table", path=str(path), **changes), {task: task for task in tasks})

    return load
