"""The manifest of the files of ``tsmtl-represent``: what made the vectors, and of which split."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tsmtl.config.data_settings import ArraySettings
from tsmtl.config.errors import UserError
from tsmtl.data.named_arrays import NamedArrays

MANIFEST = "tsmtl_manifest"  # the array, or the entry of a Parquet file's metadata, that holds it, a JSON text
FORMAT = 1
X, SPLIT, INSTANCE, GROUP, FEATURES = "X", "split", "instance", "group", "features"
S = TypeVar("S", bound=ArraySettings)


class _Version(BaseModel):
    """What tells whether the rest is known."""

    model_config = ConfigDict(strict=True)

    format: Annotated[int, Field(ge=1)]


class _Content(BaseModel):
    """What is read of a manifest, see :func:`tsmtl.representation.vector_file.vector_file`."""

    model_config = ConfigDict(strict=True)

    method: str
    hyperparameters: dict[str, Any]
    seed: int
    embed_dim: int
    transform_sha256: str
    data_sha256: str | None
    split_sha256: str | None
    units: dict[str, str]
    arrays: dict[str, str]


class _TableContent(_Content):
    """That of a table, whose columns say of themselves neither which are features nor in which order."""

    features: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class Manifest:
    """What a file of vectors says of itself.

    Attributes:
        where: The file, for messages.
        content: See :func:`tsmtl.representation.vector_file.vector_file`.
    """

    where: str
    content: dict[str, Any]

    @classmethod
    def of(cls, arrays: NamedArrays) -> "Manifest | None":
        """Read the manifest; None of a file that ``tsmtl-represent`` has not written.

        Raises:
            UserError: If it cannot be read, or is of a newer format.
        """
        if MANIFEST not in arrays.names:
            return None
        return cls._read(str(arrays.one(MANIFEST, "data.path")), arrays.where, _Content)

    @classmethod
    def of_text(cls, said: str, where: str) -> "Manifest":
        """Read the manifest of a table.

        Raises:
            UserError: If it cannot be read, or is of a newer format.
        """
        return cls._read(said, where, _TableContent)

    @classmethod
    def _read(cls, said: str, where: str, form: type[_Content]) -> "Manifest":
        try:
            content = json.loads(said)
            version = _Version.model_validate(content).format
            if version <= FORMAT:
                form.model_validate(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: '{MANIFEST}' is no manifest of tsmtl-represent; make it anew") from error
        if version > FORMAT:
            raise UserError(f"{where}: format {version} is newer than this tsmtl reads ({FORMAT}); update tsmtl")
        return cls(where, content)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run records of the vectors that it learns from."""
        kept = ("method", "hyperparameters", "seed", "embed_dim", "transform_sha256", "data_sha256", "split_sha256")
        return {key: self.content[key] for key in kept}

    @property
    def notes(self) -> list[str]:
        """Say what must be known of vectors without a split, which ``fitted=`` made of new series."""
        if SPLIT in self.content["arrays"]:
            return []
        return [
            "the vectors are of tsmtl-represent fitted=, and have no split: that of a training may test on series that "
            "their transform was fitted on"
        ]

    def check_transform(self, made_by: Mapping[str, Any] | None) -> None:
        """Check that the vectors are of the transform of those that a model was trained on; see :attr:`facts`."""
        check_same_transform(self.where, self.content, made_by)

    def check(self, arrays: NamedArrays) -> None:
        """Check that the file holds the arrays that the manifest was written for.

        Raises:
            UserError: At the first that is another one, or gone.
        """
        for name, digest in self.content["arrays"].items():
            if name not in arrays.names:
                raise self.gone(name, arrays.noun)
            if array_sha256(arrays.one(name, "data.path")) != digest:
                raise UserError(
                    f"{self.where}: '{name}' is not what its manifest was written for; make the file anew with "
                    "tsmtl-represent"
                )

    def gone(self, name: str, noun: str) -> UserError:
        """Give the error of an array, or column, that is not there."""
        return UserError(f"{self.where}: its manifest tells of {noun} '{name}', which is gone; make it anew")

    def settings_for(self, settings: S) -> S:
        """Give the settings that read the file with the split that the vectors were fitted on.

        Raises:
            UserError: If the settings ask for another split, and do not say that it may be one.
        """
        has = set(self.content["arrays"])
        found: dict[str, Any] = {}
        if settings.group_key is None and GROUP in has:
            found["group_key"] = GROUP
        target, units = settings.regression_target, self.content["units"]
        if settings.regression_unit is None and isinstance(target, str) and target in units:
            found["regression_unit"] = units[target]
        if not settings.other_split and SPLIT in has:
            self._check_split(settings)
            found["split_key"] = SPLIT
        return settings.model_copy(update=found)

    def _check_split(self, settings: ArraySettings) -> None:
        asked = {
            "split": settings.split in ("group", "stratified"),
            "split_key": settings.split_key not in (None, SPLIT),
            "test_fold": settings.test_fold is not None,
            "val_fold": settings.val_fold is not None,
        }
        if lines := [
            f"data.{key}: the vectors of {self.where} were fitted on the train split of its own '{SPLIT}'; leave it "
            "out, make them anew with tsmtl-represent, or take them all the same with data.other_split=true"
            for key, other in asked.items()
            if other
        ]:
            raise UserError(lines)


def check_no_other_split(settings: ArraySettings, where: str) -> None:
    """Refuse ``other_split`` of a file without a manifest.

    Raises:
        UserError: If it is asked for.
    """
    if settings.other_split:
        raise UserError(f"data.other_split: is for vectors of tsmtl-represent; {where} holds none")


def check_same_transform(where: str, vectors: Mapping[str, Any], made_by: Mapping[str, Any] | None) -> None:
    """Refuse vectors of another fit than that of a model's own, whose features may be called alike and mean others.

    Args:
        where: The file of the vectors, for messages.
        vectors: What made them, as :attr:`Manifest.facts`.
        made_by: What made those that the model was trained on; None where that is not known.

    Raises:
        UserError: If it was another transform.
    """
    if made_by is not None and vectors["transform_sha256"] != made_by["transform_sha256"]:
        raise UserError(
            f"{where}: its vectors (representation={vectors['method']}) are of another transform than those of the "
            f"model (representation={made_by['method']}); make them with tsmtl-represent fitted= and the transform "
            "that was written beside the model's"
        )


def array_sha256(array: npt.NDArray[Any]) -> str:
    """Give the SHA-256 of an array: of its values, and then its type and shape."""
    digest = hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # texts have no buffer
    digest.update(described(array.dtype, array.shape))
    return digest.hexdigest()


def described(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Say type and shape of an array, for its digest."""
    return f"{dtype.str} {shape}".encode()
