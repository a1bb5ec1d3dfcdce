"""Trailing figures, declared once: which columns they are, and how the windows' sums become them.

A figure of a group over a window is a count, or a ratio of two integer sums; `<group>_<figure>_<days>d` is its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.contract import Feature
from features.exact import ratio
from features.sweep import windows

if TYPE_CHECKING:
    from collections.abc import Iterator


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

        `rows` are as `features.sweep.windows` takes them; `asked` holds `as_of` and the columns of all groups.
        """
        return pl.concat([self._of_group(group, rows, asked) for group in self.groups], how="horizontal")

    def _of_group(self, group: Group, rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        sums = sorted({name for figure in self.figures for name in (figure.over, figure.under) if name})
        found = windows(rows, by=group.by, sums=sums, days=self.days, asked=asked)
        return found.select(_value(figure, days).alias(_name(group, figure, days)) for figure, days in self._figures())

    def _each(self) -> Iterator[tuple[Group, Figure, int]]:
        return ((group, figure, days) for group in self.groups for figure, days in self._figures())

    def _figures(self) -> Iterator[tuple[Figure, int]]:
        return ((figure, days) for figure in self.figures for days in self.days)

    def _feature(self, group: Group, figure: Figure, days: int) -> Feature:
        dtype = pl.Float64() if figure.under else pl.Int64()
        return Feature(_name(group, figure, days), dtype, f"{figure.reads} {group.reads}, {_before(days)}")


def _name(group: Group, figure: Figure, days: int) -> str:
    return f"{group.name}_{figure.name}_{days}d"


def _value(figure: Figure, days: int) -> pl.Expr:
    over = f"{figure.over}_{days}d"
    return ratio(over, f"{figure.under}_{days}d") if figure.under else pl.col(over)


def _before(days: int) -> str:
    return "in the day before the cutoff" if days == 1 else f"in the {days} days before the cutoff"
