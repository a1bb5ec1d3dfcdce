"""What analysts open: `scores.duckdb`, views over the immutable files of published runs.

A DuckDB file that one process has open for writing can be opened by nobody else, so this one is never written to: it is
built beside and switched by a rename. A reader keeps the version that it opened; nobody waits for anybody.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from jobs.kill_points import reach
from jobs.project import sql_root
from jobs.store.documents import json_digest, sync_file, sync_folder
from jobs.store.events import PUBLISHED, RECORDED, Chain, read_chain
from jobs.store.home import staging
from jobs.store.locks import locked
from jobs.store.objects import check_lengths, parquet_rows
from jobs.store.runs import SCORES_FILE, Run, read_run, run_folder
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jobs.definition import Job
    from jobs.store.documents import Json
    from jobs.store.home import Home

_BRIEFLY_S = 60.0
_READ_ONLY = 0o444
STORAGE = "v1.0.0"  # analysts' clients are often older than the library of the job

COLUMNS = {
    "as_of": "the day whose knowledge was used; nothing known at or after its first instant was",
    "raw_score": "the model's raw score; the canonical result, compared to the bit",
    "rank": "1 is the highest score of the as-of; ties in key order",
    "model_version": "the model version that scored",
    "run_id": "the run; see the relation runs, and: score verify RUN_ID",
    "scored_at": "instant in which the run was first shown, UTC",
}


def refresh_views(home: Home, jobs: Sequence[Job]) -> bool:
    """Build `scores.duckdb` anew if it does not show what the jobs' events say; returns whether it was built."""
    with locked(home.lock("views"), _BRIEFLY_S):
        chains = [(job, read_chain(home, job.name)) for job in jobs]
        state = wanted_state(home, [chain for _, chain in chains])
        if shown_state(home.published) == state:
            return False
        with staging(home) as folder:
            beside = folder / "scores.duckdb"
            with connect(beside, storage=STORAGE) as con:
                _build(con, home, chains, state)
                con.execute("CHECKPOINT")
            beside.chmod(_READ_ONLY)
            sync_file(beside)
            reach("views-beside")
            beside.rename(home.published)
            sync_folder(home.root)
            reach("views-switched")
    return True


def open_published(home: Home, jobs: Sequence[Job]) -> duckdb.DuckDBPyConnection:
    """The published database, for reading. Of a home that was moved or copied, the same views over where it lies now.

    Raises:
        duckdb.Error: if nothing was published yet, or the file cannot be read.
    """
    con = connect(home.published, read_only=True)
    if con.execute("SELECT home FROM built_from").fetchall() == [(str(home.root),)]:
        return con
    con.close()
    con = connect()
    _build(con, home, [(job, read_chain(home, job.name)) for job in jobs], "")
    return con


def wanted_state(home: Home, chains: Iterable[Chain]) -> str:
    """Which state the published database of a home has to show: where it lies, and what every job's events showed."""
    shown: dict[str, Json] = {
        chain.job: [
            [event.seq, event.kind, event.run_id] for event in chain.events if event.kind in {PUBLISHED, RECORDED}
        ]
        for chain in chains
    }
    return json_digest({"home": str(home.root), "shown": shown})


def shown_state(path: Path) -> str | None:
    """Which state of the events a published database shows; null if there is none that can be read."""
    if not path.is_file():
        return None
    try:
        with connect(path, read_only=True) as con:
            found = con.execute("SELECT state FROM built_from").fetchone()
    except duckdb.Error:
        return None
    return found[0] if found else None


def _build(con: duckdb.DuckDBPyConnection, home: Home, chains: Sequence[tuple[Job, Chain]], state: str) -> None:
    shown = [(job, chain, _shown_runs(home, chain)) for job, chain in chains]
    runs_shown = [run for _, _, runs in shown for run in runs.values()]
    check_lengths({run_folder(home, run.inputs) / SCORES_FILE: run.files[SCORES_FILE] for run in runs_shown})
    con.execute((sql_root() / "scores" / "duckdb.sql").read_text(encoding="utf-8"))
    con.execute("INSERT INTO built_from VALUES ($1, $2)", [state, str(home.root)])
    _insert(con, "publications", [row for _, chain, _ in shown for row in publication_rows(chain)])
    _insert(con, "runs", [row for _, chain, runs in shown for row in run_rows(chain, runs)])
    for job, chain, runs in shown:
        if runs:
            _add_views(con, home, job, chain, runs)


def _shown_runs(home: Home, chain: Chain) -> dict[str, Run]:
    """Every run that the chain brought to analysts, by id, in the order of the chain."""
    return {
        run_id: read_run(home.runs(chain.job, event.as_of) / run_id) for run_id, event in chain.first_shown().items()
    }


def publication_rows(chain: Chain) -> list[tuple[object, ...]]:
    """The rows of `publications` that a chain of events stands for."""
    return [
        (event.seq, chain.job, event.as_of, event.run_id, datetime.fromisoformat(event.at), event.reason)
        for event in chain.events
        if event.kind == PUBLISHED
    ]


def run_rows(chain: Chain, runs: Mapping[str, Run]) -> list[tuple[object, ...]]:
    """The rows of `runs` for some runs that a chain of events brought to analysts."""
    current = {event.run_id for event in chain.current().values()}
    at = {run_id: datetime.fromisoformat(event.at) for run_id, event in chain.first_shown().items()}
    return [
        (
            run_id, chain.job, run.inputs.as_of, run.inputs.model_version, run.inputs.snapshot_digest,
            run.features_digest, run.scores_digest, run.row_count, at[run_id], run_id in current,
        )
        for run_id, run in runs.items()
    ]  # fmt: skip


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        places = ", ".join(f"${place}" for place in range(1, len(rows[0]) + 1))
        con.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608  the table is one of ours


def _add_views(con: duckdb.DuckDBPyConnection, home: Home, job: Job, chain: Chain, runs: Mapping[str, Run]) -> None:
    current = chain.current()
    now = [runs[event.run_id] for event in current.values() if event.run_id]
    latest = [run for run in now if run.inputs.as_of == max(current)]
    _add_view(
        con, home, job, "_history", runs.values(), f"everything ever published: {job.title}; one row per run and key"
    )
    if now:
        _add_view(con, home, job, "", now, f"{job.title}; for every as-of, the rows of its current run")
        _add_view(con, home, job, "_latest", latest, f"{job.title}; the rows of the newest as-of")


def _add_view(
    con: duckdb.DuckDBPyConnection, home: Home, job: Job, suffix: str, runs: Iterable[Run], meaning: str
) -> None:
    name = f'"{job.name}{suffix}"'
    rows = parquet_rows(run_folder(home, run.inputs) / SCORES_FILE for run in runs)
    con.execute(
        f"CREATE VIEW {name} AS SELECT scores.*, runs.scored_at "  # noqa: S608  names of ours, paths quoted
        f"FROM {rows} AS scores JOIN runs ON runs.run_id = scores.run_id"
    )
    con.execute(f"COMMENT ON VIEW {name} IS {_literal(meaning)}")
    for column, words in {"score": job.score_meaning, **COLUMNS}.items():
        con.execute(f"COMMENT ON COLUMN {name}.{column} IS {_literal(words)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
