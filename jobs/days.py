"""Calendar days of a job's time zone, by the rules of the pinned `tzdata` package and never by the host's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from features.clock import begins, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one zone: when each begins, and which day an instant belongs to."""

    zone_name: str

    def cutoff(self, day: date) -> datetime:
        """The instant, in UTC, in which `day` begins: the first that no feature of that as-of may see."""
        return begins(day, self.zone_name)

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
