"""The last known value of each group at each night, exact with late rows and corrections.

The newest event wins, whenever it became known: a late row that is older than what is known already replaces nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order
from features.sweep import point
from features.versions import refuse_ties

if TYPE_CHECKING:
    from collections.abc import Sequence


def last_known(
    rows: pl.DataFrame,
    *,
    by: Sequence[str],
    newest: Sequence[str],
    values: Sequence[str],
    days: int,
    asked: pl.DataFrame,
) -> pl.DataFrame:
    """One row per row of `asked`, in its order: `values` of the newest row of its group visible by then.

    Null where no row of the group happened in the `days` days before the cutoff and was known by then.

    Args:
        rows: one per version, with `event_day` and `visible_day` (Date).
        by: the columns that make a group; a null belongs to none.
        newest: the total order within a group: event time, the rest of the key, known time.
        values: the columns to look up, as they are.
        days: how far back an event may lie, in calendar days before the cutoff.
        asked: `as_of` (Date) and the group columns.

    Raises:
        VersionsTie: if `newest` does not tell two rows of a group apart.
    """
    ranked = _ranked(rows, by, newest)
    nights = _nights(asked, ranked, by)
    found = nights.join_asof(_newest_so_far(ranked), on="point")  # exact: both by point, unique on the right
    of = ranked.select("rank", "event_day", pl.col("group").alias("of"), *values)
    looked_up = found.join(of, on="rank", how="left", maintain_order="left")
    alive = (pl.col("of") == pl.col("group")) & (pl.col("event_day").dt.offset_by(f"{days}d") >= pl.col("as_of"))
    kept = looked_up.select("row", *(pl.when(alive).then(pl.col(value)).alias(value) for value in values))
    return in_order(kept, key=("row",)).drop("row")


def _ranked(rows: pl.DataFrame, by: Sequence[str], newest: Sequence[str]) -> pl.DataFrame:
    """One row per row, by group and age: `rank`, its position there, and `group`, a number that grows with it."""
    ordered = in_order(rows.drop_nulls(list(by)), by=by, key=newest)
    refuse_ties(ordered, (*by, *newest[:-1]), newest[-1])
    group = pl.struct(by).rle_id()  # exact: by group first
    return ordered.with_row_index("rank").with_columns(group=group)  # exact: by group and age, without ties


def _nights(asked: pl.DataFrame, ranked: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per row asked for: `row`, its position, `as_of`, `group`, `point`; in the order of points."""
    groups = ranked.select("group", *by).unique(maintain_order=True)
    numbered = asked.select("as_of", *by).with_row_index("row")  # exact: only to go back to the order asked in
    placed = numbered.join(groups, on=list(by), how="left", maintain_order="left")
    return in_order(placed.with_columns(point=point("as_of")), by=("point",), key=("row",))


def _newest_so_far(ranked: pl.DataFrame) -> pl.DataFrame:
    """One row per group and day on which a row of it becomes visible: the highest rank so far.

    Ranks of a later group are higher than any of an earlier one, so one running maximum serves all groups.
    """
    visible = ranked.select("rank", point=point("visible_day"))
    per_day = visible.group_by("point").agg(pl.col("rank").max())  # exact: put in order next
    return in_order(per_day, key=("point",)).with_columns(pl.col("rank").cum_max())  # exact: by point, unique
