"""What settings make of the data, as one page that needs nothing beside it."""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tsmtl.report.data_tables import Table
from tsmtl.storage.whole import whole_file

_STYLE = """\
:root { color-scheme: light dark; --ink: #1a202c; --paper: #ffffff; --line: #cbd5e0; --soft: #f1f4f8; --good: #276749;
  --bad: #c53030; }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --paper: #171b22; --line: #3b4654; --soft: #212833;
  --good: #68d391; --bad: #fc8181; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code { background: var(--soft); padding: .1rem .3rem; overflow-wrap: anywhere; }
.good, .bad { border-left: .3rem solid var(--good); padding: .3rem .8rem; background: var(--soft); }
.bad { border-color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { background: var(--soft); }
img { max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); }
"""


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
    verdict = [f'<p class="{"good" if page.good else "bad"}">{escape(line)}</p>' for line in page.verdict]
    image = base64.b64encode(page.picture).decode("ascii")
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Data check: {escape(page.where)}</title>",
        f"<style>\n{_STYLE}</style></head>",
        "<body>",
        f"<h1>Data check: {escape(page.where)}</h1>",
        f"<p>{escape(page.head)}</p>",
        f"<p><code>{escape(page.command)}</code></p>",
        *verdict,
        *(_table(table) for table in page.tables),
        *(["<h2>Notes</h2>", "<ul>", *(f"<li>{escape(n)}</li>" for n in page.notes), "</ul>"] if page.notes else []),
        "<h2>Some instances</h2>",
        f'<img alt="Some instances of each split with their targets" src="data:image/png;base64,{image}">',
        "</body>",
        "</html>",
    ]
    with whole_file(path) as file:
        file.write("\n".join(parts).encode("utf-8", "replace"))


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = []
    for row in table.rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        rows.append(f"<tr>{cells}</tr>")
    body = "\n".join(rows)
    return (
        f"<h2>{escape(table.title)}</h2>\n"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )
