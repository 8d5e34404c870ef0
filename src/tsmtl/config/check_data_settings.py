"""Settings of ``tsmtl-check-data``, beside those of the training whose data it checks."""

from pydantic import Field

from tsmtl.config.predict_settings import place_problems
from tsmtl.config.section import Section, Text


class CheckDataSettings(Section):
    """Settings of ``tsmtl-check-data`` itself."""

    picture: Text | None = Field(description="a .png file of a few instances with their targets; its folder must exist")
    page: Text | None = Field(description="an .html file of everything that is printed, and the picture, likewise")


def check_data_problems(settings: CheckDataSettings) -> list[str]:
    """Check where the files are to go."""
    places = {"picture": (settings.picture, ".png"), "page": (settings.page, ".html")}
    return [
        problem
        for key, (value, ending) in places.items()
        if value is not None
        for problem in place_problems(key, value, (ending,))
    ]
