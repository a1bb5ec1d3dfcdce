"""Values in their order: what rank says is exact, whatever the order of rows, and holds for floats as for integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.exact import in_order

if TYPE_CHECKING:
    from fractions import Fraction

    from features.fitted.plain import Plain


def ordered(column: pl.Series) -> pl.Series:
    """The values that there are, ascending; the two zeros of floats are one, so that equal values are the same."""
    values = column.drop_nulls().rename("value").to_frame()
    if column.dtype.is_float():  # adding 0.0 would do, but Polars leaves that out
        values = values.select(pl.when(pl.col("value") == 0.0).then(pl.lit(0.0)).otherwise("value").alias("value"))
    return in_order(values, key=("value",))["value"]


def at_share(values: pl.Series, share: Fraction) -> Plain:
    """The least of some ordered values that at least this share of them does not exceed; of 0 the lowest.

    A value that occurred, never one between two: no float is divided, and an integer stays one.
    """
    rank = -(-share.numerator * len(values) // share.denominator)
    return one(values, max(rank, 1) - 1)


def one(values: pl.Series, place: int) -> Plain:
    """The value at a place of ordered ones."""
    found: Plain = values[place]
    return found
