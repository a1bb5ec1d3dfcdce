"""A large table piece by piece, whole event days at a time: a night needs no more memory for a longer history.

Versions of a row share their event day, so that no piece depends on another; integer sums of pieces add up exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

MOST_ROWS = 2_000_000


def pieces_of_history(
    table: pl.LazyFrame, longest: int, nights: pl.Series, most_rows: int = MOST_ROWS
) -> Iterator[pl.DataFrame]:
    """The rows that can count for a window of at most `longest` days at some of the nights; at least one piece.

    Only the columns that `table` selects are read. A piece has at most so many rows, unless one day has more.
    """
    first, last = pl.lit(nights.min(), pl.Date), pl.lit(nights.max(), pl.Date)
    earliest = first.dt.offset_by(f"-{longest}d")
    yield from pieces(table.filter(pl.col("event_day") >= earliest, pl.col("visible_day") <= last), most_rows)


def pieces(table: pl.LazyFrame, most_rows: int = MOST_ROWS, by: str = "event_day") -> Iterator[pl.DataFrame]:
    """All rows, by a column of days, such as the first of the key; at least one piece."""
    counted = table.group_by(by, maintain_order=True).len().collect()
    days = in_order(counted, key=(by,))
    if days.height and days["len"].cast(pl.Int64).sum() > most_rows:
        for start, end in _stretches(days, most_rows):
            yield table.filter(pl.col(by).is_between(start, end)).collect()
    else:
        yield table.collect()


def _stretches(days: pl.DataFrame, most_rows: int) -> Iterator[tuple[date, date]]:
    """The first and the last day of each run of days that together have at most so many rows, or one day."""
    run: list[date] = []
    held = 0
    for day, rows in days.iter_rows():
        if run and held + rows > most_rows:
            yield run[0], run[-1]
            run, held = [], 0
        run.append(day)
        held += rows
    yield run[0], run[-1]
