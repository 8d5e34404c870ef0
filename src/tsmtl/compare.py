"""``tsmtl-compare``: whether the tasks help each other, from the command line to a verdict for each."""

import gc
import logging
import shlex
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsmtl.config.compare_command import Asked

log = logging.getLogger(__name__)


def compare(asked: "Asked") -> None:
    """Train what is left of a comparison, and say what came of it.

    Args:
        asked: The checked settings.

    Raises:
        UserError: If folder, data or a variant's settings cannot be used; nothing was trained.
        SweepError: If a run failed; all else is done and written.
        Interrupted: If a signal came; says how to go on.
    """
    from tsmtl.comparison.conclusion import conclude
    from tsmtl.comparison.folder import LOCK, folder_of
    from tsmtl.comparison.prospects import unfit_class_weights, why_nothing_can_be_told
    from tsmtl.comparison.record import Comparison
    from tsmtl.comparison.stages import Stages
    from tsmtl.comparison.tuning import candidates, unfit_settings
    from tsmtl.comparison.variants import variants_of
    from tsmtl.config.compare_command import NAME
    from tsmtl.config.errors import UserError
    from tsmtl.config.logs import set_up_logs
    from tsmtl.data.loading import load_bundle
    from tsmtl.storage.alone import alone_in
    from tsmtl.sweep.launch import fail_for
    from tsmtl.sweep.runners import runner_maker

    began = time.perf_counter()
    own, training = asked.own, asked.training
    variants = variants_of(own, training)
    if problems := unfit_settings(variants, candidates(own, training), training):
        raise UserError(problems)
    folder = folder_of(own, training)
    bundle = load_bundle(training.data, training.tasks, training.typed)
    if problems := unfit_class_weights(training, bundle):
        raise UserError(problems)
    make_runner = runner_maker(asked.launcher, folder)
    vain = why_nothing_can_be_told(bundle)
    if asked.launcher.dry_run:
        set_up_logs(None)
        _warn(vain)
        Stages(own, training, asked.launcher, folder, make_runner).show(variants)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder / LOCK, "compare.folder", "comparing in"):
        set_up_logs(folder)
        _warn(vain)
        stages = Stages(own, training, asked.launcher, folder, make_runner)
        stages.run(variants)
        command = shlex.join([NAME, *asked.words])
        seconds = time.perf_counter() - began
        conclude(folder, Comparison(own, training, bundle, variants, stages, command, seconds))
    fail_for(stages.failures, len({run.folder for run in stages.runs}), "runs")


def _warn(vain: str | None) -> None:
    if vain is not None:
        log.warning("%s", vain)


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.compare_command import run_compare

        run_compare(compare)
    finally:
        gc.enable()


if __name__ == "__main__":
    cli()
