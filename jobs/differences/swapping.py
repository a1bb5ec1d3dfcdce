"""Swapping: the way from one run's scores to another's, one cause at a time, each waypoint executed on kept evidence.

    A's kept scores
      environment         A's kept feature frame, scored here by A's model
      feature code        A's rows: features built here, A's model
      rows that changed   the same, with B's version of the rows that the warehouse changed, took away or moved since
      new rows            B's rows, wherever the same SQL took them; and B's night, where it is another
      SQL version         B's rows
      feature code        B's kept feature frame, A's model
      model               B's kept feature frame, B's model
      environment         B's kept scores

Every swap leaves in place what was swapped before it. A model is used here without its golden rows: they would refuse
an environment that scores otherwise, and by how much it does is what is asked.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from features.contract import type_text
from features.fitted import Fitted, apply
from jobs.differences import differing
from jobs.editions import edition_of
from jobs.exits import failure_of, known_failures
from jobs.steps.scoring import (
    ScoreNotFinite,
    build_night,
    load_model,
    matching_features,
)
from jobs.store.digest import rows_digest
from jobs.store.ledger import Comparison, Kind, compare
from jobs.store.objects import read_sealed_rows
from jobs.store.opening import in_store, read_tables, stored_rows
from jobs.store.registry import read_version
from jobs.store.runs import FEATURES_FILE
from jobs.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jobs.definition import Job
    from jobs.differences.differing import Side
    from jobs.store.home import Home
    from jobs.store.ledger import Mutation
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot, TableSnapshot

    type Tables = Mapping[str, pl.LazyFrame]

ENVIRONMENT, FEATURE_CODE, MODEL = "environment", "feature code", "model"
CHANGED_ROWS, NEW_ROWS, SQL_VERSION = "rows that changed", "new rows", "SQL version"
ANOTHER_NIGHT = "new rows and another night"
_OF_EVIDENCE = {65, 66, 78, 80}
_OF_CODE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)


class NotExecutable(Exception):
    """What a swap needs is no longer kept, or the code of today fails at it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of A have been swapped for B's: those that changed, the new ones, those that other SQL took."""

    changed: bool = False
    new: bool = False
    other_sql: bool = False

    def among(self, others: Rows) -> Rows:
        """Only the swaps that are in both."""
        return Rows(self.changed and others.changed, self.new and others.new, self.other_sql and others.other_sql)


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Scores on the way: one row per entity with its key and `score`, once they are asked for.

    Equal `made_of` means equal scores, executed or not. `swap` says what the swap that leads here takes away and puts
    in its place, as far as that is on record.
    """

    cause: str
    made_of: tuple[object, ...]
    scores: Callable[[], pl.DataFrame]
    swap: tuple[object, object] = ("A", "B")


@dataclass(slots=True)
class Bench:
    """What two runs kept, read or built when a waypoint first asks for it."""

    job: Job
    home: Home
    a: Side
    b: Side
    comparison: Comparison | NotExecutable
    differs: Rows
    _built: dict[Rows, pl.DataFrame] = field(default_factory=dict)

    def kept_frame(self, side: Side) -> pl.DataFrame:
        """The feature frame of a run: its file, or else one that is built here and has the digest on record."""
        try:
            return _read_frame(side)
        except NotExecutable:
            frame = self._built_again(side)
            if frame is None or rows_digest(frame) != side.run.features_digest:
                raise
            return frame

    def _built_again(self, side: Side) -> pl.DataFrame | None:
        try:
            return self.built(Rows() if side is self.a else self.differs)
        except NotExecutable:
            return None

    def built(self, rows: Rows) -> pl.DataFrame:
        """The features of a night, built here from A's rows with some of them swapped."""
        if rows not in self._built:
            side = self.b if rows.new or rows == self.differs else self.a
            with _of_evidence():
                tables = self._tables(rows)
                with _of_code():
                    self._built[rows] = build_night(self.job, tables, side.run.inputs.as_of)
        return self._built[rows]

    def score_kept(self, frame_of: Side, model_of: Side) -> pl.DataFrame:
        """The scores of one run's feature frame by one run's model."""
        theirs, wanted = frame_of.run.inputs, model_of.run.inputs
        if theirs.feature_fingerprint != wanted.feature_fingerprint:
            raise NotExecutable(
                f"model {wanted.model_version} knows another feature set than run {frame_of.run.run_id[:12]} has"
            )
        return self._score(self.kept_frame(frame_of), model_of)

    def score_built(self, rows: Rows) -> pl.DataFrame:
        """The scores of features that are built here, by A's model."""
        with _of_evidence():
            matching_features(self.job, read_version(self.home, self.job.name, self.a.run.inputs.model_version))
        return self._score(self.built(rows), self.a)

    def _score(self, frame: pl.DataFrame, model_of: Side) -> pl.DataFrame:
        with _of_evidence():
            version = read_version(self.home, self.job.name, model_of.run.inputs.model_version)
            model = load_model(self.home, version)
            _require_columns(frame, version, self.job.key)
            with _of_code():  # not `raw_scores`, which holds a frame to the feature set of today
                applied = apply(frame, Fitted.from_json(version.fitted))
                raw = model.raw_scores(applied, order=("as_of", *self.job.key))
            scores = frame.select(*self.job.key, score=pl.Series(model.probability(raw), dtype=pl.Float64))
            if not scores.get_column("score").is_finite().all():
                raise ScoreNotFinite(f"model {version.version} gave a score that is NaN or infinite")
        return scores

    def _tables(self, rows: Rows) -> Tables:
        if rows == Rows():
            return self._kept_tables(self.a)
        if rows == self.differs:
            return self._kept_tables(self.b)
        if isinstance(self.comparison, NotExecutable):
            raise self.comparison
        if not rows.new:
            return self._with_changed_rows(self._kept_tables(self.a), self.comparison.mutations)
        return self._across_sql()

    def _kept_tables(self, side: Side) -> Tables:
        return read_tables(in_store(self.home), _snapshot(self.home, side))

    def _with_changed_rows(self, tables: Tables, mutations: tuple[Mutation, ...]) -> Tables:
        snapshot = _snapshot(self.home, self.a)
        return {name: swapped(rows, snapshot.table(name), mutations) for name, rows in tables.items()}

    def _across_sql(self) -> Tables:
        """B's rows where the same SQL took them, A's elsewhere."""
        a, b = self.a.run.inputs, self.b.run.inputs
        other = other_sql(self.a, self.b)
        if a.as_of != b.as_of:
            raise NotExecutable(f"{', '.join(other)}: other SQL took it, and took it on another night")
        theirs = self._kept_tables(self.b)
        return {name: rows if name in other else theirs[name] for name, rows in self._kept_tables(self.a).items()}


def lay_out(job: Job, home: Home, a: Side, b: Side) -> Bench:
    """Find out which of the two runs' rows differ at all; what cannot be compared counts as differing."""
    comparison = _compared(home, a, b)
    another_night = a.run.inputs.as_of != b.run.inputs.as_of
    other = bool(other_sql(a, b))
    if a.run.inputs.snapshot_digest == b.run.inputs.snapshot_digest:
        differs = Rows()
    elif isinstance(comparison, NotExecutable):
        differs = Rows(changed=True, new=True, other_sql=other)
    else:
        kinds = {each.kind for each in comparison.mutations}
        new = another_night or Kind.INSERTED in kinds
        differs = Rows(changed=bool(kinds - {Kind.INSERTED}), new=new, other_sql=other)
    return Bench(_edition(job, home, a), home, a, b, comparison, differs)


def _edition(job: Job, home: Home, side: Side) -> Job:
    """The job in the edition of a run's model; where that cannot be read, the swap that needs it says so."""
    try:
        return edition_of(job, read_version(home, job.name, side.run.inputs.model_version))
    except known_failures():
        return job


def waypoints(bench: Bench) -> tuple[Waypoint, ...]:
    """The way from A's kept scores to B's, in the order of swaps; nothing is executed yet."""
    a, b = bench.a, bench.b
    model_a, model_b = a.run.inputs.model_version, b.run.inputs.model_version
    new_rows = NEW_ROWS if a.run.inputs.as_of == b.run.inputs.as_of else ANOTHER_NIGHT
    here, builds = differing.here(bench.job.project), bench.job.features().FEATURE_SET.fingerprint

    def environment(side: Side) -> object:
        return side.run.run_id if side.environment is None else side.environment  # what is not known is like nothing

    def code(side: Side) -> object:
        return environment(side), side.run.inputs.feature_fingerprint

    def kept(side: Side, swap: tuple[object, object]) -> Waypoint:
        return Waypoint(ENVIRONMENT, ("kept", side.run.run_id), lambda: side.scores, swap)

    def framed(frame_of: Side, model_of: Side, cause: str, swap: tuple[object, object]) -> Waypoint:
        made_of = ("frame", frame_of.run.features_digest, model_a if model_of is a else model_b)
        return Waypoint(cause, made_of, partial(bench.score_kept, frame_of, model_of), swap)

    def built(rows: Rows, cause: str, swap: tuple[object, object] = ("A", "B")) -> Waypoint:
        left = rows.among(bench.differs)
        return Waypoint(cause, ("rows", left, model_a), partial(bench.score_built, left), swap)

    return (
        kept(a, (environment(a), environment(a))),
        framed(a, a, ENVIRONMENT, (environment(a), here)),
        built(Rows(), FEATURE_CODE, (code(a), (here, builds))),
        built(Rows(changed=True), CHANGED_ROWS),
        built(Rows(changed=True, new=True), new_rows),
        built(Rows(changed=True, new=True, other_sql=True), SQL_VERSION),
        framed(b, a, FEATURE_CODE, ((here, builds), code(b))),
        framed(b, b, MODEL, (model_a, model_b)),
        kept(b, (here, environment(b))),
    )


def other_values(bench: Bench) -> dict[str, int] | None:
    """By feature, of how many entities of both runs the kept frames hold another value; null if one is not kept."""
    try:
        a, b = bench.kept_frame(bench.a), bench.kept_frame(bench.b)
    except NotExecutable:
        return None
    key = list(bench.job.key)
    a, b = (
        one.join(other.select(key), on=key, how="semi", maintain_order="left").sort(key).drop("as_of", *key)
        for one, other in ((a, b), (b, a))
    )
    counts = {name: _others(a.get_column(name), b.get_column(name)) for name in a.columns if name in b.columns}
    return {name: count for name, count in counts.items() if count}


def _others(a: pl.Series, b: pl.Series) -> int:
    return int(a.ne_missing(b).sum()) if a.dtype == b.dtype else len(a)


def swapped(rows: pl.LazyFrame, table: TableSnapshot, mutations: tuple[Mutation, ...]) -> pl.LazyFrame:
    """A table's rows, in total order, with those that changed, vanished or moved as they stand now; none is added."""
    mine = [each for each in mutations if each.table == table.name and each.kind is not Kind.INSERTED]
    if not mine:
        return rows
    frame = rows.collect()
    was, now = (
        pl.DataFrame([row for row in side if row is not None], schema=frame.schema, orient="row")
        for side in ([each.was for each in mine], [each.now for each in mine])
    )
    left = frame.join(was, on=frame.columns, how="anti", nulls_equal=True, maintain_order="left")
    return pl.concat([left, now]).sort(table.order, nulls_last=True).lazy()


def other_sql(a: Side, b: Side) -> tuple[str, ...]:
    """The tables of two runs that not the same SQL took, or that only one of them has."""
    one, two = a.run.inputs.sql_fingerprints, b.run.inputs.sql_fingerprints
    return tuple(name for name in sorted(one.keys() | two.keys()) if one.get(name) != two.get(name))


def _compared(home: Home, a: Side, b: Side) -> Comparison | NotExecutable:
    if a.run.inputs.snapshot_digest == b.run.inputs.snapshot_digest:
        return Comparison((), {})
    try:
        with _of_evidence():
            return compare(_snapshot(home, a), _snapshot(home, b), stored_rows(home), stored_rows(home))
    except NotExecutable as lost:
        return lost


def _snapshot(home: Home, side: Side) -> Snapshot:
    inputs = side.run.inputs
    return read_snapshot(home, inputs.job, inputs.as_of, inputs.snapshot_digest)


def _read_frame(side: Side) -> pl.DataFrame:
    if FEATURES_FILE not in side.run.files:
        raise NotExecutable(f"run {side.run.run_id[:12]} kept no feature frame")
    with _of_evidence():
        return read_sealed_rows(side.folder / FEATURES_FILE, side.run.files[FEATURES_FILE])


def _require_columns(frame: pl.DataFrame, version: ModelVersion, key: Sequence[str]) -> None:
    """Pass if the frame has exactly the features that the model was trained with, and their types."""
    found = tuple((name, type_text(dtype)) for name, dtype in frame.drop("as_of", *key).schema.items())
    if found != version.features:
        raise NotExecutable(f"model {version.version} was trained with other columns than this frame has")


@contextmanager
def _of_evidence() -> Iterator[None]:
    """Turn what is wrong with evidence into `NotExecutable`; what is wrong with the machine stays what it is."""
    try:
        yield
    except NotExecutable:
        raise
    except known_failures() as error:
        failure = failure_of(error)
        if failure is None or failure.code not in _OF_EVIDENCE:
            raise
        raise NotExecutable(failure.message) from None


@contextmanager
def _of_code() -> Iterator[None]:
    """Turn what the feature code of today raises on rows or frames of another day into `NotExecutable`."""
    try:
        yield
    except _OF_CODE as error:
        # without its text, which may repeat what stands in a row
        raise NotExecutable(f"the code of today fails on what was kept ({type(error).__name__})") from error
