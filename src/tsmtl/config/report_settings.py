"""Settings of ``tsmtl-report``."""

from pathlib import Path

from pydantic import Field

from tsmtl.config.predict_settings import ending_problems
from tsmtl.config.section import Section, Text


class ReportSettings(Section):
    """Settings of ``tsmtl-report``."""

    output: Text | None = Field(description="the page, an .html file whose folder must exist; null: DIR/report.html")


def report_problems(settings: ReportSettings) -> list[str]:
    """Check where the page is to go."""
    if settings.output is None:
        return []
    path = Path(settings.output).expanduser()
    if wrong := ending_problems("output", settings.output, (".html", ".htm")):
        return wrong
    if path.is_dir():
        return [f"output: {path} is a folder; name a file in it"]
    return [] if path.parent.is_dir() else [f"output: there is no folder {path.parent}"]
