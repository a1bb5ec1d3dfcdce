"""Nights and days: the cutoff of an as-of, and when each calendar day of a zone begins.

Source of the zone rules: the pinned `tzdata` package; the host's are never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = timedelta(days=1)
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One night: its as-of date, and the instant in which that day begins, the first that no feature may see."""

    as_of: date
    at: datetime


class CutoffDiffers(Exception):
    """A cutoff is not the beginning of its day in the zone that the features count days in."""


def nights(cutoffs: Sequence[Cutoff], zone: str) -> pl.DataFrame:
    """One row per night, oldest first: `as_of` (Date), `cutoff_at` (UTC).

    Raises:
        CutoffDiffers: if an instant is not when its day begins in `zone`.
    """
    asked = {cutoff.as_of: cutoff.at for cutoff in cutoffs}
    for as_of, at in sorted(asked.items()):
        if at != begins(as_of, zone):
            raise CutoffDiffers(
                f"the cutoff of {as_of} is given as {at.isoformat()}, but the day begins at "
                f"{begins(as_of, zone).isoformat()} in {zone}; give the beginning of the day in the job's zone"
            )
    days = sorted(asked)
    return pl.DataFrame(
        {"as_of": days, "cutoff_at": [begins(day, zone) for day in days]},
        schema={"as_of": pl.Date, "cutoff_at": _INSTANT},
    )


def day_starts(first: date, last: date, zone: str) -> pl.DataFrame:
    """One row per day from `first` to `last`, both included: `day` (Date), `starts_at` (UTC)."""
    days = [first + _DAY * n for n in range((last - first).days + 1)]
    return pl.DataFrame(
        {"day": days, "starts_at": [begins(day, zone) for day in days]},
        schema={"day": pl.Date, "starts_at": _INSTANT},
    )


def with_minute_of_day(rows: pl.DataFrame, instant: str, zone: str) -> pl.DataFrame:
    """The rows and their order, with `minute_of_day`: whole minutes (Int32) from the start of `event_day` to `instant`.

    These are minutes that passed, not the wall clock's: after a change of clocks they are an hour apart for the rest of
    that day. Null where either is null.
    """
    first, last = rows["event_day"].min(), rows["event_day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        return rows.with_columns(minute_of_day=pl.lit(None, pl.Int32))
    passed = (pl.col(instant) - pl.col("starts_at")).dt.total_minutes().cast(pl.Int32)
    starts = day_starts(first, last, zone)
    return (
        rows.join(starts, left_on="event_day", right_on="day", how="left", maintain_order="left")
        .with_columns(minute_of_day=passed)
        .drop("starts_at")
    )


@cache
def begins(day: date, zone: str) -> datetime:
    """The instant, in UTC, in which `day` begins in `zone`; at the first midnight where there are two."""
    return datetime.combine(day, time(), tzinfo=_rules(zone)).astimezone(UTC)


@cache
def _rules(zone: str) -> ZoneInfo:
    rules = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with rules.open("rb") as file:  # exact: the pinned package's own file
        return ZoneInfo.from_file(file, key=zone)
