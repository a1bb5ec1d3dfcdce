"""What there is: model versions, runs, snapshots, and SQL over published scores or kept rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from jobs.screen import say, table
from jobs.steps.qualities import quality_lines, short_quality
from jobs.steps.reports import SHORT, made_of
from jobs.store.documents import read_document
from jobs.store.events import PROMOTED, PROVED, read_chain
from jobs.store.objects import ObjectMissing, read_rows
from jobs.store.opening import in_store, open_snapshot
from jobs.store.proofs import read_proofs
from jobs.store.registry import read_version, version_names
from jobs.store.runs import SCORES_FILE, RunMissing, find_by_prefix, kept_runs, read_run, run_folder
from jobs.store.snapshots import SnapshotMissing, find_snapshots, kept_snapshots, read_snapshot
from jobs.store.views import open_published
from jobs.warehouse.engine import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from jobs.definition import Job
    from jobs.screen import Screen
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.runs import Run
    from jobs.store.snapshots import Snapshot

_RISKIEST = 10
_RELATIONS = """
SELECT relation, comment FROM (
    SELECT view_name AS relation, comment FROM duckdb_views() WHERE NOT internal
    UNION ALL SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal AND table_name <> 'built_from'
) ORDER BY relation
"""


class QueryFailed(Exception):
    """DuckDB refuses a query, or fails at it."""


class NothingOnRecord(Exception):
    """No run, model version or snapshot has that name."""


class NothingPublished(Exception):
    """There are no published scores to query."""


def show_models(screen: Screen, home: Home, jobs: Sequence[Job]) -> None:
    """One row a model version: what it was trained on, how well its kind did, and from when it is champion."""
    rows = [_model_json(home, job, name) for job in jobs for name in version_names(home, job.name)]
    cells = [(r["job"], r["model_version"], r["rows"], r["nights"], r["quality"], _role(r), r["proofs"]) for r in rows]
    headings = ("job", "model version", "rows", "nights", "out of time", "champion from", "proofs")
    _show_rows(screen, "models", rows, headings, cells, "no model yet; train one: score train --as-of DATE")


def _model_json(home: Home, job: Job, name: str) -> dict[str, object]:
    version = read_version(home, job.name, name)
    quality = version.metrics.get("quality")
    chain = read_chain(home, job.name)
    promotions = [event for event in chain.events if event.kind == PROMOTED]
    proof = chain.proof(name)
    promoted = [event.as_of for event in promotions if event.model_version == name]
    return {
        "job": job.name,
        "model_version": name,
        "as_of": version.as_of,
        "rows": version.training["rows"],
        "nights": version.training["nights"],
        "auc": quality.get("auc") if isinstance(quality, dict) else None,
        "quality": short_quality(quality),
        "champion_from": promoted,
        "champion": bool(promotions) and promotions[-1].model_version == name,
        "proofs": proof.reason if proof else None,
        "proven": proof.kind == PROVED if proof else None,
        "snapshot_digest": version.snapshot_digest,
    }


def _role(row: Mapping[str, object]) -> str:
    """Since when it was champion, and whether it is; a version that never was is a challenger."""
    days = row["champion_from"]
    since = ", ".join(map(str, days)) if isinstance(days, list) else ""
    return f"{since} (champion)" if row["champion"] else since or "challenger"


def show_runs(screen: Screen, home: Home, jobs: Sequence[Job], as_of: date | None) -> None:
    """One row a kept run."""
    chains = {job.name: read_chain(home, job.name) for job in jobs}
    found = [read_run(folder) for folder in kept_runs(home, chains)]
    rows = []
    for run in (run for run in found if as_of in {None, run.inputs.as_of}):
        chain = chains[run.inputs.job]
        shown = chain.first_shown().get(run.run_id)
        seen = chain.current().get(run.inputs.as_of)
        rows.append(
            {
                "run_id": run.run_id,
                "job": run.inputs.job,
                "as_of": run.inputs.as_of,
                "model_version": run.inputs.model_version,
                "snapshot_digest": run.inputs.snapshot_digest,
                "scores_digest": run.scores_digest,
                "row_count": run.row_count,
                "scored_at": shown.at if shown else None,
                "current": seen is not None and seen.run_id == run.run_id,
                "rows_accepted": run.run_id in chain.rows_accepted(),
            }
        )
    cells = [(r["job"], r["as_of"], r["run_id"], r["model_version"], r["row_count"], _seen(r)) for r in rows]
    headings = ("job", "as of", "run", "model version", "rows", "analysts see")
    _show_rows(
        screen, "runs", rows, headings, cells, f"no run as of {as_of}" if as_of else "no run yet; score one: score run"
    )


def _seen(row: Mapping[str, object]) -> str:
    """Whether analysts see the run, and whether somebody accepted its row counts."""
    return f"{'current' if row['current'] else '-'}{' (row counts accepted)' if row['rows_accepted'] else ''}"


def show_snapshots(screen: Screen, home: Home, jobs: Sequence[Job]) -> None:
    """One row a kept snapshot."""
    rows = []
    for job in jobs:
        for taken in kept_snapshots(home, job.name):
            snapshot = read_snapshot(home, job.name, taken.as_of, taken.digest)
            rows.append(
                {
                    "job": job.name,
                    "as_of": taken.as_of,
                    "digest": taken.digest,
                    "purpose": "scoring" if snapshot.scoring else "training",
                    "rows": sum(table.rows for table in snapshot.tables),
                    "partitions": sum(len(table.partitions) for table in snapshot.tables),
                    "taken_at": taken.taken_at,
                }
            )
    cells = [
        (r["job"], r["as_of"], str(r["digest"])[:SHORT], r["purpose"], r["rows"], r["partitions"], r["taken_at"])
        for r in rows
    ]
    headings = ("job", "as of", "digest", "purpose", "rows", "partitions", "taken at")
    _show_rows(screen, "snapshots", rows, headings, cells, "no snapshot yet; take one: score snapshot --as-of DATE")


def _show_rows(
    screen: Screen,
    name: str,
    rows: Sequence[dict[str, object]],
    headings: Sequence[str],
    cells: Sequence[Sequence[object]],
    nothing: str,
) -> None:
    numbers = ("rows", "nights", "partitions")
    screen.show({name: list(rows)}, lambda: table(headings, cells, numbers=numbers) if rows else say(nothing))


def show_one(screen: Screen, home: Home, jobs: Sequence[Job], name: str) -> None:
    """Everything on record about one run, model version or snapshot.

    Raises:
        NothingOnRecord: if there is none of that name.
    """
    names = [job.name for job in jobs]
    for job in jobs:
        versions = [each for each in version_names(home, job.name) if name and each.startswith(name)]
        if len(versions) == 1:
            _show_version(screen, home, read_version(home, job.name, versions[0]))
            return
    try:
        _show_run(screen, home, find_by_prefix(home, name, names))
    except RunMissing:
        try:
            _show_snapshot(screen, find_snapshots(home, name, names))
        except SnapshotMissing:
            raise NothingOnRecord(
                f"no run, model version or snapshot is called {name[:64]!r}, or several begin so; "
                "see: score runs, score models, score snapshots"
            ) from None


def _show_version(screen: Screen, home: Home, version: ModelVersion) -> None:
    event = read_chain(home, version.job).proof(version.version)
    proofs = read_proofs(home, version.job, event.record) if event and event.record else None

    def lines() -> None:
        say(f"model {version.version} of {version.job}, trained on snapshot {version.snapshot_digest}")
        facts = {
            **version.training,
            "features": len(version.features),
            "transforms": _transforms(version),
            **version.environment,
        }
        table(("fact", "value"), list(facts.items()))
        for line in made_of(version):
            say(line)
        quality_lines(version.metrics.get("quality"), "on the last nights, by a model of the nights before them")
        say(f"proofs: {event.reason}" if event else f"never put to proof; see: score prove --model {version.version}")
        findings = proofs["findings"] if proofs else None
        for each in findings if isinstance(findings, list) else ():
            if isinstance(each, dict):
                say(f"  {'held  ' if each['held'] else 'BROKEN'}  {each['name']}: {each['detail']}")

    screen.show({"model_version": version.version, **version.to_json(), "proofs": proofs}, lines)


def _transforms(version: ModelVersion) -> str:
    from features.fitted import Fitted  # noqa: PLC0415  only here

    return Fitted.from_json(version.fitted).in_words


def _show_run(screen: Screen, home: Home, run: Run) -> None:
    folder = run_folder(home, run.inputs)
    execution = read_document(folder / "execution.json", "execution")
    accepted = run.run_id in read_chain(home, run.inputs.job).rows_accepted()
    nulls = _nulls(execution.get("columns_met"))
    riskiest = read_rows([folder / SCORES_FILE]).sort("rank").head(_RISKIEST)

    def lines() -> None:
        say(f"run {run.run_id} of {run.inputs.job} as of {run.inputs.as_of}: {run.row_count:,} scores in {folder}")
        facts = {
            "model version": run.inputs.model_version, "snapshot": run.inputs.snapshot_digest,
            "features digest": run.features_digest, "scores digest": run.scores_digest, "executed at": execution["at"],
            **({"row counts": "far from the usual, and accepted with --accept-rows"} if accepted else {}),
        }  # fmt: skip
        table(("fact", "value"), list(facts.items()))
        say()
        if nulls:
            table(("column", "nulls", "of rows"), nulls, numbers=("nulls", "of rows"))
            say()
        table(riskiest.columns[:-2], [row[:-2] for row in riskiest.iter_rows()], numbers=("score", "raw_score", "rank"))

    content = {
        "run_id": run.run_id, **run.inputs.to_json(), "row_count": run.row_count, "scores_digest": run.scores_digest,
        "features_digest": run.features_digest, "rows_accepted": accepted, "execution": execution,
        "highest": riskiest.to_dicts(),
    }  # fmt: skip
    screen.show(content, lines)


def _nulls(met: object) -> list[tuple[str, object, object]]:
    """Each column in which the night met nulls, as `table.column`, with how many of how many rows."""
    tables = met.items() if isinstance(met, dict) else ()
    each = [(f"{name}.{column}", found) for name, columns in tables for column, found in columns.items()]
    return [(name, found["nulls"], found["rows"]) for name, found in each if found["nulls"]]


def _show_snapshot(screen: Screen, snapshot: Snapshot) -> None:
    tables = [
        {"table": t.name, "version": t.version, "role": t.role, "rows": t.rows, "partitions": len(t.partitions),
         "start": t.start, "end": t.end, "digest": t.digest}
        for t in snapshot.tables
    ]  # fmt: skip

    def lines() -> None:
        say(f"snapshot {snapshot.digest} of {snapshot.job} as of {snapshot.as_of}")
        cells = [[*list(row.values())[:-1], str(row["digest"])[:SHORT]] for row in tables]
        table(list(tables[0]), cells, numbers=("rows", "partitions"))
        say(f'ask it: score sql --snapshot {snapshot.digest[:SHORT]} "SELECT ..."')

    screen.show({"digest": snapshot.digest, "job": snapshot.job, "as_of": snapshot.as_of, "tables": tables}, lines)


def show_sql(screen: Screen, home: Home, jobs: Sequence[Job], query: str | None, snapshot: str | None) -> None:
    """Run one query on the published scores, or on a snapshot; without one, list the relations.

    Raises:
        QueryFailed: if DuckDB refuses it.
    """
    text = query or _RELATIONS
    if snapshot is not None:
        with open_snapshot(in_store(home), find_snapshots(home, snapshot, [job.name for job in jobs])) as con:
            _show_query(screen, con, text)
        return
    require_published(home)
    with open_published(home, jobs) as con:
        _show_query(screen, con, text)


def require_published(home: Home) -> None:
    """Pass if there are published scores to query.

    Raises:
        NothingPublished: if there are none.
    """
    if not home.published.is_file():
        raise NothingPublished(f"nothing was published in {home.root} yet; score a night: score run")


def query_failure(error: duckdb.Error) -> QueryFailed | ObjectMissing:
    """What DuckDB says to a query, as the known failure that it is."""
    if isinstance(error, duckdb.IOException):
        return ObjectMissing(
            f"a file behind the views cannot be read: {first_line(error)}; score verify --all says which"
        )
    return QueryFailed(" ".join(str(error).split("\n\n", maxsplit=1)[0].split()))


def _show_query(screen: Screen, con: duckdb.DuckDBPyConnection, text: str) -> None:
    if not text.isascii() and text.encode(errors="replace").decode() != text:
        raise QueryFailed("the query holds bytes that are no UTF-8; write it in UTF-8")
    try:
        cursor = con.execute(text)
        if cursor is None:  # so DuckDB, whatever its annotations say
            raise QueryFailed("there is no statement in the query; without one: score sql")
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
    except duckdb.Error as error:
        raise query_failure(error) from None
    screen.show({"columns": names, "rows": [list(row) for row in rows]}, lambda: table(names, rows))
