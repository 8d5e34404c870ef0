"""Trains as ``tsmtl-train`` does, and measures its own epochs.

    python -m benchmarks.workers.in_tsmtl [key=value ...]

Settings are those of the case, and what the command line adds for all cases, such as ``trainer.precision=bf16``.
"""

import sys
from tempfile import TemporaryDirectory
from typing import Any

import tsmtl
from benchmarks.workers.rounds import Case, Rounds, SkipError, serve
from tsmtl.config.errors import UserError

FOR_EVER = 10**9


def words_of(case: Case, added: list[str]) -> list[str]:
    """Give what would be typed behind ``tsmtl-train``."""
    data = ["data=npz", f"data.path={case['data']}", "data.split_key=split"]
    targets = ["data.class_target=state", "data.regression_target=wear"]
    own = [f"{key}={_typed(value)}" for key, value in case["settings"].items()]
    model = [f"model={case['model']}", f"batch_size={case['batch_size']}", f"num_epochs={FOR_EVER}"]
    return [*data, *targets, *model, *own, "device=cpu", *added]


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")


def train(case: Case, rounds: Rounds) -> None:
    """Train; each epoch's steps are a round."""
    from tsmtl.training import loop  # not at the top: it imports torch, which waits for what the first training sets up

    original = loop.train_epoch

    def timed(*arguments: Any, **named: Any) -> Any:
        with rounds.timed():
            return original(*arguments, **named)

    loop.train_epoch = timed
    try:
        with TemporaryDirectory() as folder:
            tsmtl.train([*words_of(case, sys.argv[1:]), f"hydra.run.dir={folder}/run"])
    except UserError as error:
        raise SkipError(str(error).splitlines()[0]) from error
    finally:
        loop.train_epoch = original


def warm_up() -> None:
    """Train an epoch, so that torch comes into the process as ``tsmtl-train`` wants it."""
    with TemporaryDirectory() as folder:
        small = ["data.n_instances=60", "model=cnn1d", "output_channels=2", "num_epochs=1", "device=cpu"]
        tsmtl.train([*small, f"hydra.run.dir={folder}/run"])


if __name__ == "__main__":
    warm_up()
    serve(train)
