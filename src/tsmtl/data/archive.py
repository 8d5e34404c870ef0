"""Sets of the UCR/UEA/TSER archives by name; aeon fetches them, and they are read like any other .ts files."""

import importlib.util
import os
import tempfile
import warnings
import zipfile
from http.client import HTTPException
from pathlib import Path

from tsmtl.config.data_settings import ArchiveSettings
from tsmtl.config.errors import UserError, first_line
from tsmtl.config.words import did_you_mean
from tsmtl.data.instances import Instances
from tsmtl.data.ts import instances_of

_FAILURES = (OSError, ValueError, HTTPException, zipfile.BadZipFile)  # of a download through aeon


def load_archive(settings: ArchiveSettings, tasks: dict[str, str]) -> Instances:
    """Read a set, fetched before if need be.

    Raises:
        UserError: If there is no such set, it cannot be fetched, or it has not the target that the task needs.
    """
    return instances_of(_files(settings, tasks), tasks)


def _files(settings: ArchiveSettings, tasks: dict[str, str]) -> list[Path]:
    """Give train and test file: those kept in the folder, those in aeon's own package, or fetched ones."""
    name, folder = settings.name, Path(settings.folder).expanduser()
    places = [folder / name]
    package = importlib.util.find_spec("aeon")  # imports nothing: aeon takes seconds
    if package is not None and package.origin is not None:
        places.append(Path(package.origin).parent / "datasets" / "data" / name)
    for place in places:
        if pair := _pair(place):
            return pair
    said = f"data.name: the set {name} is not in {folder}"
    if package is None and settings.download:
        raise UserError(f"{said}; aeon fetches it: pip install 'tsmtl[archive]'")
    if package is not None:
        _check_name(name, tasks)
    if not settings.download:
        raise UserError(f"{said}, and data.download=false; true fetches it")
    _fetch(name, folder, next(iter(tasks.values())))
    return _pair(places[0])


def _pair(place: Path) -> list[Path]:
    pair = [place / f"{place.name}_{part}.ts" for part in ("TRAIN", "TEST")]
    return pair if all(file.is_file() for file in pair) else []


def _check_name(name: str, tasks: dict[str, str]) -> None:
    from aeon.datasets.tsc_datasets import tsc_zenodo
    from aeon.datasets.tser_datasets import tsr_zenodo

    sets = {"cls": tsc_zenodo, "reg": tsr_zenodo}
    if not any(name in names for names in sets.values()):
        known = did_you_mean(name, [known for names in sets.values() for known in names])
        raise UserError(f"data.name: the archives have no set {name!r}{known}")
    for kind in tasks.values():
        if name not in sets[kind]:
            other = {"cls": "a number per instance and no class; take task=reg"}
            said = other.get(kind, "a class per instance and no number; take task=cls")
            raise UserError(f"data.name: the set {name} has {said}")


def _fetch(name: str, folder: Path, kind: str) -> None:
    """Fetch a set into the folder: whole, or not at all."""
    from aeon.datasets import load_classification, load_regression

    load = {"cls": load_classification, "reg": load_regression}[kind]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as fresh, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what aeon says of its own defaults
            load(name, "train", fresh, load_equal_length=False, load_no_missing=False)
            if not _pair(Path(fresh) / name):
                raise ValueError("the answer holds no train and test file")
            os.replace(Path(fresh) / name, folder / name)
    except _FAILURES as error:
        if _pair(folder / name):  # another process was first
            return
        raise UserError(
            f"data.name: the set {name} could not be fetched into {folder / name} ({first_line(error)}); check the "
            f"network, or put {name}_TRAIN.ts and {name}_TEST.ts there yourself"
        ) from error
