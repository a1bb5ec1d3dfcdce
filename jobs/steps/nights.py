"""Nights: which are to be scored, scoring each, and making its scores visible."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.availability import met_json
from jobs.editions import edition_of
from jobs.environment import code, environment, host, lock_sha256, processor
from jobs.evidence.golden import GoldenNightDiffers, GoldenRowsDiffer, ready
from jobs.exits import Failure, failure_of, known_failures
from jobs.kill_points import reach
from jobs.project import place_of
from jobs.screen import silent
from jobs.steps.begun import require_begun
from jobs.steps.gate import gate_of
from jobs.steps.scoring import matching_features, run_inputs, score_snapshot, unseen_share
from jobs.steps.snapshots import find_kept, take_snapshot
from jobs.store.events import NIGHTLY, PUBLISHED, RECORDED, Chain, append, read_chain
from jobs.store.home import staging
from jobs.store.locks import Busy, locked
from jobs.store.objects import check_seals
from jobs.store.registry import read_version
from jobs.store.runs import Run, ScoresDiffer, find_run, keep_run, read_run, run_folder
from jobs.store.snapshots import read_snapshot
from jobs.store.views import refresh_views
from jobs.telling.log import SILENT
from jobs.warehouse.addresses import publishes_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from jobs.definition import Job
    from jobs.evidence.golden import Ready
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.steps.gate import Gate
    from jobs.steps.scoring import Scored
    from jobs.store.documents import Json
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot
    from jobs.telling.log import Log

MOST_NIGHTS = 40
INCOMPLETE = 3
_DAY = timedelta(days=1)
_OF_THE_NIGHT = {65, 81}
_OF_THE_SERVER = 69  # what was of no use just now is not waited for again
_OF_THE_DISK = 74  # what may not have been written is not written again, nor shown
_OF_THE_ENVIRONMENT = (GoldenRowsDiffer, GoldenNightDiffers)  # 81 too, but no night is scored here


class OptionsContradict(Exception):
    """Options that cannot stand together."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one night; one that is `last` leaves those after it untried, for they would fare no better.

    `waiting` nights begin with it that were left to the next run; `unseen` is the share of rows with an unseen label.
    """

    job: str
    as_of: date
    status: str
    run: Run | None = None
    ready: Ready | None = None
    failure: Failure | None = None
    history_only: bool = False
    last: bool = False
    waiting: int = 0
    unseen: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How nights are to be scored: by which model, from which rows, and whether analysts shall see them.

    `accept_rows` lets tables through whose row counts are far from the usual.
    """

    reason: str
    restate: bool = False
    model: str | None = None
    show: bool = True
    hindsight: bool = False
    accept_rows: bool = False


def wish_of(*, model: str | None, publish: bool, hindsight: bool, restate: bool, accept_rows: bool = False) -> Wish:
    """What the options of a backfill ask for: another model's run goes to the history only, unless it is published.

    Raises:
        OptionsContradict: if --publish or --hindsight stand without a model.
    """
    if model is None and (publish or hindsight):
        raise OptionsContradict("--publish and --hindsight say what to do with another model; name it with --model")
    reason = "restate" if restate else "backfill"
    show = publish or model is None
    return Wish(reason, restate=restate, model=model, show=show, hindsight=hindsight, accept_rows=accept_rows)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who scores: the job, the settings of this process, the home, the jobs whose views are rebuilt."""

    job: Job
    settings: Settings
    home: Home
    all_jobs: Sequence[Job]
    threads: int = 1
    tell: Tell = silent
    log: Log = SILENT
    proven: dict[str, Ready] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The day that it is in the job's zone."""
        return self.settings.today(self.job.calendar)


def plan(chain: Chain, today: date) -> tuple[tuple[date, ...], int]:
    """Which nights the nightly command scores, oldest first, and how many more wait; touches nothing.

    On the first run: today only. Afterwards: every night since the first that is neither published nor skipped.
    """
    first = chain.first_nightly()
    if first is None or today <= first:
        return (today,), 0
    closed = chain.closed()
    nights = (first + n * _DAY for n in range((today - first).days + 1))
    open_nights = [night for night in nights if night not in closed or night == today]
    return tuple(open_nights[:MOST_NIGHTS]), max(0, len(open_nights) - MOST_NIGHTS)


def span(first: date, last: date | None) -> tuple[date, ...]:
    """The nights from `first` to `last`, both included; only the first if there is no last.

    Raises:
        OptionsContradict: if the last comes before the first.
    """
    if last is not None and last < first:
        raise OptionsContradict(f"--until {last} comes before --as-of {first}")
    return tuple(first + n * _DAY for n in range(((last or first) - first).days + 1))


def run_jobs(
    desks: Sequence[Desk], as_of: date | None, wait_s: float = 0.0, *, accept_rows: bool = False
) -> list[Outcome]:
    """The nightly command for several jobs: one that cannot work does not stop the others.

    Nor does a bug in the features that somebody's project has for one: it is raised once the others are done.
    """
    if len(desks) == 1:
        return run_nightly(desks[0], as_of or desks[0].today, wait_s, accept_rows=accept_rows)
    outcomes: list[Outcome] = []
    bugs: list[Exception] = []
    for desk in desks:
        try:
            outcomes += run_nightly(desk, as_of or desk.today, wait_s, accept_rows=accept_rows)
        except known_failures() as error:
            outcomes.append(Outcome(desk.job.name, as_of or desk.today, "failed", failure=failure_of(error)))
        except Exception as error:
            if not place_of(error):
                raise
            bugs.append(error)
    for bug in bugs:
        raise bug
    return outcomes


def run_nightly(desk: Desk, as_of: date, wait_s: float = 0.0, *, accept_rows: bool = False) -> list[Outcome]:
    """Score the missed nights and then `as_of`, oldest first; a night that fails does not stop those after it."""
    require_begun(desk.job, desk.settings, as_of)
    with _at_work(desk, wait_s):
        chain = read_chain(desk.home, desk.job.name)
        nights, waiting = plan(chain, as_of)
        outcomes = list(_each(desk, nights, Wish(reason=NIGHTLY, accept_rows=accept_rows)))
    codes = {outcome.failure.code for outcome in outcomes if outcome.failure}
    if _OF_THE_DISK not in codes:
        make_visible(desk, server=_OF_THE_SERVER not in codes)  # what a kill, or a move of the home, left to do
    return outcomes if not waiting else [*outcomes, _too_many(desk.job, nights[-1] + _DAY, as_of, waiting)]


def backfill(desk: Desk, nights: Sequence[date], wish: Wish, wait_s: float = 0.0) -> list[Outcome]:
    """Score given nights again, letting go of the job's lock between them."""
    outcomes: list[Outcome] = []
    for night in nights:
        require_begun(desk.job, desk.settings, night)
    for done, night in enumerate(nights):
        try:
            with _at_work(desk, wait_s):
                outcomes += _each(desk, (night,), wish, done / len(nights))
        except Busy as busy:
            if not outcomes:
                raise
            outcomes.append(Outcome(desk.job.name, night, "failed", failure=failure_of(busy), last=True))
        if outcomes[-1].last:
            break
    return outcomes


@contextmanager
def _at_work(desk: Desk, wait_s: float) -> Iterator[None]:
    """Hold the job's lock; how long it was waited for is a phase."""
    with ExitStack() as held:
        with desk.log.of(job=desk.job.name).phase("lock"):
            held.enter_context(locked(desk.home.lock(desk.job.name), wait_s))
        yield


def _each(desk: Desk, nights: Sequence[date], wish: Wish, share: float = 0.0) -> Iterator[Outcome]:
    """Score nights in order. What is wrong with one night leaves the others; what is wrong with the place ends it."""
    for done, night in enumerate(nights):
        desk.tell(f"scoring {desk.job.name} as of {night}", share + done / len(nights))
        outcome = _outcome(desk, night, wish)
        _log_night(desk.log, outcome)
        yield outcome
        if outcome.last:
            return


def _outcome(desk: Desk, night: date, wish: Wish) -> Outcome:
    """What becomes of a night, scored or failed, and how long that took."""
    began = time.monotonic()
    try:
        outcome = score_night(desk, night, wish)
    except known_failures() as error:
        failure = failure_of(error)
        if failure is None:
            raise
        last = failure.code not in _OF_THE_NIGHT or isinstance(error, _OF_THE_ENVIRONMENT)
        outcome = Outcome(desk.job.name, night, "failed", failure=failure, last=last)
    return replace(outcome, seconds=time.monotonic() - began)


def _log_night(log: Log, outcome: Outcome) -> None:
    night, run, failure = log.of(job=outcome.job, as_of=outcome.as_of), outcome.run, outcome.failure
    ms = round(1000 * (outcome.seconds or 0))
    if failure:
        why = {"code": failure.code, "name": failure.name, "message": failure.message}
        night.say("night", "error", ms=ms, status=outcome.status, **why)
    else:
        found = {"run_id": run.run_id, "rows": run.row_count, "model": run.inputs.model_version} if run else {}
        night.say("night", ms=ms, status=outcome.status, **found)


def score_night(desk: Desk, as_of: date, wish: Wish) -> Outcome:
    """Score every entity of the job as of a date and publish; the caller holds the job's lock.

    Raises:
        ScoresDiffer: if the same run gave other scores before.
    """
    job, home, log = desk.job, desk.home, desk.log.of(job=desk.job.name, as_of=as_of)
    chain = read_chain(home, job.name)
    if wish.reason == NIGHTLY and as_of in chain.closed():
        return _closed(desk, chain, as_of)
    version = _version(job, home, chain, as_of, wish)
    desk = replace(desk, job=edition_of(job, version))
    job = desk.job
    matching_features(job, version)  # this and the next before anything is taken from the warehouse
    with log.phase("model"):
        prepared = _ready(desk, version)
    gate = gate_of(job, home, chain, as_of, accept=wish.accept_rows)
    with log.phase("snapshot") as line:
        snapshot = snapshot_to_score(
            job, desk.settings, home, chain, as_of,
            sql=version.sql_fingerprints, restate=wish.restate, gate=gate, log=log,
        )  # fmt: skip
        line.update(rows=snapshot.rows, bytes=snapshot.size)
    log = log.of(run_id=run_inputs(job, snapshot, version).run_id)
    with staging(home) as staged:
        folder = staged / "run"
        folder.mkdir()
        scored = score_snapshot(
            job, home, snapshot, version, prepared.model, folder, desk.threads, log, accept_rows=wish.accept_rows
        )
        with log.phase("keep") as line:
            run = keep_scored(desk, scored, folder, prepared)
            line.update(rows=run.row_count, bytes=run.size)
    reach("run-kept")
    with log.phase("publish"):
        status = _show(desk, chain, run, wish, rows_accepted=bool(gate.far) or any(each.far for each in scored.met))
    reach("published")
    with log.phase("views"):
        make_visible(desk)
    unseen = unseen_share(scored)
    return Outcome(job.name, as_of, status, run, ready=prepared, history_only=not wish.show, unseen=unseen)


def make_visible(desk: Desk, *, server: bool = True) -> None:
    """Show what the events say: in the database of the home, and in the score tables of a server; twice is once."""
    refresh_views(desk.home, desk.all_jobs)
    address = desk.settings.warehouse
    if server and publishes_tables(address):
        from jobs.warehouse.servers.score_tables import publish_tables  # noqa: PLC0415  a file needs no driver

        publish_tables(address, desk.home, desk.all_jobs, desk.tell)


def _ready(desk: Desk, version: ModelVersion) -> Ready:
    """The version's model, proven equal here; once a process, however many nights it scores."""
    if version.version not in desk.proven:
        desk.proven[version.version] = ready(desk.job, desk.home, version)
    return desk.proven[version.version]


def _closed(desk: Desk, chain: Chain, as_of: date) -> Outcome:
    """A night that needs nothing: what analysts see for it, or that it was skipped."""
    shown = chain.current().get(as_of)
    if shown is None or shown.run_id is None:
        return Outcome(desk.job.name, as_of, "skipped")
    run = read_run(desk.home.runs(desk.job.name, as_of) / shown.run_id)
    return Outcome(desk.job.name, as_of, "already_published", run)


def _version(job: Job, home: Home, chain: Chain, as_of: date, wish: Wish) -> ModelVersion:
    version = read_version(home, job.name, wish.model or chain.champion(as_of))
    if not wish.hindsight:
        require_no_hindsight(version, as_of)
    if version.as_of > as_of and wish.show:
        raise OptionsContradict("a run with --hindsight never becomes current; leave out --publish")
    return version


def require_no_hindsight(version: ModelVersion, as_of: date) -> None:
    """Pass if the version was trained on nothing that came after the night.

    Raises:
        OptionsContradict: saying how to score with it all the same.
    """
    if version.as_of > as_of:
        raise OptionsContradict(
            f"model {version.version} was trained after {as_of}: it has seen what came later. Add --hindsight (from "
            "Python: hindsight=True) to score with it all the same; such a run never becomes current"
        )


def snapshot_to_score(
    job: Job,
    settings: Settings,
    home: Home,
    chain: Chain,
    as_of: date,
    *,
    sql: Mapping[str, str] | None = None,
    restate: bool = False,
    gate: Gate | None = None,
    log: Log = SILENT,
) -> Snapshot:
    """The rows to score: a new look, or those of the current run, or the newest kept, or else a new look.

    Where the SQL of a model is given, rows of the current run that other SQL took are not the ones to score.
    Only the rows of the current run passed the gate already; kept ones that it refuses are looked at again.
    """
    if not restate:
        shown = chain.current().get(as_of)
        if shown is not None and shown.run_id is not None:
            run = read_run(home.runs(job.name, as_of) / shown.run_id)
            snapshot = read_snapshot(home, job.name, as_of, run.inputs.snapshot_digest)
            if sql is None or snapshot.taken_by(sql):
                return snapshot
        kept = find_kept(job, home, as_of, first_night=as_of)
        if kept is not None and (gate is None or gate.lets_through(kept)):
            return kept
    require = gate.require_usual if gate else None
    return take_snapshot(job, settings, home, as_of, require=require, recognise=not restate, log=log).snapshot


def keep_scored(desk: Desk, scored: Scored, folder: Path, prepared: Ready) -> Run:
    """Keep a run's written files with manifest and execution record; one that is kept must have the same scores.

    Raises:
        ScoresDiffer: if it has not.
    """
    kept = find_run(desk.home, scored.inputs)
    if kept is not None:
        if kept.scores_digest != scored.scores_digest:
            raise ScoresDiffer(
                f"run {kept.run_id} as of {scored.inputs.as_of} gave other scores than when it was kept; nothing is "
                f"published. Ask: score verify {kept.run_id}"
            )
        check_seals({run_folder(desk.home, kept.inputs) / name: seal for name, seal in kept.files.items()})
        return kept
    reach("run-files-written")
    run = Run(
        inputs=scored.inputs,
        row_count=scored.scores.rows,
        feature_digests=scored.features.columns,
        features_digest=scored.features.digest,
        scores_digest=scored.scores_digest,
        published_digest=scored.scores.digest,
        files={rows.path.name: rows.seal for rows in (scored.scores, scored.features)},
    )
    keep_run(desk.home, run, folder, _execution(desk, scored, prepared))
    return run


def _execution(desk: Desk, scored: Scored, prepared: Ready) -> dict[str, Json]:
    return {
        "at": desk.settings.clock().isoformat(),
        "code": code(desk.job.project),
        "columns_met": met_json(scored.met),
        "environment": environment(),
        "equal_to_training": prepared.to_json(),
        "host": host(desk.job.project),
        "lock_sha256": lock_sha256(desk.job.project),
        "processor": processor(),
        "scored_by": prepared.model.engine_for(scored.features.rows, desk.threads),
        "threads": desk.threads,
        "unseen_labels": dict(scored.unseen),
    }


def _show(desk: Desk, chain: Chain, run: Run, wish: Wish, *, rows_accepted: bool) -> str:
    """Append the event that makes the run visible, unless it is visible so already; returns the outcome's status.

    Rows that were accepted once are so in every run that they are scored in.
    """
    as_of = run.inputs.as_of
    shown = chain.current().get(as_of)
    again = shown is not None and shown.rows_accepted and not wish.restate
    known = run.run_id in chain.first_shown()
    if (shown is not None and shown.run_id == run.run_id) or (known and not wish.show):
        return "already_published"
    kind = PUBLISHED if wish.show else RECORDED
    append(
        desk.home, chain, kind,
        at=desk.settings.clock(), reason=wish.reason, as_of=as_of, run_id=run.run_id,
        model_version=run.inputs.model_version, rows_accepted=rows_accepted or again,
    )  # fmt: skip
    return "published"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 if every night is done; the failure's code if none is; 3 if some are."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if not failures:
        return 0
    return failures[0].code if len(failures) == len(outcomes) else INCOMPLETE


def _too_many(job: Job, first: date, last: date, waiting: int) -> Outcome:
    message = (
        f"{waiting} more nights from {first} to {last} wait; run again: at most {MOST_NIGHTS} nights are done at once"
    )
    return Outcome(job.name, first, "failed", failure=Failure(INCOMPLETE, message), waiting=waiting)
