"""Go on with a run that something ended: what its folder holds, and whether it is the same run."""

import json
from pathlib import Path
from typing import Any

import yaml

from tsmtl.checkpoint.file import STEP_BY_STEP
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import UserError
from tsmtl.config.identity import PLACES, UNSET, differences
from tsmtl.config.schema import Settings
from tsmtl.report.run_contents import is_run
from tsmtl.storage.run_folder import BEST, LAST, SUMMARY, pictures_of, report_of, side_checkpoint
from tsmtl.tracking.tracker import EVENTS, RUN_FILE


def saved_state(settings: Settings, folder: Path) -> dict[str, Any] | None:
    """Give the state that an earlier process left in a run folder; None where the run starts anew.

    Args:
        settings: Checked settings, as asked.
        folder: The run folder.

    Raises:
        UserError: If the folder holds an unfinished run and ``resume`` is false, a run with other settings, or one that
            only an earlier version can go on with.
    """
    path, finished = folder / LAST, (folder / SUMMARY).exists()
    if not settings.run.resume:
        if path.exists() and not finished:
            raise UserError(
                f"hydra.run.dir: {folder} holds an unfinished run; resume=true goes on with it, or remove the folder "
                "to start anew"
            )
        return None
    if not path.exists():
        if finished:
            raise UserError(
                f"hydra.run.dir: {folder} holds a finished run, but not its {LAST}, which tells its settings; without "
                "resume=true it is replaced"
            )
        return None
    try:
        state = read_last(path)
    except UserError as error:
        raise UserError(f"{error}, or remove it to start the run anew") from error
    problems = [
        f"{key}: {shown(ours)} differs from the run in {folder}, where it is {shown(theirs)}; a run goes on with its "
        "own settings"
        for key, ours, theirs in differences(settings.flat, state["settings"])
        if key not in PLACES
    ]
    if problems:
        raise UserError(problems)
    if not finished and state["format_version"] < STEP_BY_STEP and state["settings"].get("readout") == "flatten":
        raise UserError(
            f"{path}: an earlier tsmtl began this run, whose heads read readout=flatten in another order; finish it "
            "with that version, or remove it to start the run anew"
        )
    return state


def check_same(state: dict[str, Any], data: str, pretrained: str | None, folder: Path) -> None:
    """Check that data and pretrained checkpoint are what the run began with.

    Args:
        state: What :func:`saved_state` gave.
        data: Hash of the data.
        pretrained: Hash of the checkpoint that the run is fine-tuned from.
        folder: The run folder.

    Raises:
        UserError: If they are not.
    """
    if state["data"] != data:
        raise UserError(f"data.path: the data is not what the run in {folder} began with")
    if state["pretrained"] != pretrained:
        raise UserError(f"pretrained_path: the checkpoint is not what the run in {folder} began with")


def stamp_of(folder: Path) -> tuple[int, int] | None:
    """Say which state a run folder holds, by its file; None where it holds none."""
    path = folder / LAST
    if not path.exists():
        return None
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino


def clear(folder: Path) -> None:
    """Remove what an earlier run left that the run that replaces it would not overwrite at once."""
    page = report_of(folder) if is_run(folder) else []  # else it is the page of a sweep that lies there
    for own in (*checkpoints_of(folder), *pictures_of(folder), *page):
        own.unlink()
    for pattern in (SUMMARY, LAST, "metrics.csv", "predictions_test.csv", "vectors_2d.csv", EVENTS, RUN_FILE):
        for file in folder.glob(pattern):
            file.unlink()


def checkpoints_of(folder: Path) -> list[Path]:
    """Give the checkpoints under names of tsmtl's own that an earlier run left in its folder.

    Those of single tasks go by their run's own settings: a model that was named so by ``best_model_path`` is not one.
    """
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        beside, named = settings["trainer"]["best_per_task"], Path(settings["best_model_path"] or BEST).name
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        beside, named = False, BEST  # no run, or none that knew of this
    found = [path for path in folder.glob(side_checkpoint("*")) if beside and path.name not in (BEST, named)]
    return [path for path in (folder / BEST, *found) if path.is_file()]


def finished_summary(folder: Path) -> dict[str, Any] | None:
    """Give the summary of a finished run, or None.

    Raises:
        UserError: If it is damaged.
    """
    path = folder / SUMMARY
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(f"{path}: damaged; remove it, and resume=true tests and reports again") from error


def shown(value: Any) -> str:
    """Give a setting's value as it is typed."""
    if value is UNSET:
        return "not set"
    return "null" if value is None else str(value)
