"""Files of rows that are written and read a batch at a time: what a night needs of memory does not grow with its rows.

A file has the same bytes, and the same digests, in however many pieces its rows come.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from jobs.store.digest import column_digest, combine, type_name
from jobs.store.documents import sync_file
from jobs.store.objects import FileSeal, ObjectDamaged, check_seals, copy_parquet, read_rows, seal_of, write_parquet
from jobs.warehouse.engine import borrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

BATCH_ROWS = 4 * 122_880  # whole row groups, so that where batches end does not move where these do


@dataclass(frozen=True, slots=True)
class RowsFile:
    """The rows of one file: how many, the digest of each column and of all, and what the file must be.

    Where they are one batch, they are held in memory and not read again.
    """

    path: Path
    rows: int
    columns: tuple[tuple[str, str, str], ...]
    seal: FileSeal
    whole: pl.DataFrame | None = None

    @property
    def digest(self) -> str:
        """The digest of its rows."""
        return combine(self.rows, list(self.columns))

    def digest_of(self, names: Sequence[str]) -> str:
        """The digest of its rows, were these its columns."""
        found = {name: (name, kind, digest) for name, kind, digest in self.columns}
        return combine(self.rows, [found[name] for name in names])

    def batches(self, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Its rows in order, in batches; all columns, or these."""
        if self.whole is not None:
            yield self.whole if names is None else self.whole.select(names)
        else:
            yield from read_batches(self.path, names)


def write_batches(batches: Iterable[pl.DataFrame], path: Path) -> RowsFile:
    """Write rows in the order in which they come, durably; there is at least one batch.

    The digests of what is more than one batch are those of the rows in the file, read again column by column.
    """
    frames = in_batches(batches)
    first, second = next(frames), next(frames, None)
    with borrow() as con:
        if second is None:
            seal = write_parquet(con, first, path)
            return RowsFile(path, first.height, column_digests(first), seal, first)
        rows = _copy(con, chain((first, second), frames), path)
    sync_file(path)
    return RowsFile(path, rows, file_digests(path), seal_of(path))


def in_memory(frame: pl.DataFrame) -> RowsFile:
    """Rows that have no file, as if they were those of one."""
    return RowsFile(Path(), frame.height, column_digests(frame), FileSeal("", 0), frame)


def open_rows_file(path: Path, seal: FileSeal) -> RowsFile:
    """A file of rows that is what was written, and the digests of its rows as they are read now.

    Raises:
        ObjectDamaged, ObjectMissing: if it is not.
    """
    check_seals({path: seal})
    try:
        rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        if rows > BATCH_ROWS:
            return RowsFile(path, rows, file_digests(path), seal)
        whole = read_rows([path])
    except (pl.exceptions.PolarsError, duckdb.Error):  # another file, and a seal that was made to fit
        raise ObjectDamaged(f"{path} is no file of rows; restore it from a backup") from None
    return RowsFile(path, rows, column_digests(whole), seal, whole)


def read_batches(path: Path, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """The rows of a file in order, in batches; the caller checked its seal."""
    rows = pl.scan_parquet(path, glob=False)
    wanted = rows if names is None else rows.select(names)
    height = rows.select(pl.len()).collect().item()
    for begin in range(0, height, BATCH_ROWS):
        yield wanted.slice(begin, BATCH_ROWS).collect()


def in_batches(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in batches of `BATCH_ROWS`, the last of what is left; where there is none, one without rows."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        while sum(each.height for each in held) > BATCH_ROWS:
            whole = pl.concat(held)
            yield whole.head(BATCH_ROWS)
            held = [whole.slice(BATCH_ROWS)]
    yield pl.concat(held) if len(held) > 1 else held[0]


def column_digests(frame: pl.DataFrame) -> tuple[tuple[str, str, str], ...]:
    """Name, type and digest of each column of a frame."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(_named_digest, frame.get_columns()))


def file_digests(path: Path) -> tuple[tuple[str, str, str], ...]:
    """Name, type and digest of each column of a file; as many are in memory at once as there are processors."""
    names = pl.read_parquet_schema(path)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(lambda name: _named_digest(_column(path, name)), names))


def _column(path: Path, name: str) -> pl.Series:
    return pl.scan_parquet(path, glob=False).select(name).collect().to_series()


def _named_digest(column: pl.Series) -> tuple[str, str, str]:
    return column.name, type_name(column.dtype), column_digest(column)


def _copy(con: duckdb.DuckDBPyConnection, frames: Iterator[pl.DataFrame], path: Path) -> int:
    """Let DuckDB draw batch after batch into a file; returns the number of rows.

    What fails while a batch is made comes back as it was, and not as what DuckDB says of it.
    """
    import pyarrow as pa  # noqa: PLC0415  a night of one batch has no need of it

    drawn = _Drawn(frames)
    try:
        con.register("rows_to_write", pa.RecordBatchReader.from_batches(drawn.schema, drawn.batches()))
        copy_parquet(con, path)
    except duckdb.Error:
        if drawn.failure is not None:
            raise drawn.failure from None
        raise
    return drawn.rows


class _Drawn:
    """Frames as Arrow hands them over, one after the other."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._first = next(frames)
        self._frames = frames
        self.schema = self._first.clear().to_arrow().schema
        self.rows = 0
        self.failure: BaseException | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for frame in chain((self._first,), self._frames):
                self.rows += frame.height
                yield from frame.rechunk().to_arrow().cast(self.schema).to_batches()
        except BaseException as failure:  # a signal too: DuckDB would make a text of it
            self.failure = failure
            raise
