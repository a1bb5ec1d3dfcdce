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
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One night: its as-of date, and the instant in which that day begins, the first that no feature may see."""

    as_of: date
    at: datetime


class ZoneUnknown(Exception):
    """The name is no time zone of the pinned tzdata package."""


class CutoffDiffers(Exception):
    """A cutoff is not the beginning of its day in the zone that the features count days in."""


def nights(cutoffs: Sequence[Cutoff], zone_name: str) -> pl.DataFrame:
    """One row per night, oldest first: `as_of` (Date), `cutoff_at` (UTC).

    Raises:
        CutoffDiffers: if an instant is not when its day begins in that zone.
    """
    asked = {cutoff.as_of: cutoff.at for cutoff in cutoffs}
    for as_of, at in sorted(asked.items()):
        if at != begins(as_of, zone_name):
            raise CutoffDiffers(
                f"the cutoff of {as_of} is given as {at.isoformat()}, but in {zone_name} the day begins at "
                f"{begins(as_of, zone_name).isoformat()}; give the beginning of the day in the job's zone"
            )
    days = sorted(asked)
    return pl.DataFrame(
        {"as_of": days, "cutoff_at": [begins(day, zone_name) for day in days]},
        schema={"as_of": pl.Date, "cutoff_at": _INSTANT},
    )


def day_starts(first: date, last: date, zone_name: str) -> pl.DataFrame:
    """One row per day from `first` to `last`, both included: `day` (Date), `starts_at` (UTC)."""
    days = [first + _DAY * n for n in range((last - first).days + 1)]
    return pl.DataFrame(
        {"day": days, "starts_at": [begins(day, zone_name) for day in days]},
        schema={"day": pl.Date, "starts_at": _INSTANT},
    )


def with_minute_of_day(rows: pl.DataFrame, instant: str, zone_name: str) -> pl.DataFrame:
    """The rows and their order, with `minute_of_day`: whole minutes (Int32) from the start of `event_day` to `instant`.

    These are minutes that passed, not the wall clock's: after a change of clocks they are an hour apart for the rest of
    that day. Null where either is null.
    """
    first, last = rows["event_day"].min(), rows["event_day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        return rows.with_columns(minute_of_day=pl.lit(None, pl.Int32))
    began = "_day_starts_at"  # the rows may have a `starts_at` of their own
    passed = (pl.col(instant) - pl.col(began)).dt.total_minutes().cast(pl.Int32)
    starts = day_starts(first, last, zone_name).rename({"starts_at": began})
    return (
        rows.join(starts, left_on="event_day", right_on="day", how="left", maintain_order="left")
        .with_columns(minute_of_day=passed)
        .drop(began)
    )


@cache
def begins(day: date, zone_name: str) -> datetime:
    """The instant, in UTC, in which `day` begins in a zone.

    Where the clocks skip midnight, the day begins when they land; where midnight comes twice, at the first.
    """
    rules = zone(zone_name)
    midnight = datetime.combine(day, time(), tzinfo=rules)
    start = midnight.astimezone(UTC)
    if start.astimezone(rules).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return start
    return _first_instant_at_or_past(day, start - _DAY, start + _DAY, rules)


@cache
def zone(name: str) -> ZoneInfo:
    """The rules of one time zone, read from the pinned package.

    Raises:
        ZoneUnknown: if the package has no such zone.
    """
    parts = name.split("/")
    if not all(part and part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        raise ZoneUnknown(f"`{name}` is not the name of a time zone; names look like America/New_York")
    place = resources.files("tzdata").joinpath("zoneinfo", *parts)
    try:
        with place.open("rb") as rules:  # exact: the pinned package's own file
            return ZoneInfo.from_file(rules, key=name)
    except (OSError, ValueError):  # no such file, or one of the package's lists
        raise ZoneUnknown(
            f"the pinned tzdata package has no time zone `{name[:40]}`; names look like America/New_York"
        ) from None


def _first_instant_at_or_past(day: date, low: datetime, high: datetime, rules: ZoneInfo) -> datetime:
    """Where `day` begins in a zone whose clocks skip its midnight, by bisection to the microsecond."""
    while high - low > _MICROSECOND:
        middle = low + (high - low) // 2
        if middle.astimezone(rules).date() >= day:
            high = middle
        else:
            low = middle
    return high
