"""Sums over trailing windows on two clocks, exact, for any number of nights at about the cost of one.

A row counts for a window of `w` days at the cutoffs `visible_day <= c <= event_day + w`, and before the day on which a
newer version of it becomes visible. So its integers are added on the first of these days and taken away after the
last; the running sum of that, looked up at each night asked for, is the window. Defended by
`tests/features/test_sweep.py` and, on real flights, `tests/features/test_windows_against_sql.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order, require_whole, total

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPAN = ("event_day", "visible_day", "superseded_day")
_DAYS_A_GROUP = 1 << 22  # more than the days that a Date of four-digit years can hold: groups do not overlap


def windows(
    rows: pl.DataFrame,
    *,
    by: Sequence[str],
    sums: Sequence[str],
    days: Sequence[int],
    asked: pl.DataFrame,
) -> pl.DataFrame:
    """One row per row of `asked`, in its order: Int64 sums named `<sum>_<w>d`; 0 over nothing.

    Args:
        rows: one per version, with `event_day`, `visible_day`, `superseded_day` (Date; null if never superseded).
        by: the columns that make a group; a row whose group holds a null belongs to none.
        sums: integer columns of `rows`; a null adds nothing.
        days: window lengths in calendar days before the cutoff.
        asked: `as_of` (Date) and the group columns.

    Raises:
        NotWhole: if a column to be summed does not hold integers.
    """
    require_whole(rows, sums)
    groups = _numbered_groups(asked, by)
    per_span = _summed_per_span(rows, groups, by, sums)
    placed = _placed(asked, groups, by)
    found = in_order(placed.select("point").unique(maintain_order=True), key=("point",))
    for length in days:
        running = _running(per_span, sums, length).rename({name: f"{name}_{length}d" for name in sums})
        found = found.join_asof(running, on="point")  # exact: both by point, unique
    wanted = [f"{name}_{length}d" for length in days for name in sums]
    looked_up = placed.join(found, on="point", how="left", maintain_order="left")
    return looked_up.select(pl.col(wanted).fill_null(0))


def clip_history(rows: pl.DataFrame, longest: int, nights: pl.Series) -> pl.DataFrame:
    """The rows that can count for a window of at most `longest` days at some of the nights; the order is kept."""
    reach = pl.col("event_day").dt.offset_by(f"{longest}d")
    first, last = pl.lit(nights.min(), pl.Date), pl.lit(nights.max(), pl.Date)
    return rows.filter(pl.col("visible_day") <= last, reach >= first)


def _numbered_groups(asked: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per group asked for: its columns and `group`, a number."""
    groups = in_order(asked.select(by).unique(maintain_order=True), key=by).drop_nulls()
    return groups.with_row_index("group")  # exact: by the columns of the group, unique


def _placed(asked: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per row asked for, in its order: `point`, null where its group holds a null."""
    placed = asked.select("as_of", *by).join(groups, on=list(by), how="left", maintain_order="left")
    return placed.select(point=point("as_of"))


def _summed_per_span(rows: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str], sums: Sequence[str]) -> pl.DataFrame:
    """One row per group and span of days in which rows count: their sums. Most rows of a day share a span."""
    placed = rows.select(*_SPAN, *by, *sums).join(groups, on=list(by), maintain_order="left")
    return placed.group_by("group", *_SPAN).agg(total(name) for name in sums)  # exact: any order will do, sums follow


def _running(per_span: pl.DataFrame, sums: Sequence[str], length: int) -> pl.DataFrame:
    """One row per group and day on which a window's sums change: the sums from that day on.

    Whatever is added is taken away later, so each group ends at 0 and one running sum serves all of them.
    """
    expires = pl.col("event_day").dt.offset_by(f"{length + 1}d")
    ends = per_span.with_columns(end=pl.min_horizontal(expires, "superseded_day"))
    counts = ends.filter(pl.col("visible_day") < pl.col("end"))
    added = counts.select(pl.col(sums), point=point("visible_day"))
    taken = counts.select(-pl.col(sums), point=point("end"))
    changes = pl.concat([added, taken]).group_by("point").agg(total(name) for name in sums)  # exact: in order next
    return in_order(changes, key=("point",)).with_columns(pl.col(sums).cum_sum())  # exact: Int64, by point, unique


def point(day: str) -> pl.Expr:
    """A day of a numbered group as one integer (Int64): by group, then by day. Null where either is null."""
    return pl.col("group").cast(pl.Int64) * _DAYS_A_GROUP + pl.col(day).cast(pl.Int32)
