"""``tsmtl-represent``: representation vectors of series, fitted on the train split alone."""

import gc
from typing import TYPE_CHECKING, Any

from tsmtl.config.garbage import importing

if TYPE_CHECKING:
    from tsmtl.config.represent_settings import RepresentSettings
    from tsmtl.config.representation_settings import AnyRepresentation
    from tsmtl.config.schema import Settings


def fit(own: "RepresentSettings", method: "AnyRepresentation", settings: "Settings") -> None:
    """Fit on a data set; torch is imported only now that the settings have passed."""
    with importing():
        from tsmtl.represent_data import represent_data

    represent_data(own, method, settings)


def apply(settings: dict[str, Any], typed: frozenset[str]) -> None:
    """Make vectors of new series with a fitted transform."""
    with importing():
        from tsmtl.represent_file import represent_file

    represent_file(settings[""], settings["data"], typed)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.represent_command import run_represent

        run_represent(fit, apply)
    finally:
        gc.enable()


if __name__ == "__main__":
    cli()
