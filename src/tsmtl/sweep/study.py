"""Optuna's study of a search: in the sweep's folder, or in a database, shared by all processes that search."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy.exc import SQLAlchemyError

from tsmtl.config.errors import UserError, first_line

NAME = "tsmtl"
FILES = {"journal": "study.journal", "sqlite": "study.db"}


def open_study(
    storage: str,
    folder: str | Path,
    directions: Sequence[Literal["minimize", "maximize"]],
    sampler: Mapping[str, Any],
    pruner: Mapping[str, Any],
) -> optuna.Study:
    """Open the study, or begin it.

    Args:
        storage: ``journal``, ``sqlite`` or the URL of a database.
        folder: The sweep's folder; in a database, its name tells studies apart.
        directions: ``minimize`` or ``maximize`` for each objective.
        sampler: ``name`` (tpe, random) and ``seed``.
        pruner: ``name`` (none, median, successive_halving) and ``warmup``, in epochs.

    Raises:
        UserError: If the storage cannot be opened, or holds a study of other objectives.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder, shared = Path(folder), storage not in FILES
    try:
        study = optuna.create_study(
            storage=_storage(storage, folder),
            sampler=_sampler(**sampler),
            pruner=_pruner(**pruner),
            study_name=f"{NAME}: {folder.absolute().name}" if shared else NAME,
            directions=list(directions),
            load_if_exists=True,
        )
    except (OSError, ValueError, ImportError, OptunaError, SQLAlchemyError) as error:
        raise UserError(f"hydra.sweeper.storage: cannot open {storage} ({first_line(error)})") from error
    before = [direction.name.lower() for direction in study.directions]
    if before != list(directions):
        raise UserError(
            f"hydra.sweeper.objectives: the study in {folder} is to {' and '.join(before)}; name another "
            "hydra.sweep.dir for other objectives"
        )
    return study


def _storage(storage: str, folder: Path) -> BaseStorage:
    if storage == "journal":
        return JournalStorage(JournalFileBackend(str(folder / FILES["journal"])))
    return RDBStorage(f"sqlite:///{folder.absolute() / FILES['sqlite']}" if storage == "sqlite" else storage)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.RandomSampler(seed) if name == "random" else optuna.samplers.TPESampler(seed=seed)


def _pruner(name: str, warmup: int) -> optuna.pruners.BasePruner:
    """Make a pruner (Li et al. 2018, arXiv:1810.05934, for successive halving)."""
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=warmup)
    if name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=warmup)
    return optuna.pruners.NopPruner()
