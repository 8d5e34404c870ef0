"""What settings make of the data, for the terminal."""

import sys

from tsmtl.report.table import Table


def show_data(head: str, tables: list[Table], notes: list[str], verdict: list[str]) -> None:
    """Write the tables, the long ones cut, the notes, and what is to be thought of it."""
    blocks = [[head], *(_lines(table) for table in tables)]
    if notes:
        blocks.append(["Notes", *(f"  {note}" for note in notes)])
    blocks.append(verdict)
    text = "\n\n".join("\n".join(_printable(line) for line in block) for block in blocks)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _lines(table: Table) -> list[str]:
    shown = table.rows if table.brief is None else [table.rows[i] for i in table.brief]
    cells = [table.header, *shown]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.header))]
    lines = [table.title]
    for row in cells:
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(["  " + row[0].ljust(widths[0]), *others]).rstrip())
    if len(shown) < len(table.rows):
        more = len(table.rows) - len(shown)
        lines.append(f"  ... and {more} more; these have {table.chosen}, page=check.html has all")
    return lines


def _printable(line: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in line)
