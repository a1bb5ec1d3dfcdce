"""Objects: the rows of one partition as a Parquet file, written once, named by the digest of its rows.

The name says which rows it holds; the SHA-256 of the file, which its snapshot's manifest keeps, says that no bit of it
changed. Neither DuckDB nor Polars notices a flipped bit in a page.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock, local
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from jobs.kill_points import reach
from jobs.store.digest import TypeNotEncodable, rows_digest
from jobs.store.documents import sync_file, sync_folder
from jobs.warehouse.engine import borrow, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

_PATTERN = re.compile(r"[\[*?]")
_WRITERS = 2  # threads that digest and write, while another reads
PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 122880, WRITE_BLOOM_FILTER false"


class ObjectDamaged(Exception):
    """A stored file's bytes are not what was written."""


class ObjectMissing(Exception):
    """A file that a manifest refers to is not there."""


@dataclass(frozen=True, slots=True)
class FileSeal:
    """What a stored file must be: its length in bytes and its SHA-256."""

    sha256: str
    size: int


def seal_of(path: Path) -> FileSeal:
    """The length and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileSeal(digest.hexdigest(), file.tell())


def check_seals(seals: Mapping[Path, FileSeal]) -> None:
    """Read every file once, in parallel, and compare.

    Raises:
        ObjectMissing: naming the first file that is not there.
        ObjectDamaged: naming the first file that differs.
    """
    for broken in broken_files(seals.items())[:1]:
        raise broken


def broken_files(seals: Iterable[tuple[Path, FileSeal]]) -> list[Exception]:
    """What is wrong with some files, in their order; every one is read, in parallel."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return [broken for broken in pool.map(_broken, seals) if broken is not None]


def check_lengths(seals: Mapping[Path, FileSeal]) -> None:
    """Compare the files' lengths, without reading them; errors as `check_seals`."""
    for path, seal in seals.items():
        if not path.is_file():
            raise _missing(path)
        if path.stat().st_size != seal.size:
            raise _damaged(path, "length")


def _broken(item: tuple[Path, FileSeal]) -> Exception | None:
    path, seal = item
    try:
        return None if seal_of(path) == seal else _damaged(path, "SHA-256")
    except FileNotFoundError:
        return _missing(path)
    except OSError as error:
        return error


def _missing(path: Path) -> ObjectMissing:
    return ObjectMissing(f"{path} is missing; restore it from a backup of SCORE_HOME")


def _damaged(path: Path, what: str) -> ObjectDamaged:
    return ObjectDamaged(f"{path} is not what was written (its {what} differs); restore it from a backup")


def write_parquet(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame, path: Path) -> FileSeal:
    """Write a frame in its order, durably: equal rows give equal bytes, for any number of threads."""
    con.register("rows_to_write", frame.rechunk())  # where chunks end would move where row groups end
    copy_parquet(con, path)
    con.unregister("rows_to_write")
    sync_file(path)
    return seal_of(path)


def copy_parquet(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the rows that are registered as `rows_to_write`."""
    con.execute(f"COPY (FROM rows_to_write) TO '{_quoted(path)}' ({PARQUET})")


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


@dataclass(slots=True)
class ObjectStore:
    """The objects of a home, and those that a snapshot in the making has staged beside them."""

    folder: Path
    staged: Path
    known: dict[str, FileSeal] = field(default_factory=dict)
    _new: set[str] = field(default_factory=set)
    _claims: Lock = field(default_factory=Lock)
    _own: local = field(default_factory=local)

    def put(self, frame: pl.DataFrame) -> tuple[str, FileSeal]:
        """Stage the rows unless a manifest that was read already refers to them; returns their digest and seal."""
        digest = self._put(frame)
        return digest, self.known[digest]

    def put_each(self, frames: Iterable[pl.DataFrame]) -> list[tuple[str, FileSeal]]:
        """Stage many, as `put` does, in parallel, a few at a time; their digests and seals in order."""
        digests: list[str] = []
        waiting: deque[Future[str]] = deque()
        with ThreadPoolExecutor(_WRITERS) as pool:
            for frame in frames:
                waiting.append(pool.submit(self._put, frame))
                if len(waiting) > _WRITERS:
                    digests.append(waiting.popleft().result())
            digests += [each.result() for each in waiting]
        return [(digest, self.known[digest]) for digest in digests]  # all are written; of equal rows, by one thread

    def _put(self, frame: pl.DataFrame) -> str:
        digest = rows_digest(frame)
        with self._claims:
            mine = digest not in self.known and digest not in self._new
            if mine:
                self._new.add(digest)
        if mine:
            self.known[digest] = write_parquet(self._connection(), frame, self.staged / f"{digest}.parquet")
            reach("object-half-written", half=self.staged / f"{digest}.parquet")
        return digest

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """One a thread, to write with."""
        if not hasattr(self._own, "con"):
            self._own.con = connect()
        con: duckdb.DuckDBPyConnection = self._own.con
        return con

    def path(self, digest: str) -> Path:
        """Where an object lies now."""
        return self.staged / f"{digest}.parquet" if digest in self._new else object_path(self.folder, digest)

    def keep(self) -> dict[str, FileSeal]:
        """Rename what was staged into the store, durably; returns the seals of objects that lay there already."""
        lay_there: dict[str, FileSeal] = {}
        folders = {object_path(self.folder, digest).parent for digest in self._new}
        for folder in folders:
            folder.mkdir(exist_ok=True)
        for digest in sorted(self._new):
            place = object_path(self.folder, digest)
            if place.exists():
                lay_there[digest] = _same_rows(place, self.known[digest])
            else:
                (self.staged / place.name).rename(place)
        for folder in [*sorted(folders), self.folder]:
            sync_folder(folder)
        self._new.clear()
        self.known |= lay_there
        return lay_there


def object_path(folder: Path, digest: str) -> Path:
    """Where an object lies in the store."""
    return folder / digest[:2] / f"{digest}.parquet"


def _same_rows(place: Path, staged: FileSeal) -> FileSeal:
    """The seal of an object that lay there: the same bytes, or the same rows as another release writes them."""
    seal = seal_of(place)
    if seal != staged:
        require_rows(place)
    return seal


def require_rows(path: Path) -> None:
    """Pass if the rows of an object have the digest that it is named by.

    Raises:
        ObjectDamaged: if they have not, or cannot be read.
    """
    damaged = ObjectDamaged(f"{path} is not what was written (its rows differ); restore it from a backup")
    try:
        found = rows_digest(read_rows([path]))
    except (duckdb.Error, pl.exceptions.PolarsError, TypeNotEncodable):
        raise damaged from None
    if found != path.stem:
        raise damaged


def parquet_rows(paths: Iterable[Path]) -> str:
    """DuckDB's text for the rows of exactly these files, whatever the folders above them are called.

    A path is a pattern to DuckDB (`[1]` is `1`), and a folder `a=b` a column, unless one says otherwise.
    """
    names = ", ".join("'" + _quoted(_PATTERN.sub(r"[\g<0>]", str(path))) + "'" for path in paths)
    return f"read_parquet([{names}], hive_partitioning = false)"


def read_rows(paths: Iterable[Path]) -> pl.DataFrame:
    """The rows of objects, in the order given and in which each was written; the caller checks the seals."""
    con = borrow()
    try:
        rows: pl.DataFrame = con.sql(f"FROM {parquet_rows(paths)}").pl()
        return rows
    finally:
        con.close()


def read_sealed_rows(path: Path, seal: FileSeal) -> pl.DataFrame:
    """The rows of one file, which is what was written; errors as `check_seals`."""
    check_seals({path: seal})
    try:
        return read_rows([path])
    except duckdb.Error:  # another file, and a seal that was made to fit
        raise ObjectDamaged(f"{path} is no file of rows; restore it from a backup") from None
