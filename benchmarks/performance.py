"""All that is measured of tsmtl's speed, in one run.

    bash scripts/benchmark.sh [part ...] [--repeats 5] [--threads 1] [--write docs/performance.md]

Prints a Markdown section per part, and keeps its rows as JSON lines. ``--write`` puts each section between its markers
in a document, and the picture of the training beside it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import inference, machine, reading, training
from benchmarks.performance_picture import draw
from benchmarks.table import Row, replace_between, write_rows

ROOT = Path(__file__).resolve().parents[1]
Say = Callable[[str], None]


class Part(NamedTuple):
    """What is measured, ``measure(threads, repeats, say)``, and how its rows are shown."""

    measure: Callable[[int, int, Say], list[Row]]
    tables: Callable[[Sequence[Row]], str]


def run_script(name: str, given: tuple[str, ...], threads: int, repeats: int, say: Say) -> list[Row]:
    """Run a benchmark that stands by itself and prints Markdown; keep what it prints."""
    if not (ROOT / "benchmarks" / f"{name}.py").exists():
        raise RuntimeError(f"benchmarks/{name}.py is not there")
    say(" ".join(given))
    variables = dict(word.split("=", 1) for word in given if "=" in word)
    arguments = [word for word in given if "=" not in word]
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"benchmarks/{name}.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    shown = " ".join([*(word for word in given if "=" in word), "python -m", f"benchmarks.{name}", *arguments])
    return [{"part": name, "command": shown, "printed": done.stdout}]


def printed(name: str, rows: Sequence[Row]) -> str:
    """Show what a script printed: its tables where it has any, else all of it.

    Lines of a table that others have come between, such as those of a training, are one table.
    """
    found = next(row for row in rows if row["part"] == name)
    lines = [line for line in found["printed"].splitlines() if line.startswith("|")]
    headers = {at - 1 for at, line in enumerate(lines) if line.startswith("|-")}
    tables = "\n".join(f"\n{line}" if at in headers else line for at, line in enumerate(lines))
    shown = tables.strip() or f"```text\n{found['printed'].strip()}\n```"
    return f"`{found['command']}`:\n\n{shown}"


# Those of benchmarks/ that stand by themselves, with the variables and arguments of their shortest useful run.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "recurrent": (
        "OMP_NUM_THREADS=1",
        "--repeats",
        "5",
        "--cases",
        "128x64x16",
        "128x64x64",
        "128x128x16",
        "512x64x16",
    ),
    "startup": ("--repeats", "3"),
    "prediction": ("--instances", "1024", "--repeats", "3"),
    "scaling": (),
    "sweep_throughput": ("--repeats", "3"),
    "shared_core": (),
}
PARTS: dict[str, Part] = {
    training.PART: Part(training.measure, training.tables),
    inference.PART: Part(inference.measure, inference.tables),
    reading.PART: Part(reading.measure, reading.tables),
    **{name: Part(partial(run_script, name, given), partial(printed, name)) for name, given in SCRIPTS.items()},
}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; without any, all")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each comparison that count")
    parser.add_argument("--threads", type=int, default=1, help="of every process that trains or predicts")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="Markdown file with a pair of markers per part")
    parser.add_argument("--rows", type=Path, default=ROOT / "outputs" / "performance.jsonl", help="file of all rows")
    arguments = parser.parse_args()
    names = list(dict.fromkeys(arguments.parts or PARTS))
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"{unknown[0]}: no such part ({', '.join(PARTS)})")
    if min(arguments.repeats, arguments.threads) < 1:
        parser.error("--repeats and --threads must be at least 1")
    if arguments.write is not None:
        try:  # before minutes are spent
            text = arguments.write.read_text()
            for name in names:
                replace_between(text, name, "")
        except (OSError, ValueError) as error:
            parser.error(f"--write {arguments.write}: {error}")
    rows: list[Row] = []
    failed = False
    for name in names:
        try:
            rows += measured(name, arguments.threads, arguments.repeats)
        except RuntimeError as error:  # the parts behind it are measured all the same
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        write_rows(rows, arguments.rows)
        section = section_of(name, rows)
        print(f"\n## {name}\n\n{section}", flush=True)
        if arguments.write is not None:
            arguments.write.write_text(replace_between(arguments.write.read_text(), name, section))
            if name == training.PART:
                draw(training.Results(rows), arguments.write.parent / "images" / "performance.png")
    sys.exit(failed)


def measured(name: str, threads: int, repeats: int) -> list[Row]:
    """Measure a part; its first row says on what machine, how busy, and how long it took."""
    before, began = machine.load(), time.perf_counter()
    rows = PARTS[name].measure(threads, repeats, lambda text: print(f"{name}: {text}", file=sys.stderr, flush=True))
    about: Row = {"part": f"about {name}", "machine": machine.facts(threads), "load": [before, machine.load()]}
    about |= {"day": datetime.now(UTC).date().isoformat(), "seconds": time.perf_counter() - began}
    return [about, *rows]


def section_of(name: str, rows: Sequence[Row]) -> str:
    """Write a part's section: the machine, then its tables."""
    about = next(row for row in rows if row["part"] == f"about {name}")
    before, after = about["load"]
    busy = f"load {before:.1f} at the start, {after:.1f} at the end; {about['seconds']:.0f} s."
    return f"{about['day']}, {machine.said(about['machine'])}\n{busy}\n\n{PARTS[name].tables(rows)}"


if __name__ == "__main__":
    main()
