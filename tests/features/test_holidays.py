"""Federal holidays by rule."""

from __future__ import annotations

from datetime import date

import polars as pl

from features.holidays import federal_holidays, near_holidays


def test_the_holidays_of_2013_are_those_of_the_calendar() -> None:
    """As listed by the US Office of Personnel Management for 2013."""
    assert [f"{day:%m-%d}" for day in federal_holidays(2013)] == (
        ["01-01", "01-21", "02-18", "05-27", "07-04", "09-02", "10-14", "11-11", "11-28", "12-25"]
    )


def test_memorial_day_is_the_last_monday_of_may_also_if_that_is_the_fifth() -> None:
    assert date(2021, 5, 31) in federal_holidays(2021)
    assert date(2021, 5, 24) not in federal_holidays(2021)


def test_juneteenth_is_a_holiday_since_2021() -> None:
    assert date(2021, 6, 19) in federal_holidays(2021)
    assert len(federal_holidays(2020)) == len(federal_holidays(2021)) - 1


def test_the_distance_to_a_holiday_crosses_the_year_and_is_zero_on_it() -> None:
    near = near_holidays(pl.Series([date(2013, 12, 30), date(2013, 9, 2), date(2013, 1, 1)]))

    assert near["days_to_holiday"].to_list() == [2, 0, 0]
    assert near["days_since_holiday"].to_list() == [5, 0, 0]
