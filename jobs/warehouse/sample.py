"""Builds the sample warehouse, and brings it forward to what became known since.

The warehouse is the user's. A file is built beside and renamed into place, whether it is new or brought forward, so
that a kill leaves the old one or the new one; bringing forward adds rows to a copy and changes none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from jobs.store.locks import locked
from jobs.warehouse.sample_database import Extent, WarehouseExists, build, held_at, offline, rows_held
from jobs.warehouse.sample_files import known_between, read_sample, sample_folder
from jobs.warehouse.sample_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import polars as pl

    from jobs.warehouse.addresses import ServerAddress

type Step = Literal["created", "brought forward", "unchanged"]


@dataclass(frozen=True, slots=True)
class SampleLoaded:
    """One load: what was done, and for each table the rows that it holds now and those that this load added.

    `kept` counts rows that became known but were left out, since the user's warehouse already has a row of that key.
    """

    place: Path | ServerAddress
    step: Step
    until: datetime | None
    rows: Mapping[str, int]
    added: Mapping[str, int]
    kept: Mapping[str, int]


def _silent(_line: str) -> None:
    """Progress that nobody watches."""


def load_sample(path: Path, until: datetime | None = None, progress: Callable[[str], None] = _silent) -> SampleLoaded:
    """Make a sample warehouse at `path` that holds what was recorded before `until`, or bring ours there forward.

    Rows that stand in the warehouse are never touched: what the user changed stays changed, what was deleted stays
    deleted, and a row of the user's keeps its key to itself. `path` must not be open in this process.

    Raises:
        ValueError: if `until` has no time zone.
        SampleMissing, SampleDamaged: if the sample's files are not there, or not as expected.
        WarehouseExists: if the file there is not ours, reaches past `until`, or lost columns that the sample fills.
        Busy: if another process loads it or has it open for writing.
    """
    if until is not None and until.tzinfo is None:
        raise ValueError(f"until is an instant and needs a time zone: {until}")
    place, wanted = path.resolve(), Extent(until and until.astimezone(UTC))
    with locked(place.with_name(f".{place.name}.lock")), offline() as engine:
        held = held_at(engine, place)
        step = plan(place, held, wanted)
        if step == "unchanged":
            progress(f"{place} already holds {wanted}")
            rows = rows_held(engine, "present")
            return SampleLoaded(place, step, wanted.until, rows, dict.fromkeys(rows, 0), dict.fromkeys(rows, 0))
        progress("reading the flights of 2013")
        fresh = rows_to_add(read_sample(sample_folder()), held, wanted)
        progress(f"writing {place}")
        rows, added = build(engine, place, held, wanted, fresh)
        kept = {name: fresh[name].height - added[name] if name in fresh else 0 for name in rows}
        progress(f"{place} holds {wanted}")
        return SampleLoaded(place, step, wanted.until, rows, added, kept)


def plan(place: Path | ServerAddress, held: Extent | None, wanted: Extent) -> Step:
    """What has to be done at `place`; touches nothing.

    Raises:
        WarehouseExists: if the warehouse there holds what is not wanted yet.
    """
    if held is None:
        return "created"
    if held.reaches_past(wanted):
        raise WarehouseExists(
            f"{place} holds {held}, and cannot go back to {wanted}; give another place, or clear this one"
        )
    return "brought forward" if wanted.reaches_past(held) else "unchanged"


def rows_to_add(sample: Mapping[str, pl.DataFrame], held: Extent | None, wanted: Extent) -> dict[str, pl.DataFrame]:
    """The rows to add, by table: those past the extent held; reference tables only when the warehouse is made."""
    start = held.until if held else None
    return {
        table.name: known_between(sample[table.name], start, wanted.until) if table.clocked else sample[table.name]
        for table in TABLES
        if table.clocked or held is None
    }
