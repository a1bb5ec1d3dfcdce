"""The score tables in PostgreSQL, schema `scores`: brought to what the chains of events say, one transaction a run.

They are derived: what is missing in them is added from SCORE_HOME, all of it where the schema is gone. So a server that
was down, or a job that was killed, costs nothing but the next run's time.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from jobs.project import sql_root
from jobs.screen import silent
from jobs.store.events import PUBLISHED, RECORDED, read_chain
from jobs.store.objects import check_seals, parquet_rows
from jobs.store.runs import SCORES_FILE, read_run, run_folder
from jobs.store.views import COLUMNS, publication_rows, run_rows
from jobs.warehouse.engine import connect
from jobs.warehouse.extraction import WarehouseForbidden
from jobs.warehouse.names import quoted
from jobs.warehouse.servers.postgres import literal
from jobs.warehouse.servers.reading import persistently
from jobs.warehouse.servers.session import ServerFaltered, StatementRefused, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.definition import Job
    from jobs.screen import Tell
    from jobs.store.events import Chain, Event
    from jobs.store.home import Home
    from jobs.store.runs import Run
    from jobs.warehouse.addresses import ServerAddress
    from jobs.warehouse.servers.session import Session

_LOCK = 7_033_702  # of whoever writes score tables, among the advisory locks of a database
_LONGEST_NAME = 63 - len("_history")
_BATCH_ROWS = 122_880
_TYPES = {
    "VARCHAR": "TEXT",
    "DOUBLE": "DOUBLE PRECISION",
    "TINYINT": "SMALLINT",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
}


class TablesOfAnotherHome(Exception):
    """The score tables show what this home never published."""


class TablesReshaped(Exception):
    """A score table has not the columns that the job writes."""


def publish_tables(address: ServerAddress, home: Home, jobs: Sequence[Job], tell: Tell = silent) -> int:
    """Bring the score tables to what the jobs' events say; returns how many runs and publications were added.

    Raises:
        WarehouseForbidden: if the job may not write there.
        WarehouseUnavailable: if the server does not answer; the next run adds what is missing.
        TablesOfAnotherHome: if they show what the events do not know.
        TablesReshaped: if a table is not as the job made it.
        ObjectDamaged: if a run's file is not what was written; nothing of it is shown.
    """
    chains = [(job, read_chain(home, job.name)) for job in jobs]
    shown = [(job, chain) for job, chain in chains if any(event.kind in _SHOWING for event in chain.events)]
    if not shown:
        return 0

    def attempt() -> int:
        try:
            with open_session(address) as session:
                return sum(_publish(session, home, job, chain, tell) for job, chain in shown)
        except StatementRefused as refused:
            raise TablesReshaped(f"{address}: the score tables are not as the job made them: {refused}") from None

    return persistently(address, attempt, "the scores are kept in SCORE_HOME, and the next run shows them there")


def examine_tables(address: ServerAddress, home: Home, jobs: Sequence[Job]) -> int:
    """How many events of the jobs the score tables do not show yet; whether the job may write them.

    Raises:
        WarehouseForbidden: if it may not; otherwise as `publish_tables`.
    """

    def attempt() -> int:
        with open_session(address) as session:
            if not session.rows(_MAY_WRITE)[0][0]:
                raise WarehouseForbidden(f"{address}: the job may not write the score tables; {_GRANT}")
            return sum(len(_missing(session, job, read_chain(home, job.name))) for job in jobs)

    return persistently(address, attempt)


_GRANT = "as their owner, GRANT CREATE ON DATABASE, or make the schema scores and give it to the job's role"
_MAY_WRITE = """
SELECT CASE WHEN to_regnamespace('scores') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_schema_privilege('scores', 'CREATE, USAGE') END
"""


_SHOWING = frozenset({PUBLISHED, RECORDED})


def _publish(session: Session, home: Home, job: Job, chain: Chain, tell: Tell) -> int:
    missing = _missing(session, job, chain)
    if missing:
        _migrate(session)
    for done, event in enumerate(missing):
        run = read_run(home.runs(job.name, event.as_of) / str(event.run_id))
        tell(f"writing {job.name} as of {event.as_of} to {session.address}", done / len(missing))
        with session.transaction():
            session.rows(f"SELECT pg_advisory_xact_lock({_LOCK})")
            if event in _missing(session, job, chain):  # who held the lock may have written it
                _show(session, home, job, chain, event, run)
    return len(missing)


def _missing(session: Session, job: Job, chain: Chain) -> list[Event]:
    """The events that the tables do not show yet, oldest first.

    Raises:
        TablesOfAnotherHome: if they show other publications than the chain begins with.
    """
    showing = [event for event in chain.events if event.kind in _SHOWING and event.run_id]
    if not session.rows("SELECT to_regclass('scores.runs') IS NOT NULL")[0][0]:
        return showing
    name = literal(job.name)
    runs = {run_id for (run_id,) in session.rows(f"SELECT run_id FROM scores.runs WHERE job = {name}")}  # noqa: S608
    rows = session.rows(f"SELECT seq, as_of, run_id FROM scores.publications WHERE job = {name} ORDER BY seq")  # noqa: S608
    published = [event for event in showing if event.kind == PUBLISHED]
    known = [(event.seq, event.as_of, event.run_id) for event in published]
    if rows != known[: len(rows)]:
        raise TablesOfAnotherHome(
            f"{session.address}: scores.publications shows of {job.name} what this SCORE_HOME did not publish; restore "
            "the newer home, or, if this one counts, DROP SCHEMA scores CASCADE: the next run writes all of it anew"
        )
    waiting = {event.seq for event in published[len(rows) :]}
    return [event for event in showing if event.seq in waiting or event.run_id not in runs]


def _migrate(session: Session) -> None:
    """The schema and the tables that all jobs share."""
    text = (sql_root() / "scores" / "postgres.sql").read_text(encoding="utf-8")
    with session.transaction():
        session.rows(f"SELECT pg_advisory_xact_lock({_LOCK})")
        for statement in filter(None, map(str.strip, text.split(";\n"))):
            session.run(statement)


def _show(session: Session, home: Home, job: Job, chain: Chain, event: Event, run: Run) -> None:
    """Make one event visible: the run's rows where they are new, and which run is current."""
    if not session.rows(f"SELECT 1 FROM scores.runs WHERE run_id = {literal(run.run_id)}"):  # noqa: S608  quoted
        _insert_run(session, home, job, chain, run)
    if event.kind != PUBLISHED:
        return
    of_night = f"job = {literal(job.name)} AND as_of = {_sql(event.as_of)}"
    session.run(f"UPDATE scores.runs SET current = false WHERE {of_night} AND current")  # noqa: S608  quoted
    session.run(f"UPDATE scores.runs SET current = true WHERE run_id = {literal(run.run_id)}")  # noqa: S608  quoted
    row = next(row for row in publication_rows(chain) if row[0] == event.seq)
    session.run(f"INSERT INTO scores.publications VALUES ({', '.join(map(_sql, row))})")  # noqa: S608  quoted


def _insert_run(session: Session, home: Home, job: Job, chain: Chain, run: Run) -> None:
    """The rows of a run, by COPY, and its row in `runs`, not current yet."""
    path = run_folder(home, run.inputs) / SCORES_FILE
    check_seals({path: run.files[SCORES_FILE]})
    row = run_rows(chain, {run.run_id: run})[0]
    scored_at = row[-2]
    with connect() as con:
        rows = con.sql(f"SELECT *, $at AS scored_at FROM {parquet_rows([path])}", params={"at": scored_at})  # noqa: S608
        columns = [(name, str(kind)) for name, kind in zip(rows.columns, rows.types, strict=True)]
        _require_table(session, job, columns)
        written = session.insert("scores", f"{job.name}_history", rows.to_arrow_reader(_BATCH_ROWS))
    if written != run.row_count:
        raise ServerFaltered(f"{written} of {run.row_count} scores were written")
    session.run(f"INSERT INTO scores.runs VALUES ({', '.join(map(_sql, (*row[:-1], False)))})")  # noqa: S608  quoted


def _require_table(session: Session, job: Job, columns: Sequence[tuple[str, str]]) -> None:
    """Pass if the job's table has the columns of its scores; one that is not there is made, with its views.

    Raises:
        TablesReshaped: if it has others, or the job's name is too long for one.
    """
    if len(job.name) > _LONGEST_NAME:
        raise TablesReshaped(f"the job's name {job.name} is longer than {_LONGEST_NAME}; PostgreSQL cuts it")
    wanted = [(name, _TYPES.get(kind, kind)) for name, kind in columns]
    table = f"scores.{quoted(f'{job.name}_history')}"
    if not session.rows(f"SELECT to_regclass({literal(table)}) IS NOT NULL")[0][0]:
        _create(session, job, table, wanted)
    found = [name for (name,) in session.rows(_COLUMNS_OF.format(table=literal(table)))]
    if found != [name for name, _ in wanted]:
        raise TablesReshaped(
            f"{session.address}: {table} has the columns {', '.join(found)} and the job writes "
            f"{', '.join(name for name, _ in wanted)}; rename the table, and the next run makes a new one"
        )


_COLUMNS_OF = (
    "SELECT attname::text FROM pg_catalog.pg_attribute "
    "WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


def _create(session: Session, job: Job, table: str, columns: Sequence[tuple[str, str]]) -> None:
    """One job's table of everything ever published, and the views of what is current."""
    typed = ", ".join(f"{quoted(name)} {kind} {'' if name in job.key else 'NOT NULL'}" for name, kind in columns)
    session.run(f"CREATE TABLE {table} ({typed}, PRIMARY KEY (run_id, {', '.join(map(quoted, job.key))}))")
    session.run(f"CREATE INDEX ON {table} (as_of, rank)")
    _comment(session, "TABLE", table, f"everything ever published: {job.title}; one row per run and key", job)
    names = ", ".join(f"history.{quoted(name)}" for name, _ in columns)
    current = f"SELECT {names} FROM {table} AS history JOIN scores.runs USING (run_id) WHERE runs.current"  # noqa: S608
    newest = f"SELECT max(as_of) FROM scores.runs WHERE job = {literal(job.name)} AND current"  # noqa: S608  quoted
    for suffix, query, meaning in (
        ("", current, "for every as-of, the rows of its current run"),
        ("_latest", f"{current} AND runs.as_of = ({newest})", "the rows of the newest as-of"),
    ):
        view = f"scores.{quoted(job.name + suffix)}"
        session.run(f"CREATE OR REPLACE VIEW {view} AS {query}")
        _comment(session, "VIEW", view, f"{job.title}; {meaning}", job)


def _comment(session: Session, kind: str, name: str, meaning: str, job: Job) -> None:
    session.run(f"COMMENT ON {kind} {name} IS {literal(meaning)}")
    for column, words in {"score": job.score_meaning, **COLUMNS}.items():
        session.run(f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(words)}")


def _sql(value: object) -> str:
    """A value of a row of ours as a literal."""
    if isinstance(value, bool | int):
        return str(value)
    return literal(value.isoformat() if isinstance(value, date) else str(value))
