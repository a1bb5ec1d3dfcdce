"""Checks of each job, in the order in which a night needs what they look at; and, afterwards, of what analysts see."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from features.fitted import declared
from jobs.definition import job_names, load_job
from jobs.doctor.checking import Check, NotYet
from jobs.doctor.of_the_place import OwnerWrong, is_free
from jobs.editions import edition_of, editions_of
from jobs.queries.declaration import Role
from jobs.queries.released import require_released
from jobs.store.events import read_chain
from jobs.store.objects import ObjectDamaged, check_seals
from jobs.store.registry import (
    GOLDEN_ROWS,
    read_lock_file,
    read_model_texts,
    read_training_record,
    read_version,
    version_folder,
)
from jobs.store.views import shown_state, wanted_state
from jobs.warehouse.addresses import publishes_tables
from jobs.warehouse.bounds import bounded
from jobs.warehouse.engine import connect, first_line
from jobs.warehouse.opening import examine_warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.definition import Job
    from jobs.doctor.checking import Patient

_DAY = timedelta(days=1)
_TOLERATED = timedelta(minutes=5)
_HOLDER_BYTES = 200


class ViewsBehind(Exception):
    """Analysts do not see what the events say."""


class ClockWrong(Exception):
    """The clock says that something recorded has not happened yet."""


def definition(patient: Patient, name: str) -> str:
    """The job's TOML, its feature module and its parameters can be used."""
    job = load_job(name, patient.project)
    sets = [each.features().FEATURE_SET for each in editions_of(job)]
    for each, feature_set in zip(editions_of(job), sets, strict=True):
        declared(getattr(each.features(), "TRANSFORMS", ()), feature_set)
    parameters, features = job.parameters(), sets[0]
    patient.jobs[name] = job
    earlier = f"; earlier: {', '.join(f'version {each.version}' for each in sets[1:])}" if sets[1:] else ""
    named = f"{features.name} version {features.version}, {len(features.names)} columns"
    return f"{named}, {parameters.rounds} trees{earlier}"


def sql(patient: Patient, name: str) -> str:
    """Its SQL is released and unedited."""
    every = {query.path: query for job in editions_of(patient.jobs[name]) for query in job.queries()}
    for query in every.values():
        require_released(query)
    patient.queries[name] = patient.jobs[name].queries()
    return f"{len(every)} queries, released and unedited"


def lock(patient: Patient, name: str) -> str:
    """Who works on the job now; a busy job is no fault."""
    path = patient.home.lock(name)
    if is_free(path):
        return "free"
    with path.open("rb") as file:
        holder = file.read(_HOLDER_BYTES).decode(errors="replace")
    return f"held by {holder or 'a process that is just starting'}"


def warehouse(patient: Patient, name: str) -> str:
    """It can be read, and has the tables and columns that each query asks for; no row is read."""
    job, address = patient.jobs[name], patient.settings.warehouse
    as_of = patient.settings.today(job.calendar)
    asks = bounded(patient.queries[name], as_of, as_of - _DAY, job.horizon_days)
    examine_warehouse(address, job, asks, patient.home.root / "staging")
    return f"{address} has what {len(asks)} queries ask for"


def events(patient: Patient, name: str) -> str:
    """The job's chain of events is whole."""
    chain = patient.chains[name] = read_chain(patient.home, name)
    last = f", the last at {chain.events[-1].at}" if chain.events else ""
    return f"{len(chain.events)} in a whole chain{last}"


def nights(patient: Patient, name: str) -> str:
    """What the clock says, and how many nights are missed; the next run catches up, so that is no fault."""
    from jobs.steps.nights import plan  # noqa: PLC0415  it loads LightGBM, which may not load

    job, chain, told = patient.jobs[name], patient.chains[name], patient.settings
    newest = max((datetime.fromisoformat(event.at) for event in chain.events), default=told.now)
    if newest > told.now + _TOLERATED:
        raise ClockWrong(f"the clock says {told.now.isoformat()}, and {newest.isoformat()} is on record; set the clock")
    today = told.today(job.calendar)
    open_nights, waiting = plan(chain, today)
    missed = sum(1 for night in open_nights if night < today) + waiting
    tonight = "closed" if today in chain.closed() else "open"
    pinned = " (SCORE_TODAY)" if told.pinned_today else ""
    return (
        f"{today} in {job.calendar.zone_name}{pinned} is {tonight}; missed before it: {missed or 'none'}; "
        f"the next begins at {job.cutoff(today + _DAY).at.isoformat()}"
    )


def champion(patient: Patient, name: str) -> str:
    """There is one for tonight, every file of it is whole, and it is of this SQL and these features."""
    from jobs.evidence.golden import read_golden_night  # noqa: PLC0415  it loads LightGBM, which may not load
    from jobs.steps.scoring import SqlOfAnotherVersion, matching_features  # noqa: PLC0415

    job, found = patient.jobs[name], patient.home
    version = read_version(found, name, patient.chains[name].champion(patient.settings.today(job.calendar)))
    read_model_texts(found, version)
    read_lock_file(found, version)
    read_training_record(found, version)
    night = read_golden_night(found, version)
    check_seals({version_folder(found, version) / GOLDEN_ROWS: version.golden.rows_seal, **night.seals(found)})
    job = edition_of(job, version)
    matching_features(job, version)
    scoring = [query for query in job.queries() if query.declaration.role is not Role.LABELS]
    others = [query.path.name for query in scoring if version.sql_fingerprints.get(query.table) != query.fingerprint]
    if others:
        raise SqlOfAnotherVersion(
            f"model {version.version} was trained with other SQL than {', '.join(others)}; name the versions of its "
            "training in the job's TOML, or train again and promote"
        )
    patient.champions[name] = version
    return f"{version.version}, whole"


def golden(patient: Patient, name: str) -> str:
    """It gives its golden rows, and in another environment its golden night, the same bits here."""
    from jobs.evidence.golden import ready, side_by_side  # noqa: PLC0415  it loads LightGBM, which may not load

    version = patient.champions[name]
    found = ready(edition_of(patient.jobs[name], version), patient.home, version)
    return f"proven equal by {' and '.join(found.proven_by)}; {side_by_side(found.differences)}"


def scores(patient: Patient, _job: str) -> str | NotYet:
    """Analysts see what the events say, can read it, and cannot write it."""
    found = patient.home
    jobs = _all_jobs(patient)
    chains = [read_chain(found, job.name) for job in jobs]
    path = found.published
    if not path.is_file() and not any(chain.first_shown() for chain in chains):
        return NotYet("nothing was published yet")
    if not all(is_free(found.lock(job.name)) for job in jobs):
        return NotYet("a job is being worked on")
    if shown_state(path) != wanted_state(found, chains):
        raise ViewsBehind(f"{path} does not show what the events say; it is built anew by: score run")
    if path.stat().st_mode & 0o222:
        raise OwnerWrong(f"{path} can be written; chmod a-w {path}")
    shown = [chain.job for chain in chains if chain.current()]
    return f"{path} shows what the events say: {sum(_count(path, job) for job in shown):,} rows of the newest night"


def score_tables(patient: Patient, _job: str) -> str | NotYet:
    """On a server: the job may write the score tables, and they show what the events say."""
    address, found = patient.settings.warehouse, patient.home
    if not publishes_tables(address):
        return "none on a server; analysts open scores.duckdb"
    from jobs.warehouse.servers.score_tables import examine_tables  # noqa: PLC0415  a file needs no driver

    jobs = _all_jobs(patient)
    if not all(is_free(found.lock(job.name)) for job in jobs):
        return NotYet("a job is being worked on")
    missing = examine_tables(address, found, jobs)
    if missing:
        raise ViewsBehind(f"{address}: schema scores lacks {missing} publications; they are added by: score run")
    return f"{address}: schema scores shows what the events say"


def _all_jobs(patient: Patient) -> list[Job]:
    return [load_job(name, patient.project) for name in job_names(patient.project)]


def _count(path: Path, job: str) -> int:
    try:
        with connect(path, read_only=True) as con:
            [(count,)] = con.execute(f'SELECT count(*) FROM "{job}_latest"').fetchall()  # noqa: S608  a name of ours
    except duckdb.Error as error:
        raise ObjectDamaged(f"analysts cannot read {path}: {first_line(error)}; see: score verify --all") from None
    return int(count)


OF_A_JOB = (
    Check("definition", definition),
    Check("sql", sql, needs=("definition",)),
    Check("lock", lock, needs=("home",)),
    Check("warehouse", warehouse, needs=("home", "sql")),
    Check("events", events, needs=("home",)),
    Check("nights", nights, needs=("definition", "events", "engine")),
    Check("champion", champion, needs=("sql", "events", "engine")),
    Check("golden", golden, needs=("champion",)),
)
AFTERWARDS = (
    Check("scores", scores, needs=("home",)),
    Check("tables", score_tables, needs=("home",)),
)
