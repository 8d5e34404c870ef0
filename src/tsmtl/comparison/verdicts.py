"""A comparison in plain words: for each task whether the others help."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tsmtl.comparison.differences import CANNOT_TELL, HELPS, HURTS, Compared, Difference, Figure


@dataclass(frozen=True)
class Verdict:
    """Of one task.

    Attributes:
        verdict: ``helps``, ``hurts`` or ``cannot tell``.
        sentence: The same with figures, and what stands against it.
    """

    verdict: str
    sentence: str


def verdict_of(
    task: str, figures: Sequence[Figure], compared: Compared, against_control: Difference | None, seeds: int
) -> Verdict | None:
    """Judge whether the other tasks help one.

    By all tasks from scratch, where they were trained; else by the best of the transfers. With a negative control the
    gain must be greater than the control's: what shuffled labels give as well is no transfer.

    Args:
        task: Its name.
        figures: Of this task, corrected, of ``multi`` and ``transfer`` variants.
        compared: Its metric.
        against_control: ``multi`` against the control.
        seeds: Repetitions.

    Returns:
        None where nothing was compared.
    """
    own = [f for f in figures if f.task == task and f.difference is not None]
    main = next((f for f in own if f.variant.kind == "multi"), None)
    transfers = [f for f in own if f.variant.kind == "transfer"]
    if main is None:
        main = max(transfers, key=lambda f: _mean(f.difference), default=None)
    if main is None or main.difference is None:
        return None
    difference, verdict = main.difference, main.difference.verdict
    said = f"{main.variant.label}: {_said(difference, compared)}"
    if verdict == HELPS and against_control is not None and against_control.verdict != HELPS:
        verdict = CANNOT_TELL
        said += (
            f"; but against all tasks with the others' labels shuffled it is {_said(against_control, compared)}: the "
            "gain may be regularisation and no transfer"
        )
    elif verdict == CANNOT_TELL:
        said += f"; {_why(difference, seeds)}"
    others = [
        f for f in transfers if f is not main and f.difference is not None and f.difference.verdict != CANNOT_TELL
    ]
    for other in others:
        assert other.difference is not None, "chosen above"
        said += f"; {other.variant.label} {other.difference.verdict}: {_said(other.difference, compared)}"
    words = {HELPS: "the other task helps", HURTS: "the other task hurts", CANNOT_TELL: "cannot tell"}
    return Verdict(verdict, f"{words[verdict]} at {seeds} seeds. {said}.")


def _mean(difference: Difference | None) -> float:
    return float("-inf") if difference is None else difference.spread.mean


def _said(difference: Difference, compared: Compared) -> str:
    s = difference.spread
    unit = f" in {compared.task['unit']}" if compared.task.get("unit") else ""
    better = "better" if s.mean > 0 else "worse"
    low, high = s.low, s.high
    return (
        f"{compared.metric}{unit} {abs(s.mean):.3g} {better} than {difference.against} "
        f"[{low:+.3g}, {high:+.3g}], p {difference.corrected:.2g}"
    )


def _why(difference: Difference, seeds: int) -> str:
    s = difference.spread
    if not difference.corrected < 0.05:
        return f"{seeds} seeds differ by as much as the variants; a gain of about {s.high - s.mean:.2g} would show"
    low, high = difference.sample
    return f"the seeds agree, but other test instances might not [{low:+.3g}, {high:+.3g}]"


def by_task(verdicts: Mapping[str, Verdict | None]) -> dict[str, dict[str, str]]:
    """Give the verdicts as plain values."""
    return {task: {"verdict": v.verdict, "sentence": v.sentence} for task, v in verdicts.items() if v is not None}
