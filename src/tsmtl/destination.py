"""Where the best checkpoint of a run goes."""

from pathlib import Path
from tempfile import TemporaryFile

from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings
from tsmtl.config.trainer_rules import side_scores
from tsmtl.resume import checkpoints_of
from tsmtl.storage.run_folder import BEST, LAST, side_checkpoint

OWN_SUFFIXES = {".yaml", ".csv", ".json", ".png", ".log", ".lock", ".tmp"}  # of what else a run writes into its folder


def best_model_path(settings: Settings, folder: Path, start: Path | None) -> Path:
    """Give the path of the best checkpoint, its folder made.

    Args:
        settings: Checked settings.
        folder: The run folder.
        start: The checkpoint that the run starts from, or None.

    Raises:
        UserError: If nothing can be written there, or what is there is not to be lost.
    """
    path = Path(settings.run.best_model_path or folder / BEST).expanduser()
    if path.is_dir():
        raise UserError(f"best_model_path: {path} is a folder; name a file in it")
    inside = path.resolve().parent == folder.resolve()
    side = [side_checkpoint(name) for name in side_scores(settings.task, settings.data, settings.trainer)]
    if inside and (path.suffix in OWN_SUFFIXES or path.name in (LAST, *side)):
        raise UserError(f"best_model_path: {path} is a name that the run folder has for other things; take a .pt")
    if path.exists():
        if not path.resolve().is_file():
            raise UserError(f"best_model_path: {path} is no regular file; name another")
        if start is not None and start.exists() and path.samefile(start):
            raise UserError(f"best_model_path: {path} is the checkpoint to start from; name another file")
        try:
            read_checkpoint(path)
        except UserError as error:
            raise UserError(
                f"best_model_path: {path} is there and no checkpoint of tsmtl; name another file, or remove it first"
            ) from error
    lost = [file for file in {*checkpoints_of(folder), *(folder / name for name in side)} if file.is_file()]
    if start is not None and start.exists() and any(file.samefile(start) for file in lost):
        raise UserError(f"hydra.run.dir: this run would replace the checkpoint to start from, {start}; name another")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path.parent).close()  # a name of its own: another process may be writing there
    except OSError as error:
        raise UserError(f"best_model_path: cannot write {path} ({error.strerror})") from error
    return path
