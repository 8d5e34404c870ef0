"""``tsmtl-compare``: whether the tasks help each other, from the command line to a verdict for each."""

import gc
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsmtl.comparison.tuning import Candidate
    from tsmtl.comparison.variants import Variant
    from tsmtl.config.compare_command import Asked
    from tsmtl.config.schema import Settings

LOCK = "compare.lock"


def compare(asked: "Asked") -> None:
    """Train what is left of a comparison, and say what came of it.

    Args:
        asked: The checked settings.

    Raises:
        UserError: If the data or a variant's settings cannot be used; nothing was trained.
        SweepError: If a run failed; all else is done and written.
        Interrupted: If a signal came; says how to go on.
    """
    from tsmtl.comparison.conclusion import conclude
    from tsmtl.comparison.record import Comparison
    from tsmtl.comparison.stages import Stages
    from tsmtl.comparison.tuning import candidates
    from tsmtl.comparison.variants import variants_of
    from tsmtl.config.compare_command import NAME
    from tsmtl.config.logs import set_up_logs
    from tsmtl.data.loading import load_bundle
    from tsmtl.storage.alone import alone_in
    from tsmtl.sweep.launch import fail_for
    from tsmtl.sweep.runners import runner_maker

    began = time.perf_counter()
    own, training = asked.own, asked.training
    variants = variants_of(own, training)
    _check(variants, candidates(own, training), training)
    bundle = load_bundle(training.data, training.tasks, training.typed)
    folder = Path(own.folder or f"outputs/compare/{_hash(training)}").expanduser()
    make_runner = runner_maker(asked.launcher, folder)
    if asked.launcher.dry_run:
        Stages(own, training, asked.launcher, folder, make_runner).show(variants)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder / LOCK, "compare.folder", "comparing in"):
        set_up_logs(folder)
        stages = Stages(own, training, asked.launcher, folder, make_runner)
        stages.run(variants)
        command = shlex.join([NAME, *asked.words])
        seconds = time.perf_counter() - began
        conclude(folder, Comparison(own, training, bundle, variants, stages, command, seconds))
    fail_for(stages.failures, len(variants) * len(stages.seeds), "runs")


def _hash(training: "Settings") -> str:
    """Name the folder of a comparison by its training: with more seeds or variants it is the same one."""
    from tsmtl.config.identity import sha256_of_values, without_places

    places = {key: training.flat["data"].get(key) for key in ("path", "root")}
    return sha256_of_values(without_places(training.flat), places)[:12]


def _check(variants: "Sequence[Variant]", tried: "Sequence[Candidate]", training: "Settings") -> None:
    """Check the settings of every run that the searches will ask for.

    Raises:
        UserError: With a line for every problem.
    """
    from tsmtl.comparison.tuning import job_of
    from tsmtl.config.errors import UserError

    problems = []
    for variant in variants:
        for candidate in tried:
            start = Path("model.pt") if variant.start else None
            job = job_of(variant, candidate, training.run.seed, start, training)
            try:
                job.settings()
            except UserError as error:
                problems += [f"{job.name}: {line}" for line in error.lines]
    if problems:
        raise UserError(problems)


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
