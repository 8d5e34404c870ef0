"""Find the file that the settings name."""

from pathlib import Path

from tsmtl.config.errors import UserError


def existing_file(path: str, root: str | None = None, setting: str = "data.path") -> Path:
    """Give the file, or say what is missing.

    Args:
        path: The file as the settings name it.
        root: Folder of public data sets, where the path came from there.
        setting: The setting's name, for messages.

    Raises:
        UserError: If there is no such file.
    """
    file = Path(path).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        raise UserError(f"{setting}: {file} is a folder, not a file")
    mend = "check the name, or the folder you started from"
    if root is not None and Path(path).is_relative_to(root):
        mend = "set data.path to your copy, or TSMTL_DATA (data.root) to the folder with the public data sets"
    raise UserError(f"{setting}: there is no file {file}; {mend}")
