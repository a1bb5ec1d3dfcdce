"""Last known values: the newest event that was known by then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.lastknown import last_known
from features.versions import VersionsTie

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = Callable[..., pl.DataFrame]

FIRST = date(2013, 3, 1)
DAY = timedelta(days=1)


def _values(rows: pl.DataFrame, asked: pl.DataFrame, days: int = 10) -> list[int | None]:
    order = ("event", "known")
    return last_known(rows, by=("g",), newest=order, values=("n",), days=days, asked=asked)["n"].to_list()


def _nights(*days: int, group: str | None = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"as_of": [date(2013, 3, day) for day in days], "g": [group] * len(days)}, schema_overrides={"g": pl.String}
    )


def test_a_late_row_that_is_older_replaces_nothing(table: Table) -> None:
    """The event of the 1st becomes known after that of the 2nd: the 2nd stays the last known."""
    rows = table(
        """
        g | event_day  | event | visible_day | known | n
        a | 2013-03-01 | 10    | 2013-03-05  | 50    | 1
        a | 2013-03-02 | 20    | 2013-03-03  | 30    | 2
        """,
        g=pl.String(),
    )

    assert _values(rows, _nights(2, 3, 5, 6)) == [None, 2, 2, 2]


def test_a_correction_of_the_newest_row_replaces_it(table: Table) -> None:
    rows = table(
        """
        g | event_day  | event | visible_day | known | n
        a | 2013-03-02 | 20    | 2013-03-03  | 30    | 2
        a | 2013-03-02 | 20    | 2013-03-05  | 50    | 3
        """,
        g=pl.String(),
    )

    assert _values(rows, _nights(3, 4, 5)) == [2, 2, 3]


def test_a_value_is_forgotten_after_its_days_and_another_group_does_not_lend_its_own(table: Table) -> None:
    """Event on the 2nd, kept for 2 days: known on the 4th, gone on the 5th. Group b is only known later."""
    rows = table(
        """
        g | event_day  | event | visible_day | known | n
        a | 2013-03-02 | 20    | 2013-03-03  | 30    | 2
        b | 2013-03-04 | 40    | 2013-03-05  | 50    | 9
        """,
        g=pl.String(),
    )

    assert _values(rows, _nights(4, 5), days=2) == [2, None]
    assert _values(rows, _nights(4, 5, group="b"), days=2) == [None, 9]
    assert _values(rows, _nights(5, group="c")) == [None]
    assert _values(rows, _nights(5, group=None)) == [None]


def test_rows_that_cannot_be_told_apart_are_refused(table: Table) -> None:
    rows = table(
        """
        g | event_day  | event | visible_day | known | n
        a | 2013-03-02 | 20    | 2013-03-03  | 30    | 2
        a | 2013-03-02 | 20    | 2013-03-03  | 30    | 3
        """,
        g=pl.String(),
    )

    with pytest.raises(VersionsTie):
        _values(rows, _nights(4))


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 6)), max_size=15, unique=True)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_any_value_equals_the_one_found_one_cutoff_at_a_time(drawn: list[tuple[str, int, int]], days: int) -> None:
    """Rows of any lateness; several versions of one event; every night, both groups."""
    rows = [
        (g, FIRST + DAY * event, event, FIRST + DAY * (event + lag + 1), lag, n)
        for n, (g, event, lag) in enumerate(drawn)
    ]
    schema = ["g", "event_day", "event", "visible_day", "known", "n"]
    dtypes = [pl.String, pl.Date, pl.Int64, pl.Date, pl.Int64, pl.Int64]
    frame = pl.DataFrame(rows, schema=dict(zip(schema, dtypes, strict=True)), orient="row")
    asked = pl.DataFrame([(FIRST + DAY * n, g) for g in "ba" for n in range(20)], schema=["as_of", "g"], orient="row")

    expected = [
        max(
            (
                (event, lag, n)
                for g, day, event, visible, lag, n in rows
                if g == group and visible <= night and day >= night - DAY * days
            ),
            default=(0, 0, None),
        )[2]
        for night, group in asked.iter_rows()
    ]

    assert _values(frame, asked, days) == expected
