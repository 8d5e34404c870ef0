"""The file of vectors, .npz or .parquet: taken block by block, with a manifest of what made them."""

import errno
import hashlib
import json
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import FailedError, UserError, first_line
from tsmtl.data.instances import BLOCK_VALUES, FloatArray
from tsmtl.data.manifest import FEATURES, FORMAT, MANIFEST, X, array_sha256, described
from tsmtl.storage.whole import whole_file

if TYPE_CHECKING:
    import polars as pl

_SINGLE = np.dtype(np.float32)


class VectorFile(ABC):
    """A file under way.

    Args:
        out: The file.
        spool: Where vectors wait until their number is known.
        names: E names of features.
    """

    def __init__(self, out: IO[bytes], spool: IO[bytes], names: Sequence[str]) -> None:
        self._out, self._spool, self._names = out, spool, list(names)
        self._digest = hashlib.sha256()
        self._in_utc = False
        self.n = 0

    def add(self, x: FloatArray) -> None:
        """Add vectors (n, E)."""
        assert x.dtype == _SINGLE
        assert x.shape[1] == len(self._names)
        content = np.ascontiguousarray(x).tobytes()
        self._digest.update(content)
        self._spool.write(content)
        self.n += len(x)

    def finish(self, columns: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any], in_utc: bool = False) -> None:
        """Write all that belongs to the vectors.

        Args:
            columns: Further arrays by name, one row per instance.
            about: What the manifest says beside the digests of all arrays.
            in_utc: Whether times are in UTC; Parquet then says so. A datetime64 of NumPy has no time zone.

        Raises:
            UserError: If the names of features and arrays cannot stand in one file.
        """
        self._digest.update(described(_SINGLE, self._shape))
        self._spool.seek(0)
        self._in_utc = in_utc
        self._write(columns, {"format": FORMAT, **about, "embed_dim": len(self._names)}, self._digest.hexdigest())

    @property
    def _shape(self) -> tuple[int, int]:
        return self.n, len(self._names)

    @abstractmethod
    def _write(self, columns: Mapping[str, npt.NDArray[Any]], manifest: dict[str, Any], digest: str) -> None:
        """Write the vectors, whose SHA-256 is ``digest``, what belongs to them, and the manifest with all digests."""


class NpzVectors(VectorFile):
    """A .npz file."""

    def _write(self, columns: Mapping[str, npt.NDArray[Any]], manifest: dict[str, Any], digest: str) -> None:
        columns = {**columns, FEATURES: np.array(self._names)}
        manifest["arrays"] = {X: digest} | {name: array_sha256(array) for name, array in columns.items()}
        form: Any = np.lib.format  # it has no types
        with zipfile.ZipFile(self._out, "w", zipfile.ZIP_STORED) as archive:
            with archive.open(_member(X), "w", force_zip64=True) as member:
                header = {"descr": _SINGLE.str, "fortran_order": False, "shape": self._shape}
                form.write_array_header_1_0(member, header)
                shutil.copyfileobj(self._spool, member, 2**20)
            for name, array in {**columns, MANIFEST: np.array(json.dumps(manifest, indent=1))}.items():
                with archive.open(_member(name), "w", force_zip64=True) as member:
                    form.write_array(member, np.asanyarray(array), allow_pickle=False)


class ParquetVectors(VectorFile):
    """A .parquet file."""

    def _write(self, columns: Mapping[str, npt.NDArray[Any]], manifest: dict[str, Any], digest: str) -> None:
        import polars as pl  # takes a while to import, and only tables need it

        from tsmtl.data.table_columns import side_by_side

        series = {}
        for name, array in columns.items():
            parts = [array] if array.ndim == 1 else list(array.T)
            called = [name] if len(parts) == 1 else [f"{name}_{d + 1}" for d in range(len(parts))]
            series[name] = [pl.Series(one, part) for one, part in zip(called, parts, strict=True)]
        frame = pl.DataFrame([one for parts in series.values() for one in parts])
        self._check_names(frame.columns)
        stored = {name: side_by_side(parts, "the vectors") for name, parts in series.items()}  # as they will be read
        manifest["arrays"] = {X: digest} | {name: array_sha256(array) for name, array in stored.items()}
        manifest["features"] = self._names
        size = max(1, BLOCK_VALUES // max(1, self.n))
        features = [one for at in range(0, len(self._names), size) for one in self._columns(at, at + size)]
        if self._in_utc:
            frame = frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
        frame = frame.hstack(features)
        metadata = {MANIFEST: json.dumps(manifest, indent=1)}
        try:
            frame.write_parquet(self._out, compression="uncompressed", statistics=False, metadata=metadata)
        except pl.exceptions.PolarsError as error:  # which a full disk is to polars
            raise OSError(errno.EIO, first_line(error)) from error

    def _columns(self, start: int, stop: int) -> "list[pl.Series]":
        """Read some features of all vectors."""
        import polars as pl

        stored = np.memmap(self._spool, dtype=_SINGLE, mode="r", shape=self._shape)
        part = np.ascontiguousarray(stored[:, start:stop].T)
        return [pl.Series(name, values) for name, values in zip(self._names[start:stop], part, strict=True)]

    def _check_names(self, others: list[str]) -> None:
        if twice := [name for name, times in Counter([*self._names, *others]).items() if times > 1]:
            raise UserError(
                f"output: two columns would be called '{twice[0]}'; give channels and targets names of their own, or "
                "take a .npz file, whose features may be called alike"
            )


_KINDS: dict[str, type[VectorFile]] = {".npz": NpzVectors, ".parquet": ParquetVectors}


@contextmanager
def vector_file(path: Path, names: Sequence[str]) -> Iterator[VectorFile]:
    """Open a file of vectors for writing; it is there, whole, when the block ends.

    The arrays of a .npz file are ``X`` (N, E), float32, ``features``, its names, further ones as
    :meth:`VectorFile.finish` gets them, and the manifest, a JSON text: ``format``, ``method``, ``hyperparameters``,
    ``seed``, ``transform_sha256`` (of the file of the fitted transform), ``data`` and ``data_sha256`` (what was
    represented), ``split_sha256``, ``units`` by target, ``versions``, ``embed_dim``, and under ``arrays`` the SHA-256
    of each other array. A .parquet file has a column for each feature and array, NAME_1 to NAME_D for one of shape
    (N, D), and the manifest, which also holds the names under ``features``, in its metadata.

    Args:
        path: Where to; the folder exists.
        names: E names of features.

    Raises:
        FailedError: If it cannot be written; what was there stays.
    """
    try:
        with whole_file(path) as file, tempfile.TemporaryFile(dir=path.parent) as spool:
            yield _KINDS[path.suffix.lower()](file, spool, names)
    except OSError as error:
        raise FailedError(f"cannot write {path} ({error.strerror})") from error


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name}.npy")  # with no time of its own: the same vectors are the same bytes
