"""Trailing figures, declared once: which columns they are, and how the windows' sums become them.

A figure of a group over a window is a count, or a ratio of two integer sums; `<group>_<figure>_<days>d` is its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.contract import Feature
from features.exact import ratio
from features.sweep import Windows, nights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

_MOST_PARTS = 4


@dataclass(frozen=True, slots=True)
class Group:
    """With what an entity is compared: its name, the columns that make it, and how it reads."""

    name: str
    by: tuple[str, ...]
    reads: str


@dataclass(frozen=True, slots=True)
class Figure:
    """What is said of a group: the sum of `over`, or that divided by the sum of `under`; null over nothing."""

    name: str
    over: str
    under: str | None
    reads: str


@dataclass(frozen=True, slots=True)
class Trailing:
    """Figures of groups over windows of whole days before the cutoff; every combination is a feature."""

    groups: tuple[Group, ...]
    figures: tuple[Figure, ...]
    days: tuple[int, ...]

    def features(self) -> tuple[Feature, ...]:
        """The columns, in order: by group, then by figure, then by window."""
        return tuple(self._feature(group, figure, days) for group, figure, days in self._each())

    def columns(self, rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """One row per row of `asked`, in its order, with the columns that `features` declares.

        `rows` are as `features.sweep.Windows` takes them; `asked` holds `as_of` and the columns of all groups.
        """
        return summed((self,), (rows,), nights_of(asked)).columns(asked)

    def windows(self, group: Group, nights: tuple[date, ...]) -> Windows:
        """What is summed of a group."""
        sums = sorted({name for figure in self.figures for name in (figure.over, figure.under) if name})
        return Windows(group.by, tuple(sums), self.days, nights)

    def values(self, group: Group, found: pl.DataFrame) -> pl.DataFrame:
        """The columns of one group, from its sums."""
        return found.select(_value(figure, days).alias(_name(group, figure, days)) for figure, days in self._figures())

    def _each(self) -> Iterator[tuple[Group, Figure, int]]:
        return ((group, figure, days) for group in self.groups for figure, days in self._figures())

    def _figures(self) -> Iterator[tuple[Figure, int]]:
        return ((figure, days) for figure in self.figures for days in self.days)

    def _feature(self, group: Group, figure: Figure, days: int) -> Feature:
        dtype = pl.Float64() if figure.under else pl.Int64()
        return Feature(_name(group, figure, days), dtype, f"{figure.reads} {group.reads}, {_before(days)}")


@dataclass(frozen=True, slots=True)
class Sums:
    """What a history comes to at some nights, group by group: to be looked up by any of their rows."""

    of: tuple[tuple[Trailing, Group, Windows, pl.DataFrame], ...]

    def columns(self, asked: pl.DataFrame) -> pl.DataFrame:
        """One row per row of `asked`, in its order, with the columns of all; their declared order."""
        each = (trailing.values(group, over.looked_up(sums, asked)) for trailing, group, over, sums in self.of)
        return pl.concat(each, how="horizontal")


def summed(trailings: Sequence[Trailing], pieces: Iterable[pl.DataFrame], nights: tuple[date, ...]) -> Sums:
    """The sums of a history that comes in pieces, each with all versions of its rows; a piece is let go of at once."""
    of = [(trailing, group, trailing.windows(group, nights)) for trailing in trailings for group in trailing.groups]
    parts: list[list[pl.DataFrame]] = [[] for _ in of]
    for piece in pieces:
        for (_, _, over), part in zip(of, parts, strict=True):
            part.append(over.reduced(piece))
            if len(part) > _MOST_PARTS:  # what is held stays about as large as the sums
                part[:] = [over.merged(part)]
    return Sums(tuple((*each, each[2].merged(part)) for each, part in zip(of, parts, strict=True)))


def _name(group: Group, figure: Figure, days: int) -> str:
    return f"{group.name}_{figure.name}_{days}d"


def _value(figure: Figure, days: int) -> pl.Expr:
    over = f"{figure.over}_{days}d"
    return ratio(over, f"{figure.under}_{days}d") if figure.under else pl.col(over)


def _before(days: int) -> str:
    return "in the day before the cutoff" if days == 1 else f"in the {days} days before the cutoff"
