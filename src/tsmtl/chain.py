"""The pretraining of a fine-tuning in the same job: found where an earlier job has made it, or made now."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import tsmtl
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import Interrupted, UserError
from tsmtl.config.identity import sha256_of_values, without_places
from tsmtl.config.schema import Settings
from tsmtl.data.instances import Bundle
from tsmtl.data.preparation import PER_STEP
from tsmtl.loaded import load
from tsmtl.models.backbone import Backbone
from tsmtl.pretrained import Pretrained, read_pretrained
from tsmtl.resume import finished_summary
from tsmtl.storage.run_folder import BEST, LAST, SUMMARY, sha256_of
from tsmtl.training.ranks import ALONE, Ranks

log = logging.getLogger(__name__)


def pretrain(
    settings: Settings,
    folder: Path,
    tuned: Bundle,
    backbone: Backbone,
    train: Callable[[Settings, Path], Any],
    ranks: Ranks = ALONE,
) -> Pretrained:
    """Give the checkpoint of a pretraining, trained now unless the same one is there.

    Args:
        settings: Settings of the pretraining.
        folder: Where pretrainings are kept, a run folder each, named by settings and data.
        tuned: The data of the fine-tuning.
        backbone: One for the data of the fine-tuning.
        train: Trains in a run folder.
        ranks: The processes that train together.

    Raises:
        UserError: If the data cannot be used, or is not of the fine-tuning's shape; before anything is trained.
        Interrupted: If a signal came; what was trained is kept.
    """
    loaded = ranks.together(lambda: load(settings))
    any_length = backbone.takes_lengths and settings.data.scale != PER_STEP
    _check_same_input(loaded.bundle, tuned, any_length)
    name = identity(settings, loaded.sha256)
    own = ranks.from_first(lambda: folder / name)
    if ranks.from_first(lambda: _why_not_whole(own)) is None:  # without a lock: the folder may be another user's
        return _found(settings, own, ranks)
    with ExitStack() as held:
        ranks.from_first(lambda: held.enter_context(_locked(own)))
        if ranks.from_first(lambda: _why_not_whole(own)) is None:  # the job that was waited for has made it
            return _found(settings, own, ranks)
        ranks.from_first(lambda: _clear_damage(own))
        log.info("pretraining: task %s, in %s", settings.task_said, own)
        try:
            train(settings, own)
        except Interrupted as stop:
            said = f"{stop.word} while pretraining; the same command goes on from there"
            raise Interrupted(stop.signum, said) from stop
        log.info("fine-tuning:")
    return ranks.from_first(lambda: read_pretrained(own / BEST, reused=False))


@contextmanager
def _locked(own: Path) -> Iterator[None]:
    """Keep other jobs from the same pretraining; wait for one that is at it."""
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own.with_suffix(".lock"))
        lock.acquire(timeout=0)
    except Timeout:
        log.info("pretraining: another job is at it in %s; waiting for it", own)
        lock.acquire()
    except OSError as error:
        raise UserError(f"pretrain.folder: cannot write {own.parent} ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


def _found(settings: Settings, own: Path, ranks: Ranks) -> Pretrained:
    log.info("pretraining: task %s, done before with these settings and data, in %s", settings.task_said, own)
    return ranks.from_first(lambda: read_pretrained(own / BEST, reused=True))


def found(settings: Settings, folder: Path, ranks: Ranks = ALONE) -> Pretrained | None:
    """Give the checkpoint of a finished pretraining, if it is there."""
    name = identity(settings, ranks.together(lambda: load(settings)).sha256)
    own = folder / name
    return ranks.from_first(lambda: read_pretrained(own / BEST, reused=True) if _why_not_whole(own) is None else None)


def _check_same_input(bundle: Bundle, tuned: Bundle, any_length: bool) -> None:
    """Check that what is pretrained on looks like what is fine-tuned on."""
    ours, theirs = tuned.instances, bundle.instances
    if ours.x.ndim != theirs.x.ndim or ours.channels != theirs.channels:
        said = [f"{i.x.shape[1]} {'channels' if i.x.ndim == 3 else 'features'}" for i in (ours, theirs)]
        if said[0] == said[1]:
            said = [f"the channels {', '.join(i.channels[:10])}" for i in (ours, theirs)]
        raise UserError(f"pretrain.data: {theirs.where} has {said[1]}, the fine-tuning's {ours.where} has {said[0]}")
    if ours.x.ndim == 3 and not any_length and ours.x.shape[2] != theirs.x.shape[2]:
        raise UserError(
            f"pretrain.data: {theirs.where} has {theirs.x.shape[2]} time steps, the fine-tuning's {ours.where} has "
            f"{ours.x.shape[2]}, and the model, or its scaling, knows one length only"
        )


def _why_not_whole(own: Path) -> str | None:
    """Say why a finished pretraining is not to be used; None where its checkpoint is the one that it ended with."""
    try:
        summary, best = finished_summary(own), own / BEST
    except UserError as error:
        return str(error)
    if summary is None:
        return "it is not finished"
    if not best.is_file() or sha256_of(best) != summary["best_model_sha256"]:
        return "its checkpoint is not the one that it ended with"
    return None


def _clear_damage(own: Path) -> None:
    """Remove what a training could not go on from."""
    reason = _why_not_whole(own) if (own / SUMMARY).exists() else None
    if reason is None and (own / LAST).exists():
        try:
            read_last(own / LAST)
        except UserError as error:
            reason = str(error)
    if reason is not None:
        log.warning("pretraining: made anew in %s (%s)", own, reason)
        for name in (SUMMARY, LAST, BEST):
            (own / name).unlink(missing_ok=True)


def identity(settings: Settings, data: str) -> str:
    """Name a pretraining by all that decides its result: 16 hexadecimal digits of settings, hash of the data, code."""
    code = {name: _source(name) for name in settings.run.plugins}
    return sha256_of_values(tsmtl.__version__, without_places(settings.flat), data, code)[:16]


def _source(module: str) -> list[str]:
    """Hash the files of a module; of a package, all of it."""
    folders, file = getattr(sys.modules[module], "__path__", ()), getattr(sys.modules[module], "__file__", None)
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))] or ([file] if file else [])
    return [sha256_of(Path(path)) for path in files]
