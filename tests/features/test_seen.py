"""Who is there on a night, against each night asked one by one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.seen import seen

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = Callable[..., pl.DataFrame]

FIRST = date(2013, 3, 1)
DAY = timedelta(days=1)
SCHEMA = {"g": pl.String, "event_day": pl.Date, "visible_day": pl.Date, "superseded_day": pl.Date}


def nights(*days: int) -> pl.DataFrame:
    return pl.DataFrame({"as_of": [FIRST + day * DAY for day in days]}, schema={"as_of": pl.Date})


def there(rows: pl.DataFrame, days: int, *asked: int) -> list[tuple[int, str]]:
    found = seen(rows, by=("g",), days=days, asked=nights(*asked))
    return [((as_of - FIRST).days, group) for as_of, group in found.iter_rows()]


def test_a_group_is_there_from_the_day_its_row_is_visible_until_the_row_is_too_old(table: Table) -> None:
    rows = table(
        """
        g | event_day  | visible_day | superseded_day
        a | 2013-03-01 | 2013-03-03  | -
        - | 2013-03-01 | 2013-03-02  | -
        """,
        g=pl.String(),
    )

    assert there(rows, 3, 0, 1, 2, 3, 4) == [(2, "a"), (3, "a")]


def test_a_late_row_of_long_ago_does_not_cut_the_stretch_of_a_newer_one(table: Table) -> None:
    """Visible within the other's stretch, and too old soon: the nights after it are the other's still."""
    rows = table(
        """
        g | event_day  | visible_day | superseded_day
        a | 2013-03-08 | 2013-03-09  | -
        a | 2013-03-01 | 2013-03-10  | -
        """,
        g=pl.String(),
    )

    assert there(rows, 10, 7, 8, 9, 10, 17, 18) == [(8, "a"), (9, "a"), (10, "a"), (17, "a")]


def test_a_row_that_was_given_to_another_group_no_longer_counts_for_the_first(table: Table) -> None:
    rows = table(
        """
        g | event_day  | visible_day | superseded_day
        a | 2013-03-01 | 2013-03-02  | 2013-03-04
        b | 2013-03-01 | 2013-03-04  | -
        """,
        g=pl.String(),
    )

    assert there(rows, 5, 1, 2, 3, 4) == [(1, "a"), (2, "a"), (3, "b"), (4, "b")]


def test_no_rows_are_nobody() -> None:
    assert seen(pl.DataFrame(schema=SCHEMA), by=("g",), days=5, asked=nights(1)).shape == (0, 2)


a_row = st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(1, 9), st.none() | st.integers(0, 4))


@settings(max_examples=150)
@given(rows=st.lists(a_row, max_size=12), days=st.integers(1, 7), asked=st.sets(st.integers(0, 20), min_size=1))
def test_it_is_what_each_night_says_by_itself_in_any_order_of_rows(
    rows: list[tuple[str, int, int, int | None]], days: int, asked: set[int]
) -> None:
    spans = [(g, e, e + lag, None if s is None else e + lag + s) for g, e, lag, s in rows]
    frame = pl.DataFrame(
        [[g, *(None if day is None else FIRST + day * DAY for day in span)] for g, *span in spans],
        schema=SCHEMA,
        orient="row",
    )
    expected = sorted({(c, g) for c in asked for g, e, v, s in spans if v <= c <= e + days and (s is None or c < s)})

    assert there(frame, days, *sorted(asked)) == expected
    assert there(frame.reverse(), days, *sorted(asked, reverse=True)) == expected
