"""Sums over trailing windows on two clocks, exact, for any number of nights at about the cost of one.

A row counts for a window of `w` days at the cutoffs `visible_day <= c <= event_day + w`, and before the day on which a
newer version of it becomes visible. So its integers are added on the first of these days and taken away after the
last; the running sum of that, looked up at each night asked for, is the window. A single night needs no running sum:
the rows that count at it are summed, window by window. Defended by `tests/features/test_sweep.py` and, on real flights,
`tests/features/test_windows_against_sql.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order, require_whole, total

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPAN = ("event_day", "visible_day", "superseded_day")
_DAYS_A_GROUP = 1 << 22  # more than the days that a Date of four-digit years can hold: groups do not overlap


@dataclass(frozen=True, slots=True)
class Windows:
    """Sums of some integer columns by group, over windows of so many calendar days before each of some nights.

    Rows are reduced, piece by piece where they are many, and the sums are looked up for whoever asks. A row whose group
    holds a null belongs to none, a null adds nothing, a sum over nothing is 0.
    """

    by: tuple[str, ...]
    sums: tuple[str, ...]
    days: tuple[int, ...]
    nights: tuple[date, ...]

    @property
    def columns(self) -> list[str]:
        """The names of what is looked up, `<sum>_<w>d`: by window, then by sum."""
        return [f"{name}_{length}d" for length in self.days for name in self.sums]

    def reduced(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Some rows as sums, to be merged with those of others, and looked up.

        `rows` are one per version, with `event_day`, `visible_day`, `superseded_day` (Date; null if never superseded).

        Raises:
            NotWhole: if a column to be summed does not hold integers.
        """
        require_whole(rows, self.sums)
        if len(self.nights) == 1:
            return self._of_the_night(rows)
        return rows.group_by(*self.by, *_SPAN).agg(total(name) for name in self.sums)  # exact: integers

    def merged(self, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """What pieces of the rows were reduced to, as if they had been one."""
        if len(parts) == 1:
            return parts[0]
        both = pl.concat(parts, how="diagonal")  # a piece that lies before a window has no column of it
        names = [name for name in both.columns if name in self.by or name in _SPAN]
        sums = [name for name in both.columns if name not in names]
        return both.group_by(names).agg(total(name) for name in sums)  # exact: integers

    def looked_up(self, reduced: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """One row per row of `asked` (`as_of` and the columns of the group), in its order: `columns`, Int64."""
        if len(self.nights) == 1:
            by = list(self.by)
            found = asked.select(by).join(reduced, on=by, how="left", maintain_order="left")
        else:
            found = self._swept(reduced, asked)
        there = set(found.columns)  # not the windows that no row reaches into
        return found.select(
            (pl.col(name).fill_null(0) if name in there else pl.repeat(0, pl.len(), dtype=pl.Int64)).alias(name)
            for name in self.columns
        )

    def _of_the_night(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One row per group: its sums at the one night, over the windows that the rows reach into."""
        night, newest = self.nights[0], rows["event_day"].max()
        reached = [length for length in self.days if isinstance(newest, date) and _start(night, length) <= newest]
        current = pl.col("superseded_day").is_null() | (pl.col("superseded_day") > night)
        counts = current & (pl.col("visible_day") <= night)
        inside = {f"within {length}": counts & (pl.col("event_day") >= _start(night, length)) for length in reached}
        sums = [
            total(pl.when(f"within {length}").then(name)).alias(f"{name}_{length}d")
            for length in reached
            for name in self.sums
        ]
        marked = rows.lazy().select(*self.by, *self.sums, **inside)
        return marked.group_by(self.by).agg(sums).collect()  # exact: integers

    def _swept(self, per_span: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """One row per row asked for: the running sums of its group at its night."""
        groups = _numbered_groups(asked, self.by)
        numbered = per_span.join(groups, on=list(self.by), maintain_order="left")
        placed = _placed(asked, groups, self.by)
        found = in_order(placed.select("point").unique(maintain_order=True), key=("point",))
        for length in self.days:
            running = _running(numbered, self.sums, length).rename({name: f"{name}_{length}d" for name in self.sums})
            found = found.join_asof(running, on="point")  # exact: by point, unique on the left, the last of equals
        return placed.join(found, on="point", how="left", maintain_order="left")


def windows(
    rows: pl.DataFrame,
    *,
    by: Sequence[str],
    sums: Sequence[str],
    days: Sequence[int],
    asked: pl.DataFrame,
) -> pl.DataFrame:
    """One row per row of `asked`, in its order: the sums of `rows` as `Windows` says, at the nights of `asked`."""
    over = Windows(tuple(by), tuple(sums), tuple(days), nights_of(asked))
    return over.looked_up(over.reduced(rows), asked)


def nights_of(asked: pl.DataFrame) -> tuple[date, ...]:
    """The nights that rows are asked for, each once."""
    return tuple(in_order(asked.select("as_of").unique(maintain_order=True), key=("as_of",))["as_of"])


def clip_history(rows: pl.DataFrame, longest: int, nights: pl.Series) -> pl.DataFrame:
    """The rows that can count for a window of at most `longest` days at some of the nights; the order is kept."""
    reach = pl.col("event_day").dt.offset_by(f"{longest}d")
    first, last = pl.lit(nights.min(), pl.Date), pl.lit(nights.max(), pl.Date)
    return rows.filter(pl.col("visible_day") <= last, reach >= first)


def _start(night: date, length: int) -> date:
    """The first of so many days before a night."""
    return night - timedelta(days=length)


def _numbered_groups(asked: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per group asked for: its columns and `group`, a number."""
    groups = in_order(asked.select(by).unique(maintain_order=True), key=by).drop_nulls()
    return groups.with_row_index("group")  # exact: by the columns of the group, unique


def _placed(asked: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per row asked for, in its order: `point`, null where its group holds a null."""
    placed = asked.select("as_of", *by).join(groups, on=list(by), how="left", maintain_order="left")
    return placed.select(point=point("as_of"))


def _running(per_span: pl.DataFrame, sums: Sequence[str], length: int) -> pl.DataFrame:
    """Rows by group and day on which a window's sums change; the last of each day has the sums from that day on.

    Whatever is added is taken away later, so each group ends at 0 and one running sum serves all of them.
    """
    expires = pl.col("event_day").dt.offset_by(f"{length + 1}d")
    ends = per_span.with_columns(end=pl.min_horizontal(expires, "superseded_day"))
    counts = ends.filter(pl.col("visible_day") < pl.col("end"))
    added = counts.select(pl.col(sums), point=point("visible_day"))
    taken = counts.select(-pl.col(sums), point=point("end"))
    changes = pl.concat([added, taken]).sort("point")  # exact: the last of a day's has the sum of all, in any order
    return changes.with_columns(pl.col(sums).cum_sum())  # exact: Int64, by point; a look-up takes the last of a day


def point(day: str) -> pl.Expr:
    """A day of a numbered group as one integer (Int64): by group, then by day. Null where either is null."""
    return pl.col("group").cast(pl.Int64) * _DAYS_A_GROUP + pl.col(day).cast(pl.Int32)
