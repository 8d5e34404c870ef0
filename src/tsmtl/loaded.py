"""The data of a run; jobs of a sweep on one machine share what the first of them has read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tsmtl.config.identity import sha256_of_values
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash
from tsmtl.data.instances import Bundle
from tsmtl.data.loading import load_bundle
from tsmtl.data.shared import shared, shares

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A data set.

    Attributes:
        bundle: Read, split and checked.
        sha256: Its hash.
    """

    bundle: Bundle
    sha256: str


def load(settings: Settings, typed: frozenset[str] = frozenset()) -> Loaded:
    """Read, split and check the data; see :func:`tsmtl.data.loading.load_bundle`.

    Args:
        settings: Of the run.
        typed: Keys that the user gave on the command line, and that the split must read.

    Raises:
        UserError: If the data cannot be used.
    """

    def read() -> Loaded:
        bundle = load_bundle(settings.data, settings.tasks, typed)
        return Loaded(bundle, data_hash(bundle))

    if settings.shared is None:
        return read()
    return shared(settings.shared, sha256_of_values(settings.data_name, sorted(typed))[:16], read)


def sharing(settings: Settings, *what: Any) -> Callable[[Callable[[], T]], T] | None:
    """Give what shares with other jobs something made of the data; None where they share none.

    Args:
        settings: Of the run.
        what: Plain values that tell it from all else that is made of this data.
    """
    folder = settings.shared
    if folder is None or not shares(folder):
        return None
    return lambda make: shared(folder, sha256_of_values(settings.data_name, *what)[:16], make)
