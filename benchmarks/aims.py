"""The aims of tsmtl's speed beside what the tables of docs/performance.md, or of another page, say of them.

    python -m benchmarks.aims [docs/performance_without_amx.md]

Nothing is measured: figures are read from the page, so that each is that of its part, wherever and whenever this ran.
Standard library alone, as all that the command line of ``benchmarks.performance`` imports.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import between, markdown

PART = "aims"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


class Aim(NamedTuple):
    """A bound on a cell of the page.

    Attributes:
        what: In words.
        part: Whose section it stands in.
        row: Cells that its row has, by column; where several rows have them, the worst counts.
        column: The name of its column; what stands behind it in brackets counts not.
        bound: What it shall be, signs left out: at least, or at most.
        most: At most.
        table: A column that its table has, or the beginning of the line above it.
        wished: Better than what must hold.
    """

    what: str
    part: str
    row: dict[str, str]
    column: str
    bound: float
    most: bool = False
    table: str = ""
    wished: bool = False

    def holds(self, found: float) -> bool:
        """Say whether a figure keeps the bound."""
        return found <= self.bound if self.most else found >= self.bound


class Table(NamedTuple):
    """A table of a page, and the line above it."""

    line: str
    header: list[str]
    body: list[list[str]]


def tables_of(text: str) -> Iterator[Table]:
    """Read the Markdown tables of a text."""
    line, lines = "", text.splitlines()
    for at, row in enumerate(lines):
        if row.startswith("|--"):
            body = lines[at + 1 :]
            end = next((i for i, below in enumerate(body) if not below.startswith("|")), len(body))
            yield Table(line, _cells(lines[at - 1]), [_cells(below) for below in body[:end]])
        elif row and not row.startswith("|"):
            line = row


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def size(cell: str) -> float | None:
    """Give the first number of a cell, without its sign: 1.05 of ``1.05 (0.90-1.19)``, 9 of ``-9 %``."""
    found = re.search(r"\d[\d,]*(\.\d+)?", cell)
    return None if found is None else float(found[0].replace(",", ""))


def cell_of(aim: Aim, page: str) -> str | None:
    """Give the cell that an aim is about; None where the page has none."""
    cells = []
    for table in tables_of(between(page, aim.part)):
        if aim.table not in table.header and not table.line.startswith(aim.table):
            continue
        for row in table.body:
            named = dict(zip(table.header, row, strict=True))
            if all(named.get(column) == cell for column, cell in aim.row.items()):
                cells += [
                    cell for name, cell in named.items() if name == aim.column or name.startswith(f"{aim.column} (")
                ]
    measured = [(found, cell) for cell in cells if (found := size(cell)) is not None]
    return (max if aim.most else min)(measured)[1] if measured else None


def table_of(page: str) -> str:
    """Write the table of the aims of the parts that a page has, and how many are held."""
    body, count = [], dict.fromkeys(("yes", "no", "not measured"), 0)
    for aim in AIMS:
        if f"<!-- {aim.part} -->" not in page:
            continue
        cell = cell_of(aim, page)
        found = None if cell is None else size(cell)
        held = "not measured" if found is None else "yes" if aim.holds(found) else "no"
        count[held] += 1
        shall = f"at {'most' if aim.most else 'least'} {aim.bound:g}{', wished' if aim.wished else ''}"
        body.append([aim.what, aim.part, shall, cell or "-", held])
    said = f"{count['yes']} of {len(body)} are held, {count['no']} are not, {count['not measured']} are not measured."
    return f"{said}\n\n{markdown(['what', 'part', 'shall be', 'is', 'held'], body)}"


TSMTL, BF16, NATIVE = "tsmtl", "tsmtl, bf16", "tsmtl, native"
SAID = {TSMTL: "", BF16: ", `trainer.precision=bf16`", NATIVE: ", `trainer.kernels=native`"}
TSAI_SIZES, GRU = "lstm_fcn, tsai's sizes", "gru"
MEMORY = "memory of 1,000,000 instances beyond that of 1,000: of the data's size"


def throughput(case: str, batch: int, ours: str, other: str, bound: float, wished: bool = False) -> Aim:
    """Give an aim of the training: how many times the throughput of another."""
    row = {"model": case, "batch": str(batch)}
    what = f"{case}, batch {batch}{SAID[ours]}: throughput over {other}'s"
    return Aim(what, "training", row, f"of {other}", bound, table=f"{ours}: instances/s", wished=wished)


def predicting(model: str) -> Aim:
    """Give the aim of predicting with a model."""
    what = f"{model}, batch 256: Predictor's throughput over the bare model's"
    return Aim(what, "inference", {"model": model, "batch": "256"}, "Predictor of bare model", 0.95)


def seconds(command: str, bound: float) -> Aim:
    """Give the aim of a command's answer."""
    return Aim(f"`{command}`: seconds", "startup", {"command": f"`{command}`"}, "wall, s", bound, most=True)


def sweeping(kind: str) -> Aim:
    """Give the aim of a sweep."""
    what = f"{kind} of 16 small jobs: throughput per core over that of one process"
    return Aim(what, "sweep_throughput", {"16 jobs": kind}, "ratio", 0.9)


def beside_another(model: str) -> Aim:
    """Give the aim of a step while a core is busy."""
    what = f"{model} with a busy neighbour: time of a step over that with one thread"
    row = {"threads": "tsmtl, times one thread"}
    return Aim(what, "shared_core", row, model, 2.0, most=True, table="with a busy neighbour")


AIMS = [
    *(throughput(TSAI_SIZES, 16, BF16, "tsai", bound, bound == 3.0) for bound in (2.0, 3.0)),
    *(throughput(TSAI_SIZES, 64, BF16, "tsai", bound, bound == 3.0) for bound in (2.3, 3.0)),
    *(throughput(TSAI_SIZES, batch, TSMTL, "plain loop", 1.0) for batch in (16, 64)),
    *(throughput(TSAI_SIZES, batch, TSMTL, "DataLoader loop", 1.1) for batch in (16, 64)),
    throughput("fc", 16, TSMTL, "DataLoader loop", 1.5),
    *(throughput("cnn1d", 16, ours, "DataLoader loop", 1.5) for ours in (TSMTL, NATIVE)),
    throughput(GRU, 16, TSMTL, "plain loop", 2.2),
    *(throughput(GRU, 16, ours, "plain loop", 3.8, wished=True) for ours in (TSMTL, NATIVE)),
    throughput("lstm", 16, TSMTL, "plain loop", 1.0),
    throughput("lstm", 16, BF16, "plain loop", 1.4),
    *(predicting(model) for model in ("fc", "cnn1d", GRU, "lstm", "lstm_fcn", TSAI_SIZES)),
    *(sweeping(kind) for kind in ("sweep", "longer jobs, sweep", "table, sweep")),
    *(beside_another(model) for model in ("fc", "cnn1d", GRU, "lstm", "lstm_fcn")),
    seconds("tsmtl-train --help", 0.5),
    seconds("tsmtl-train, until the first step", 3.0),
    seconds("tsmtl-predict, until the first answer", 3.0),
    Aim("time of an epoch: furthest size from the line, %", "scaling", {}, "off the line", 10, most=True),
    Aim(MEMORY, "scaling", {"instances": "1,000,000"}, "beyond the smallest / data", 1.1, most=True),
]


def main() -> None:
    """Print the table of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    page = parser.parse_args().page
    try:
        print(table_of(page.read_text()))
    except OSError as error:
        parser.error(f"{page}: {error.strerror}")


if __name__ == "__main__":
    main()
