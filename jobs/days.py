"""Calendar days of a job's time zone, by the rules of the pinned `tzdata` package and never by the host's.

Source of the rules: IANA, as packaged in `tzdata`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class ZoneUnknown(Exception):
    """The name is no time zone of the pinned tzdata package."""


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
        with place.open("rb") as rules:
            return ZoneInfo.from_file(rules, key=name)
    except (OSError, ValueError):  # no such file, or one of the package's lists
        raise ZoneUnknown(
            f"the pinned tzdata package has no time zone `{name[:40]}`; names look like America/New_York"
        ) from None


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one zone: when each begins, and which day an instant belongs to."""

    zone_name: str

    def cutoff(self, day: date) -> datetime:
        """The instant, in UTC, in which `day` begins: the first that no feature of that as-of may see.

        Where the clocks skip midnight, the day begins when they land; where midnight comes twice, at the first.
        """
        rules = zone(self.zone_name)
        midnight = datetime.combine(day, time(), tzinfo=rules)
        begins = midnight.astimezone(UTC)
        if begins.astimezone(rules).replace(tzinfo=None) == midnight.replace(tzinfo=None):
            return begins
        return _first_instant_at_or_past(day, begins - _DAY, begins + _DAY, rules)

    def day_of(self, instant: datetime) -> date:
        """The day whose span `[cutoff, next cutoff)` holds the instant."""
        guess = instant.astimezone(zone(self.zone_name)).date()
        while self.cutoff(guess) > instant:
            guess -= _DAY
        while self.cutoff(guess + _DAY) <= instant:
            guess += _DAY
        return guess

    def runs(self, first: date, last: date) -> tuple[DayRun, ...]:
        """Stretches of equally long days that together cover `first` to `last`, both included; a clock change ends one.

        A day that a zone left out (Apia, 30 December 2011) is as long as no instant, and in no stretch.
        """
        return tuple(_runs(self, first, last))


@dataclass(frozen=True, slots=True)
class DayRun:
    """A stretch of `days` consecutive days of `day_us` microseconds each, the first beginning at `begins`."""

    first: date
    begins: datetime
    days: int
    day_us: int


def _first_instant_at_or_past(day: date, low: datetime, high: datetime, rules: ZoneInfo) -> datetime:
    """Where `day` begins in a zone whose clocks skip its midnight, by bisection to the microsecond."""
    while high - low > _MICROSECOND:
        middle = low + (high - low) // 2
        if middle.astimezone(rules).date() >= day:
            high = middle
        else:
            low = middle
    return high


def _runs(calendar: Calendar, first: date, last: date) -> Iterator[DayRun]:
    run: DayRun | None = None
    day, begins = first, calendar.cutoff(first)
    while day <= last:
        following = calendar.cutoff(day + _DAY)
        length = (following - begins) // _MICROSECOND
        if run and run.day_us == length:
            run = replace(run, days=run.days + 1)
        else:
            if run:
                yield run
            run = DayRun(day, begins, 1, length) if length else None
        day, begins = day + _DAY, following
    if run:
        yield run
