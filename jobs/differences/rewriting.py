"""Rewriting: what the warehouse changed since nights were scored, and which published scores would be different now.

For every published night the warehouse is looked at again, as of that night; the rows are compared with those that its
run kept, and where they differ they are scored with the run's own model. Nothing of that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from jobs.differences.differing import match, read_scores
from jobs.editions import edition_of
from jobs.evidence.golden import ready
from jobs.exits import failure_of, known_failures
from jobs.screen import silent
from jobs.steps.nights import INCOMPLETE, OptionsContradict
from jobs.steps.scoring import build_night, matching_features, require_same_sql, score_table
from jobs.steps.snapshots import looking
from jobs.store.events import read_chain
from jobs.store.ledger import compare
from jobs.store.opening import read_tables, rows_at, stored_rows
from jobs.store.partitions import DAYS
from jobs.store.registry import read_version
from jobs.store.runs import read_run
from jobs.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from jobs.definition import Job
    from jobs.differences.differing import Entities
    from jobs.evidence.golden import Ready
    from jobs.exits import Failure
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.store.home import Home
    from jobs.store.ledger import Kind, Mutation
    from jobs.store.opening import Locate
    from jobs.store.registry import ModelVersion
    from jobs.store.runs import Run
    from jobs.store.snapshots import Snapshot

_OF_THE_NIGHT = {65, 81}  # what is wrong with one night leaves the others
_NO_LONGER = 66  # SQL, features or the model itself are not those of the run any more


class NothingPublishedSince(Exception):
    """No night since then has scores that analysts see."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Who looks: the job, the settings of this process, the home, the models that were proven equal here already."""

    job: Job
    settings: Settings
    home: Home
    tell: Tell = silent
    proven: dict[str, Ready] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Night:
    """One published night: what the warehouse says otherwise now, and the entities as published and as scored again.

    `entities` is null where there is nothing to score again, or where that cannot be done: `unscored` says why.
    `failure` is what is wrong with the night.
    """

    as_of: date
    run: Run
    mutations: tuple[Mutation, ...] = ()
    not_compared: tuple[str, ...] = ()
    entities: Entities | None = None
    unscored: str | None = None
    failure: Failure | None = None

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The entities whose score would be different now, in key order."""
        if self.entities is None:
            return ()
        return tuple(_moved(self.as_of, self.entities.both, self.entities.only_a.columns))


@dataclass(frozen=True, slots=True)
class Moved:
    """One entity of a night whose score would be different now: as published, and as of today."""

    as_of: date
    key: Mapping[str, object]
    score: tuple[float, float]
    raw_score: tuple[float, float]
    rank: tuple[int, int]

    @property
    def change(self) -> float:
        """By how much; the difference of two float64, rounded once."""
        return self.score[1] - self.score[0]


@dataclass(slots=True)
class Row:
    """One row that was rewritten, and how each night that it touches sees it.

    A row whose known time was moved past a night has vanished from that night, and has moved for a later one.
    """

    mutation: Mutation
    nights: dict[date, Kind]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What was rewritten of one job's published nights, oldest first; each row once, by table and key."""

    job: str
    since: date
    until: date | None
    nights: tuple[Night, ...]
    rows: tuple[Row, ...]

    @property
    def code(self) -> int:
        """0 if every night was looked at; the failure's code if none was; 3 if some were."""
        failures = [night.failure for night in self.nights if night.failure]
        if not failures:
            return 0
        return failures[0].code if len(failures) == len(self.nights) else INCOMPLETE


def rewritten_since(
    jobs: Sequence[Job], settings: Settings, home: Home, since: date, until: date | None, tell: Tell
) -> list[Rewriting]:
    """What the warehouse changed of the nights from `since` to `until` that are published, job by job.

    Raises:
        NothingPublishedSince: if no job has such a night.
        OptionsContradict: if `until` comes before `since`.
    """
    if until is not None and until < since:
        raise OptionsContradict(f"--until {until} comes before --since {since}")
    desks = [Desk(job, settings, home, tell) for job in jobs]
    published = {desk.job.name: _published(desk, since, until) for desk in desks}
    if not any(published.values()):
        span = f"from {since} to {until}" if until else f"since {since}"
        raise NothingPublishedSince(f"no night {span} is published; see: score runs")
    found = []
    for desk in desks:
        nights = tuple(_look_back(desk, runs) for runs in _told(desk, published[desk.job.name]))
        found.append(Rewriting(desk.job.name, since, until, nights, once(nights)))
    return found


def _published(desk: Desk, since: date, until: date | None) -> list[Run]:
    """The runs that analysts see of these nights; a night of the future, as the clock has it, is absent."""
    today = desk.settings.today(desk.job.calendar)
    current = read_chain(desk.home, desk.job.name).current()
    nights = [night for night in sorted(current) if since <= night <= min(until or today, today)]
    return [read_run(desk.home.runs(desk.job.name, night) / str(current[night].run_id)) for night in nights]


def _told(desk: Desk, runs: Sequence[Run]) -> Iterator[Run]:
    for done, run in enumerate(runs):
        desk.tell(f"looking again at {desk.job.name} as of {run.inputs.as_of}", done / len(runs))
        yield run


def _look_back(desk: Desk, run: Run) -> Night:
    """One published night, looked at again; what is wrong with its data is said of it, and leaves the others."""
    desk, as_of = replace(desk, job=_edition(desk, run)), run.inputs.as_of
    job = desk.job
    night = Night(as_of, run)
    published = read_scores(desk.home, run)
    kept = read_snapshot(desk.home, job.name, as_of, run.inputs.snapshot_digest)
    try:
        with looking(job, desk.settings, desk.home, as_of) as (now, locate):
            if now.digest == kept.digest:
                return night
            found = compare(kept, now, stored_rows(desk.home), rows_at(locate))
            other = tuple(table.name for table in now.tables if table.name not in found.arrivals)
            night = replace(night, mutations=found.mutations, not_compared=other)
            return _scored_again(desk, night, published, now, locate)
    except known_failures() as error:
        return replace(night, failure=_only(error, _OF_THE_NIGHT))


def _edition(desk: Desk, run: Run) -> Job:
    """The job in the edition of the run's model; where that cannot be read, scoring again says so."""
    try:
        return edition_of(desk.job, read_version(desk.home, desk.job.name, run.inputs.model_version))
    except known_failures():
        return desk.job


def _scored_again(desk: Desk, night: Night, published: pl.DataFrame, now: Snapshot, locate: Locate) -> Night:
    """The night with its entities as published and as the run's model scores them on the rows of today."""
    job = desk.job
    try:
        version = read_version(desk.home, job.name, night.run.inputs.model_version)
        require_same_sql(now, version)
        matching_features(job, version)
        model = _ready(desk, version).model
        frame = build_night(job, read_tables(locate, now), night.as_of)
        scores = score_table(job, frame, version, model)
    except known_failures() as error:
        failure = _only(error, {_NO_LONGER, *_OF_THE_NIGHT})
        wrong = failure if failure.code in _OF_THE_NIGHT else None
        return replace(night, unscored=failure.message, failure=wrong)
    return replace(night, entities=match(published, scores, job.key))


def _ready(desk: Desk, version: ModelVersion) -> Ready:
    if version.version not in desk.proven:
        desk.proven[version.version] = ready(desk.job, desk.home, version)
    return desk.proven[version.version]


def _only(error: Exception, codes: set[int]) -> Failure:
    """The failure that the error stands for, if its code is one of these; else the error goes on."""
    failure = failure_of(error)
    if failure is None or failure.code not in codes:
        raise error
    return failure


def _moved(as_of: date, both: pl.DataFrame, key: Sequence[str]) -> Iterator[Moved]:
    other = (pl.col("score") != pl.col("score_b")) | (pl.col("raw_score") != pl.col("raw_score_b"))
    for row in both.filter(other).iter_rows(named=True):
        yield Moved(
            as_of=as_of,
            key={name: row[name] for name in key},
            score=(row["score"], row["score_b"]),
            raw_score=(row["raw_score"], row["raw_score_b"]),
            rank=(row["rank"], row["rank_b"]),
        )


def once(nights: Sequence[Night]) -> tuple[Row, ...]:
    """Each rewritten row once, by table and key, with the nights that it touches, as the latest of them sees it."""
    rows: dict[object, Row] = {}
    for night in reversed(nights):
        for mutation in night.mutations:
            was, now = (_identity(mutation.table, row) for row in (mutation.was, mutation.now))
            row = rows.get((was, now))
            if row is None:
                row = Row(mutation, {})
                for name in ((was, now), (was, None), (None, now)):  # an earlier night may see only one side of it
                    rows.setdefault(name, row)
            row.nights[night.as_of] = mutation.kind
    found = {id(row): row for row in rows.values()}.values()
    return tuple(sorted(found, key=lambda row: (row.mutation.table, *row.mutation.key.values(), row.mutation.kind)))


def _identity(table: str, row: Mapping[str, object] | None) -> tuple[object, ...] | None:
    return None if row is None else (table, *(value for name, value in row.items() if name not in DAYS))
