"""Where the shipped YAML files lie."""

from pathlib import Path


def config_dir() -> Path:
    """Give the folder of the shipped config groups: inside an installed wheel, at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "configs"
    return shipped if shipped.is_dir() else package.parents[1] / "configs"
