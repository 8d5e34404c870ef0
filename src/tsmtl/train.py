"""``tsmtl-train``: the one entrypoint of training. It wires the stages and computes nothing itself."""

from pathlib import Path

from tsmtl.config.command import run_command
from tsmtl.config.schema import Settings


def train(settings: Settings, folder: Path) -> None:
    """Run one training in its run folder; torch is imported only now that the settings have passed."""
    from tsmtl.run import run_training

    run_training(settings, folder)


def cli() -> None:
    """Run the command line."""
    run_command("tsmtl-train", train)


if __name__ == "__main__":
    cli()
