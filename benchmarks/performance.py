"""All that is measured of tsmtl's speed, in one run.

    bash scripts/benchmark.sh [part ...] [--repeats N] [--threads N] [--write docs/performance.md]

Prints a Markdown section per part, and keeps its rows as JSON lines. ``--write`` puts each section between its markers
in a document, the table of the aims (``benchmarks/aims.py``) anew, and the picture of the training, named as the
document, beside it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import aims
from benchmarks.table import Row, replace_between, write_rows

ROOT = Path(__file__).resolve().parents[1]
Say = Callable[[str], None]


class Part(NamedTuple):
    """What is measured, ``measure(threads, repeats, say)``, and how its rows are shown.

    Attributes:
        repeats: Rounds that count where ``--repeats`` says nothing; None where a part has none.
        threads: Whether ``--threads`` is for it.
        packages: Whose versions are said besides torch's and numpy's; None where what it prints says its machine.
        own: What there is to say of threads where ``--threads`` is not for it.
    """

    measure: Callable[[int, int, Say], list[Row]]
    tables: Callable[[Sequence[Row]], str]
    repeats: int | None = 5
    threads: bool = True
    packages: tuple[str, ...] | None = ()
    own: str = ""


def module(name: str, **about: Any) -> Part:
    """Give the part that a module of this process measures; it is imported only then."""

    def call(function: str, *given: Any) -> Any:
        return getattr(import_module(f"benchmarks.{name}"), function)(*given)

    return Part(partial(call, "measure"), partial(call, "tables"), **about)


def script(name: str, repeats: int | None, *given: str) -> Part:
    """Give the part that is a script: variables and arguments, in which repeats and threads have their places."""
    threads = any("{threads}" in word for word in given)
    return Part(partial(run_script, name, given), partial(printed, name), repeats, threads, None)


def run_script(name: str, given: tuple[str, ...], threads: int, repeats: int, say: Say) -> list[Row]:
    """Run a benchmark that stands by itself and prints Markdown; keep what it prints."""
    if not (ROOT / "benchmarks" / f"{name}.py").exists():
        raise RuntimeError(f"benchmarks/{name}.py is not there")
    words = [word.format(threads=threads, repeats=repeats) for word in given]
    say(" ".join(words))
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    arguments = [word for word in words if "=" not in word]
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"benchmarks/{name}.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    shown = " ".join([*(word for word in words if "=" in word), "python -m", f"benchmarks.{name}", *arguments])
    return [{"part": name, "command": shown, "printed": done.stdout}]


def printed(name: str, rows: Sequence[Row]) -> str:
    """Show what a script printed: tables and what they are headed by; its progress went to stderr."""
    found = next(row for row in rows if row["part"] == name)
    text = found["printed"].strip()
    shown = text if "\n|--" in text else f"```text\n{text}\n```"
    return f"`{found['command']}`:\n\n{shown}"


CASES = ("128x64x16", "128x64x64", "128x128x16", "512x64x16")  # of recurrent layers, the shortest useful run
READERS = "as many threads as the readers take"
PARTS: dict[str, Part] = {
    "training": module("training"),
    "inference": module("inference", packages=("onnxruntime",)),
    "reading": module("reading", threads=False, packages=("polars", "pandas", "aeon"), own=READERS),
    "recurrent": script("recurrent", 5, "OMP_NUM_THREADS={threads}", "--repeats", "{repeats}", "--cases", *CASES),
    "startup": script("startup", 3, "--repeats", "{repeats}"),
    "prediction": script("prediction", 3, "--threads", "{threads}", "--repeats", "{repeats}", "--instances", "1024"),
    "scaling": script("scaling", None),
    "sweep_throughput": script("sweep_throughput", 3, "--repeats", "{repeats}"),
    "shared_core": script("shared_core", 3, "--repeats", "{repeats}"),
}


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, before anything is installed, imported or measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    threaded = ", ".join(name for name, part in PARTS.items() if part.threads)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; without any, all")
    parser.add_argument(
        "--repeats", type=int, help="rounds of each comparison that count; each part has its own number"
    )
    parser.add_argument("--threads", type=int, help=f"of each process of {threaded}: 1 unless said")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="Markdown file with a pair of markers per part")
    parser.add_argument("--rows", type=Path, default=ROOT / "outputs" / "performance.jsonl", help="file of all rows")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # look at the words and end
    found = parser.parse_args(words)
    for name in found.parts:
        if name not in PARTS:
            parser.error(f"{name}: no such part ({', '.join(PARTS)})")
        if found.repeats is not None and PARTS[name].repeats is None:
            parser.error(f"--repeats: {name} measures once")
        if found.threads is not None and not PARTS[name].threads:
            parser.error(f"--threads: {name} has its own")
    if min(1 if given is None else given for given in (found.repeats, found.threads)) < 1:
        parser.error("--repeats and --threads must be at least 1")
    found.parts = list(dict.fromkeys(found.parts or PARTS))
    if found.write is not None:
        try:
            text = found.write.read_text()
            for name in [*found.parts, aims.PART]:
                replace_between(text, name, "")
        except (OSError, ValueError) as error:
            parser.error(f"--write {found.write}: {error}")
    return found


def main() -> None:
    """Measure, print, and write."""
    arguments = parsed()
    if arguments.check:
        return
    rows: list[Row] = []
    failed = False
    for name in arguments.parts:
        try:
            rows += measured(name, arguments.threads or 1, arguments.repeats)
        except RuntimeError as error:  # the parts behind it are measured all the same
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        write_rows(rows, arguments.rows)
        section = section_of(name, rows)
        print(f"\n## {name}\n\n{section}", flush=True)
        if arguments.write is not None:
            page = replace_between(arguments.write.read_text(), name, section)
            arguments.write.write_text(replace_between(page, aims.PART, aims.table_of(page)))
            if name == "training":
                from benchmarks.performance_picture import draw
                from benchmarks.training import Results

                draw(Results(rows), arguments.write.parent / "images" / f"{arguments.write.stem}.png")
    sys.exit(failed)


def measured(name: str, threads: int, repeats: int | None) -> list[Row]:
    """Measure a part; its first row says on what machine, how busy, and how long it took."""
    from benchmarks import machine  # imports torch, which the command line does not wait for

    part = PARTS[name]
    before, began = machine.load(), time.perf_counter()

    def say(text: str) -> None:
        print(f"{name}: {text}", file=sys.stderr, flush=True)

    rows = part.measure(threads, repeats or part.repeats or 1, say)
    about: Row = {"part": f"about {name}", "load": [before, machine.load()], "seconds": time.perf_counter() - began}
    about["day"] = datetime.now(UTC).date().isoformat()
    if part.packages is not None:
        about["machine"] = machine.facts(*part.packages)
        about["said"] = machine.said(about["machine"], machine.of_threads(threads) if part.threads else part.own)
    return [about, *rows]


def section_of(name: str, rows: Sequence[Row]) -> str:
    """Write a part's section: when, how busy and on which machine, then its tables."""
    about = next(row for row in rows if row["part"] == f"about {name}")
    before, after = about["load"]
    when = f"{about['day']}; load {before:.1f} at the start, {after:.1f} at the end; {about['seconds']:.0f} s."
    return "\n".join([when, *([about["said"]] if "said" in about else []), "", PARTS[name].tables(rows)])


if __name__ == "__main__":
    main()
