"""The stages of a replay, in order: what a run kept, from its manifest to what analysts see, made again and compared.

Every file of a run belongs to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from features.fitted import Fitted
from jobs.editions import edition_of
from jobs.evidence.golden import golden_rows_differing, other_environment, read_golden_night
from jobs.steps.scoring import (
    differing_columns,
    load_model,
    matching_features,
    night_batches,
    raw_of,
    run_inputs,
    score_batches,
)
from jobs.store.batches import BATCH_ROWS, RowsFile, column_digests, in_batches, in_memory, open_rows_file
from jobs.store.digest import TypeNotEncodable, combine, rows_digest, type_name
from jobs.store.documents import read_document
from jobs.store.events import read_chain
from jobs.store.marks import inspect_marks
from jobs.store.objects import (
    ObjectDamaged,
    ObjectMissing,
    check_seals,
    object_path,
    read_rows,
    require_rows,
)
from jobs.store.opening import in_store, scan_tables
from jobs.store.registry import ModelMissing, read_lock_file, read_version
from jobs.store.runs import FEATURES_FILE, SCORES_FILE, RunDamaged, read_run
from jobs.store.snapshots import SnapshotMissing, read_snapshot
from jobs.store.views import open_published, publication_rows, run_rows
from jobs.warehouse.engine import first_line
from models.kernel.choice import LIGHTGBM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from jobs.definition import Job
    from jobs.evidence.golden import Differences
    from jobs.store.events import Chain
    from jobs.store.home import Home
    from jobs.store.objects import FileSeal
    from jobs.store.registry import ModelVersion
    from jobs.store.runs import Run
    from jobs.store.snapshots import Partition, Snapshot, TableSnapshot
    from models.booster import Floats
    from models.ensemble import Scorer

    type Columns = tuple[tuple[str, str], ...]


class ReplayDiffers(Exception):
    """A replay gave something else than what was kept."""


@dataclass(slots=True)
class Proven:
    """What replays before this one found whole, and none after them looks at again: nothing that is of one run alone.

    Objects by their path, with the columns that their rows have; versions, with their models and what is another here,
    and those of them whose golden rows gave the same bits, by engine; chains of events, by job.
    """

    objects: dict[Path, tuple[FileSeal, Columns]] = field(default_factory=dict)
    versions: dict[tuple[str, str], tuple[ModelVersion, Scorer, Differences]] = field(default_factory=dict)
    golden: set[tuple[str, str, str]] = field(default_factory=set)
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
    model: Scorer | None = None
    features: RowsFile | None = None
    raw: Floats | None = None
    scores: RowsFile | None = None

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
    """The snapshot's manifest, marks and the record of when it was taken are whole, and describe what its name says."""
    inputs = replay.run.inputs
    folder = replay.home.snapshots(inputs.job, inputs.as_of) / inputs.snapshot_digest
    try:
        replay.taken = read_snapshot(replay.home, inputs.job, inputs.as_of, inputs.snapshot_digest)
    except SnapshotMissing as gone:
        raise ObjectMissing(f"{gone}; restore it from a backup") from None
    read_document(folder / "taken.json", _TAKEN)
    inspect_marks(folder)


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
    replay.job = edition_of(replay.job, version)


def _read_version(replay: Replay) -> tuple[ModelVersion, Scorer, Differences]:
    """The version that the run names, each of its files read and checked."""
    try:
        version = read_version(replay.home, replay.job.name, replay.run.inputs.model_version)
    except ModelMissing as gone:
        raise ObjectMissing(f"{gone}; restore it from a backup") from None
    model = load_model(replay.home, version)
    read_lock_file(replay.home, version)
    return version, model, other_environment(replay.job.project, replay.home, version)


def replay_golden_rows(replay: Replay) -> None:
    """The version's golden rows and golden night are whole, and it gives each of the rows the same bits."""
    version = _had(replay.version)
    model = _scorer(replay)
    engines = {LIGHTGBM, model.engine_for(replay.run.row_count).partition(":")[0]}  # those that score here
    asked = [each for each in sorted(engines) if (replay.job.name, version.version, each) not in replay.proven.golden]
    if not asked:
        return
    differing = max(golden_rows_differing(replay.job, replay.home, version, model.only(engine)) for engine in asked)
    read_golden_night(replay.home, version)
    if differing:
        raise ReplayDiffers(
            f"model {version.version} gives {differing} of {version.golden.rows} golden rows another raw score than "
            "when it was trained"
        )
    replay.proven.golden.update((replay.job.name, version.version, engine) for engine in asked)


def replay_features(replay: Replay) -> None:
    """The kept features are whole, and the rows, built again, are these, batch by batch and column by column."""
    run = replay.run
    kept = _kept_file(replay, FEATURES_FILE) if FEATURES_FILE in run.files else None  # by policy, a run may keep none
    if kept and (kept.digest, kept.columns) != (run.features_digest, run.feature_digests):
        raise RunDamaged(f"{kept.path} has another digest than the manifest beside it says")
    matching_features(replay.job, _had(replay.version))
    tables = scan_tables(in_store(replay.home), _had(replay.taken))
    built = night_batches(replay.job, tables, run.inputs.as_of)
    if kept:
        _require_same_rows(kept, built)
    replay.features = kept or in_memory(pl.concat(built))
    if replay.features.digest != run.features_digest:
        raise ReplayDiffers(differing_columns(run.feature_digests, replay.features.columns))


def replay_raw_scores(replay: Replay) -> None:
    """The raw scores, computed again of rows that are what was built again, have the digest that was kept."""
    run, features = replay.run, _had(replay.features)
    fitted = Fitted.from_json(_had(replay.version).fitted)
    raw = raw_of(replay.job, features, fitted, _scorer(replay))
    key = [each for each in features.columns if each[0] in replay.job.key]
    found = combine(len(raw), [*key, *column_digests(pl.DataFrame({"raw_score": raw}))])
    if found != run.scores_digest:
        raise ReplayDiffers(f"the scores digest is {found}, kept was {run.scores_digest}")
    replay.raw = raw


def replay_scores(replay: Replay) -> None:
    """The kept table of scores (score, rank and all) is whole, and is the replay's, row by row."""
    run, kept = replay.run, _kept_file(replay, SCORES_FILE)
    if (kept.digest, kept.rows) != (run.published_digest, run.row_count):
        raise RunDamaged(f"{kept.path} has another digest than the manifest beside it says")
    made = score_batches(replay.job, _had(replay.features), _had(replay.raw), run.inputs, _scorer(replay))
    _require_same_rows(kept, made)
    replay.scores = kept


def _require_same_rows(kept: RowsFile, made: Iterator[pl.DataFrame]) -> None:
    """Pass if what was made again is what was kept, a batch at a time.

    Raises:
        ReplayDiffers: naming the columns that differ in the first batch that does.
    """
    rows = 0
    for before, now in zip_longest(kept.batches(), in_batches(made)):
        if before is None or now is None or before.height != now.height:
            heights = rows + (0 if before is None else before.height), rows + (0 if now is None else now.height)
            raise ReplayDiffers(f"{heights[1]} rows or more came out, {heights[0]} or more were kept")
        if not _same(before, now):
            raise ReplayDiffers(differing_columns(column_digests(before), column_digests(now)))
        rows += now.height


def _same(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return rows_digest(one) == rows_digest(other)


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
    """What analysts see of the run there, in key order, is the kept table (the replay's) and when it was shown."""
    run, column = (replay.run.run_id, "run_id") if relation.endswith("_history") else (replay.run.inputs.as_of, "as_of")
    key = ", ".join(f'"{name}"' for name in replay.job.key)
    asked = f'FROM "{relation}" WHERE {column} = $asked ORDER BY {key}'
    reader = con.sql(asked, params={"asked": run}).to_arrow_reader(BATCH_ROWS)
    at = datetime.fromisoformat(chain.first_shown()[replay.run.run_id].at)
    for expected, found in zip_longest(_had(replay.scores).batches(), in_batches(_frames(reader))):
        shown = None if expected is None else expected.with_columns(scored_at=pl.lit(at, pl.Datetime("us", "UTC")))
        if shown is None or found is None or not _same(found, shown):
            raise ReplayDiffers(f"{replay.home.published} shows other rows of the run in {relation}; {_ANEW}")


def _frames(reader: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    """What a reader returns, and after it no row: so there is a frame that says which columns there are.

    `schema.empty_table()` would say so too, and import pandas wherever it is: half a second.
    """
    yield from (pl.DataFrame(batch) for batch in reader)
    yield pl.DataFrame(reader.read_all())


def _kept_file(replay: Replay, name: str) -> RowsFile:
    """One of the run's files, which is bit for bit what its manifest says, and the digests of its rows.

    One batch is held in memory, as when it was written.
    """
    seal, path = replay.run.files.get(name), replay.folder / name
    if seal is None:
        raise RunDamaged(f"{replay.folder / 'manifest.json'} names no {name}; restore it from a backup")
    return open_rows_file(path, seal)


def _scorer(replay: Replay) -> Scorer:
    """The model that an earlier stage loaded; a union of classes is not what `_had` can infer."""
    assert replay.model is not None, "stages run in order"  # noqa: S101  a bug of ours
    return replay.model


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
