"""Arrays under names: those of one .npz file, or the .npy files of a folder."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.config.words import did_you_mean
from tsmtl.data.files import existing_file
from tsmtl.data.instances import SPLITS
from tsmtl.data.npy_rows import NpyFile

UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)  # what a damaged member raises


class NamedArrays(ABC):
    """Arrays under names; a name is one array, or a family with the suffixes _train, _val and _test.

    Attributes:
        where: The file or folder, for messages.
        names: What there is.
        noun: What messages call one of them.
        first_row: Number of the first row, for messages.
    """

    noun = "an array"
    first_row = 0

    def __init__(self, where: str, names: list[str]) -> None:
        self.where = where
        self.names = names

    @abstractmethod
    def _whole(self, name: str, key: str) -> Any:
        """Read one array as what the setting ``key`` names it for; what numpy raises of a damaged one comes through."""

    def one(self, name: str, key: str) -> npt.NDArray[Any]:
        """Read one array; ``key`` is the setting that names it."""
        if name not in self.names:
            raise self.lacks(name, key)
        try:
            array: npt.NDArray[Any] = self._whole(name, key)
        except UNREADABLE as error:
            if "pickle" in str(error) or "Object arrays" in str(error):  # numpy's refusal to unpickle
                raise self.object_array(name) from error
            raise self.damaged(name, error) from error
        if not isinstance(array, np.ndarray):  # numpy hands out the bytes of a member that is no array
            raise UserError(f"{self.where}: '{name}' is no array; save it with numpy.savez")
        if array.dtype.kind == "S":
            try:
                return np.char.decode(array, "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{self.where}: '{name}' holds bytes that are no UTF-8 text ({error})") from error
        return array

    def texts(self, name: str, key: str) -> list[str]:
        """Read an array of names; ``key`` is the setting that names it."""
        array = self.one(name, key)
        if array.ndim != 1:
            raise UserError(f"{self.where}: '{name}' ({key}) must be a list of names (got shape {array.shape})")
        return [str(v) for v in array]

    def input(self, name: str, key: str) -> npt.NDArray[Any] | NpyFile:
        """Give the input, or a part of it: an array, or the file that it stays in."""
        return self.one(name, key)

    def lacks(self, name: str, key: str) -> UserError:
        """Give the error of an array that is not there."""
        have = ", ".join(self.names)
        return UserError(f"{self.where}: no array '{name}' ({key}); it has {have}{did_you_mean(name, self.names)}")

    def object_array(self, name: str) -> UserError:
        """Give the error of an array that is never unpickled."""
        return UserError(
            f"{self.where}: '{name}' is an object array, which could run code when read; "
            "save it with a plain type (numbers or fixed-length text)"
        )

    def damaged(self, name: str, error: object) -> UserError:
        """Give the error of an array that cannot be read."""
        return UserError(f"{self.where}: '{name}' cannot be read, the file is damaged ({error})")

    def family(self, name: str) -> list[str]:
        """Give the splits for which ``name`` stands with a suffix; none if it is there by itself."""
        return [] if name in self.names else [s for s in SPLITS if f"{name}_{s}" in self.names]

    def read(self, name: str, key: str, family: list[str]) -> dict[str, npt.NDArray[Any]]:
        """Read an array, or those of a family, by their full names."""
        parts = {full: self.one(full, key) for full in full_names(name, family)}
        self.check_same_shape(name, parts)
        return parts

    def check_same_shape(self, name: str, parts: Mapping[str, npt.NDArray[Any] | NpyFile]) -> None:
        """Refuse splits of an array that differ in more than the number of instances."""
        if len({part.shape[1:] for part in parts.values()}) > 1:
            said = ", ".join(f"{full} {part.shape}" for full, part in parts.items())
            raise UserError(f"{self.where}: the splits of '{name}' differ in shape: {said}")


def full_names(name: str, family: list[str]) -> list[str]:
    """Give the names of the arrays that make up one array."""
    return [f"{name}_{split}" for split in family] or [name]


class NpzArrays(NamedArrays):
    """The arrays of a .npz file."""

    def __init__(self, where: str, file: np.lib.npyio.NpzFile) -> None:
        super().__init__(where, list(file.files))
        self.file = file

    def _whole(self, name: str, key: str) -> Any:
        return self.file[name]


class NpyArrays(NamedArrays):
    """The .npy files of a folder, named without their ending; the input stays in its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), sorted(file.stem for file in folder.glob("*.npy")))
        self.folder = folder
        if not self.names:
            raise UserError(f"data.path: {folder} is a folder without any .npy file")

    def _whole(self, name: str, key: str) -> Any:
        with (self.folder / f"{name}.npy").open("rb") as file:
            read: Any = np.lib.format.read_array  # it has no types
            return read(file, allow_pickle=False)

    def input(self, name: str, key: str) -> NpyFile:
        """Open a file of the input."""
        if name not in self.names:
            raise self.lacks(name, key)
        return NpyFile(self.folder / f"{name}.npy")


@contextmanager
def open_arrays(path: str, root: str | None = None) -> Iterator[NpzArrays | NpyArrays]:
    """Open a .npz file, or a folder of .npy files.

    Args:
        path: The file or folder as the settings name it.
        root: Folder of public data sets, where the path came from there.

    Raises:
        UserError: If there is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        yield NpyArrays(folder)
        return
    file = existing_file(path, root)
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(
                file.open("rb")
            )  # numpy would leave a handle of its own to a damaged file open
            loaded = np.load(handle, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{file}: not a readable .npz file ({error})") from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise UserError(
                f"{file}: a single array; tsmtl reads .npz files with named arrays (numpy.savez), or a folder of .npy "
                "files"
            )
        yield NpzArrays(str(file), stack.enter_context(loaded))
