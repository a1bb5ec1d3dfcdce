"""A home of the test's own, snapshots of a few rows in it, and other processes that hold, die or wait."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from jobs.store.digest import type_name
from jobs.store.home import Home, open_home
from jobs.store.objects import ObjectStore
from jobs.store.partitions import by_bucket, by_days
from jobs.store.snapshots import Partition, Snapshot, TableSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new SCORE_HOME."""
    return open_home(tmp_path / "home")


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python on some lines with arguments, wait until it prints `ready`; killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(lines: str, *arguments: object) -> subprocess.Popen[str]:
        one = subprocess.Popen(
            [sys.executable, "-c", lines, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


EVENT_TYPES = {
    "event_day": pl.Date(),
    "visible_day": pl.Date(),
    "id": pl.Int64(),
    "happened_at": pl.Datetime("us", "UTC"),
    "known_at": pl.Datetime("us", "UTC"),
    "value": pl.String(),
}


def event_rows(rows: Iterable[tuple[int, str | None, str | None, str | None]], *, reference: bool) -> pl.DataFrame:
    """Rows of (id, happened at, known at, value), instants in UTC, with their days in front, ordered as extracted."""
    full = []
    for number, happened, known, value in rows:
        event = datetime.fromisoformat(f"{happened}+00:00") if happened else None
        known_at = datetime.fromisoformat(f"{known}+00:00") if known else None
        days = [each.date() for each in (event, known_at) if each]
        visible = max(days) + timedelta(days=1) if days else None
        full.append((None if reference or not event else event.date(), visible, number, event, known_at, value))
    frame = pl.DataFrame(full, schema=EVENT_TYPES, orient="row")
    return frame.sort("event_day", "visible_day", "id", "known_at")


@pytest.fixture
def kept(home: Home, tmp_path: Path) -> Callable[..., Snapshot]:
    """Snapshots of one table of real objects, without a manifest; `days` are its bounds, and null for a reference."""

    def keep(
        as_of: str,
        rows: Iterable[tuple[int, str | None, str | None, str | None]],
        *,
        role: str = "history",
        known: str = "appended",
        days: tuple[str, str] | None = ("2013-08-01", "2013-10-01"),
    ) -> Snapshot:
        staged = tmp_path / f"staged-{os.urandom(4).hex()}"
        staged.mkdir()
        store = ObjectStore(home.objects, staged)
        frame = event_rows(rows, reference=days is None)
        pieces = (
            ((event, visible, None, part) for event, visible, part in by_days([frame]))
            if days
            else ((None, None, bucket, part) for bucket, part in by_bucket(frame, ("id",)))
        )
        parts = tuple(
            Partition(event, seen, place, part.height, *store.put(part)) for event, seen, place, part in pieces
        )
        store.keep()
        start, end = (date.fromisoformat(day) for day in days) if days else (None, None)
        table = TableSnapshot(
            name="events",
            version=1,
            sql_fingerprint="0" * 64,
            role=role,
            known=known,
            known_time="known_at",
            key=("id",),
            order=("id", "known_at") if known == "appended" else ("id",),
            columns=tuple((name, type_name(dtype)) for name, dtype in EVENT_TYPES.items()),
            start=start,
            end=end,
            partitions=parts,
        )
        day = date.fromisoformat(as_of)
        return Snapshot("flight_delay", day, day, "UTC", (table,))

    return keep
