"""Nights, days, and minutes of the day in a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.clock import Cutoff, CutoffDiffers, begins, nights, with_minute_of_day

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YORK = "America/New_York"


def test_a_day_begins_at_midnight_of_the_zone_across_clock_changes() -> None:
    """New York left UTC-5 on 10 March 2013 and came back on 3 November, each time after midnight."""
    assert begins(date(2013, 3, 10), NEW_YORK) == datetime(2013, 3, 10, 5, tzinfo=UTC)
    assert begins(date(2013, 3, 11), NEW_YORK) == datetime(2013, 3, 11, 4, tzinfo=UTC)
    assert begins(date(2013, 11, 3), NEW_YORK) == datetime(2013, 11, 3, 4, tzinfo=UTC)
    assert begins(date(2013, 11, 4), NEW_YORK) == datetime(2013, 11, 4, 5, tzinfo=UTC)


def test_nights_are_put_in_order_and_asked_once() -> None:
    days = [date(2013, 9, 2), date(2013, 9, 1), date(2013, 9, 2)]
    asked = nights([Cutoff(day, begins(day, NEW_YORK)) for day in days], NEW_YORK)

    assert asked["as_of"].to_list() == [date(2013, 9, 1), date(2013, 9, 2)]


def test_a_cutoff_that_is_not_the_beginning_of_its_day_is_refused() -> None:
    """The host's midnight, or another zone's, would let the features see another day than they count in."""
    utc_midnight = Cutoff(date(2013, 9, 1), datetime(2013, 9, 1, tzinfo=UTC))

    begins_at = r"2013-09-01 .* in America/New_York the day begins at 2013-09-01T04:00:00\+00:00"
    with pytest.raises(CutoffDiffers, match=begins_at):
        nights([utc_midnight], NEW_YORK)


def test_minutes_are_counted_from_the_start_of_the_day_in_either_half_of_the_year(
    table: Callable[..., pl.DataFrame],
) -> None:
    """A quarter past six in the evening in winter and in summer; on the day of the change an hour less has passed."""
    rows = table(
        """
        event_day  | at
        2013-03-09 | 2013-03-09T23:15
        2013-03-10 | 2013-03-10T22:15
        2013-07-04 | 2013-07-04T22:15
        """,
        at=pl.Datetime("us", "UTC"),
    )

    minutes = with_minute_of_day(rows, "at", NEW_YORK)["minute_of_day"]

    assert minutes.to_list() == [18 * 60 + 15, 17 * 60 + 15, 18 * 60 + 15]
    assert with_minute_of_day(rows.clear(), "at", NEW_YORK).schema == {**rows.schema, "minute_of_day": pl.Int32}


def test_minutes_count_from_midnight_whatever_the_column_of_the_instant_is_called(
    table: Callable[..., pl.DataFrame],
) -> None:
    """Also `starts_at`, as the beginning of a day is called here: it stays, and nothing else comes with the minutes."""
    rows = table("event_day  | at\n2013-03-09 | 2013-03-09T23:15", at=pl.Datetime("us", "UTC"))
    found = with_minute_of_day(rows.rename({"at": "starts_at"}), "starts_at", NEW_YORK)

    assert found["minute_of_day"].to_list() == [18 * 60 + 15]
    assert found.drop("minute_of_day").equals(rows.rename({"at": "starts_at"}))


def test_the_days_of_features_begin_when_those_of_jobs_do() -> None:
    """Both rooms read the pinned rules by themselves; they agree on every day of the sample and around it."""
    from jobs.days import Calendar  # noqa: PLC0415  the other room, for this comparison only

    days = [date(2012, 1, 1) + timedelta(days=n) for n in range(3 * 366)]

    assert [begins(day, NEW_YORK) for day in days] == [Calendar(NEW_YORK).cutoff(day) for day in days]
