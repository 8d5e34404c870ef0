"""The words of ``tsmtl-represent``: those of ``tsmtl-train`` and its own, or those for new series."""

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tsmtl.config.answer import answer
from tsmtl.config.errors import UserError

if TYPE_CHECKING:  # pydantic takes longer to import than some answers may take
    from tsmtl.config.represent_settings import RepresentSettings
    from tsmtl.config.representation_settings import AnyRepresentation
    from tsmtl.config.schema import Settings

NAME = "tsmtl-represent"
FILE, NEW = "represent", "represent-new"
GROUP = "representation"
ABOUT = """\
{name} makes vectors of series: it fits a representation on the train split alone, and writes the vectors of all
splits with their targets to one file, and beside it the fitted transform, which makes vectors of new series.

  {name} representation=minirocket data=hydraulic output=vectors.npz
  tsmtl-train model=fc data=npz data.path=vectors.npz
  {name} output=vectors.parquet
  tsmtl-train model=fc data=vectors data.path=vectors.parquet
  {name} fitted=vectors.transform.pt data.path=new.npz output=new_vectors.npz
  tsmtl-predict checkpoint=best_model.pt transform=vectors.transform.pt data.path=new.npz output=predictions.csv

It takes the words of tsmtl-train; the settings that only training reads are accepted and not used. With fitted= it
takes those of tsmtl-predict, and reads the file in blocks.
"""


def run_represent(
    fit: "Callable[[RepresentSettings, AnyRepresentation, Settings], None]",
    apply: Callable[[dict[str, Any], frozenset[str]], None],
) -> None:
    """Check the words of the command line and call one of two jobs.

    Args:
        fit: Fits on a data set: takes the own settings, those of the method, and those of the training.
        apply: Makes vectors of new series: takes the checked sections and the keys that the user typed.
    """

    def work() -> None:
        words = sys.argv[1:]
        if any(word.startswith("fitted=") and word != "fitted=null" for word in words):
            given = _checked_new(words)
            gc.enable()
            apply(*given)
        else:
            asked = checked([word for word in words if word != "fitted=null"])
            gc.enable()
            fit(*asked)

    answer(NAME, _help_text, work)


def checked(words: list[str]) -> "tuple[RepresentSettings, AnyRepresentation, Settings]":
    """Compose and check what was typed to fit a representation.

    Raises:
        UserError: With a line for every problem.
    """
    from tsmtl.config.python_call import composed
    from tsmtl.config.represent_settings import RepresentSettings, overwriting_problems, represent_problems
    from tsmtl.config.representation_settings import REPRESENTATIONS
    from tsmtl.config.schema import check_section
    from tsmtl.config.search_path import search_path_as_setting
    from tsmtl.config.words import must_be_one_of

    words = search_path_as_setting(words)
    if flags := [word for word in words if word.startswith("-")]:
        raise UserError(f"{flags[0]}: unknown flag; settings are written key=value, --help lists them")
    keys = (*RepresentSettings.model_fields, GROUP)
    mine = [word for word in words if word.partition("=")[0] in keys or word.startswith(f"{GROUP}.")]
    problems: list[str] = []
    section = None
    flat = _composed(mine)
    values = flat.pop(GROUP)
    name = values.get("name") if isinstance(values, dict) else values
    if name in REPRESENTATIONS:
        section = check_section(REPRESENTATIONS[name], values, GROUP, problems, f"{GROUP}={name}", _unknown)
    else:
        problems.append(f"{GROUP}: {must_be_one_of(REPRESENTATIONS, name)}")
    own = check_section(RepresentSettings, flat, "", problems, NAME)
    if own is not None:
        problems += represent_problems(own)
    try:
        settings, _ = composed(_with_a_model([word for word in words if word not in mine]))
    except UserError as error:
        raise UserError([*problems, *error.lines]) from error
    if own is not None and section is not None:
        problems += overwriting_problems(own, settings.data, section)
    if problems or own is None or section is None:
        raise UserError(problems)
    return own, section, settings


def _with_a_model(words: list[str]) -> list[str]:
    """Name a model that takes every task, where none is named: the default one, which nothing here reads, does not."""
    named = any(word.partition("=")[0] in ("model", "experiment") for word in words)
    return words if named else [*words, "model=lstm_fcn"]


def _composed(words: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir

    from tsmtl.config.arguments import GROUPS, composing, plain_settings, prepare_arguments
    from tsmtl.config.location import config_dir

    with composing(), initialize_config_dir(str(config_dir()), version_base="1.3"):
        prepared = prepare_arguments(words, (*GROUPS, GROUP), goes_on_in_folder=False)
        return plain_settings(compose(FILE, prepared))


def _unknown(full: str, key: str, section: Any, owner: str) -> str:
    from tsmtl.config.representation_settings import REPRESENTATIONS
    from tsmtl.config.words import did_you_mean

    owners = [f"{GROUP}={name}" for name, c in REPRESENTATIONS.items() if key in c.model_fields]
    if owners:
        return f"not a setting of {owner}, but of {', '.join(owners)}"
    known = [f"{GROUP}.{name}" for name in section.model_fields]
    return f"unknown setting{did_you_mean(full, known) or f'; {NAME} --help lists all'}"


def _checked_new(words: list[str]) -> tuple[dict[str, Any], frozenset[str]]:
    from tsmtl.config.predict_settings import PredictDataSettings
    from tsmtl.config.represent_settings import RepresentNewSettings, represent_new_problems
    from tsmtl.config.sister_command import checked_sections

    if said := [word for word in words if word.partition("=")[0] == GROUP or word.startswith(f"{GROUP}.")]:
        raise UserError(f"{said[0].partition('=')[0]}: the fitted transform holds its method; leave it out")
    if any(word.partition("=")[0] == "resume" for word in words):
        raise UserError("resume: with fitted= nothing is trained, so that there is nothing to go on with; leave it out")
    given, typed = checked_sections(NAME, NEW, {"": RepresentNewSettings, "data": PredictDataSettings}, words)
    if problems := represent_new_problems(given, typed):
        raise UserError(problems)
    return given, typed


def _help_text(name: str) -> str:
    from tsmtl.config.help import help_with_data, sister_help_text
    from tsmtl.config.predict_settings import PredictDataSettings
    from tsmtl.config.represent_settings import RepresentNewSettings, RepresentSettings
    from tsmtl.config.representation_settings import REPRESENTATIONS

    own = help_with_data(name, ABOUT, FILE, RepresentSettings, {GROUP: REPRESENTATIONS})
    new = sister_help_text(name, "", NEW, {"": RepresentNewSettings, "data": PredictDataSettings})
    return f"{own}\nWith fitted=, for new series:\n{new}"
