"""The gate: a night whose tables are far shorter or longer than those of the last nights is not scored unseen.

A table may be loaded by half and break no other contract. What is counted comes from manifests, so that the same home
lets the same rows through, whenever it is asked: of a population or a reference all rows; of a history, whose window
grows at first, what became known on the day before, and what is left of what the last night saw.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from jobs.store.runs import read_run
from jobs.store.snapshots import SnapshotMissing, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from jobs.definition import Job, Scoring
    from jobs.store.events import Chain
    from jobs.store.home import Home
    from jobs.store.runs import Run
    from jobs.store.snapshots import Snapshot, TableSnapshot

FEWEST_NIGHTS, MOST_NIGHTS = 3, 14


class RowCountFar(Exception):
    """A table has far fewer, or far more, rows than it had for the last nights."""


@dataclass(slots=True)
class Gate:
    """Guards the rows that one night is about to be scored from; `far` is what it found in those that it saw last."""

    scoring: Scoring
    earlier: Sequence[Snapshot]
    accept: bool
    far: list[str] = field(default_factory=list)

    def lets_through(self, snapshot: Snapshot) -> bool:
        """Whether every table has about as many rows as usual, or somebody accepts that one has not."""
        self.far = far_counts(snapshot, self.earlier, self.scoring)
        return self.accept or not self.far

    def require_usual(self, snapshot: Snapshot) -> None:
        """Pass if it lets these rows through.

        Raises:
            RowCountFar: with figures, for every table.
        """
        if not self.lets_through(snapshot):
            raise RowCountFar(
                f"{'; '.join(self.far)}. Nothing was kept or published. Is everything loaded? If it is and this is "
                "right: add --accept-rows, which stays on record"
            )


def gate_of(job: Job, home: Home, chain: Chain, as_of: date, *, accept: bool) -> Gate:
    """The gate of one night, which knows what the last nights before it that are published were scored from."""
    nights = sorted(night for night, event in chain.current().items() if night < as_of and event.run_id)
    runs = [
        read_run(home.runs(job.name, night) / str(chain.current()[night].run_id)) for night in nights[-MOST_NIGHTS:]
    ]
    return Gate(job.scoring, list(_kept(home, job, runs)), accept)


def _kept(home: Home, job: Job, runs: Sequence[Run]) -> Iterator[Snapshot]:
    """What the runs were scored from; one that is gone says nothing of what is usual, and is for `verify` to miss."""
    for run in runs:
        with suppress(SnapshotMissing):
            yield read_snapshot(home, job.name, run.inputs.as_of, run.inputs.snapshot_digest)


def far_counts(snapshot: Snapshot, earlier: Sequence[Snapshot], scoring: Scoring) -> list[str]:
    """Each count that is far from what it was for the nights before, oldest first, in words.

    Only what the same SQL took is compared; fewer than three nights say nothing.
    """
    return [
        said for table in snapshot.tables for said in _of_table(table, snapshot.as_of, _same(table, earlier), scoring)
    ]


def _same(table: TableSnapshot, earlier: Sequence[Snapshot]) -> list[tuple[date, TableSnapshot]]:
    pairs = ((each.as_of, other) for each in earlier for other in each.tables)
    return [(as_of, other) for as_of, other in pairs if other.sql_fingerprint == table.sql_fingerprint]


def _of_table(
    table: TableSnapshot, as_of: date, earlier: Sequence[tuple[date, TableSnapshot]], scoring: Scoring
) -> Iterator[str]:
    if len(earlier) < FEWEST_NIGHTS:
        return
    if table.role != "history":
        yield from _far(f"{table.name} has {{}} rows", table.rows, [each.rows for _, each in earlier], scoring)
        return
    usual = [_became_visible(each, night) for night, each in earlier]
    found = _became_visible(table, as_of)
    yield from _far(f"{{}} rows of {table.name} became known on the day before", found, usual, scoring)
    night, last = earlier[-1]
    seen, left = _in_both(last, table, night), _in_both(table, last, night)
    if left < scoring.rows_least * seen:
        yield f"of {seen:,} rows of {table.name} that the night of {night} saw, {left:,} are left"


def _far(said: str, found: int, usual: Sequence[int], scoring: Scoring) -> Iterator[str]:
    middle = median(usual)
    if not scoring.rows_least * middle <= found <= scoring.rows_most * middle:
        yield (
            f"{said.format(f'{found:,}')}, where the last {len(usual)} nights had {min(usual):,} to {max(usual):,}, "
            f"usually {middle:,.0f}"
        )


def _became_visible(table: TableSnapshot, as_of: date) -> int:
    """The rows that no earlier as-of saw."""
    return sum(part.rows for part in table.partitions if part.visible_day == as_of)


def _in_both(table: TableSnapshot, other: TableSnapshot, as_of: date) -> int:
    """The rows of a history within the bounds of both, visible to an as-of."""
    if table.start is None or other.start is None:
        return 0
    start = max(table.start, other.start)
    return sum(
        part.rows
        for part in table.partitions
        if part.event_day and part.visible_day and part.event_day >= start and part.visible_day <= as_of
    )
