"""Who is there on a night: the groups of a history to which something happened lately, exact on two clocks.

A row is known at the nights from its `visible_day` on, and counts as recent for so many days after its event; a row
that a newer version supersedes counts until that version becomes visible. A group is there at the nights that any of
its rows covers. Defended by `tests/features/test_seen.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence


def seen(rows: pl.DataFrame, *, by: Sequence[str], days: int, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per (as_of, *by), in that order: each group with an event in the `days` days before that night.

    Only what was known by then counts. A row whose group holds a null belongs to none.

    Args:
        rows: one per version, with `event_day`, `visible_day`, `superseded_day` (Date; null if never superseded).
        by: the columns that make a group.
        days: how far back an event may lie, in calendar days before the cutoff.
        asked: the nights, in `as_of` (Date).
    """
    nights = asked.select("as_of").unique(maintain_order=True)
    stretches = _apart(_spans(rows.drop_nulls(list(by)), by, days), by)
    there = stretches.join_where(nights, pl.col("first") <= pl.col("as_of"), pl.col("as_of") <= pl.col("last"))
    return in_order(there.select("as_of", *by), key=("as_of", *by))


def _spans(rows: pl.DataFrame, by: Sequence[str], days: int) -> pl.DataFrame:
    """One row per row that counts at all: the columns of its group, `first` and `last` night that it covers."""
    until = pl.col("event_day").dt.offset_by(f"{days}d")
    spans = rows.select(
        *by, first="visible_day", last=pl.min_horizontal(until, pl.col("superseded_day").dt.offset_by("-1d"))
    )
    return spans.filter(pl.col("first") <= pl.col("last")).unique(maintain_order=True)


def _apart(spans: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The same nights of each group as stretches of which no two share a night."""
    ordered = in_order(spans, by=by, key=("first", "last"))
    covered = pl.col("last").cum_max().over(by)  # exact: a maximum, in the order above
    following = pl.col("first").shift(-1).over(by)  # exact: in the order above; equal spans were made one
    last = pl.min_horizontal(covered, following.dt.offset_by("-1d"))
    return ordered.with_columns(last=last).filter(pl.col("first") <= pl.col("last"))
