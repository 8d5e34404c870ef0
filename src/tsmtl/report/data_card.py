"""The part of a page that says what a run was given: data, splits, labels, and what splits share."""

from collections.abc import Mapping
from typing import Any

from tsmtl.data.sharing import leak_lines
from tsmtl.report.data_tables import NONE, overlap_table, splits_table
from tsmtl.report.page import listing, pairs, paragraph, section, table
from tsmtl.report.table import Table


def data_card(facts: Mapping[str, Any], labelled: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Give the HTML.

    Args:
        facts: What ``summary.json`` holds under ``data``.
        labelled: Share of the instances that have a task's target, by task and split.
    """
    about = {"data": str(facts["where"])}
    if "sha256" in facts:
        about["SHA-256"] = str(facts["sha256"])[:16] + "…"
    tables = []
    if "splits" in facts and "overlap" in facts:
        leaks = leak_lines(dict(facts))
        tables += [paragraph(line, "bad") for line in leaks]
        tables += [] if leaks else [paragraph("The splits share nothing that they must not.", "good")]
        tables += [table(splits_table(facts), level=3), table(overlap_table(facts), level=3)]
    if labelled:
        tables.append(table(_labels(labelled), level=3))
    return section("Data", pairs(about), *tables, listing([str(note) for note in facts.get("notes", [])]))


def _labels(labelled: Mapping[str, Mapping[str, float]]) -> Table:
    splits = list(next(iter(labelled.values())))
    rows = [[task, *(_percent(shares.get(split)) for split in splits)] for task, shares in labelled.items()]
    return Table("Instances that have a task's target", ["task", *splits], rows)


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.4g} %"
