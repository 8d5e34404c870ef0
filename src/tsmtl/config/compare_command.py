"""The words of ``tsmtl-compare``: those of ``tsmtl-train``, and its own."""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsmtl.config.answer import answer
from tsmtl.config.errors import UserError

if TYPE_CHECKING:  # pydantic takes longer to import than some answers may take
    from tsmtl.config.compare_settings import CompareSettings
    from tsmtl.config.launcher_settings import LauncherSettings
    from tsmtl.config.schema import Settings

NAME = "tsmtl-compare"
FILE = "compare"
ABOUT = """\
{name} says whether the tasks help each other: it trains each task alone, all together, and pretrained on one, each
tuned by the same small search and repeated with the same seeds, and gives a verdict for each task.

  {name} model=lstm_fcn_multi data=hydraulic compare.seeds=5
  {name} experiment=cmapss compare.variants=[multi,transfer,control] compare.alphas=[0.1,0.3,0.5,0.7,0.9]

It takes the words of tsmtl-train, hydra/launcher too. The same command goes on with what it has left.
"""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        own: The settings under ``compare``.
        training: Those of the training, of all tasks from scratch.
        launcher: Those of what runs the jobs.
        words: What was typed.
    """

    own: "CompareSettings"
    training: "Settings"
    launcher: "LauncherSettings"
    words: list[str]


def run_compare(job: Callable[[Asked], None]) -> None:
    """Check the words of the command line and call ``job(asked)``."""

    def help_text(name: str) -> str:
        from tsmtl.config.compare_settings import CompareSettings
        from tsmtl.config.help import sister_help_text

        own = sister_help_text(name, ABOUT, FILE, {"compare": CompareSettings})
        return f"{own}\nThe settings of the training: tsmtl-train --help lists them.\n"

    def work() -> None:
        asked = checked(sys.argv[1:])
        gc.enable()
        job(asked)

    answer(NAME, help_text, work)


def checked(words: list[str]) -> Asked:
    """Compose and check what was typed.

    Raises:
        UserError: With a line for every problem.
    """
    from omegaconf import OmegaConf

    from tsmtl.config.arguments import typed_keys
    from tsmtl.config.compare_settings import comparison_problems
    from tsmtl.config.launcher_settings import launcher_settings
    from tsmtl.config.python_call import composed_with_hydra

    if flags := [word for word in words if word.startswith("-")]:
        raise UserError(f"{flags[0]}: unknown flag; settings are written key=value, --help lists them")
    if problems := _of_other_commands(typed_keys(words)):
        raise UserError(problems)
    others = [word for word in words if not word.lstrip("+~").startswith("compare.")]
    mine = [word.lstrip("+") for word in words if word not in others]
    try:
        own = _own(mine)
    except UserError as error:
        problems += error.lines
    try:
        training, hydra = composed_with_hydra(others)
        values = OmegaConf.to_container(hydra.launcher)
        assert isinstance(values, dict)
        name = str(hydra.runtime.choices["hydra/launcher"])
        launcher = launcher_settings(name, {str(k): v for k, v in values.items() if k != "_target_"})
    except UserError as error:
        problems += error.lines
    if problems or (problems := comparison_problems(own, training, typed_keys(mine))):
        raise UserError(problems)
    return Asked(own, training, launcher, words)


def _of_other_commands(typed: frozenset[str]) -> list[str]:
    """Say which keys are no settings of a comparison though a training takes them, or none at all."""
    problems = []
    if "compare" in typed:
        problems.append("compare: is a group of settings; give each by itself, such as compare.seeds=3")
    if "resume" in typed:
        problems.append("resume: the same command goes on by itself with what it has left; leave it out")
    for key in sorted(typed):
        if key.startswith(("hydra.run.", "hydra.sweep.")):
            problems.append(f"{key}: a comparison keeps all of its runs in compare.folder; name that")
        elif key.startswith(("hydra.sweeper", "hydra/sweeper")):
            problems.append(
                f"{key}: a comparison has a search of its own, compare.lr_factors and compare.epoch_factors"
            )
    return problems


def _own(words: list[str]) -> "CompareSettings":
    from hydra import compose, initialize_config_dir

    from tsmtl.config.arguments import composing, plain_settings, prepare_arguments
    from tsmtl.config.compare_settings import compare_settings
    from tsmtl.config.location import config_dir

    with composing(), initialize_config_dir(str(config_dir()), version_base="1.3"):
        flat = plain_settings(compose(FILE, prepare_arguments(words)))
    return compare_settings(flat["compare"])
