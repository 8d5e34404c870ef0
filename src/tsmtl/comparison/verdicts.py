"""A comparison in plain words: for each task whether the others help."""

import math
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


def verdict_of(task: str, figures: Sequence[Figure], compared: Compared, seeds: int) -> Verdict | None:
    """Judge whether the other tasks help one.

    By all tasks from scratch, where they were trained; else by the best of the transfers. With a negative control the
    gain must be greater than the control's: what shuffled labels give as well is no transfer.

    Args:
        task: Its name.
        figures: Of this task, corrected, of ``multi`` and ``transfer`` variants.
        compared: Its metric.
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
    difference, verdict = main.difference, main.verdict
    best_of = (
        f" (the best of {len(transfers)} on test)" if main.variant.kind == "transfer" and len(transfers) > 1 else ""
    )
    said = f"{main.variant.label}{best_of}: {_said(difference, compared)}"
    if difference.verdict == HELPS and main.control is not None and main.as_control:
        said += (
            f"; but with the others' labels shuffled instead: {_said(main.control, compared)}, so that the gain "
            "may be regularisation and no transfer"
        )
    elif verdict == CANNOT_TELL:
        said += f"; {_why(main, compared, seeds)}"
    for other in transfers:
        if other is not main and other.difference is not None and other.verdict != CANNOT_TELL:
            said += f"; {other.variant.label} {other.verdict}: {_said(other.difference, compared)}"
    two = len(main.variant.tasks) == 2
    verbs = {HELPS: "the other task helps" if two else "other tasks help"}
    verbs |= {HURTS: "the other task hurts" if two else "other tasks hurt"}
    assert verdict is not None, "what is judged differs from a twin"
    return Verdict(verdict, f"{verbs.get(verdict, CANNOT_TELL)} at {seeds} seeds. {said}.")


def _mean(difference: Difference | None) -> float:
    return float("-inf") if difference is None or math.isnan(difference.spread.mean) else difference.spread.mean


def _said(difference: Difference, compared: Compared) -> str:
    s, half = difference.spread, difference.both.half
    unit = f" in {compared.task['unit']}" if compared.task.get("unit") else ""
    if math.isnan(s.mean):
        return f"{compared.metric} is not defined in every run"
    if s.mean == 0:
        return f"{compared.metric}{unit} the same as {difference.against}"
    ends = "" if math.isnan(half) else f" [{s.mean - half:+.3g}, {s.mean + half:+.3g}]"
    p = "" if math.isnan(difference.corrected) else f", p {difference.corrected:.2g}"
    better = "better" if s.mean > 0 else "worse"
    return f"{compared.metric}{unit} {abs(s.mean):.3g} {better} than {difference.against}{ends}{p}"


def _why(figure: Figure, compared: Compared, seeds: int) -> str:
    difference = figure.difference
    assert difference is not None, "what is judged differs from a twin"
    if math.isnan(difference.sample.sd):
        return (
            f"the test split has too few groups ({difference.sample.units}) or labels to say how much chance there is"
        )
    if math.isnan(difference.both.error):
        return "nothing varies, so that chance cannot be judged"
    if difference.both.error == 0:
        return "the models predict the same throughout"
    by_seeds = difference.spread.sd / math.sqrt(seeds)
    source = "the seeds" if by_seeds > difference.sample.sd else "the choice of test instances"
    gain, twin = difference.both.detectable(difference.family), figure.spread.mean - difference.spread.mean
    left = 1 - twin if compared.higher else figure.spread.mean + difference.spread.mean
    shows = f"a gain of {gain:.2g} would show" if gain < left else "no gain up to a perfect model would show"
    return f"most of the chance is in {source}; {shows} four times of five"


def by_task(verdicts: Mapping[str, Verdict | None]) -> dict[str, dict[str, str]]:
    """Give the verdicts as plain values."""
    return {task: {"verdict": v.verdict, "sentence": v.sentence} for task, v in verdicts.items() if v is not None}
