"""Which windows and nights a new job can have, by how far its table reaches; and when labels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.queries.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from jobs.authoring.facts import Facts, Table

_WINDOWS = (7, 28, 90)
_FEWEST_NIGHTS = 14  # to learn from and to validate on, beside those whose labels are not known yet
_MOST_NIGHTS, _MOST_ROWS = 365, 1_000_000
_VALIDATED = 28
_MOST_DELAY = 30
_MOST_NAMED = 3


class HistoryTooShort(Exception):
    """A table reaches over too few days to learn anything from."""


def delay_of(days: float) -> int:
    """How many whole nights after the horizon nearly all of its rows are known; at least one."""
    return min(_MOST_DELAY, max(1, -int(-days // 1)))


def nights_of(
    table: Table, lowest: date, highest: date, horizon: int, delay: int, scored: int = 1
) -> tuple[tuple[int, ...], int, int]:
    """The windows of the features, how many nights to train on at most, and how many of these to validate on.

    `scored` is how many rows a night may have.

    Raises:
        HistoryTooShort: if not even the shortest window leaves nights to learn from.
    """
    span = (highest - lowest).days + 1
    later = horizon + delay  # nights whose labels are not known yet, and as many between learning and validation
    for most in range(len(_WINDOWS), 0, -1):
        windows = _WINDOWS[:most]
        wanted = _FEWEST_NIGHTS * most + later
        available = span - windows[-1] - later
        if available >= wanted:
            validated = max(_WINDOWS[0], min(_VALIDATED, (available - later) // 4))
            fits = _MOST_ROWS // max(1, scored)
            return windows, min(_MOST_NIGHTS, max(fits, wanted, validated + wanted)), validated
    needed = _WINDOWS[0] + 2 * later + _FEWEST_NIGHTS
    raise HistoryTooShort(
        f"{table.name} reaches over {span} days, from {lowest} to {highest}; predicting {horizon} days ahead takes at "
        f"least {needed}: choose a shorter horizon, or load more of its past"
    )


def remarks_on_clocks(table: Table, clocks: Iterable[Facts], time_zone: str) -> Iterator[str]:
    """How clocks are read that are no instants, and what to do where they were not written in UTC."""
    zoned = [each.name for each in table.columns if each.kind is Kind.TIMESTAMPTZ and each.is_plain and not each.nulls]
    instead = f"take a TIMESTAMPTZ column ({', '.join(zoned[:_MOST_NAMED])}), or " if zoned else ""
    for clock in clocks:
        if clock.kind not in {Kind.TIMESTAMP, Kind.DATE}:
            continue
        elsewhere = time_zone if time_zone != "UTC" else "the place where it was written"
        yield (
            f"{clock.name} is {clock.type_sql}, without a time zone: it is read as UTC"
            f"{f', not as {time_zone}' if time_zone != 'UTC' else ''}. If it says the time of {elsewhere}, its rows "
            f"count for wrong hours: {instead}read the table through a view of the warehouse that makes a TIMESTAMPTZ "
            f"of it ({clock.name} AT TIME ZONE '{time_zone if time_zone != 'UTC' else 'ZONE'}')"
        )
