"""``tsmtl-evaluate``: metrics of a trained model on a split of its data, or on a file."""

import gc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tsmtl.config.garbage import importing

if TYPE_CHECKING:
    from tsmtl.config.section import Section

ABOUT = """\
{name} measures a model that tsmtl-train has trained.

  {name} checkpoint=best_model.pt                    on the test split of its own data
  {name} checkpoint=best_model.pt split=val output=metrics.json
  {name} checkpoint=best_model.pt data.path=new.npz  on all labelled instances of a file
  {name} checkpoint=best_model.pt data.path=new.csv data.class_target=fault tasks=[cls]

  {name} checkpoint=best_model.pt transform=vectors.transform.pt  raw series, of which the model reads vectors

What is typed of data replaces the setting of the training, as far as the data's source has it; a default of null
is that of the training. The files are those of tsmtl-predict, with an array or a column for the target of each task.
Of a model of task=custom, targets={{valve: valve_2}} names those that are called otherwise than in training.
"""


def evaluate(settings: dict[str, Any], typed: frozenset[str]) -> None:
    """Measure a model; torch is imported only now that the settings have passed."""
    from tsmtl.config.errors import UserError
    from tsmtl.config.evaluate_settings import evaluate_problems

    if problems := evaluate_problems(settings, typed):
        raise UserError(problems)
    with importing():
        from tsmtl.evaluate_checkpoint import evaluate_checkpoint

    evaluate_checkpoint(settings[""], settings["data"], typed)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.sister_command import run_sister_command

        run_sister_command("tsmtl-evaluate", ABOUT, _sections, evaluate)
    finally:
        gc.enable()


def _sections() -> "Mapping[str, type[Section]]":
    from tsmtl.config.evaluate_settings import EvaluateSettings, evaluate_data_settings

    return {"": EvaluateSettings, "data": evaluate_data_settings()}


if __name__ == "__main__":
    cli()
