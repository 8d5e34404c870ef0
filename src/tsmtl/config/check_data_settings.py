"""Settings of ``tsmtl-check-data``, beside those of the training whose data it checks."""

from pathlib import Path

from pydantic import Field

from tsmtl.config.predict_settings import ending_problems
from tsmtl.config.section import Section, Text


class CheckDataSettings(Section):
    """Settings of ``tsmtl-check-data`` itself."""

    picture: Text | None = Field(description="a .png file of a few instances with their targets; its folder must exist")
    page: Text | None = Field(description="an .html file of everything that is printed, and the picture, likewise")


def check_data_problems(settings: CheckDataSettings) -> list[str]:
    """Check where the files are to go."""
    problems = []
    for key, ending in (("picture", ".png"), ("page", ".html")):
        value = getattr(settings, key)
        if value is None:
            continue
        path = Path(value).expanduser()
        if wrong := ending_problems(key, value, (ending,)):
            problems += wrong
        elif path.is_dir():
            problems.append(f"{key}: {path} is a folder; name a file in it")
        elif not path.parent.is_dir():
            problems.append(f"{key}: there is no folder {path.parent}")
    return problems
