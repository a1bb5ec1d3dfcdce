"""Training: one model version from one snapshot, features of every night as they were known on that night."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.contract import type_text
from features.fitted import apply, declared, fit
from jobs.availability import require_declared, require_defaults
from jobs.environment import code, environment, host, lock_file, lock_sha256, processor
from jobs.evidence.golden import keep_golden
from jobs.kill_points import reach
from jobs.screen import silent
from jobs.steps.begun import require_begun
from jobs.steps.scoring import features_of
from jobs.steps.snapshots import find_kept, take_snapshot
from jobs.store.events import PROMOTED, append, read_chain
from jobs.store.home import staging
from jobs.store.locks import locked
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import MemberFile, ModelVersion, keep_version, seal_of_text
from jobs.telling.log import SILENT
from models.training import SINGLE, Learning, TooFewNights, TrainingSet, held_out_from, train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.fitted import Fitted
    from features.fitted.declaring import Transform
    from jobs.definition import Job
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.store.documents import Json
    from jobs.store.home import Home
    from jobs.store.registry import Golden
    from jobs.store.snapshots import Snapshot
    from jobs.telling.log import Log
    from models.parameters import Parameters
    from models.training import FittedCalibration, TrainedMember, TrainedModel

LABEL = "label"
_DAY = timedelta(days=1)


class LabelsMissing(Exception):
    """Too many of the things to learn from have no known outcome."""


class NightsMissing(Exception):
    """There is no night to train on: too little history, or nothing matured."""


@dataclass(frozen=True, slots=True)
class Nights:
    """Nights to train on: the last, and each that lies some times `every` days before it, down to the first."""

    first: date
    last: date
    every: int = 1

    def each(self) -> list[date]:
        """All of them, oldest first."""
        count = (self.last - self.first).days // self.every
        return [self.last - timedelta(days=self.every * n) for n in range(count, -1, -1)]


def nights_of(first: date, last: date, every: int) -> Nights:
    """The last night, and as many before it as there are from `first` on."""
    return Nights(last - (last - first) // (every * _DAY) * every * _DAY, last, every)


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """One row per (night, entity) with a known label, in that order: as the model sees it with its label, and as built.

    `label` has one value a row, in their order. `missing_labels` says how many rows more there would be, had their
    label been known.
    """

    frame: pl.DataFrame
    built: pl.DataFrame
    label: pl.Series
    fitted: Fitted
    of: Nights
    nights: int
    missing_labels: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gave: the version, and whether it is the champion (the first one is)."""

    version: ModelVersion
    rows: int
    champion: bool


def train_version(
    job: Job,
    settings: Settings,
    home: Home,
    as_of: date,
    *,
    threads: int,
    tell: Tell = silent,
    log: Log = SILENT,
    parameters: Parameters | None = None,
) -> Trained:
    """Train on what was known before `as_of` began; the job's first version becomes its champion.

    `parameters` are those of the job's TOML unless others are given; SQL and features are of its edition.

    Raises:
        ColumnsUndeclared, DefaultRefused: if the job does not say what its columns' nulls mean in production.
        LabelsMissing, NightsMissing: if there is too little to learn from.
        TooFewNights: if there is no night to train on before those to validate on.
        TransformRefused, NothingToLearn: if a transform is declared for what is not there.
    """
    require_begun(job, settings, as_of)
    parameters = parameters or job.parameters()
    declared(transforms_of(job), job.features().FEATURE_SET)
    queries = job.queries()
    job = replace(job, columns=job.columns.of(queries))
    require_declared(job.name, queries, job.columns)
    require_defaults(queries, job.columns)
    first_night = as_of - timedelta(days=job.training.nights)
    log = log.of(job=job.name, as_of=as_of)
    tell("looking at the warehouse")
    with log.phase("snapshot") as line:
        snapshot = find_kept(job, home, as_of, first_night=first_night)
        snapshot = snapshot or take_snapshot(job, settings, home, as_of, first_night=first_night, log=log).snapshot
        line.update(rows=snapshot.rows, bytes=snapshot.size)
    tell("building features")
    with log.phase("features") as line:
        rows = training_rows(job, home, snapshot)
        line.update(rows=rows.frame.height)
    tell(f"training on {rows.frame.height:,} rows of {rows.nights} nights")
    with log.phase("train") as line:
        trained = train(learning(job, rows, parameters.validation_nights), parameters, threads)
        line.update(rows=trained.rows)
    with staging(home) as staged:
        folder = staged / "model"
        folder.mkdir()
        golden = keep_golden(job, home, folder, snapshot, rows.built, rows.fitted, trained.scorer())
        version = _version(job, snapshot, rows, trained, golden)
        keep_version(home, folder, version, trained.texts, lock_file(job.project), _record(job, settings, threads))
    reach("version-kept")
    return Trained(version, trained.rows, _promote_first(job, settings, home, version))


def _record(job: Job, settings: Settings, threads: int) -> dict[str, Json]:
    return {
        "at": settings.now.isoformat(),
        "code": code(job.project),
        "host": host(job.project),
        "processor": processor(),
        "threads": threads,
    }


def training_rows(
    job: Job,
    home: Home,
    snapshot: Snapshot,
    nights: Nights | None = None,
    like: Fitted | None = None,
) -> TrainingRows:
    """Features with labels of some nights, and what the transforms learnt of them.

    Without `nights`: of those that matured, as the job declares. With `like`: by the transforms that this state was
    learnt by, whatever the feature module declares today.
    """
    nights = nights or nights_of(*training_nights(job, snapshot), job.training.every_nights)
    cutoffs = [job.cutoff(night) for night in nights.each()]
    tables = read_tables(in_store(home), snapshot)
    module = job.features()
    frame = features_of(job, tables, cutoffs)
    order = ["as_of", *job.key]
    labelled = frame.join(
        module.labels(job.columns.filled(tables), cutoffs), on=order, how="left", maintain_order="left"
    )
    missing = labelled.get_column(LABEL).null_count()
    if missing > job.training.missing_labels_max * labelled.height:
        raise LabelsMissing(
            f"{missing} of {labelled.height} rows of the nights {nights.first} to {nights.last} have no known "
            f"outcome; {job.training.missing_labels_max:.1%} may. Has the warehouse stopped to receive them?"
        )
    known = labelled.filter(pl.col(LABEL).is_not_null())
    built, label = known.drop(LABEL), known.get_column(LABEL)
    fitted = fit_rows(job, built, label, like)
    count = known.get_column("as_of").n_unique()
    return TrainingRows(_applied(built, label, fitted), built, label, fitted, nights, count, missing)


def transforms_of(job: Job) -> tuple[Transform, ...]:
    """The transforms that the job's feature module declares."""
    found: tuple[Transform, ...] = getattr(job.features(), "TRANSFORMS", ())
    return found


def learning(job: Job, rows: TrainingRows, validation_nights: int) -> Learning:
    """All rows; and the last nights apart, with nights that had matured before them: what is measured is as good.

    What transforms learn for those two they learn of the early nights alone, as a training on that day would have.

    Raises:
        TooFewNights: if no night had matured before the last ones.
    """
    as_of = rows.built.get_column("as_of")
    first_late = held_out_from(as_of.unique().sort().to_list(), validation_nights)
    matured, late = as_of <= job.matured(first_late), as_of >= first_late
    if not matured.any():
        raise TooFewNights(
            f"no night before {first_late} had matured by then, and the last {validation_nights} are for validation "
            "(`validation_nights`). Train as of a later date, or validate on fewer."
        )
    built, label = rows.built.filter(matured), rows.label.filter(matured)
    fitted = fit_rows(job, built, label, rows.fitted)
    early = _applied(built, label, fitted)
    last = _applied(rows.built.filter(late), rows.label.filter(late), fitted)
    return Learning(training_set(job, rows.frame), training_set(job, early), training_set(job, last))


def learning_again(job: Job, rows: TrainingRows, parameters: Parameters) -> Learning:
    """What training again needs: the late nights only if there is a calibration to fit again by them."""
    if parameters.calibration:
        return learning(job, rows, parameters.validation_nights)
    return Learning(training_set(job, rows.frame))


def fit_rows(job: Job, built: pl.DataFrame, label: pl.Series, like: Fitted | None) -> Fitted:
    """What the job's transforms learn of some rows; with `like`: the transforms that this state was learnt by."""
    days = None if like is None else like.matures_days
    return fit(
        built,
        job.features().FEATURE_SET,
        transforms_of(job) if like is None else like.transforms,
        key=job.key,
        labels=label,
        matures_days=job.horizon_days + job.label_delay_days if days is None else days,
    )


def _applied(built: pl.DataFrame, label: pl.Series, fitted: Fitted) -> pl.DataFrame:
    return apply(built, fitted).with_columns(label)


def training_facts(rows: TrainingRows) -> dict[str, Json]:
    """What a version's manifest says of its training rows."""
    return {
        "first_night": rows.of.first.isoformat(),
        "last_night": rows.of.last.isoformat(),
        "missing_labels": rows.missing_labels,
        "nights": rows.nights,
        "rows": rows.frame.height,
        **({"every_nights": rows.of.every} if rows.of.every > 1 else {}),
    }


def trained_nights(facts: Mapping[str, Json]) -> Nights:
    """The nights that a version's manifest says it was trained on."""
    first, last = (date.fromisoformat(str(facts[name])) for name in ("first_night", "last_night"))
    return Nights(first, last, int(str(facts.get("every_nights", 1))))


def calibration_facts(calibration: FittedCalibration | None) -> dict[str, Json] | None:
    """What a version's manifest says of its calibration; null if it has none."""
    return _json(calibration.to_json()) if calibration else None


def training_nights(job: Job, snapshot: Snapshot) -> tuple[date, date]:
    """The first and the last night to train on: after the warm-up of every history table, and matured.

    Raises:
        NightsMissing: if that leaves none.
    """
    begins = [snapshot.first_night]
    for table in snapshot.tables:
        days = [part.event_day for part in table.partitions if part.event_day]
        if table.role == "history" and table.start and min(days) > table.start:
            begins.append(min(days) + timedelta(days=job.training.warm_up_days))
    first, last = max(begins), job.matured(snapshot.as_of)
    if first > last:
        raise NightsMissing(
            f"there is no night to train on as of {snapshot.as_of}: the history is warmed up from {first} on, "
            f"and the labels of nights up to {last} had matured; train for a later as-of"
        )
    return first, last


def training_set(job: Job, frame: pl.DataFrame) -> TrainingSet:
    """The rows, as transforms left them, as LightGBM learns from them."""
    order = ("as_of", *job.key)
    features = tuple(name for name in frame.columns if name not in {*order, LABEL})
    return TrainingSet(frame, order, features, LABEL)


def _version(job: Job, snapshot: Snapshot, rows: TrainingRows, trained: TrainedModel, golden: Golden) -> ModelVersion:
    feature_set = job.features().FEATURE_SET
    single = [member.name for member in trained.members] == [SINGLE]
    return ModelVersion(
        job=job.name,
        as_of=snapshot.as_of,
        features=tuple((feature.name, type_text(feature.dtype)) for feature in feature_set.features),
        feature_set=f"{feature_set.name} version {feature_set.version}",
        feature_fingerprint=feature_set.fingerprint,
        sql_fingerprints=snapshot.sql_fingerprints,
        snapshot_digest=snapshot.digest,
        fitted=rows.fitted.to_json(),
        parameters=_json(trained.parameters.to_json()),
        model_seal=seal_of_text(trained.text) if single else None,
        lock_sha256=lock_sha256(job.project),
        environment=environment(),
        training=training_facts(rows),
        metrics=_json(trained.metrics.to_json()) if trained.metrics else {},
        golden=golden,
        columns=job.columns.declared,
        members=() if single else tuple(map(_member_file, trained.members)),
        calibration=calibration_facts(trained.calibration),
    )


def _member_file(member: TrainedMember) -> MemberFile:
    return MemberFile(
        name=member.name,
        weight=member.weight,
        features=member.features,
        first_night=member.first_night,
        nights=member.nights,
        rows=member.rows,
        seal=seal_of_text(member.text),
    )


def _json(content: Mapping[str, object]) -> dict[str, Json]:
    """The same content as it comes back from JSON: lists for tuples."""
    import json  # noqa: PLC0415  only here

    return dict(json.loads(json.dumps(content)))


def _promote_first(job: Job, settings: Settings, home: Home, version: ModelVersion) -> bool:
    with locked(home.lock(job.name), wait_s=60.0):
        chain = read_chain(home, job.name)
        promoted = [event.model_version for event in chain.events if event.kind == PROMOTED]
        if promoted:
            return promoted[-1] == version.version
        append(
            home, chain, PROMOTED,
            at=settings.clock(), reason="first version", as_of=version.as_of, model_version=version.version,
        )  # fmt: skip
    return True
