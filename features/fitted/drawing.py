"""Random numbers that are a function of the row: a hash of (seed, key, column) that is defined here, and nothing else.

The definition, in integers modulo 2^64, so that anybody can repeat it:

    number(integer, truth value) = itself, two's complement
    number(day)                  = days since 1970-01-01, likewise
    number(text)                 = the first 8 bytes, big-endian, of SHA-256 of its UTF-8
    mix(x)                       = splitmix64's output function of x + 0x9E3779B97F4A7C15
    start                        = number of the text "<seed>:<column>"
    drawn                        = ... mix(mix(mix(start) ^ number(key 1)) ^ number(key 2)) ...

The columns of the key are taken in their declared order. SHA-256 makes text a number, once for each text that occurs;
splitmix64 is a bijection that leaves no pattern, and is computed column by column.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def drawn(rows: pl.DataFrame, key: Sequence[str], seed: int, column: str) -> pl.Series:
    """One number a row, UInt64, in the order of the rows."""
    state = pl.select(mixed(pl.lit(number_of_text(f"{seed}:{column}"), pl.UInt64))).to_series()
    found = pl.select(pl.repeat(state[0], rows.height, dtype=pl.UInt64).alias("drawn")).to_series()
    for name in key:
        both = pl.DataFrame({"state": found, "number": numbers(rows[name])})
        found = both.select(mixed(pl.col("state") ^ pl.col("number")).alias("drawn")).to_series()
    return found


def numbers(column: pl.Series) -> pl.Series:
    """One number a value, UInt64, in the order of the column."""
    if column.dtype == pl.String:
        texts = column.unique(maintain_order=True)
        hashed = pl.Series([number_of_text(text) for text in texts.to_list()], dtype=pl.UInt64)
        return column.replace_strict(texts, hashed, return_dtype=pl.UInt64)
    whole = column.cast(pl.Int32) if column.dtype == pl.Date else column
    return whole.cast(pl.Int64).reinterpret(signed=False)


def number_of_text(text: str) -> int:
    """The number of one text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def mixed(value: pl.Expr) -> pl.Expr:
    """`mix` as defined above; Polars' sums and products of UInt64 are those modulo 2^64."""
    x = value + pl.lit(_GOLDEN, pl.UInt64)
    x = (x ^ _right(x, 30)) * pl.lit(_FIRST, pl.UInt64)
    x = (x ^ _right(x, 27)) * pl.lit(_SECOND, pl.UInt64)
    return x ^ _right(x, 31)


def _right(value: pl.Expr, bits: int) -> pl.Expr:
    return value // pl.lit(2**bits, pl.UInt64)
