"""What kills, restatements and changes of mind leave in a home, each kind as it really comes about."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from jobs.store.home import Home, staging
from jobs.store.objects import ObjectStore, object_path, read_rows
from jobs.store.snapshots import Snapshot, keep_snapshot, kept_snapshots, read_snapshot, snapshot_folder, with_seals

if TYPE_CHECKING:
    from pathlib import Path

JOB, NIGHT, LOOKED_AT, TRAINED = "flight_delay", "2013-04-12", "2013-04-11", "2013-04-10"
TEN_DAYS_S = 864_000


def files(root: Path) -> dict[str, bytes]:
    """Every file that counts, with its bytes; locks and staging do not."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    names = {str(path.relative_to(root)): path.read_bytes() for path in found}
    return {name: content for name, content in names.items() if not name.startswith(("locks/", "staging/"))}


def snapshot_of(home: Home, as_of: str, *, scoring: bool) -> Snapshot:
    """The newest kept snapshot of an as-of, to score or to train."""
    day = date.fromisoformat(as_of)
    kept = [read_snapshot(home, JOB, day, taken.digest) for taken in kept_snapshots(home, JOB, day)]
    return [each for each in kept if each.scoring == scoring][-1]


def superseded(root: Path, number: int, as_of: str = NIGHT, *, scoring: bool = True) -> set[Path]:
    """A snapshot that was taken before one of the same as-of and purpose, with one object of its own."""
    home = Home(root)
    newest = snapshot_of(home, as_of, scoring=scoring)
    table = newest.table("airports")
    first = table.partitions[0]
    with staging(home) as staged:
        store = ObjectStore(home.objects, staged)
        rows = read_rows([object_path(home.objects, first.digest)])
        digest, seal = store.put(rows.with_columns(pl.col("lat_micro_deg") + number + (1 if scoring else 1001)))
        changed = replace(table, partitions=(replace(first, digest=digest, seal=seal), *table.partitions[1:]))
        older = replace(newest, tables=tuple(changed if each is table else each for each in newest.tables))
        older = replace(older, tables=tuple(with_seals(each, store.keep()) for each in older.tables))
        keep_snapshot(home, older, staged, {"taken_at": f"2013-04-09T00:00:{number:02}+00:00"})
    folder = snapshot_folder(home, JOB, older.as_of, older.digest)
    return aged({folder / "manifest.json", folder / "taken.json", object_path(home.objects, digest)})


def superseded_training(root: Path, number: int) -> set[Path]:
    """The same of the training snapshot."""
    return superseded(root, number, TRAINED, scoring=False)


def orphan(root: Path, number: int) -> set[Path]:
    """An object whose manifest was never written, because of a kill in between."""
    home = Home(root)
    with staging(home) as staged:
        store = ObjectStore(home.objects, staged)
        digest, _ = store.put(pl.DataFrame({"orphan": [number]}))
        store.keep()
    return aged({object_path(home.objects, digest)})


def half_written(root: Path, number: int) -> set[Path]:
    """What a kill leaves of a document beside its place."""
    path = root / "events" / JOB / f".{number:08d}.json.4711.tmp"
    path.write_bytes(b'{"body"')
    other = root / f".format.json.{number}.tmp"
    other.write_bytes(b"")
    return aged({path, other})


def aged(paths: set[Path], seconds: float = TEN_DAYS_S) -> set[Path]:
    """The same paths, written so long ago."""
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)
    return paths


KINDS = (superseded, superseded_training, orphan, half_written)
