"""The data of a run; jobs of a sweep on one machine share what the first of them has read."""

from dataclasses import dataclass

from tsmtl.config.identity import sha256_of_values
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash
from tsmtl.data.instances import Bundle
from tsmtl.data.loading import load_bundle
from tsmtl.data.shared import shared


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
    return shared(settings.shared / settings.data_name, sha256_of_values(sorted(typed))[:16], read)
