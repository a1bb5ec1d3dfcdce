"""Arithmetic that no order of rows, threads, or engine can change: integers are summed, one division comes last.

Nothing else in this room sums, sorts, or divides by itself; `features/purity.py` refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_US_PER_MINUTE = 60_000_000


class NotWhole(Exception):
    """A column that is to be summed does not hold integers."""


def in_order(rows: pl.DataFrame, *, by: Sequence[str] = (), key: Sequence[str]) -> pl.DataFrame:
    """The rows by `by`, ties by `key`, which must be unique within it; nulls first, text by its UTF-8 bytes."""
    return rows.sort(*by, *key, nulls_last=False)  # exact: the key is an argument


def total(column: str | pl.Expr) -> pl.Expr:
    """The sum of integers, as Int64; 0 over nothing. A column that is not whole is refused by `require_whole`."""
    return _integer(column).cast(pl.Int64).sum()


def require_whole(rows: pl.DataFrame, columns: Sequence[str]) -> None:
    """Refuse columns that hold anything but integers.

    Raises:
        NotWhole: naming the columns and their types.
    """
    others = [f"{column} ({rows.schema[column]})" for column in columns if not rows.schema[column].is_integer()]
    if others:
        raise NotWhole(f"only integers are summed, not {', '.join(others)}; scale the quantity and cast it first")


def ratio(numerator: str | pl.Expr, count: str | pl.Expr) -> pl.Expr:
    """The one division: integer by integer as Float64, null over nothing."""
    over, under = _integer(numerator), _integer(count)
    return pl.when(under != 0).then(_divided(over, under))


def scaled(column: str | pl.Expr, per_unit: int) -> pl.Expr:
    """A scaled integer in its unit, as Float64: `scaled("temp_centi_f", 100)` is degrees. Null stays null."""
    return _divided(_integer(column), pl.lit(per_unit, pl.Int64))


def _divided(over: pl.Expr, under: pl.Expr) -> pl.Expr:
    """The one division, by a column that has a value in each row.

    A column over a constant Polars 2.1 multiplies by the constant's reciprocal, which is another double for up to a
    third of the integers; but where a frame has a single row it divides. So a row alone would not be what it is in a
    crowd: `score prove` found it.
    """
    in_each_row = (over - over) + under
    return over.cast(pl.Float64) / in_each_row.cast(pl.Float64)  # exact: the one division


def clipped(column: str, low: int, high: int) -> pl.Expr:
    """An integer, as Int64, that one absurd row cannot make absurd: held within `low` and `high`. Null stays null."""
    return pl.col(column).cast(pl.Int64).clip(low, high)


def one_if(condition: pl.Expr) -> pl.Expr:
    """1 where the condition holds, else 0, also where it is null."""
    return condition.fill_null(value=False).cast(pl.Int64)


def whole_minutes(earlier: str, later: str) -> pl.Expr:
    """Whole minutes from one instant to another, as Int64, rounded down. Null where either is null."""
    passed = (pl.col(later) - pl.col(earlier)).dt.total_microseconds()
    return passed // _US_PER_MINUTE


def _integer(value: str | pl.Expr) -> pl.Expr:
    return (pl.col(value) if isinstance(value, str) else value).cast(pl.Int64)
