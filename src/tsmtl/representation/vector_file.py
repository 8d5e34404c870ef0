"""The .npz file of vectors: written block by block, with a manifest of what made them."""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import FailedError
from tsmtl.data.instances import FloatArray
from tsmtl.data.manifest import FORMAT, MANIFEST, X, array_sha256, described
from tsmtl.storage.whole import whole_file

_SINGLE = np.dtype(np.float32)


class VectorFile:
    """A file under way.

    Args:
        archive: The .npz file.
        spool: Where vectors wait until their number is known.
        embed_dim: E.
    """

    def __init__(self, archive: zipfile.ZipFile, spool: IO[bytes], embed_dim: int) -> None:
        self._archive, self._spool, self._embed_dim = archive, spool, embed_dim
        self._digest = hashlib.sha256()
        self.n = 0

    def add(self, x: FloatArray) -> None:
        """Add vectors (n, E)."""
        assert x.dtype == _SINGLE
        assert x.shape[1] == self._embed_dim
        content = np.ascontiguousarray(x).tobytes()
        self._digest.update(content)
        self._spool.write(content)
        self.n += len(x)

    def finish(self, columns: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> None:
        """Write all that belongs to the vectors.

        Args:
            columns: Further arrays by name.
            about: What the manifest says beside the digests of all arrays.
        """
        shape = (self.n, self._embed_dim)
        self._spool.seek(0)
        with self._archive.open(_member(X), "w", force_zip64=True) as member:
            header = {"descr": _SINGLE.str, "fortran_order": False, "shape": shape}
            form: Any = np.lib.format  # it has no types
            form.write_array_header_1_0(member, header)
            shutil.copyfileobj(self._spool, member, 2**20)
        self._digest.update(described(_SINGLE, shape))
        arrays = {X: self._digest.hexdigest()} | {name: array_sha256(array) for name, array in columns.items()}
        manifest = json.dumps({"format": FORMAT, **about, "embed_dim": self._embed_dim, "arrays": arrays}, indent=1)
        for name, array in {**columns, MANIFEST: np.array(manifest)}.items():
            with self._archive.open(_member(name), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]


@contextmanager
def vector_file(path: Path, embed_dim: int) -> Iterator[VectorFile]:
    """Open a file of vectors for writing; it is there, whole, when the block ends.

    Its arrays are ``X`` (N, E), float32, further ones as :meth:`VectorFile.finish` gets them, and the manifest, a JSON
    text: ``format``, ``method``, ``hyperparameters``, ``seed``, ``transform_sha256`` (of the file of the fitted
    transform), ``data`` and ``data_sha256`` (what was represented), ``split_sha256``, ``units`` by target,
    ``versions``, ``embed_dim``, and under ``arrays`` the SHA-256 of each other array.

    Args:
        path: Where to; the folder exists.
        embed_dim: E.

    Raises:
        FailedError: If it cannot be written; what was there stays.
    """
    try:
        with (
            whole_file(path) as file,
            tempfile.TemporaryFile(dir=path.parent) as spool,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            yield VectorFile(archive, spool, embed_dim)
    except OSError as error:
        raise FailedError(f"cannot write {path} ({error.strerror})") from error


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name}.npy")  # with no time of its own: the same vectors are the same bytes
