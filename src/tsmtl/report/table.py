"""A table of text, for the terminal and for a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it is about.
        header: Names of the columns.
        rows: Cells; the first of a row is its name.
        brief: The rows to show where there is no room for all.
        chosen: What these are.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    brief: list[int] | None = None
    chosen: str = ""
