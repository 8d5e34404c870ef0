"""Rows of measurements as JSON lines, their spread, and Markdown tables of them between the markers of a document."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]  # plain values; ``part`` names who measured it


class Spread(NamedTuple):
    """Median and quartiles of repeats."""

    median: float
    low: float
    high: float

    def said(self, digits: int = 2) -> str:
        """Write as ``1.52 (1.48-1.57)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Give median and quartiles, between neighbours in proportion (Hyndman and Fan 1996, definition 7).

    Raises:
        ValueError: If there is no value.
    """
    if not values:
        raise ValueError("no values")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divide round by round.

    Raises:
        ValueError: If the two have not the same rounds.
    """
    return [a / b for a, b in zip(above, below, strict=True)]


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write a line of JSON per row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Read what :func:`write_rows` wrote."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def number(value: float) -> str:
    """Write three digits that count, all before the point, and no exponent: ``0.0123``, ``1.23``, ``12,345``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def markdown(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table: the first column to the left, all others to the right.

    Raises:
        ValueError: If a row has another number of cells than the header.
    """
    lines = [_line(header), "|" + "---|" + "--:|" * (len(header) - 1)]
    for cells in body:
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} cells below {len(header)} columns: {list(cells)}")
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def between(text: str, name: str) -> str:
    """Give what stands between ``<!-- name -->`` and ``<!-- /name -->``; nothing where they do not stand there."""
    return text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def replace_between(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: If the two markers do not stand there once each, in this order.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"needs {begin} and, behind it, {end}, once each")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content.strip()}\n{end}{rest.partition(end)[2]}"
