"""Settings of a training that Python code asks for, in the words of the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from tsmtl.config.arguments import GROUPS, composing, plain_settings, prepare_arguments, typed_keys
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.schema import Settings, check
from tsmtl.config.torchrun import with_devices

if TYPE_CHECKING:
    from omegaconf import DictConfig


def settings_and_folder(arguments: list[str]) -> tuple[Settings, Path]:
    """Compose and check settings; give them with the run folder, which is not made.

    Args:
        arguments: What would be typed behind ``tsmtl-train``.

    Raises:
        UserError: With a line for every problem.
    """
    if not all(isinstance(argument, str) for argument in arguments):
        raise UserError("overrides: must be a list of texts such as 'model=gru'")
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.startswith("hydra.") and (key != "hydra.run.dir" or not value):
            raise UserError(f"{argument}: of Hydra's settings, Python takes hydra.run.dir=FOLDER alone")
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise UserError(f"{flags[0]}: flags are for the command line; settings are written key=value")
    return composed(with_devices(arguments))


def composed(arguments: list[str]) -> tuple[Settings, Path]:
    """Compose and check settings, those of Hydra too; see :func:`settings_and_folder`.

    Args:
        arguments: What would be typed, without flags.

    Raises:
        UserError: With a line for every problem.
    """
    settings, hydra = composed_with_hydra(arguments)
    return settings, Path(str(hydra.run.dir)).absolute()


def composed_with_hydra(arguments: list[str]) -> "tuple[Settings, DictConfig]":
    """Compose and check settings; give them with what stands under ``hydra``.

    Args:
        arguments: What would be typed, without flags.

    Raises:
        UserError: With a line for every problem.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with composing():
        overrides = prepare_arguments(arguments)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", overrides, return_hydra_config=True)
            OmegaConf.resolve(config.hydra.run)
            choices = {k: v for k, v in config.hydra.runtime.choices.items() if k in GROUPS and k != "experiment"}
            return check(plain_settings(config), typed_keys(overrides), choices), config.hydra
