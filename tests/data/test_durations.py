from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.data.durations import duration, moment, shown_time


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1.5h", 5400), (" 1 d ", 86400), ("250ms", 0.25), ("3us", 3e-6), (7, 7)],
)
def test_durations_are_in_microseconds_where_times_are_dates(said, seconds):
    assert duration(said, "data.gap", dates=True) == pytest.approx(seconds * 10**6)


def test_a_number_is_in_the_units_of_a_column_of_numbers():
    assert duration(2.5, "data.gap", dates=False) == 2.5


@pytest.mark.parametrize("said", ["2 weeks", "h", "-5s", "1h30m", "", "5 S", "1e3s"])
def test_what_is_no_duration_is_refused_with_examples(refuses, said):
    with refuses("data.max_gap: must be a number, or one with a unit such as 30s, 5m, 2h or 1d", repr(said)):
        duration(said, "data.max_gap", dates=True)


def test_units_of_time_are_refused_where_times_are_numbers(refuses):
    with refuses("data.gap: the times are plain numbers; give data.gap in their units (got '2h')"):
        duration("2h", "data.gap", dates=False)


@given(st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)), st.integers(-12, 12))
def test_a_moment_is_the_same_with_and_without_its_time_zone(when, hours):
    exact = (when - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert moment(when.isoformat(), "s", dates=True, aware=True) == exact
    offset = f"{'-' if hours < 0 else '+'}{abs(hours):02}:00"
    assert moment(when.isoformat() + offset, "s", dates=True, aware=True) == exact - hours * 3600 * 10**6
    assert shown_time(exact, dates=True) == when.replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")


def test_moments_of_the_wrong_kind_are_refused(refuses):
    assert moment("12", "data.val_from", dates=False, aware=False) == 12
    with refuses("data.val_from: the times are plain numbers (got '2024-01-01')"):
        moment("2024-01-01", "data.val_from", dates=False, aware=False)
    with refuses("data.val_from: must be a date such as 2024-05-31", "(got '31/5/2024')"):
        moment("31/5/2024", "data.val_from", dates=True, aware=False)
    with refuses("data.val_from: must be a date such as 2024-05-31", "(got 17.0)"):
        moment(17.0, "data.val_from", dates=True, aware=False)
    with refuses("data.val_from: the times have no time zone"):
        moment("2024-01-01T00:00Z", "data.val_from", dates=True, aware=False)


def test_numbers_are_shown_as_they_are():
    assert [shown_time(value, dates=False) for value in (3.0, 0.125, 1700000000.0)] == ["3", "0.125", "1700000000"]
