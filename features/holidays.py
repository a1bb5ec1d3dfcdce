"""The federal holidays of the United States, by the rules of 5 U.S.C. 6103, without a calendar file.

The day of a holiday is its own, not the working day on which it is observed.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import polars as pl

_MONDAY, _THURSDAY = 0, 3
_JUNETEENTH_SINCE = 2021


@cache
def federal_holidays(year: int) -> tuple[date, ...]:
    """The holidays of one year, in order."""
    juneteenth = (date(year, 6, 19),) if year >= _JUNETEENTH_SINCE else ()
    return (
        date(year, 1, 1),
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _nth(year, 6, _MONDAY, 1) - timedelta(days=7),
        *juneteenth,
        date(year, 7, 4),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 10, _MONDAY, 2),
        date(year, 11, 11),
        _nth(year, 11, _THURSDAY, 4),
        date(year, 12, 25),
    )


def near_holidays(days: pl.Series) -> pl.DataFrame:
    """One row per day of `days`, in its order: `days_to_holiday`, `days_since_holiday` (Int32), 0 on a holiday."""
    return pl.DataFrame(
        [(_to_next(day), _since_last(day)) for day in days],
        schema={"days_to_holiday": pl.Int32, "days_since_holiday": pl.Int32},
        orient="row",
    )


def _to_next(day: date) -> int:
    return min((holiday - day).days for holiday in _around(day) if holiday >= day)


def _since_last(day: date) -> int:
    return min((day - holiday).days for holiday in _around(day) if holiday <= day)


def _around(day: date) -> tuple[date, ...]:
    return tuple(holiday for year in (day.year - 1, day.year, day.year + 1) for holiday in federal_holidays(year))


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """The `n`-th such weekday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
