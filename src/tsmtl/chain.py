"""The pretraining of a fine-tuning in the same job: found where an earlier job has made it, or made now."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tsmtl.checkpoint.file import FORMAT_VERSION
from tsmtl.config.errors import Interrupted
from tsmtl.config.schema import Settings
from tsmtl.data.checks import data_hash
from tsmtl.data.loading import load_bundle
from tsmtl.pretrained import Pretrained, read_pretrained
from tsmtl.resume import finished_summary

log = logging.getLogger(__name__)
# Where things lie and on what they run; the data itself counts by its hash.
_NO_MATTER = ("best_model_path", "device", "resume", "pretrain", "pretrained_path")
_NO_MATTER_OF_DATA = ("path", "root")


def pretrain(settings: Settings, folder: Path, train: Callable[[Settings, Path], Any]) -> Pretrained:
    """Give the checkpoint of a pretraining, trained now unless the same one is there.

    Args:
        settings: Settings of the pretraining.
        folder: Where pretrainings are kept, a run folder each, named by settings and data.
        train: Trains in a run folder.

    Raises:
        UserError: If the data cannot be used.
        Interrupted: If a signal came; what was trained is kept.
    """
    own = folder / identity(settings)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(own.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("pretraining: another job is at it in %s; waiting for it", own)
        lock.acquire()
    try:
        reused = finished_summary(own) is not None
        if reused:
            log.info("pretraining: task %s, done before with these settings and data, in %s", settings.task.task, own)
        else:
            log.info("pretraining: task %s, in %s", settings.task.task, own)
            train(settings, own)
            log.info("fine-tuning:")
    except Interrupted as stop:
        raise Interrupted(stop.signum, f"{stop.word} while pretraining; the same command goes on from there") from stop
    finally:
        lock.release()
    return read_pretrained(own / "best_model.pt", reused)


def identity(settings: Settings) -> str:
    """Name a pretraining by all that decides its result: 16 hexadecimal digits of settings and data."""
    decides = {key: value for key, value in settings.flat.items() if key not in _NO_MATTER}
    decides["data"] = {key: value for key, value in settings.flat["data"].items() if key not in _NO_MATTER_OF_DATA}
    bundle = load_bundle(settings.data, settings.tasks)
    said = json.dumps([FORMAT_VERSION, decides, data_hash(bundle)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
