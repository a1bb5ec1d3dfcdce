"""Verifying: replay a run from what it kept, without the warehouse, and name the first stage that differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb

from jobs.exits import failure_of, known_failures
from jobs.steps.scoring import (
    build_night,
    column_digests,
    differing_columns,
    load_model,
    matching_features,
    run_inputs,
    score_frame,
)
from jobs.store.digest import rows_digest
from jobs.store.events import read_chain
from jobs.store.objects import FileSeal, check_seals, object_path, read_rows
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import read_model_text, read_version
from jobs.store.runs import SCORES_FILE, RunMissing, find_folder, kept_runs, read_run, run_folder
from jobs.store.snapshots import read_snapshot
from jobs.store.views import open_published
from jobs.warehouse.engine import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import polars as pl

    from jobs.definition import Job
    from jobs.exits import Failure
    from jobs.screen import Tell
    from jobs.steps.scoring import Scored
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.runs import Run
    from jobs.store.snapshots import Snapshot

STAGES = ("objects", "snapshot", "model", "features", "raw_scores", "scores", "published")
DIFFERS, INTEGRITY = 81, 80


class ReplayDiffers(Exception):
    """A replay gave something else than what was kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the replay of one run found; a divergence names the stage, and what differs in it."""

    job: str
    as_of: str
    run_id: str
    first_divergence: str | None = None
    detail: str = ""
    code: int = 0

    @property
    def identical(self) -> bool:
        """Whether every stage gave what was kept."""
        return self.first_divergence is None


@dataclass(slots=True)
class _Replay:
    """One replay as it goes: what each stage leaves for the next."""

    job: Job
    home: Home
    folder: Path
    kept: Run | None = None
    snapshot: Snapshot | None = None
    version: ModelVersion | None = None
    frame: pl.DataFrame | None = None
    scored: Scored | None = None

    @property
    def run(self) -> Run:
        """The run, once the first stage has read its manifest."""
        return _had(self.kept)


def verify_runs(
    jobs: Sequence[Job], home: Home, run_ids: Sequence[str], *, everything: bool, tell: Tell
) -> list[Verdict]:
    """Replay the runs that are named, or all, or else the one that was shown last of each job."""
    by_name = {job.name: job for job in jobs}
    chosen = _chosen(home, tuple(by_name), run_ids, everything=everything)
    verdicts = []
    for done, folder in enumerate(chosen):
        job, as_of = folder.parent.parent.name, folder.parent.name
        tell(f"replaying {job} as of {as_of}", done / len(chosen))
        verdicts.append(verify_run(by_name[job], home, folder))
    return verdicts


def _chosen(home: Home, jobs: Sequence[str], run_ids: Sequence[str], *, everything: bool) -> list[Path]:
    """The folders of the runs to replay; what lies in them is looked at by the replay."""
    if run_ids:
        return [find_folder(home, run_id, jobs) for run_id in run_ids]
    if everything:
        return list(kept_runs(home, jobs))
    shown = [(job, list(read_chain(home, job).current().values())) for job in jobs]
    newest = [(job, max(events, key=lambda event: event.seq)) for job, events in shown if events]
    if not newest:
        raise RunMissing("nothing was published yet, so there is nothing to verify; see: score run")
    return [home.runs(job, event.as_of) / str(event.run_id) for job, event in newest]


def verify_run(job: Job, home: Home, folder: Path) -> Verdict:
    """Replay the run that lies in a folder, stage by stage, in order, up to the first that differs."""
    replay = _Replay(job, home, folder)
    verdict = Verdict(job.name, folder.parent.name, folder.name)
    for stage in STAGES:
        try:
            _CHECKS[stage](replay)
        except known_failures() as error:
            failure = failure_of(error)
            if failure is None:
                raise
            return replace(verdict, first_divergence=stage, detail=failure.message, code=_code(failure))
    return verdict


def _code(failure: Failure) -> int:
    return failure.code if failure.code in {INTEGRITY, DIFFERS} else DIFFERS


def _objects(replay: _Replay) -> None:
    """Every stored file of the run, its snapshot and its model is, bit for bit, what was written."""
    home, folder = replay.home, replay.folder
    run = replay.kept = read_run(folder)
    snapshot = read_snapshot(home, run.inputs.job, run.inputs.as_of, run.inputs.snapshot_digest)
    seals: dict[Path, FileSeal] = {folder / name: seal for name, seal in run.files.items()}
    check_seals(seals | snapshot.seals(home))
    replay.snapshot = snapshot


def _snapshot(replay: _Replay) -> None:
    """The digests of its rows, computed again, are those of its manifest."""
    for table in _had(replay.snapshot).tables:
        paths = [object_path(replay.home.objects, part.digest) for part in table.partitions]
        rows, begin = read_rows(paths), 0
        for part, path in zip(table.partitions, paths, strict=True):
            if rows_digest(rows.slice(begin, part.rows)) != part.digest:
                raise ReplayDiffers(f"{table.name}: the rows of {path} have another digest than their name")
            begin += part.rows


def _model(replay: _Replay) -> None:
    """The model version is whole, and is the one that the run names."""
    version = read_version(replay.home, replay.job.name, replay.run.inputs.model_version)
    read_model_text(replay.home, version)
    if run_inputs(replay.job, _had(replay.snapshot), version) != replay.run.inputs:
        raise ReplayDiffers("the run names other SQL, features or model than its snapshot and its model version do")
    replay.version = version


def _features(replay: _Replay) -> None:
    """The feature frame, built again, has the digests that were kept, column by column."""
    matching_features(replay.job, _had(replay.version))
    tables = read_tables(in_store(replay.home), _had(replay.snapshot))
    frame = build_night(replay.job, tables, replay.run.inputs.as_of)
    if rows_digest(frame) != replay.run.features_digest:
        raise ReplayDiffers(differing_columns(replay.run.feature_digests, column_digests(frame)))
    replay.frame = frame


def _raw_scores(replay: _Replay) -> None:
    """The raw scores, computed again, have the digest that was kept."""
    version = _had(replay.version)
    model = load_model(replay.home, version)
    scored = score_frame(replay.job, _had(replay.frame), replay.run.inputs, version, model)
    if scored.scores_digest != replay.run.scores_digest:
        raise ReplayDiffers(f"the scores digest is {scored.scores_digest}, kept was {replay.run.scores_digest}")
    replay.scored = scored


def _scores(replay: _Replay) -> None:
    """The kept table of scores (score, rank and all) is the replay's, row by row."""
    kept = read_rows([run_folder(replay.home, replay.run.inputs) / SCORES_FILE])
    if rows_digest(kept) != replay.run.published_digest:
        raise ReplayDiffers("the kept score table has another digest than its manifest says")
    if rows_digest(_had(replay.scored).scores) != replay.run.published_digest:
        raise ReplayDiffers("scores or ranks differ, though the raw scores are the same")


def _published(replay: _Replay) -> None:
    """What analysts see of the run is the replay's, row by row; a run that was never shown has nothing there."""
    if replay.run.run_id not in read_chain(replay.home, replay.job.name).first_shown():
        return
    query = f'SELECT * EXCLUDE (scored_at) FROM "{replay.job.name}_history" WHERE run_id = $run'  # noqa: S608
    try:
        with open_published(replay.home, [replay.job]) as con:
            seen = con.sql(query, params={"run": replay.run.run_id}).pl()
    except duckdb.Error as error:
        said = first_line(error)
        raise ReplayDiffers(f"{replay.home.published} cannot be read: {said}; score run builds it anew") from None
    if rows_digest(seen.sort(replay.job.key)) != rows_digest(_had(replay.scored).scores):
        raise ReplayDiffers(f"{replay.home.published} shows other rows of the run than the replay gives")


def _had[T](left: T | None) -> T:
    """What an earlier stage left."""
    assert left is not None, "stages run in order"  # noqa: S101  a bug of ours
    return left


_CHECKS: dict[str, Callable[[_Replay], None]] = {
    "objects": _objects,
    "snapshot": _snapshot,
    "model": _model,
    "features": _features,
    "raw_scores": _raw_scores,
    "scores": _scores,
    "published": _published,
}
