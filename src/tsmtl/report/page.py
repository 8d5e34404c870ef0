"""A page that needs nothing beside it: text, tables and pictures in one HTML file.

What the functions here are given is text, whatever signs it has; what they give is HTML, for :func:`write_page`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from tsmtl.report.page_style import SORTING, STYLE
from tsmtl.report.table import Table
from tsmtl.storage.run_folder import GENERATOR
from tsmtl.storage.whole import whole_file

# A browser that keeps to it fetches nothing, whatever a name on the page may say.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_page(path: Path, title: str, blocks: Iterable[str]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: The file.
        title: Its heading.
        blocks: Its HTML, made by the other functions of this file.

    Raises:
        OSError: If it cannot be written; an old file stays.
    """
    content = "\n".join(blocks)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8">{GENERATOR}<meta name="viewport" content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}</style></head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        content,
        *([f"<script>\n{SORTING}</script>"] if 'class="sortable"' in content else []),
        "</body>",
        "</html>",
    ]
    with whole_file(path) as file:
        file.write("\n".join(parts).encode("utf-8", "replace"))


def section(title: str, *blocks: str) -> list[str]:
    """Give a part of a page with its heading; nothing where it has no content."""
    return [f"<h2>{escape(title)}</h2>", *filter(None, blocks)] if any(blocks) else []


def paragraph(text: str, kind: str = "") -> str:
    """Give a paragraph; its kind is ``good``, ``bad``, ``open`` or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def command(text: str) -> str:
    """Give what was typed."""
    return f"<p><code>{escape(text)}</code></p>"


def listing(items: Sequence[str]) -> str:
    """Give a list; nothing where it is empty."""
    return "\n".join(["<ul>", *(f"<li>{escape(item)}</li>" for item in items), "</ul>"]) if items else ""


def pairs(values: Mapping[str, str]) -> str:
    """Give names with their values."""
    rows = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items()]
    return "\n".join(["<dl>", *rows, "</dl>"]) if rows else ""


def table(content: Table, sortable: bool = False, level: int = 2) -> str:
    """Give a table with its title; columns that people sort have a button in their head where there is JavaScript."""
    # The style has the first column begin at the left anyway.
    columns = zip(*content.rows, strict=True) if content.rows else [()] * len(content.header)
    kinds = [' class="words"' if i and _is_words(column) else "" for i, column in enumerate(columns)]
    head = "".join(f'<th scope="col"{k}>{escape(cell)}</th>' for cell, k in zip(content.header, kinds, strict=True))
    rows = []
    for row in content.rows:
        cells = "".join(f"<td{k}>{escape(cell)}</td>" for cell, k in zip(row, kinds, strict=True))
        rows.append(f"<tr>{cells}</tr>")
    body = "\n".join(rows)
    kind = ' class="sortable"' if sortable else ""
    title = f"<h{level}>{escape(content.title)}</h{level}>\n" if content.title else ""
    return (
        f'{title}<div class="scroll" tabindex="0"><table{kind}><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _is_words(column: Iterable[str]) -> bool:
    """Say whether a column has words, which begin at the left, not numbers, shares or intervals."""
    first = next(filter(None, column), "0")
    return first[0] not in "+-[<.0123456789"


def pictures(*figures: str) -> str:
    """Give pictures side by side, where there is room."""
    return "\n".join(['<div class="pictures">', *figures, "</div>"]) if figures else ""


def photograph(png: bytes, says: str) -> str:
    """Give a picture that is made of dots."""
    return f'<img alt="{escape(says)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
