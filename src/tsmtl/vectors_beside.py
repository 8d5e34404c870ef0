"""Vectors of the same name in the other format, whose transform a fit must not replace by another one."""

from pathlib import Path
from typing import Any

from tsmtl.checkpoint.archive import read_archive
from tsmtl.config.errors import UserError
from tsmtl.config.represent_settings import VECTORS, RepresentSettings
from tsmtl.data.instance_table import InstanceTable
from tsmtl.data.manifest import MANIFEST, Manifest
from tsmtl.data.named_arrays import open_arrays
from tsmtl.storage.run_folder import sha256_of


def check_vectors_beside(own: RepresentSettings, fit: dict[str, Any], data: dict[str, str]) -> None:
    """Check that the transform to be replaced is not that of ``v.npz`` beside ``v.parquet``, or the other way round.

    Args:
        own: Where the files go.
        fit: What the file of the transform will say of the fit: the same of the same words, whose bytes are the same.
        data: Digests of the data and their split, as in the manifest.

    Raises:
        UserError: If it is, and the fit is another one: models of those vectors would be left without their transform.
    """
    path = own.transform_path
    if own.transform is not None or not path.is_file():
        return
    others = [own.vectors_path.with_suffix(ending) for ending in VECTORS if ending != own.vectors_path.suffix.lower()]
    for other in others:
        made_by = _manifest(other)
        if made_by is None or made_by["transform_sha256"] != sha256_of(path):
            continue
        there = read_archive(path)
        if {key: there.get(key) for key in fit} != fit or {key: made_by[key] for key in data} != data:
            raise UserError(
                f"transform: {path} is that of {other}, and this fit is another one; name another file with transform="
            )


def _manifest(path: Path) -> dict[str, Any] | None:
    """Give the manifest of vectors; None where there are none, or none that could be used."""
    if not path.is_file():
        return None
    try:
        if path.suffix == ".parquet":
            said = InstanceTable(path).metadata(MANIFEST)
            manifest = None if said is None else Manifest.of_text(said, str(path))
        else:
            with open_arrays(str(path)) as arrays:
                manifest = Manifest.of(arrays)
    except UserError:
        return None
    return None if manifest is None else manifest.content
