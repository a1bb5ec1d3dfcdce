"""Scoring one night: from a kept snapshot and a model version to scores, always by the same path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from features.contract import Feature, FeatureSet, RowsDiffer, type_named, type_text
from features.fitted import Fitted, apply, unseen
from jobs.availability import columns_met, require_available
from jobs.store.batches import write_batches
from jobs.store.digest import rows_digest
from jobs.store.opening import in_store, nulls_at, scan_tables
from jobs.store.registry import read_model_texts
from jobs.store.runs import FEATURES_FILE, SCORES_FILE, RunInputs, run_folder
from jobs.telling.log import SILENT
from models.calibration import calibration_of
from models.ensemble import Ensemble, Part
from models.scorer import Model
from models.training import NotSorted, check_sorted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import numpy.typing as npt

    from features.clock import Cutoff
    from jobs.availability import Met
    from jobs.definition import Job
    from jobs.store.batches import RowsFile
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot
    from jobs.telling.log import Log
    from models.booster import Floats
    from models.ensemble import Scorer


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
    """One night's features and scores, one row per entity in key order: written, not yet kept."""

    inputs: RunInputs
    features: RowsFile
    scores: RowsFile
    scores_digest: str
    unseen: Mapping[str, int]
    met: Sequence[Met]


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
    model: Scorer,
    folder: Path,
    threads: int = 1,
    log: Log = SILENT,
    *,
    accept_rows: bool = False,
) -> Scored:
    """Write the features of the snapshot's night, and their scores by the model of the version, into a folder.

    Raises:
        PopulationEmpty: if there is nothing to score.
        FeaturesOfAnotherVersion: if the code builds other columns than the model knows.
        SqlOfAnotherVersion: if other SQL took the snapshot than the model's training rows.
        ColumnsUnavailable: if a column has more nulls than the model was promised, unless that is accepted.
        LabelsUnseen: if training did not see too many of its labels; a run that is kept already may be repeated.
    """
    require_same_sql(snapshot, version)
    matching_features(job, version)
    inputs, fitted = run_inputs(job, snapshot, version), Fitted.from_json(version.fitted)
    new = not run_folder(home, inputs).is_dir()
    with log.phase("features") as line:
        tables = scan_tables(in_store(home), snapshot)
        met = columns_met(job.columns, snapshot, nulls_at(in_store(home)))
        if new and not accept_rows:
            require_available(job.name, snapshot.as_of, met)
        features = write_batches(night_batches(job, tables, snapshot.as_of), folder / FEATURES_FILE)
        line.update(rows=features.rows, bytes=features.seal.size)
    unseen_here = unseen_labels(features, fitted)
    if new:
        require_seen_labels(job, inputs, features.rows, unseen_here, fitted.refusing)
    with log.phase("score") as line:
        raw = raw_of(job, features, fitted, model, threads)
        scores = write_batches(score_batches(job, features, raw, inputs, model), folder / SCORES_FILE)
        line.update(rows=scores.rows, bytes=scores.seal.size)
    return Scored(inputs, features, scores, scores.digest_of([*job.key, "raw_score"]), unseen_here, met)


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
        called, differs = f"{feature_set.name} version {feature_set.version}", changed_columns(feature_set, version)
        kept = f"the module that it was trained with under [[earlier]] in jobs/{job.name}.toml"
        if called == version.feature_set:
            raise FeaturesOfAnotherVersion(
                f"model {version.version} was trained with other columns of {called} than the code now builds: "
                f"{differs}; give FEATURE_SET its next version, and keep {kept} (docs/versions.md)"
            )
        raise FeaturesOfAnotherVersion(
            f"model {version.version} was trained with {version.feature_set}; the code now builds {called}: "
            f"{differs}; keep {kept} (docs/versions.md), or train again and promote"
        )
    return feature_set


def features_of(
    job: Job, tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The features of some nights from a snapshot's tables, nulls as the job declares them, held to the contract."""
    module = job.features()
    frame = module.build_features(job.columns.filled(tables), cutoffs, only)
    return module.FEATURE_SET.conform(frame, job.key)


def build_night(
    job: Job, tables: Mapping[str, pl.LazyFrame], as_of: date, only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The feature frame of one night from a snapshot's tables, in key order, held to the contract."""
    frame = features_of(job, tables, [job.cutoff(as_of)], only)
    if frame.height == 0 and only is not None:
        raise PopulationEmpty(f"{job.name} has none of the rows that were asked for as of {as_of}; ask for others")
    if frame.height == 0:
        raise _nothing_to_score(job, as_of)
    return frame


def night_batches(job: Job, tables: Mapping[str, pl.LazyFrame], as_of: date) -> Iterator[pl.DataFrame]:
    """The same frame in batches, one after the other, where the job's module builds so; else in one."""
    module = job.features()
    if not hasattr(module, "feature_batches"):
        yield build_night(job, tables, as_of)
        return
    rows, last = 0, None
    for frame in module.feature_batches(job.columns.filled(tables), [job.cutoff(as_of)]):
        if frame.height:
            batch = module.FEATURE_SET.conform(frame, job.key)
            last = follows(batch, job.key, last)
            rows += batch.height
            yield batch
    if not rows:
        raise _nothing_to_score(job, as_of)


def follows(batch: pl.DataFrame, key: tuple[str, ...], last: pl.DataFrame | None) -> pl.DataFrame:
    """The last key of a batch, whose keys come one after the other, the first of them after `last`.

    Raises:
        RowsDiffer: if they do not.
    """
    keys = batch.select("as_of", *key)
    both = keys if last is None else pl.concat([last, keys])
    try:
        check_sorted(both, both.columns)
    except NotSorted:
        raise RowsDiffer(
            f"the rows of a batch of features do not come in the order of as_of, {', '.join(key)}"
        ) from None
    return keys.tail(1)


def _nothing_to_score(job: Job, as_of: date) -> PopulationEmpty:
    return PopulationEmpty(
        f"{job.name} has nothing to score as of {as_of}; if that is right, close the night: "
        f"score skip {job.name} --as-of {as_of} --reason '...'"
    )


def load_model(home: Home, version: ModelVersion) -> Scorer:
    """The version's model, or its members as one, each file checked before LightGBM sees any.

    Before it is used: `evidence.golden.ready`.
    """
    texts = read_model_texts(home, version)
    features = model_columns(version).names
    kept = version.calibration
    calibration = calibration_of(cast("dict[str, object]", kept["fitted"])) if kept else None
    if version.model_seal:
        return Model.load(texts[0], features, calibration)
    parts = [
        Part(each.name, each.weight, Model.load(text, each.features))
        for each, text in zip(version.members, texts, strict=True)
    ]
    return Ensemble.of(parts, features, calibration)


def model_columns(version: ModelVersion) -> FeatureSet:
    """The columns that the version's model sees: its features, as its fitted state makes other columns of them."""
    features = tuple(Feature(name, type_named(kind), "") for name, kind in version.features)
    return Fitted.from_json(version.fitted).columns(FeatureSet(version.job, 1, features))


def raw_scores(
    job: Job,
    frame: pl.DataFrame,
    fitted: Fitted,
    model: Scorer,
    threads: int = 1,
    batch_rows: int = 65_536,
    of_rows: int = 0,
) -> Floats:
    """One raw score a row of a feature frame, in its order: what training learnt is applied, then the model scores.

    `of_rows` are those of the whole night, where the frame is a part of it: they decide which engine scores.

    Raises:
        ColumnsDiffer: if that leaves other columns or types than it should; a model knows names only.
    """
    columns = fitted.columns(job.features().FEATURE_SET)
    applied = columns.conform(apply(frame, fitted), job.key)
    order = ("as_of", *job.key)
    return model.raw_scores(applied, order=order, threads=threads, batch_rows=batch_rows, of_rows=of_rows)


def raw_of(job: Job, features: RowsFile, fitted: Fitted, model: Scorer, threads: int = 1) -> Floats:
    """One raw score a row of a file of features, in its order, scored a batch at a time.

    Raises:
        ScoreNotFinite: if one is NaN or infinite.
    """
    every = (raw_scores(job, frame, fitted, model, threads, of_rows=features.rows) for frame in features.batches())
    raw = np.concatenate(list(every))
    if not np.isfinite(raw).all():
        raise ScoreNotFinite("the model gave a raw score that is NaN or infinite; nothing is published")
    return raw


def score_batches(
    job: Job, features: RowsFile, raw: Floats, inputs: RunInputs, model: Scorer
) -> Iterator[pl.DataFrame]:
    """The table of scores, one row per row of features and in their order, in batches."""
    rank, begin = ranks(raw), 0
    for keys in features.batches([*job.key, "as_of"]):
        part = slice(begin, begin + keys.height)
        yield _scores(keys, model.probability(raw[part]), raw[part], rank[part], inputs.model_version).with_columns(
            run_id=pl.lit(inputs.run_id)
        )
        begin += keys.height


def ranks(raw: Floats) -> npt.NDArray[np.int64]:
    """1 for the highest raw score, and so on; ties by where they stand, which is key order."""
    rank = np.empty(len(raw), dtype=np.int64)
    rank[np.argsort(-raw, kind="stable")] = np.arange(1, len(raw) + 1)
    return rank


def unseen_labels(features: RowsFile, fitted: Fitted) -> Mapping[str, int]:
    """How many rows of each text feature hold a label that training did not see; a null is none."""
    texts = list(fitted.labels)
    counts = [unseen(frame, fitted) for frame in features.batches(texts)] if texts else []
    return {name: sum(each[name] for each in counts) for name in texts}


def require_seen_labels(
    job: Job, inputs: RunInputs, rows: int, missing: Mapping[str, int], refusing: Collection[str] = ()
) -> None:
    """Pass if, in each text feature, at most the declared share of the night's rows has a label that training lacked.

    In those that are `refusing`, no row may.

    Raises:
        LabelsUnseen: naming the features, with counts and shares; never the labels, which are contents of rows.
    """
    most = job.scoring.unseen_max
    past = [(name, count) for name, count in missing.items() if count > (0 if name in refusing else most * rows)]
    if past:
        said = "; ".join(f"`{name}` in {count} of {rows} rows ({count / rows:.1%})" for name, count in past)
        raise LabelsUnseen(
            f"{job.name} as of {inputs.as_of} has labels that model {inputs.model_version} did not see at training: "
            f"{said}; {_allowed(most, past, refusing)}. Look at the source, or train again"
        )


def _allowed(most: float, past: Sequence[tuple[str, int]], refusing: Collection[str]) -> str:
    if all(name in refusing for name, _ in past):
        return 'none may be so (`unseen="refuse"`)'
    return f"at most {most:.1%} may be so (`scoring.unseen_max`)"


def unseen_share(scored: Scored) -> float:
    """The share of a night's rows with a label that training lacked, in the text feature with most of them."""
    return max(scored.unseen.values(), default=0) / scored.features.rows


def score_table(job: Job, frame: pl.DataFrame, version: ModelVersion, model: Scorer, threads: int = 1) -> pl.DataFrame:
    """One row per row of a night's feature frame, in key order: its scores, all that is published but the run's id."""
    in_order = frame.sort("as_of", *job.key)
    raw = raw_scores(job, in_order, Fitted.from_json(version.fitted), model, threads)
    if not np.isfinite(raw).all():
        raise ScoreNotFinite(f"model {version.version} gave a raw score that is NaN or infinite; nothing is published")
    keys = in_order.select(*job.key, "as_of")
    return _scores(keys, model.probability(raw), raw, ranks(raw), version.version)


def _scores(keys: pl.DataFrame, score: Floats, raw: Floats, rank: npt.NDArray[np.int64], version: str) -> pl.DataFrame:
    if not np.isfinite(score).all():
        raise ScoreNotFinite(f"model {version} gave a score that is infinite; nothing is published")
    return keys.with_columns(
        score=pl.Series(score, dtype=pl.Float64),
        raw_score=pl.Series(raw, dtype=pl.Float64),
        rank=pl.Series(rank, dtype=pl.Int64),
        model_version=pl.lit(version),
    )


def differing_columns(kept: Sequence[tuple[str, str, str]], now: Sequence[tuple[str, str, str]]) -> str:
    """How many columns of two frames differ in name, type or digest, and the first of them."""
    differing = {name for name, *_ in set(kept) ^ set(now)}
    names = [name for name, *_ in (*now, *kept) if name in differing]
    return f"{len(differing)} columns differ, the first is {names[0]}" if names else "columns differ in their order"


def scores_digest(scores: pl.DataFrame, key: tuple[str, ...]) -> str:
    """The digest over key and raw score, in key order."""
    return rows_digest(scores.select(*key, "raw_score"))


def changed_columns(feature_set: FeatureSet, version: ModelVersion) -> str:
    """What is another in the features of the code than in those of a model version, the first five of it."""
    now = {feature.name: type_text(feature.dtype) for feature in feature_set.features}
    then = dict(version.features)
    changes = [
        *(f"`{name}` is missing" for name in then if name not in now),
        *(f"`{name}` is new" for name in now if name not in then),
        *(f"`{name}` was {then[name]} and is {now[name]}" for name in now if name in then and now[name] != then[name]),
    ]
    return ", ".join(changes[:5]) or "the order or the declared version differs"
