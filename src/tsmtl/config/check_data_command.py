"""The words of ``tsmtl-check-data``: those of ``tsmtl-train``, and its own."""

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tsmtl.config.answer import answer
from tsmtl.config.errors import UserError

if TYPE_CHECKING:  # pydantic takes longer to import than some answers may take
    from tsmtl.config.check_data_settings import CheckDataSettings
    from tsmtl.config.schema import Settings

NAME = "tsmtl-check-data"
FILE = "check-data"
ABOUT = """\
{name} says what settings make of the data: which instances in which split, channels, targets, and what the splits
share, as measured. It ends with exit code 1 where they share what they must not.

  {name} data=table data.path=plant.csv data.entity=machine data.window=40 model=gru task=cls data.class_target=state
  {name} experiment=hydraulic page=check.html picture=windows.png

It takes the words of tsmtl-train; the settings that only training reads are accepted and not used.
"""


def run_check_data(job: "Callable[[CheckDataSettings, Settings, list[str]], None]") -> None:
    """Check the words of the command line and call ``job(own settings, settings of the training, words)``."""

    def help_text(name: str) -> str:
        from tsmtl.config.check_data_settings import CheckDataSettings
        from tsmtl.config.help import help_with_data

        return help_with_data(name, ABOUT, FILE, CheckDataSettings)

    def work() -> None:
        words = sys.argv[1:]
        own, settings = _checked(words)
        gc.enable()
        job(own, settings, words)

    answer(NAME, help_text, work)


def _checked(words: list[str]) -> "tuple[CheckDataSettings, Settings]":
    import yaml

    from tsmtl.config.check_data_settings import CheckDataSettings, check_data_problems
    from tsmtl.config.location import config_dir
    from tsmtl.config.python_call import composed
    from tsmtl.config.schema import check_section
    from tsmtl.config.search_path import search_path_as_setting

    own = dict(yaml.safe_load((config_dir() / f"{FILE}.yaml").read_text(encoding="utf-8")))
    theirs = []
    for word in search_path_as_setting(words):
        key, sign, value = word.partition("=")
        if key in own and sign:
            own[key] = None if value == "null" else value
        elif word.startswith("-"):
            raise UserError(f"{word}: unknown flag; settings are written key=value, --help lists them")
        else:
            theirs.append(word)
    problems: list[str] = []
    checked = check_section(CheckDataSettings, own, "", problems, NAME)
    if checked is not None:
        problems += check_data_problems(checked)
    try:
        settings, _ = composed(theirs)
    except UserError as error:
        raise UserError([*problems, *error.lines]) from error
    if problems or checked is None:
        raise UserError(problems)
    return checked, settings
