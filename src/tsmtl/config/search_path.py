"""The flag ``--config-dir`` for the commands that compose settings without Hydra's own command line."""

from pathlib import Path

from tsmtl.config.errors import UserError


def search_path_as_setting(words: list[str]) -> list[str]:
    """Write the flag ``--config-dir DIR`` as the setting of Hydra that it stands for."""
    given, flags = iter(words), ("--config-dir", "-cd")
    found = []
    for word in given:
        flag, sign, folder = word.partition("=")
        if flag not in flags:
            found.append(word)
            continue
        folder = folder if sign else next(given, "")
        if not Path(folder).is_dir() or not folder:
            raise UserError(f"--config-dir: no folder {folder!r}")
        found.append(f"hydra.searchpath=['file://{Path(folder).resolve()}']")
    return found
