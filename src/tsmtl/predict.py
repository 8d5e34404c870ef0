"""``tsmtl-predict``: predictions of a trained model for the instances of a file."""

import gc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tsmtl.config.garbage import importing

if TYPE_CHECKING:
    from tsmtl.config.section import Section

ABOUT = """\
{name} predicts for new instances with a model that tsmtl-train has trained: classes with their
probabilities, numbers in their own units, one line per instance.

  {name} checkpoint=best_model.pt data.path=new.npz output=predictions.csv
  {name} checkpoint=best_model.pt data.path=new.csv output=predictions.parquet data.instance_key=machine

.npz holds series (N, C, T) or vectors (N, E), and so does a folder of .npy files.
.ts is the format of the UCR/UEA/TSER archives.
.csv and .parquet hold vectors one a row, or series one time step a row, the rows of one instance together; the
columns are named like the channels or features of the training, an empty cell is a missing value, other columns are
left out.
The file is read in blocks and may be larger than memory.
"""


def predict(settings: dict[str, Any], typed: frozenset[str]) -> None:
    """Predict for a file; torch is imported only now that the settings have passed."""
    from tsmtl.config.errors import UserError
    from tsmtl.config.predict_settings import predict_problems

    if problems := predict_problems(settings, typed):
        raise UserError(problems)
    with importing():
        from tsmtl.predict_file import predict_file

    predict_file(settings[""], settings["data"], typed)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.sister_command import run_sister_command

        run_sister_command("tsmtl-predict", ABOUT, _sections, predict)
    finally:
        gc.enable()


def _sections() -> "Mapping[str, type[Section]]":
    from tsmtl.config.predict_settings import PredictDataSettings, PredictSettings

    return {"": PredictSettings, "data": PredictDataSettings}


if __name__ == "__main__":
    cli()
