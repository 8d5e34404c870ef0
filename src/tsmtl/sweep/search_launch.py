"""A search from the command line to its results."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import check_distribution_compatibility

from tsmtl.config.command import forget_sweep
from tsmtl.config.comparability import why_not_searched
from tsmtl.config.errors import UserError
from tsmtl.config.identity import differences, flattened, without_places
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.config.logs import set_up_logs
from tsmtl.config.search_settings import SearchSettings
from tsmtl.config.trainer_rules import monitors
from tsmtl.config.words import must_be_one_of
from tsmtl.sweep.composition import Composer
from tsmtl.sweep.job import Job
from tsmtl.sweep.launch import fail_for, run_jobs
from tsmtl.sweep.pareto import conclude_front
from tsmtl.sweep.plan import Plan
from tsmtl.sweep.record import records_in
from tsmtl.sweep.results import SEED, results_of
from tsmtl.sweep.runners import Runner
from tsmtl.sweep.search import LOCKS, Search
from tsmtl.sweep.search_space import Dimension, SearchSpace
from tsmtl.sweep.study import FILES, open_study
from tsmtl.sweep.summary import conclude

log = logging.getLogger(__name__)
COMMON = "settings"  # attribute of the study: the settings that all its trials share


def launch_search(
    space: SearchSpace,
    composer: Composer,
    settings: SearchSettings,
    folder: Path,
    make_runner: Callable[[Job, int], Runner],
    launcher: LauncherSettings,
) -> None:
    """Run the trials that the study lacks, show and write its results.

    Args:
        space: What is searched.
        composer: Makes jobs of settings.
        settings: The sweeper's.
        folder: The sweep's folder.
        make_runner: Makes what runs jobs, from one of them and their number at most.
        launcher: The launcher's settings.

    Raises:
        UserError: If a value of the space is refused, or the folder holds another study; nothing was trained.
        SweepError: If a trial failed; the others are done.
        Interrupted: If a signal came; says how to go on.
    """
    space, example = checked(space, composer)
    better = _objectives(settings, example, len(space.seeds))
    if launcher.dry_run and not (folder / FILES.get(settings.storage, "")).exists():
        _show(settings.n_trials, settings.n_trials)
        return
    arguments: dict[str, Any] = {
        "storage": settings.storage,
        "folder": str(folder.absolute()),
        "directions": ["maximize" if higher else "minimize" for higher in better.values()],
        "pruner": settings.pruner,
        "warmup": settings.pruner_warmup,
    }
    folder.mkdir(parents=True, exist_ok=True)
    study, plan = open_study(**arguments), Plan(folder)
    _check_same_search(study, space, example, folder)
    _check_same_data(space, example, plan)
    reporting = arguments if settings.prunes else None
    pictures = bool(example.flat["trainer"]["pictures"])
    search = Search(study, space, composer, settings, plan, list(better), reporting, launcher.retry_failed)
    if launcher.dry_run:
        _show(search.left, settings.n_trials)
        return
    set_up_logs(folder)
    if not settings.objectives and (why := why_not_searched(example.settings(), list(space.distributions))):
        log.warning("%s", why)
    if done := len(study.get_trials(deepcopy=False)):
        log.info("%s holds %d trials; %d of %d are left", folder, done, search.left, settings.n_trials)
    try:
        while (first := next(jobs := search.jobs(), None)) is not None:
            runner = make_runner(example, settings.n_trials * len(space.seeds))
            run_jobs(runner, chain([first], jobs), None, folder, search.ended)
            if not search.wants_more:
                break
    finally:
        (folder / LOCKS).mkdir(exist_ok=True)
        with FileLock(folder / LOCKS / "results.lock"):  # another process of the search may end in the same moment
            conclude(folder, results_of(folder), pictures)
            if len(better) > 1:
                conclude_front(folder, study, better, space, pictures)
    if search.exhausted is not None:
        log.error("%s", search.exhausted)
    fail_for(search.failures, len(study.get_trials(deepcopy=False)), "trials")


def _show(left: int, total: int) -> None:
    forget_sweep()
    sys.stdout.write(f"{left} of {total} trials are left\n")


def checked(space: SearchSpace, composer: Composer) -> tuple[SearchSpace, Job]:
    """Check a space by its ends and its choices, each with the first value of the others.

    Args:
        space: As typed; an interval of a setting that takes whole numbers alone becomes one of them.
        composer: Makes jobs of settings.

    Returns:
        The space, and the job of all first values.

    Raises:
        UserError: With a line for every value that is refused.
    """
    dimensions = [_whole_where_needed(dimension, space, composer) for dimension in space.dimensions]
    space, problems = replace(space, dimensions=dimensions), dict[str, None]()
    first = {d.key.lstrip("+"): d.typed(d.corners[0]) for d in dimensions}
    example: Job | None = None
    for dimension in dimensions:
        name = dimension.key.lstrip("+")
        for corner in dimension.corners:
            typed = first | {name: dimension.typed(corner)}
            try:
                job = composer.job(0, space.overrides(typed), {})
                example = job if typed == first else example
            except UserError as error:
                problems |= dict.fromkeys(error.lines)
    if problems or example is None:
        raise UserError(problems)
    return space, example


def _whole_where_needed(dimension: Dimension, space: SearchSpace, composer: Composer) -> Dimension:
    """Turn an interval into one of whole numbers where its setting takes no others; Hydra's grammar cannot tell."""
    whole = dimension.of_whole_numbers()
    if whole is None:
        return dimension
    name = dimension.key.lstrip("+")
    others = {d.key.lstrip("+"): d.typed(d.corners[0]) for d in space.dimensions}

    try:
        composer.job(0, space.overrides(others | {name: dimension.typed(dimension.corners[0] + 0.5)}), {})
    except UserError as error:
        if any(line.startswith(f"{name}: must be a whole number") for line in error.lines):
            return whole
    return dimension


def _objectives(settings: SearchSettings, example: Job, n_seeds: int) -> dict[str, bool]:
    """Give the objectives, and whether higher is better.

    Raises:
        UserError: If a name is no score of these tasks, or does not go with the other settings.
    """
    checked = example.settings()
    known = monitors(checked.task, checked.data)
    problems = [
        f"hydra.sweeper.objectives: {must_be_one_of(known, name)}" for name in settings.objectives if name not in known
    ]
    if len(set(settings.objectives)) == 1:
        problems.append("hydra.sweeper.objectives: one alone is trainer.monitor; give that, or two or more here")
    if settings.prunes and settings.objectives:
        problems.append("hydra.sweeper.pruner: a trial of several objectives cannot be pruned; take pruner=none")
    if settings.prunes and n_seeds > 1:
        problems.append(
            "hydra.sweeper.pruner: a trial of several seeds cannot be pruned; take pruner=none, or one seed"
        )
    if settings.prunes and settings.pruner_warmup >= checked.model.num_epochs:
        problems.append(
            f"hydra.sweeper.pruner_warmup: must be less than num_epochs, or nothing is pruned (got "
            f"{settings.pruner_warmup} and {checked.model.num_epochs})"
        )
    path = checked.run.best_model_path
    if path is not None and "{job}" not in path:
        problems.append(
            f"best_model_path: the trials would overwrite each other's {path}; {{job}} in it stands for the name of "
            "each trial's folder, and without it each gets its own"
        )
    if problems:
        raise UserError(problems)
    return {name: known[name] for name in settings.objectives or [checked.trainer.monitor]}


def _check_same_search(study: optuna.Study, space: SearchSpace, example: Job, folder: Path) -> None:
    """Check that the study that the folder holds is this one.

    Raises:
        UserError: If its trials were searched among other values, or had other settings.
    """
    searched = {*space.distributions, SEED}
    common = {key: value for key, value in flattened(without_places(example.flat)).items() if key not in searched}
    before = study.user_attrs.get(COMMON)
    if before is None:
        study.set_user_attr(COMMON, common)
        return
    problems = [
        f"{key}: {theirs} in the study in {folder}, {ours} here" for key, ours, theirs in differences(common, before)
    ]
    for trial in study.get_trials(deepcopy=False):
        if set(trial.distributions) not in (set(space.distributions), set()):
            problems.append(f"the study in {folder} searches {', '.join(trial.distributions)}")
            break
        for name, distribution in trial.distributions.items():
            try:
                check_distribution_compatibility(distribution, space.distributions[name])
            except ValueError:
                problems.append(f"{name}: the study in {folder} searches {distribution}")
        if problems:
            break
    if problems:
        raise UserError([f"{problem}; name another hydra.sweep.dir for another search" for problem in problems])


def _check_same_data(space: SearchSpace, example: Job, plan: Plan) -> None:
    """Check that the data is what the trials of the folder were made with, unless it is searched itself.

    Raises:
        UserError: If it is not.
    """
    records = records_in(plan.folder)
    before = {record.data for record in records if record.trial is not None and record.data is not None}
    if not before or any(name == "task" or name.partition(".")[0] == "data" for name in space.distributions):
        return
    if plan.data_hash(example) not in before:
        raise UserError(
            f"data: not what the trials in {plan.folder} were made with; name another hydra.sweep.dir for another "
            "search"
        )
