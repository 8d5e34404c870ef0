"""``tsmtl-check-data``: what settings make of the data, and what its splits share, as measured."""

import gc
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsmtl.config.check_data_settings import CheckDataSettings
    from tsmtl.config.schema import Settings

NAME = "tsmtl-check-data"


def check_data(own: "CheckDataSettings", settings: "Settings", words: list[str]) -> None:
    """Load the data as a training would, and say what it holds.

    Args:
        own: Where picture and page go.
        settings: Of the training.
        words: What was typed, for the page.

    Raises:
        UserError: If the data cannot be used.
        FailedError: If the splits share what they must not; all is written first.
    """
    from tsmtl.config.errors import FailedError
    from tsmtl.data.description import describe_channels
    from tsmtl.data.features import Features
    from tsmtl.data.loading import load_bundle
    from tsmtl.data.sharing import leak_lines
    from tsmtl.data.windows import Windows
    from tsmtl.report.data_tables import data_tables
    from tsmtl.report.data_text import show_data

    bundle = load_bundle(settings.data, settings.tasks, settings.typed)
    instances, context = bundle.instances, bundle.instances.context
    if context is not None and context.anything and isinstance(instances.x, Windows):
        Features.fit(instances.x, bundle.splits["train"], context, instances.channels)  # a training must find them too
    channels = describe_channels(instances, bundle.splits)
    tables, leaks = data_tables(bundle, channels), leak_lines(instances.facts)
    verdict = leaks or ["The splits share nothing that they must not."]
    head = f"{len(instances.x)} instances of {' x '.join(str(size) for size in instances.x.shape[1:])}"
    show_data(f"{instances.where}: {head}", tables, bundle.notes, verdict)
    if own.picture is not None or own.page is not None:
        from tsmtl.report.data_page import DataPage, write_data_page
        from tsmtl.report.data_picture import draw_instances
        from tsmtl.report.drawing import style
        from tsmtl.storage.whole import whole_file

        with style():
            picture = draw_instances(bundle, channels["train"])
        if own.picture is not None:
            with whole_file(Path(own.picture).expanduser()) as file:
                file.write(picture)
        if own.page is not None:
            command = shlex.join([NAME, *words])
            page = DataPage(instances.where, head, command, verdict, not leaks, tables, bundle.notes, picture)
            write_data_page(Path(own.page).expanduser(), page)
    if leaks:
        raise FailedError(f"{instances.where}: {'; '.join(leaks)}; no score on these splits would hold for new data")


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.check_data_command import run_check_data

        run_check_data(check_data)
    finally:
        gc.enable()


if __name__ == "__main__":
    cli()
