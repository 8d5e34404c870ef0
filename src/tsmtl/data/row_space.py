"""Room for the rows of a recording: in memory, or in a file that memory holds as much of as it can spare."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray


@dataclass(frozen=True)
class RowSpace:
    """Where arrays of rows lie.

    Attributes:
        folder: Folder of the file, which has no name and is gone with the process; None: in memory.
    """

    folder: str | None = None

    def array(self, rows: int, columns: int) -> FloatArray:
        """Give room for (rows, columns) in single precision; what is in it is not said.

        Raises:
            UserError: If the folder cannot be written, or has no room.
        """
        if self.folder is None:
            return np.empty((rows, columns), dtype=np.float32)
        size = max(1, rows * columns * 4)
        try:
            with TemporaryFile(dir=Path(self.folder).expanduser()) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a disk that fills up later would kill the process
                return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, columns))
        except OSError as error:
            raise UserError(
                f"data.spill_folder: cannot keep {size / 2**20:.0f} MiB in {self.folder} ({error.strerror})"
            ) from error


def on_disk(values: FloatArray) -> bool:
    """Say whether rows lie in a file."""
    return isinstance(values, np.memmap) and values.size > 0
