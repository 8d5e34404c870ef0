"""A sweep's results as text for the terminal."""

import math
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence

MOST_ROWS = 40
LEAST_WIDTH = 8  # of a column that is cut
MAIN = ("macro_f1", "rmse")  # of a task: the metric of it that is shown beside the score


def terminal_width() -> int | None:
    """Give the columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lines_of(
    rows: Sequence[Mapping[str, str]],
    most: int = MOST_ROWS,
    width: int | None = None,
    spare: Sequence[str] = (),
) -> list[str]:
    """Lay rows of cells out in columns; numbers to the right.

    Args:
        rows: Cells by the column's name; all have the first one's columns.
        most: Rows beyond are counted.
        width: Longest line; None: any.
        spare: Columns to leave out, the last one first, and then texts are cut, where lines are too long.
    """
    if not rows:
        return []
    shown = [{column: " ".join(row[column].split()) for column in row} for row in rows[:most]]
    widths = {c: max(_width(c), *(_width(row[c]) for row in shown)) for c in rows[0]}
    texts = {c for c in widths if any(_is_text(row[c]) for row in shown)}
    if width is not None:
        _narrow(widths, texts, width, spare)

    def laid_out(cells: Mapping[str, str]) -> str:
        parts = []
        for column, size in widths.items():
            cell = _cut(cells[column], size)
            space = " " * (size - _width(cell))
            parts.append(cell + space if column in texts else space + cell)
        return "  ".join(parts).rstrip()

    lines = [laid_out({c: c for c in widths}), *(laid_out(row) for row in shown)]
    return lines if len(rows) <= most else [*lines, f"... and {len(rows) - most} more"]


def _narrow(widths: dict[str, int], texts: set[str], width: int, spare: Sequence[str]) -> None:
    """Leave columns out, and narrow those of texts, until a line fits or nothing more can go."""
    left = list(spare)
    while sum(widths.values()) + 2 * (len(widths) - 1) > width:
        widest = max(texts & widths.keys(), key=widths.__getitem__, default=None)
        if left:
            widths.pop(left.pop(), None)
        elif widest is not None and widths[widest] > LEAST_WIDTH:
            widths[widest] -= 1
        else:
            return


def _cut(cell: str, size: int) -> str:
    """Leave out the middle of a text that is too long: paths differ at their ends."""
    if _width(cell) <= size:
        return cell
    head, tail = cell[: (size - 1) // 2], cell[-(size // 2) :]
    while _width(head) + 1 + _width(tail) > size:
        head, tail = (head[:-1], tail) if _width(head) >= _width(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def _width(text: str) -> int:
    """Count the columns that a text takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def figure(value: float) -> str:
    """Write a number short; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.4g}"


def _is_text(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return True
    return False
