"""Cutting an extraction's ordered rows into partitions, and making each fit to be kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl

from jobs.store.documents import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

BUCKETS = 16
DAYS = ("event_day", "visible_day")


class NotFinite(Exception):
    """A column has NaN or an infinite value."""


def by_days(batches: Iterable[pl.DataFrame]) -> Iterator[tuple[date, date, pl.DataFrame]]:
    """Event day, visible day and rows of each partition, from batches ordered by these; holds one at a time."""
    held: list[pl.DataFrame] = []
    for batch in batches:
        for piece in _runs(batch) if batch.height else ():
            if held and piece.row(0)[:2] != held[-1].row(0)[:2]:
                yield _whole(held)
                held = []
            held.append(piece)
    if held:
        yield _whole(held)


def by_bucket(frame: pl.DataFrame, key: tuple[str, ...]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Bucket and rows, in the order in which they stand, of each of the buckets that the rows' keys fall in.

    The bucket of a key is the first hex digit of the SHA-256 of the canonical JSON list of its values as text.
    """
    buckets = pl.Series([_bucket(row) for row in frame.select(key).iter_rows()], dtype=pl.Int8)
    for bucket in range(BUCKETS):
        rows = frame.filter(buckets == bucket)
        if rows.height:
            yield bucket, rows


def finite(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """The frame with -0.0 as 0.0.

    Raises:
        NotFinite: if a float column has NaN or an infinite value: they have no order and no stable sum.
    """
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    if not floats:
        return frame
    broken = frame.select((~pl.col(name).is_finite()).sum().alias(name) for name in floats).row(0, named=True)
    found = {name: count for name, count in broken.items() if count}
    if found:
        counts = ", ".join(f"`{name}` in {count} rows" for name, count in found.items())
        raise NotFinite(f"{source}: NaN or infinite: {counts}; turn them into NULL in the SQL, or mend the source")
    # Not `+ 0.0`: Polars drops that as an identity, and -0.0 stays.
    return frame.with_columns(
        pl.when(pl.col(name) == 0).then(0.0).otherwise(pl.col(name)).alias(name) for name in floats
    )


def _runs(batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The stretches of a batch that share their days."""
    begins = batch.select((pl.struct(DAYS) != pl.struct(DAYS).shift()).fill_null(value=True).arg_true()).to_series()
    ends = [*begins[1:].to_list(), batch.height]
    for begin, end in zip(begins.to_list(), ends, strict=True):
        yield batch.slice(begin, end - begin)


def _whole(pieces: list[pl.DataFrame]) -> tuple[date, date, pl.DataFrame]:
    frame = pl.concat(pieces, rechunk=True) if len(pieces) > 1 else pieces[0]
    event_day, visible_day = frame.row(0)[:2]
    return event_day, visible_day, frame


def _bucket(key: tuple[object, ...]) -> int:
    text = canonical_json([str(value) for value in key])
    return int(hashlib.sha256(text.encode()).hexdigest()[0], 16)
