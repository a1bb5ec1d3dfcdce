"""Every folder `tests/sql/<table>_v<N>/<sentence>/` is a case: small source tables, an as-of, the rows expected.

An empty field is null. A source file may leave columns out (they are null); `expect.csv` may show some of the output
columns only; its rows are compared in order. Expected instants are UTC.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.days import Calendar
from jobs.queries.bounds import parameters
from jobs.queries.check import check_queries, read_query
from jobs.queries.declaration import Role
from jobs.queries.released import read_released, require_released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.queries.check import Query
    from jobs.queries.declaration import Declaration

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / "sql" / "flight_delay"
FILES = sorted(FOLDER.glob("*.sql"))
CASES = sorted(path.parent for path in HERE.glob("*_v*/*/as_of.txt"))
CALENDAR = Calendar("America/New_York")
HORIZON_DAYS = 1
LABELS_DAYS = 30


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(":memory:", config=offline) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute((HERE / "warehouse.sql").read_text())
        yield connection


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_case(warehouse: duckdb.DuckDBPyConnection, case: Path) -> None:
    for source in sorted(case.glob("warehouse.*.csv")):
        fill(warehouse, source)
    query = read_query(FOLDER / f"{case.parent.name}.sql")
    as_of = date.fromisoformat((case / "as_of.txt").read_text().strip())

    header, *expected = rows(case / "expect.csv")

    assert shown(run(warehouse, query, as_of), header) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_ours_is_released_and_runs_with_the_columns_that_it_promises(
    warehouse: duckdb.DuckDBPyConnection, path: Path
) -> None:
    assert check_queries([path]) == ()
    query = read_query(path)
    require_released(query)

    result = run(warehouse, query, date(2013, 9, 1))

    types = [str(type_).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for type_ in result.types]
    assert list(zip(result.columns, types, strict=True)) == [(each.name, each.type_sql) for each in query.columns]


def test_every_released_file_is_there_and_has_a_case() -> None:
    assert list(read_released(FOLDER)) == [path.name for path in FILES]
    assert {case.parent.name for case in CASES} == {path.stem for path in FILES}


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def fill(warehouse: duckdb.DuckDBPyConnection, source: Path) -> None:
    table = source.name.split(".")[1]
    header, *values = rows(source)
    marks = ", ".join("?" for _ in header)
    for row in values:
        given = [field or None for field in row]
        warehouse.execute(f"INSERT INTO {table} ({', '.join(header)}) VALUES ({marks})", given)


def span(declaration: Declaration, as_of: date) -> tuple[date, date]:
    """First day and day after the last of the role's event time when scoring; of labels, when training."""
    match declaration.role:
        case Role.HISTORY:
            return as_of - timedelta(days=declaration.lookback_days or 0), as_of
        case Role.POPULATION:
            return as_of, as_of + timedelta(days=HORIZON_DAYS)
        case _:
            return as_of - timedelta(days=LABELS_DAYS), as_of


def run(warehouse: duckdb.DuckDBPyConnection, query: Query, as_of: date) -> duckdb.DuckDBPyRelation:
    start, end = span(query.declaration, as_of)
    bound = {"start": CALENDAR.cutoff(start), "end": CALENDAR.cutoff(end), "cutoff": CALENDAR.cutoff(as_of)}
    return warehouse.sql(query.text, params={name: bound[name] for name in parameters(query.declaration)})


def shown(result: duckdb.DuckDBPyRelation, header: list[str]) -> list[list[str]]:
    """The rows as text, in order, of the columns in the header."""
    at = [result.columns.index(name) for name in header]
    return [[text(row[i]) for i in at] for row in result.fetchall()]


def text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}+00"
    return str(value)
