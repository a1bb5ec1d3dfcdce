"""Scoring one night: from a kept snapshot and a model version to scores, always by the same path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.contract import type_text
from features.fitted import Fitted, unseen
from jobs.store.digest import column_digest, rows_digest, type_name
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import read_model_text
from jobs.store.runs import RunInputs, run_folder
from jobs.telling.log import SILENT
from models.scorer import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from features.contract import FeatureSet
    from jobs.definition import Job
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot
    from jobs.telling.log import Log
    from models.booster import Floats


class PopulationEmpty(Exception):
    """A night has nothing to score."""


class LabelsUnseen(Exception):
    """Too many rows of a night have a label that training did not see."""


class FeaturesOfAnotherVersion(Exception):
    """The code's feature set is not the one that the model was trained with."""


class SqlOfAnotherVersion(Exception):
    """A snapshot was taken by other SQL than the model was trained with."""


class ScoreNotFinite(Exception):
    """A raw score is NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One night's features and scores, one row per entity in key order, not yet kept."""

    inputs: RunInputs
    features: pl.DataFrame
    scores: pl.DataFrame
    feature_digests: tuple[tuple[str, str, str], ...]
    features_digest: str
    scores_digest: str
    unseen: Mapping[str, int]


def run_inputs(job: Job, snapshot: Snapshot, version: ModelVersion) -> RunInputs:
    """What the run of a snapshot by a model version is computed from."""
    return RunInputs(
        job=job.name,
        as_of=snapshot.as_of,
        snapshot_digest=snapshot.digest,
        sql_fingerprints=snapshot.sql_fingerprints,
        feature_fingerprint=version.feature_fingerprint,
        model_version=version.version,
    )


def score_snapshot(
    job: Job,
    home: Home,
    snapshot: Snapshot,
    version: ModelVersion,
    model: Model,
    threads: int = 1,
    log: Log = SILENT,
) -> Scored:
    """Build the features of the snapshot's night and score them with the model of the version.

    Raises:
        PopulationEmpty: if there is nothing to score.
        FeaturesOfAnotherVersion: if the code builds other columns than the model knows.
        SqlOfAnotherVersion: if other SQL took the snapshot than the model's training rows.
        LabelsUnseen: if training did not see too many of its labels; a run that is kept already may be repeated.
    """
    require_same_sql(snapshot, version)
    matching_features(job, version)
    with log.phase("features") as line:
        frame = build_night(job, read_tables(in_store(home), snapshot), snapshot.as_of)
        line.update(rows=frame.height)
    with log.phase("score") as line:
        scored = score_frame(job, frame, run_inputs(job, snapshot, version), version, model, threads)
        line.update(rows=scored.scores.height)
    if not run_folder(home, scored.inputs).is_dir():
        require_seen_labels(job, scored)
    return scored


def require_same_sql(snapshot: Snapshot, version: ModelVersion) -> None:
    """Pass if each table of the snapshot was taken by the SQL that the model was trained with.

    Raises:
        SqlOfAnotherVersion: naming the tables that were not.
    """
    others = [name for name, sql in snapshot.sql_fingerprints.items() if version.sql_fingerprints.get(name) != sql]
    if others:
        raise SqlOfAnotherVersion(
            f"model {version.version} was trained with other SQL of {', '.join(others)} than snapshot "
            f"{snapshot.digest[:12]} was taken by; score with the versions that it was trained with, or train again"
        )


def matching_features(job: Job, version: ModelVersion) -> FeatureSet:
    """The job's feature set, if it is the one that the model was trained with."""
    feature_set = job.features().FEATURE_SET
    if feature_set.fingerprint != version.feature_fingerprint:
        raise FeaturesOfAnotherVersion(
            f"model {version.version} was trained with {version.feature_set}; the code now builds {feature_set.name} "
            f"version {feature_set.version}: {_difference(feature_set, version)}. "
            "Score with the code of that version, or train again"
        )
    return feature_set


def build_night(
    job: Job, tables: Mapping[str, pl.LazyFrame], as_of: date, only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The feature frame of one night from a snapshot's tables, in key order, held to the contract."""
    module = job.features()
    frame = module.build_features(tables, [job.cutoff(as_of)], only)
    if frame.height == 0 and only is not None:
        raise PopulationEmpty(f"{job.name} has none of the rows that were asked for as of {as_of}; ask for others")
    if frame.height == 0:
        raise PopulationEmpty(
            f"{job.name} has nothing to score as of {as_of}; if that is right, close the night: "
            f"score skip {job.name} --as-of {as_of} --reason '...'"
        )
    return module.FEATURE_SET.conform(frame, job.key)


def load_model(home: Home, version: ModelVersion) -> Model:
    """The version's model, its file checked before LightGBM sees it; before it is used: `evidence.golden.ready`."""
    return Model.load(read_model_text(home, version), tuple(name for name, _ in version.features))


def raw_scores(
    job: Job, frame: pl.DataFrame, fitted: Fitted, model: Model, threads: int = 1, batch_rows: int = 65_536
) -> Floats:
    """One raw score a row of a feature frame, in its order: what training learnt is applied, then the model scores.

    Raises:
        ColumnsDiffer: if that leaves other columns or types than the feature set's; a model knows names only.
    """
    module = job.features()
    applied = module.FEATURE_SET.coded().conform(module.apply(frame, fitted), job.key)
    return model.raw_scores(applied, order=("as_of", *job.key), threads=threads, batch_rows=batch_rows)


def score_frame(
    job: Job, frame: pl.DataFrame, inputs: RunInputs, version: ModelVersion, model: Model, threads: int = 1
) -> Scored:
    """Score a feature frame with the model of a version."""
    scores = score_table(job, frame, version, model, threads)
    return Scored(
        inputs=inputs,
        features=frame,
        scores=scores.with_columns(run_id=pl.lit(inputs.run_id)),
        feature_digests=column_digests(frame),
        features_digest=rows_digest(frame),
        scores_digest=scores_digest(scores, job.key),
        unseen=unseen(frame, Fitted.from_json(version.fitted)),
    )


def require_seen_labels(job: Job, scored: Scored) -> None:
    """Pass if, in each text feature, at most the declared share of the night's rows has a label that training lacked.

    Raises:
        LabelsUnseen: naming the features, with counts and shares; never the labels, which are contents of rows.
    """
    rows, most = scored.features.height, job.scoring.unseen_max
    past = [(name, count) for name, count in scored.unseen.items() if count > most * rows]
    if past:
        said = "; ".join(f"`{name}` in {count} of {rows} rows ({count / rows:.1%})" for name, count in past)
        inputs = scored.inputs
        raise LabelsUnseen(
            f"{job.name} as of {inputs.as_of} has labels that model {inputs.model_version} did not see at training: "
            f"{said}; at most {most:.1%} may be so (`scoring.unseen_max`). Look at the source, or train again"
        )


def unseen_share(scored: Scored) -> float:
    """The share of a night's rows with a label that training lacked, in the text feature with most of them."""
    return max(scored.unseen.values(), default=0) / scored.features.height


def score_table(job: Job, frame: pl.DataFrame, version: ModelVersion, model: Model, threads: int = 1) -> pl.DataFrame:
    """One row per row of a night's feature frame, in key order: its scores, all that is published but the run's id."""
    raw = raw_scores(job, frame, Fitted.from_json(version.fitted), model, threads)
    scores = frame.select(
        *job.key,
        "as_of",
        score=pl.Series(model.probability(raw), dtype=pl.Float64),
        raw_score=pl.Series(raw, dtype=pl.Float64),
        rank=pl.lit(0, pl.Int64),
        model_version=pl.lit(version.version),
    )
    if not scores.select(pl.col("raw_score").is_finite().all()).item():
        raise ScoreNotFinite(f"model {version.version} gave a raw score that is NaN or infinite; nothing is published")
    return _ranked(scores, job.key)


def column_digests(frame: pl.DataFrame) -> tuple[tuple[str, str, str], ...]:
    """Name, type and digest of each column of a frame."""
    return tuple((s.name, type_name(s.dtype), column_digest(s)) for s in frame.get_columns())


def differing_columns(kept: Sequence[tuple[str, str, str]], now: Sequence[tuple[str, str, str]]) -> str:
    """How many columns of two frames differ in name, type or digest, and the first of them."""
    differing = {name for name, *_ in set(kept) ^ set(now)}
    names = [name for name, *_ in (*now, *kept) if name in differing]
    return f"{len(differing)} columns differ, the first is {names[0]}" if names else "columns differ in their order"


def scores_digest(scores: pl.DataFrame, key: tuple[str, ...]) -> str:
    """The digest over key and raw score, in key order."""
    return rows_digest(scores.select(*key, "raw_score"))


def _ranked(scores: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The scores in key order, with 1 for the highest raw score; ties in key order."""
    by_score = scores.sort(["raw_score", *key], descending=[True, *(False for _ in key)])
    return by_score.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)).sort(key)


def _difference(feature_set: FeatureSet, version: ModelVersion) -> str:
    now = {feature.name: type_text(feature.dtype) for feature in feature_set.features}
    then = dict(version.features)
    changes = [
        *(f"`{name}` is missing" for name in then if name not in now),
        *(f"`{name}` is new" for name in now if name not in then),
        *(f"`{name}` was {then[name]} and is {now[name]}" for name in now if name in then and now[name] != then[name]),
    ]
    return ", ".join(changes[:5]) or "the order or the declared version differs"
