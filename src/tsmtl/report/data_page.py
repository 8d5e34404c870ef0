"""What settings make of the data, as one page that needs nothing beside it."""

from dataclasses import dataclass
from pathlib import Path

from tsmtl.report.page import command, listing, paragraph, photograph, section, table, write_page
from tsmtl.report.table import Table


@dataclass(frozen=True)
class DataPage:
    """What a page says.

    Attributes:
        where: The data.
        head: Shape and sizes.
        command: What was typed.
        verdict: What is to be thought of it, a line each.
        good: Whether nothing is shared that must not be.
        tables: All tables.
        notes: What the user should know.
        picture: Some instances, a PNG.
    """

    where: str
    head: str
    command: str
    verdict: list[str]
    good: bool
    tables: list[Table]
    notes: list[str]
    picture: bytes


def write_data_page(path: Path, page: DataPage) -> None:
    """Write a page, whole or not at all; every name on it is text, whatever signs it has."""
    blocks = [
        paragraph(page.head),
        command(page.command),
        *(paragraph(line, "good" if page.good else "bad") for line in page.verdict),
        *map(table, page.tables),
        *section("Notes", listing(page.notes)),
        *section("Some instances", photograph(page.picture, "Some instances of each split with their targets")),
    ]
    write_page(path, f"Data check: {page.where}", blocks)
