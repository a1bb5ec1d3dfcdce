"""The stages of a replay, in order: what a run kept, from its manifest to what analysts see, made again and compared.

Every file of a run belongs to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from jobs.evidence.golden import golden_rows_differing, other_environment, read_golden_night
from jobs.steps.scoring import (
    build_night,
    column_digests,
    differing_columns,
    load_model,
    matching_features,
    run_inputs,
    score_frame,
)
from jobs.store.digest import TypeNotEncodable, rows_digest, type_name
from jobs.store.documents import read_document
from jobs.store.events import read_chain
from jobs.store.objects import (
    ObjectDamaged,
    ObjectMissing,
    check_seals,
    object_path,
    read_rows,
    read_sealed_rows,
    require_rows,
)
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import ModelMissing, read_lock_file, read_version
from jobs.store.runs import FEATURES_FILE, SCORES_FILE, RunDamaged, read_run
from jobs.store.snapshots import SnapshotMissing, read_snapshot
from jobs.store.views import open_published, publication_rows, run_rows
from jobs.warehouse.engine import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jobs.definition import Job
    from jobs.evidence.golden import Differences
    from jobs.steps.scoring import Scored
    from jobs.store.events import Chain
    from jobs.store.home import Home
    from jobs.store.objects import FileSeal
    from jobs.store.registry import ModelVersion
    from jobs.store.runs import Run
    from jobs.store.snapshots import Partition, Snapshot, TableSnapshot
    from models.scorer import Model

    type Columns = tuple[tuple[str, str], ...]


class ReplayDiffers(Exception):
    """A replay gave something else than what was kept."""


@dataclass(slots=True)
class Proven:
    """What replays before this one found whole, and none after them looks at again: nothing that is of one run alone.

    Objects by their path, with the columns that their rows have; versions, with their models and what is another here,
    and those of them whose golden rows gave the same bits; chains of events, by job.
    """

    objects: dict[Path, tuple[FileSeal, Columns]] = field(default_factory=dict)
    versions: dict[tuple[str, str], tuple[ModelVersion, Model, Differences]] = field(default_factory=dict)
    golden: set[tuple[str, str]] = field(default_factory=set)
    chains: dict[str, Chain] = field(default_factory=dict)


@dataclass(slots=True)
class Replay:
    """One replay as it goes: what each stage leaves for the next."""

    job: Job
    home: Home
    folder: Path
    proven: Proven = field(default_factory=Proven)
    differences: Differences = field(default_factory=dict)
    kept: Run | None = None
    taken: Snapshot | None = None
    version: ModelVersion | None = None
    model: Model | None = None
    frame: pl.DataFrame | None = None
    scored: Scored | None = None

    @property
    def run(self) -> Run:
        """The run, once the first stage has read its manifest."""
        return _had(self.kept)


def replay_run(replay: Replay) -> None:
    """The run's manifest and execution record are whole, and of the run that its folder says."""
    run = read_run(replay.folder)
    read_document(replay.folder / "execution.json", "execution")
    replay.kept = run


def replay_snapshot(replay: Replay) -> None:
    """The snapshot's manifest and the record of when it was taken are whole, and describe what its name says."""
    inputs = replay.run.inputs
    try:
        replay.taken = read_snapshot(replay.home, inputs.job, inputs.as_of, inputs.snapshot_digest)
    except SnapshotMissing as gone:
        raise ObjectMissing(f"{gone}; restore it from a backup") from None
    read_document(replay.home.snapshots(inputs.job, inputs.as_of) / inputs.snapshot_digest / "taken.json", _TAKEN)


def replay_objects(replay: Replay) -> None:
    """Each object is, bit for bit, what was written, and its rows have the digest that it is named by."""
    snapshot, objects = _had(replay.taken), replay.home.objects
    fresh = {table.name: _not_proven(replay, table) for table in snapshot.tables}
    check_seals({object_path(objects, part.digest): part.seal for parts in fresh.values() for part in parts})
    for table in snapshot.tables:
        parts = fresh[table.name]
        if parts and not _as_named(table, parts, objects):
            for part in table.partitions:
                require_rows(object_path(objects, part.digest))
            raise ObjectDamaged(f"{table.name}: its objects do not belong together; restore them from a backup")
        replay.proven.objects |= {object_path(objects, part.digest): (part.seal, table.columns) for part in parts}


def _not_proven(replay: Replay, table: TableSnapshot) -> list[Partition]:
    """The partitions of a table whose objects no replay before this one found whole, with these columns."""
    proven, objects = replay.proven.objects, replay.home.objects
    return [
        part for part in table.partitions if proven.get(object_path(objects, part.digest)) != (part.seal, table.columns)
    ]


def _as_named(table: TableSnapshot, parts: Sequence[Partition], objects: Path) -> bool:
    """Whether the rows of some of a table's objects, read all at once, have its columns and the digests of their names.

    So all of them do, however many at a time: rows of another type or column would have another digest.
    """
    try:
        rows, begin = read_rows(object_path(objects, part.digest) for part in parts), 0
        if tuple((name, type_name(dtype)) for name, dtype in rows.schema.items()) != table.columns:
            return False
        for part in parts:
            if rows_digest(rows.slice(begin, part.rows)) != part.digest:
                return False
            begin += part.rows
    except (duckdb.Error, pl.exceptions.PolarsError, TypeNotEncodable):
        return False
    return begin == rows.height


def replay_model(replay: Replay) -> None:
    """The version's manifest, text, lock file and training record are whole, and it is what the run names."""
    run, named = replay.run, (replay.job.name, replay.run.inputs.model_version)
    if named not in replay.proven.versions:
        replay.proven.versions[named] = _read_version(replay)
    version, replay.model, replay.differences = replay.proven.versions[named]
    if run_inputs(replay.job, _had(replay.taken), version) != run.inputs:
        raise ReplayDiffers("the run names other SQL, features or model than its snapshot and its model version do")
    replay.version = version


def _read_version(replay: Replay) -> tuple[ModelVersion, Model, Differences]:
    """The version that the run names, each of its files read and checked."""
    try:
        version = read_version(replay.home, replay.job.name, replay.run.inputs.model_version)
    except ModelMissing as gone:
        raise ObjectMissing(f"{gone}; restore it from a backup") from None
    model = load_model(replay.home, version)
    read_lock_file(replay.home, version)
    return version, model, other_environment(replay.home, version)


def replay_golden_rows(replay: Replay) -> None:
    """The version's golden rows and golden night are whole, and it gives each of the rows the same bits."""
    version = _had(replay.version)
    named = (replay.job.name, version.version)
    if named in replay.proven.golden:
        return
    differing = golden_rows_differing(replay.job, replay.home, version, _had(replay.model))
    read_golden_night(replay.home, version)
    if differing:
        raise ReplayDiffers(
            f"model {version.version} gives {differing} of {version.golden.rows} golden rows another raw score than "
            "when it was trained"
        )
    replay.proven.golden.add(named)


def replay_features(replay: Replay) -> None:
    """The kept features are whole, and the frame, built again, has their digest, column by column."""
    run = replay.run
    if FEATURES_FILE in run.files:  # by policy, a run may keep none
        kept = _kept_rows(replay, FEATURES_FILE)
        if (rows_digest(kept), column_digests(kept)) != (run.features_digest, run.feature_digests):
            raise RunDamaged(f"{replay.folder / FEATURES_FILE} has another digest than the manifest beside it says")
    matching_features(replay.job, _had(replay.version))
    tables = read_tables(in_store(replay.home), _had(replay.taken))
    frame = build_night(replay.job, tables, run.inputs.as_of)
    if rows_digest(frame) != run.features_digest:
        raise ReplayDiffers(differing_columns(run.feature_digests, column_digests(frame)))
    replay.frame = frame


def replay_raw_scores(replay: Replay) -> None:
    """The raw scores, computed again, have the digest that was kept."""
    run = replay.run
    scored = score_frame(replay.job, _had(replay.frame), run.inputs, _had(replay.version), _had(replay.model))
    if scored.scores_digest != run.scores_digest:
        raise ReplayDiffers(f"the scores digest is {scored.scores_digest}, kept was {run.scores_digest}")
    replay.scored = scored


def replay_scores(replay: Replay) -> None:
    """The kept table of scores (score, rank and all) is whole, and is the replay's, row by row."""
    run, scores = replay.run, _had(replay.scored).scores
    kept = _kept_rows(replay, SCORES_FILE)
    if (rows_digest(kept), kept.height) != (run.published_digest, run.row_count):
        raise RunDamaged(f"{replay.folder / SCORES_FILE} has another digest than the manifest beside it says")
    if rows_digest(scores) != run.published_digest:
        raise ReplayDiffers(differing_columns(column_digests(kept), column_digests(scores)))


def replay_published(replay: Replay) -> None:
    """The events are a whole chain, and analysts see of the run what they and the replay say, row by row."""
    job, published = replay.job.name, replay.home.published
    chain = replay.proven.chains.get(job) or read_chain(replay.home, job)
    replay.proven.chains[job] = chain
    if not published.is_file():
        if replay.run.run_id in chain.first_shown():
            raise ObjectMissing(f"{published} is missing; score run builds it anew")
        return
    try:
        with open_published(replay.home, [replay.job]) as con:
            _compare_records(replay, chain, con)
            for relation in _shown_in(replay.job.name, chain, replay.run):
                _compare_rows(replay, chain, con, relation)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise ReplayDiffers(f"{published} is none of ours: {first_line(error)}; {_ANEW}") from None
    except duckdb.Error as error:
        raise ObjectDamaged(f"analysts cannot read {published}: {first_line(error)}; {_ANEW}") from None


def _shown_in(job: str, chain: Chain, run: Run) -> list[str]:
    """The relations in which analysts see a run."""
    if run.run_id not in chain.first_shown():
        return []
    current = chain.current()
    seen = current.get(run.inputs.as_of)
    if seen is None or seen.run_id != run.run_id:
        return [f"{job}_history"]
    newest = [f"{job}_latest"] if run.inputs.as_of == max(current) else []
    return [f"{job}_history", job, *newest]


def _compare_records(replay: Replay, chain: Chain, con: duckdb.DuckDBPyConnection) -> None:
    """What is said of the run, and of what was shown when."""
    shown = {replay.run.run_id: replay.run} if replay.run.run_id in chain.first_shown() else {}
    runs = con.execute("FROM runs WHERE run_id = $1", [replay.run.run_id]).fetchall()
    publications = con.execute("FROM publications WHERE job = $1 ORDER BY seq", [chain.job]).fetchall()
    if runs != run_rows(chain, shown) or publications != publication_rows(chain):
        raise ReplayDiffers(f"{replay.home.published} says something else of the run than the events do; {_ANEW}")


def _compare_rows(replay: Replay, chain: Chain, con: duckdb.DuckDBPyConnection, relation: str) -> None:
    run, column = (replay.run.run_id, "run_id") if relation.endswith("_history") else (replay.run.inputs.as_of, "as_of")
    seen = con.sql(f'FROM "{relation}" WHERE {column} = $asked', params={"asked": run}).pl()
    at = datetime.fromisoformat(chain.first_shown()[replay.run.run_id].at)
    expected = _had(replay.scored).scores.with_columns(scored_at=pl.lit(at, pl.Datetime("us", "UTC")))
    if rows_digest(seen.sort(replay.job.key)) != rows_digest(expected):
        raise ReplayDiffers(f"{replay.home.published} shows other rows of the run in {relation}; {_ANEW}")


def _kept_rows(replay: Replay, name: str) -> pl.DataFrame:
    """The rows of one of the run's files, which is bit for bit what its manifest says."""
    seal = replay.run.files.get(name)
    if seal is None:
        raise RunDamaged(f"{replay.folder / 'manifest.json'} names no {name}; restore it from a backup")
    return read_sealed_rows(replay.folder / name, seal)


def _had[T](left: T | None) -> T:
    """What an earlier stage left."""
    assert left is not None, "stages run in order"  # noqa: S101  a bug of ours
    return left


_TAKEN = "snapshot taken"
_ANEW = "remove it, and score run builds it anew"

STAGES: dict[str, Callable[[Replay], None]] = {
    "run": replay_run,
    "snapshot": replay_snapshot,
    "objects": replay_objects,
    "model": replay_model,
    "golden_rows": replay_golden_rows,
    "features": replay_features,
    "raw_scores": replay_raw_scores,
    "scores": replay_scores,
    "published": replay_published,
}
