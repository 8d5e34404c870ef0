"""Processes that train the same case in turn, a round each, so that a ratio is that of neighbours in time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
OURS, PEERS = Path(sys.executable), ROOT / ".venv-peers" / "bin" / "python"  # as scripts/benchmark.sh makes them


class Start(NamedTuple):
    """How to start a worker: interpreter, module below ``benchmarks.workers``, and its arguments."""

    python: Path
    module: str
    arguments: tuple[str, ...] = ()


class Contestant:
    """A worker that is kept alive over all cases.

    Attributes:
        gone: Why it takes part no more; empty while it does.
        peaks: Most memory in bytes of each round of the case, where the system says.
    """

    def __init__(self, name: str, start: Start, threads: int, log: Path) -> None:
        self.name, self.log = name, log
        self.peaks: list[int] = []
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        self.gone = "" if start.python.exists() else "not installed"
        if self.gone:
            return
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [start.python, "-m", f"benchmarks.workers.{start.module}", *start.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, **counts},
            )

    def begin(self, case: dict[str, Any]) -> str:
        """Prepare a case; give why it cannot be measured, or nothing."""
        self.peaks = []
        return self.gone or str(self._answer(json.dumps(case)).get("skip", "")) or self.gone

    def versions(self) -> dict[str, str]:
        """Give the versions of what it trains with; of who is gone, none."""
        return {} if self.gone else {name: str(number) for name, number in self._answer("versions").items()}

    def round(self) -> float:
        """Train an epoch; give its seconds.

        Raises:
            RuntimeError: If it failed.
        """
        answer = self._answer("round")
        if "seconds" not in answer:
            raise RuntimeError(f"{self.name}: {answer.get('skip', self.gone)}")
        if (peak := answer.get("peak")) is not None:  # a bare product does not say it
            self.peaks.append(int(peak))
        return float(answer["seconds"])

    def end(self) -> None:
        """Leave the case."""
        self._tell("end")

    def close(self) -> None:
        """End the process."""
        if hasattr(self, "process"):
            self.process.communicate()

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _answer(self, line: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        try:
            self._tell(line)
            said = self.process.stdout.readline()
        except BrokenPipeError:
            said = ""
        if not said:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            self.gone = f"its process ended ({last[0] if last else 'no word'})"
            return {}
        return dict(json.loads(said))


@contextmanager
def started(starts: dict[str, Start], threads: int, folder: Path) -> Iterator[list[Contestant]]:
    """Start the workers, and end them."""
    with ExitStack() as stack:
        found = []
        for name, start in starts.items():
            contestant = Contestant(name, start, threads, folder / f"{name}.log")
            stack.callback(contestant.close)
            found.append(contestant)
        yield found


def compete(
    contestants: Sequence[Contestant], case: dict[str, Any], repeats: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Let all train a case in turn; the first round of each warms up.

    Args:
        contestants: Who takes part.
        case: What :func:`benchmarks.workers.rounds.serve` takes.
        repeats: Rounds that count.

    Returns:
        Seconds of each round by name, and by name why others were not measured.
    """
    why = {c.name: c.begin(case) for c in contestants}
    ready = [c for c in contestants if not why[c.name]]
    seconds: dict[str, list[float]] = {c.name: [] for c in ready}
    for repeat in range(repeats + 1):
        for contestant in in_turn(ready, repeat):
            took = contestant.round()
            if repeat:
                seconds[contestant.name].append(took)
    for contestant in ready:
        contestant.end()
    return seconds, {name: reason for name, reason in why.items() if reason}


def in_turn(things: Iterable[T], repeat: int) -> list[T]:
    """Give the order of a round: every other one is reversed, so that nobody always follows the same neighbour."""
    order = list(things)
    return order if repeat % 2 else order[::-1]
