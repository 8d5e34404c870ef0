"""The last words of a comparison: its table and verdicts on the terminal, and its files."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsmtl.comparison.record import NAME, Comparison
from tsmtl.comparison.run_table import NAME as RUNS
from tsmtl.comparison.run_table import rows_of
from tsmtl.report import comparison_picture as draw
from tsmtl.report.comparison_page import ends, number, write_comparison_page
from tsmtl.report.drawing import DPI, style
from tsmtl.report.sweep_table import lines_of, terminal_width
from tsmtl.storage.whole import whole_file
from tsmtl.sweep.tables import write_rows

FIGURES, PAGE = "comparison.csv", "comparison.html"


def conclude(folder: Path, comparison: Comparison) -> None:
    """Write tables, pictures and the page of a comparison, and show its verdicts.

    Raises:
        OSError: If the disk is full or not writable.
    """
    write_rows(folder / RUNS, rows_of(comparison.stages))
    record = comparison.record()
    with whole_file(folder / NAME) as file:
        file.write((json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    write_rows(folder / FIGURES, [_flat(figure) for figure in record["figures"]])
    pictures = [*_draw(folder, record, comparison.training.trainer.pictures), PAGE]
    write_comparison_page(folder / PAGE, record)
    lines = ["", *lines_of([_row(figure, record) for figure in record["figures"]], width=terminal_width()), ""]
    lines += [f"{task}: {said['sentence']}" for task, said in record["verdicts"].items()]
    for gain in record["delta_m"]:
        if gain["mean"] is not None:
            lines.append(f"Delta-m of {gain['variant']}: {gain['mean']:+.3g} % {ends(gain)} (of the seeds alone)")
    lines += ["", *(str(folder / name) for name in (NAME, RUNS, FIGURES, *pictures)), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


def _draw(folder: Path, record: Mapping[str, Any], wanted: bool) -> list[str]:
    """Draw what there is to show, if that is wanted; give the names of the pictures."""
    shown = {
        "differences.png": (draw.draw_differences, any(f["difference"] for f in record["figures"])),
        "delta_m.png": (draw.draw_delta_m, record["delta_m"]),
        "frontier.png": (draw.draw_frontier, record["frontier"]),
        "budget.png": (draw.draw_budget, record["budget"]),
    }
    names = [name for name, (_, there) in shown.items() if there and wanted]
    for name in shown.keys() - names:
        (folder / name).unlink(missing_ok=True)  # of an earlier comparison in the folder
    with style():
        for name in names:
            shown[name][0](record).savefig(folder / name, dpi=DPI)
    return names


def _row(figure: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    difference = figure["difference"]
    return {
        "variant": figure["variant"],
        "task": figure["task"],
        _metrics(record): f"{number(figure['mean'])} ± {number(figure['sd'])}",
        "95 % interval": ends(figure),
        "better than alone by": "" if difference is None else _gain(difference),
        "p": "" if difference is None else number(difference["p_corrected"], 2),
        "": figure["verdict"] or "",
    }


def _gain(difference: Mapping[str, Any]) -> str:
    """Write a difference with its interval over seeds and instances together."""
    if difference["mean"] is None:
        return "not defined"
    return f"{difference['mean']:+.3g} {ends(difference, '+', 'total_')}".rstrip()


def _metrics(record: Mapping[str, Any]) -> str:
    """Name the metrics of all tasks."""
    return ", ".join(dict.fromkeys(about["metric"] for about in record["tasks"].values()))


def _flat(figure: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: value for key, value in figure.items() if key not in ("difference", "control", "verdict")}
    names = [*("against", "mean", "sd", "low", "high", "relative", "sample_low", "sample_high")]
    names += ["total_low", "total_high", "p", "p_corrected"]
    difference = figure["difference"] or dict.fromkeys(names)
    row |= {f"difference {key}": difference[key] for key in names}
    control = figure["control"] or dict.fromkeys(names)
    row |= {f"control {key}": control[key] for key in ("mean", "total_low", "total_high", "p_corrected")}
    return {**row, "verdict": figure["verdict"]}
