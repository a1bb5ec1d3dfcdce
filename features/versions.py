"""Rows of which later versions exist: an `appended` table corrects a row by a new one with the same key, known later.

All versions of one key have the same event time; extraction refuses others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence


class VersionsTie(Exception):
    """Two rows of one key became known in the same instant, so that neither is the newer."""


def with_superseded_day(rows: pl.DataFrame, key: Sequence[str], known: str) -> pl.DataFrame:
    """The rows, one per version, and their order, with `superseded_day`: when a newer version of it becomes visible.

    Null for the newest. A version that is superseded on the day on which it becomes visible never counts.

    Raises:
        VersionsTie: if two versions of one key have the same known time.
    """
    several = _of_several_versions(rows.select("visible_day", *key, known), key)
    versions = in_order(several, by=key, key=(known,))
    refuse_ties(versions, key, known)
    replaced = pl.col("visible_day").shift(-1)  # exact: by key and known time, which are unique
    found = versions.select("row", day=replaced).filter(versions.select(_next_is_same(key)).to_series())
    days = pl.repeat(None, rows.height, dtype=pl.Date, eager=True).scatter(found["row"], found["day"])
    return rows.with_columns(superseded_day=days)


def _of_several_versions(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Among others, all rows of keys that have more than one version, each with its position, `row`.

    Few rows of many have, and only those are sorted. Equal keys have equal numbers; keys that merely share one add rows
    that were not needed.
    """
    numbers = rows.select(_number_of(key)).to_series()
    ordered = numbers.sort()  # exact: numbers alone, equal ones are the same
    shared = ordered.filter(ordered == ordered.shift(1))  # exact: in order of themselves
    return rows.with_row_index("row").filter(_among(numbers, shared))  # exact: only to say where they stand


def _among(numbers: pl.Series, some: pl.Series) -> pl.Series:
    return numbers.is_in(some.implode())  # exact: a set, whatever its order


def _number_of(key: Sequence[str]) -> pl.Expr:
    """A number that is equal for equal keys, of which nothing but that is used."""
    numbers = [pl.col(name).hash(place) for place, name in enumerate(key)]  # exact: only to find what may be equal
    mixed = numbers[0]
    for number in numbers[1:]:
        mixed = mixed ^ number
    return mixed


def newest(rows: pl.DataFrame, key: Sequence[str], known: str) -> pl.DataFrame:
    """One row per key: its newest version.

    Raises:
        VersionsTie: if two versions of one key have the same known time.
    """
    versions = in_order(rows, by=key, key=(known,))
    refuse_ties(versions, key, known)
    return versions.filter(~_next_is_same(key))


def refuse_ties(versions: pl.DataFrame, key: Sequence[str], known: str) -> None:
    """Refuse versions, ordered by key and known time, that do not say which is the newest."""
    ties = versions.filter(_next_is_same((*key, known))).height
    if ties:
        raise VersionsTie(
            f"{ties} row(s) have the same {', '.join(key)} and the same {known} as another; "
            f"the key of such a table must end in {known}, or the warehouse must keep one of them"
        )


def _next_is_same(columns: Sequence[str]) -> pl.Expr:
    """Whether the next row has equal values here; false for the last row."""
    following = {column: pl.col(column).shift(-1) for column in columns}  # exact: by these columns, equals are a tie
    same = pl.all_horizontal(pl.col(column).eq_missing(value) for column, value in following.items())
    return same & (pl.int_range(pl.len()) < pl.len() - 1)  # exact: by these columns, equals are a tie
