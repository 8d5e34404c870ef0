"""Files of a run folder that several parts know by name, and their content by its hash."""

import hashlib
from pathlib import Path

SUMMARY = "summary.json"  # written last: a run that has it is finished
LAST = "last.pt"  # the state that a run goes on from
LOCK = "run.lock"  # there while a process is at it
BEST = "best_model.pt"  # the best checkpoint, where no best_model_path puts it elsewhere

REPORT = "report.html"  # of tsmtl-report, unless output= puts it elsewhere
GENERATOR = '<meta name="generator" content="tsmtl">'  # stands at the beginning of every page of tsmtl's

PICTURES = ("curves.png", "conflict.png", "vectors.png")  # and one of each kind per task:
PICTURES_OF_TASKS = ("confusion", "reliability", "predicted", "labels")


def pictures_of(folder: Path) -> list[Path]:
    """Give the pictures under names of tsmtl's own; others that lie in a run folder are the user's."""
    patterns = (*PICTURES, *(f"{kind}_*.png" for kind in PICTURES_OF_TASKS))
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def report_of(folder: Path) -> list[Path]:
    """Give the page of a run, if it is there and tsmtl wrote it."""
    page = folder / REPORT
    if not page.is_file():
        return []
    with page.open("rb") as file:
        return [page] if GENERATOR.encode() in file.read(1024) else []


def side_checkpoint(name: str) -> str:
    """Give the file of the best checkpoint by a task's own score, or by ``joint``."""
    return f"best_{name}.pt"


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
