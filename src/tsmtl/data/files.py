"""Find the file that the settings name."""

from pathlib import Path

from tsmtl.config.errors import UserError

# Folder of a known set in that of the public data sets, and where it is to be had.
PUBLISHED = {
    "cmapss": "Turbofan Engine Degradation Simulation Data Set, NASA Prognostics Data Repository",
    "ett": "ETDataset, ETT-small (Zhou et al., AAAI 2021)",
    "gas_drift": "Gas Sensor Array Drift Dataset at Different Concentrations, UCI Machine Learning Repository, set 270",
    "har": "Human Activities and Postural Transitions, UCI Machine Learning Repository, set 341, cut into windows",
    "hydraulic": "Condition Monitoring of Hydraulic Systems, UCI Machine Learning Repository, set 447, as one .npz",
}


def where_to_get(name: str) -> str:
    """Say how to get a known set that is not there."""
    mend = "set data.path to your copy, or TSMTL_DATA (data.root) to the folder with the public data sets"
    return mend + (f"; published as: {PUBLISHED[name]}" if name in PUBLISHED else "")


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
        mend = where_to_get(Path(path).relative_to(root).parts[0])
    raise UserError(f"{setting}: there is no file {file}; {mend}")
