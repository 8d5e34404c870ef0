"""A run as a page: metrics, curves, what its predictions are worth, conflict, settings, data, versions."""

from pathlib import Path

from tsmtl.report.data_card import data_card
from tsmtl.report.drawing import style
from tsmtl.report.page import listing, pairs, paragraph, pictures, section, table, write_page
from tsmtl.report.run_contents import RunContents
from tsmtl.report.run_figures import conflict, curves, predicted
from tsmtl.report.run_tables import best_epochs_table, cell, detail_tables, flat, linear_probe_table, metrics_table
from tsmtl.report.svg import Pictures
from tsmtl.report.vectors_picture import vectors


def write_run_page(path: Path, run: RunContents) -> None:
    """Write the page of a run; of one that is not finished what there is.

    Raises:
        OSError: If it cannot be written; an old file stays.
    """
    svg, about = Pictures(), run.summary.get("conflict") or {}
    with style():
        drawn = [
            *section("Curves", pictures(*curves(run, svg))),
            *section("Vectors in two dimensions", pictures(*vectors(run, svg))),
            *section("Predictions for the test split", pictures(*predicted(run, svg))),
            *section(
                "Do the tasks pull the same way?",
                listing(about.get("reading", [])),
                pictures(*conflict(run, svg)),
                pairs(flat({"probe": about["probe"]})) if "probe" in about else "",
            ),
        ]
    summary = run.summary
    if summary:
        best, linear = best_epochs_table(summary), linear_probe_table(summary)
        head = [
            paragraph(_head(run)),
            *section("Metrics", table(metrics_table(run)), *(table(t, level=3) for t in detail_tables(run))),
            *(section("Does the head earn its keep?", table(linear, level=3)) if linear else []),
            *(section("Another choice of the epoch", table(best, level=3)) if best else []),
        ]
        facts = [
            *section("Calibration", pairs(flat(summary.get("calibration") or {}))),
            *section("Weighting of the tasks", pairs(flat(summary["weighting"]))),
            *data_card(summary["data"], summary["labelled"]),
        ]
        made = flat(summary["versions"]) | {key: cell(summary[key]) for key in ("device", "devices", "threads")}
    else:
        head = [paragraph(f"This run is not finished: {len(run.history)} epochs are on disk.", "open")]
        facts, made = [], {}
    settings = section("Settings", pairs(flat(run.settings)))
    blocks = [*head, *drawn, *facts, *settings, *section("Versions", pairs(made))]
    write_page(path, f"{run.settings.get('model', 'run')}: {run.folder.resolve().name}", blocks)


def _head(run: RunContents) -> str:
    summary, best = run.summary, run.summary["best"]
    tasks = ", ".join(f"{name} ({task['key']})" for name, task in run.tasks.items())
    score = "not defined" if best["score"] is None else f"{best['score']:.4g}"
    return (
        f"{run.settings.get('model')} with {summary['parameters']:,} parameters on {tasks}; best epoch {best['epoch']} "
        f"of {summary['epochs']} by {best['monitor']} ({score}); {summary['seconds']['training']:.4g} s of training."
    )
