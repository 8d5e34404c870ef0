"""A sweep's results as text for the terminal."""

import math
from collections.abc import Mapping, Sequence

MOST_ROWS = 40
MAIN = ("macro_f1", "rmse")  # of a task: the metric of it that is shown beside the score


def lines_of(rows: Sequence[Mapping[str, str]], most: int = MOST_ROWS) -> list[str]:
    """Lay rows of cells out in columns; numbers to the right.

    Args:
        rows: Cells by the column's name; all have the first one's columns.
        most: Rows beyond are counted.
    """
    if not rows:
        return []
    shown = rows[:most]
    columns = list(rows[0])
    widths = {c: max(len(c), *(len(row[c]) for row in shown)) for c in columns}
    left = {c: any(_is_text(row[c]) for row in shown) for c in columns}

    def laid_out(cells: Mapping[str, str]) -> str:
        parts = (f"{cells[c]:<{widths[c]}}" if left[c] else f"{cells[c]:>{widths[c]}}" for c in columns)
        return "  ".join(parts).rstrip()

    lines = [laid_out({c: c for c in columns}), *(laid_out(row) for row in shown)]
    return lines if len(rows) <= most else [*lines, f"... and {len(rows) - most} more"]


def figure(value: float) -> str:
    """Write a number short; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.4g}"


def _is_text(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return True
    return False
