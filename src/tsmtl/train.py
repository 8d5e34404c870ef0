"""``tsmtl-train``: the one entrypoint of training. It wires the stages and computes nothing itself."""

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsmtl.config.schema import Settings


def train(settings: "Settings", folder: Path) -> None:
    """Run one training in its run folder; torch is imported only now that the settings have passed."""
    # A waiting OpenMP thread soon gives its core back: where another process wants it, the default is several times
    # slower, and where none does it is no faster (benchmarks/shared_core.py). Read when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from tsmtl.run import run_training

    run_training(settings, folder)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.command import run_command

        run_command("tsmtl-train", train)
    finally:
        gc.enable()


if __name__ == "__main__":
    cli()
