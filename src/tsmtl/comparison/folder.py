"""The folder of a comparison: where it is, and whether it may be written."""

from pathlib import Path
from tempfile import TemporaryFile

from tsmtl.comparison.record import NAME
from tsmtl.comparison.tuning import RUNS
from tsmtl.config.compare_settings import CompareSettings
from tsmtl.config.errors import UserError
from tsmtl.config.identity import sha256_of_values, without_places
from tsmtl.config.logs import FILE_NAME
from tsmtl.config.schema import Settings
from tsmtl.sweep.record import records_in

LOCK = "compare.lock"


def folder_of(own: CompareSettings, training: Settings) -> Path:
    """Give the folder: with more seeds or variants of the same training it is the same one.

    Raises:
        UserError: If it cannot be written, or holds what is no comparison; nothing is left of the attempt.
    """
    places = {key: training.flat["data"].get(key) for key in ("path", "root")}
    name = sha256_of_values(without_places(training.flat), places)[:12]
    folder = Path(own.folder or f"outputs/compare/{name}").expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"compare.folder: {folder} is a file; name a folder")
    _try_to_write(folder)
    begun = {LOCK, FILE_NAME}  # all that a process leaves that was killed before its first run
    known = (folder / NAME).is_file() or next(records_in(folder / RUNS), None) is not None
    if folder.is_dir() and not known and {path.name for path in folder.iterdir()} - begun:
        raise UserError(f"compare.folder: {folder} is not empty, and holds no comparison to go on with; name another")
    return folder


def _try_to_write(folder: Path) -> None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"compare.folder: cannot write {folder} ({error.strerror})") from error
    finally:
        for path in made:
            if path.is_dir():
                path.rmdir()
