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
    """One row per version, by key and known time, with `superseded_day`: when a newer version of it becomes visible.

    Null for the newest. A version that is superseded on the day on which it becomes visible never counts.

    Raises:
        VersionsTie: if two versions of one key have the same known time.
    """
    versions = in_order(rows, by=key, key=(known,))
    refuse_ties(versions, key, known)
    replaced = pl.col("visible_day").shift(-1)  # exact: by key and known time, which are unique
    return versions.with_columns(superseded_day=pl.when(_next_is_same(key)).then(replaced))


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
