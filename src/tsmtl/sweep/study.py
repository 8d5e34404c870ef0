"""Optuna's study of a search: in the sweep's folder, or in a database, shared by all processes that search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import optuna
from optuna.exceptions import OptunaError
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
    pruner: str = "none",
    warmup: int = 1,
) -> optuna.Study:
    """Open the study, or begin it.

    Args:
        storage: ``journal``, ``sqlite`` or the URL of a database.
        folder: The sweep's folder; in a database, its path tells studies apart.
        directions: ``minimize`` or ``maximize`` for each objective.
        pruner: ``none``, ``median`` or ``successive_halving``.
        warmup: Epochs that no trial is pruned in.

    Raises:
        UserError: If the storage cannot be opened, or holds a study of other objectives.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder, shared = Path(folder), storage not in FILES
    try:
        study = optuna.create_study(
            storage=_storage(storage, folder),
            pruner=_pruner(pruner, warmup),
            study_name=f"{NAME}: {folder.absolute()}" if shared else NAME,
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


def sampler_of(name: str, seed: int, trial: int) -> optuna.samplers.BaseSampler:
    """Make what chooses one trial: with numbers of its own, whichever process asks, and after any restart.

    Args:
        name: ``tpe`` (Bergstra et al. 2011) or ``random``.
        seed: The search's.
        trial: The trial's number.
    """
    own = (seed + 0x9E3779B1 * trial) % 2**32
    return optuna.samplers.RandomSampler(own) if name == "random" else optuna.samplers.TPESampler(seed=own)


def _pruner(name: str, warmup: int) -> optuna.pruners.BasePruner:
    """Make a pruner (Li et al. 2018, arXiv:1810.05934, for successive halving)."""
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=warmup)
    if name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=warmup)
    return optuna.pruners.NopPruner()
