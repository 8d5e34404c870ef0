"""Words of messages that several checks share."""

import difflib
from collections.abc import Iterable
from typing import Any

ALSO_CALLED = {"bfloat16": "bf16", "fp32": "float32"}  # whose nearest by their letters are others


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ``; did you mean '...'?`` for the nearest of the known words, or nothing."""
    known = list(known)
    also = ALSO_CALLED.get(word)
    close = [also] if also in known else difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def must_be_one_of(choices: Iterable[str], got: Any) -> str:
    """Say which values a choice has."""
    choices = list(choices)
    return f"must be one of {', '.join(choices)} (got {got!r}){did_you_mean(str(got), choices)}"
