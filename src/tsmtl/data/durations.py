"""Times and durations as settings write them, in the units of a time column."""

import re
from datetime import UTC, datetime

from tsmtl.config.errors import UserError

MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


def duration(value: float | str, setting: str, dates: bool) -> float:
    """Give a duration in units of the time column.

    Args:
        value: A number in these units (seconds, where the column holds dates), or text such as ``90s``, ``2h``, ``1d``.
        setting: Its name, for messages.
        dates: Whether the column holds dates, which are counted in microseconds.

    Raises:
        UserError: If it is no duration, or has a unit although the column holds plain numbers.
    """
    if not isinstance(value, str):
        return value * MICROSECONDS["s"] if dates else value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)\s*", value)
    if found is None:
        raise UserError(f"{setting}: must be a number, or one with a unit such as 30s, 5m, 2h or 1d (got {value!r})")
    if not dates:
        raise UserError(f"{setting}: the times are plain numbers; give {setting} in their units (got {value!r})")
    return float(found[1]) * MICROSECONDS[found[2]]


def moment(value: float | str, setting: str, dates: bool, aware: bool) -> float:
    """Give a point in time in units of the time column.

    Args:
        value: A number, or a date and time in ISO 8601.
        setting: Its name, for messages.
        dates: Whether the column holds dates, which are counted in microseconds since 1970.
        aware: Whether these dates have time zones; a date without one is then in UTC.

    Raises:
        UserError: If it is not of the column's kind.
    """
    if not dates:
        try:
            return float(value)
        except ValueError as error:
            raise UserError(f"{setting}: the times are plain numbers (got {value!r})") from error
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise UserError(f"{setting}: must be a date such as 2024-05-31 or 2024-05-31T12:00 (got {value!r})") from error
    if found.tzinfo is not None and not aware:
        raise UserError(f"{setting}: the times have no time zone (got {value!r})")
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return float((since.days * 86400 + since.seconds) * 10**6 + since.microseconds)


def shown_time(value: float, dates: bool) -> str:
    """Write a time of the column for people."""
    if not dates:
        return f"{value:.12g}"
    return datetime.fromtimestamp(value / 10**6, UTC).strftime("%Y-%m-%d %H:%M:%S")
