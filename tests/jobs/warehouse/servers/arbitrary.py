"""Random queries of the subset over random rows, asked of DuckDB and, as they are rendered, of a PostgreSQL server."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb

from jobs.queries.check import Query, read_query
from jobs.queries.dialects import NotRenderable
from jobs.queries.rendering import bound
from jobs.queries.source import QueryRefused
from jobs.warehouse.engine import connect
from jobs.warehouse.extraction import SourceDiffers
from jobs.warehouse.servers.reading import source_types
from jobs.warehouse.servers.session import ServerFaltered, Session, StatementRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Column, type, values: what is read apart if anything is. A BC date, and what is infinite, is refused on extraction.
COLUMNS: dict[str, tuple[str, list[str]]] = {
    "truth": ("BOOLEAN", ["true", "false"]),
    "small": ("SMALLINT", ["0", "-32768", "32767", "128", "-129", "1"]),
    "whole": ("INTEGER", ["0", "1", "-1", "2147483647", "-2147483648"]),
    "big": ("BIGINT", ["0", "9223372036854775807", "9007199254740993", "-5"]),
    "twice": (
        "DOUBLE PRECISION",
        [
            *("0.5", "1.5", "2.5", "-0.5", "-1.5", "-2.5", "0", "-0.0", "NaN", "Infinity", "-Infinity", "0.1", "1e15"),
            *("1e16", "1e17", "1e-5", "1e300", "2.675", "1.005", "127.5", "0.30000000000000004", "1e22", "5e-324"),
        ],
    ),
    "single": ("REAL", ["0.5", "2.5", "0.1", "-0.0", "16777216", "1e10"]),
    "name": (
        "VARCHAR",
        [
            *("", "a", "B", "1", "2.5", " 1 ", "1e3", "true", "no", "NaN", "-0.0", "2013-08-31", "é", "+1", "128"),
            *("99999999999", "20130831", "2013-08-31 04:00:00+00", "a\u0308", "_", "Z", "ä", "😀", "a-b"),
        ],
    ),
    "day": ("DATE", ["2013-08-31", "0001-01-01", "9999-12-31", "1970-01-01"]),
    "seen": (
        "TIMESTAMPTZ",
        ["2013-08-31 04:00:00+00", "2013-08-31 04:00:00.123456+00", "2013-08-31 23:59:59.999999+00"],
    ),
    "clock": ("TIMESTAMP", ["2013-08-31 04:00:00", "2013-08-31 04:00:00.5", "2013-08-31 00:00:00"]),
    "price": (
        "DECIMAL(10,2)",
        ["0.50", "1.50", "2.50", "-0.50", "-2.50", "0", "127.50", "99999999.99", "0.05", "-0.05"],
    ),
    "wide": ("DECIMAL(38,0)", ["0", "99999999999999999999999999999999999999", "9223372036854775807", "-1", "128"]),
}
ROWS = 36

_NUMBERS = ("small", "whole", "big", "twice", "single", "price", "wide")
_POOLS = (None, _NUMBERS, _NUMBERS, ("name",), ("day", "seen", "clock"))
_TYPES = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMPTZ")
_CHOOSING = ("greatest", "least", "coalesce")
_EXACT = ("DECIMAL(10, 2)", "DECIMAL(38, 0)", "DECIMAL(18, 6)")
_CONSTANTS = (
    *("0", "1", "2", "100", "1.5", "0.5", "0.25", "-1", "-0.5", "NULL", "'a'", "'é'", "''", "'2013-08-31'", "TRUE"),
    *("FALSE", "CAST('2013-08-31' AS DATE)", "CAST('2013-08-31 04:00:00+00' AS TIMESTAMPTZ)", "10.00"),
)
_TEXT = """\
-- grain: one row
-- role: reference
-- key: k
-- known: none

SELECT
  CAST(k AS INTEGER) AS k,
  CAST({value} AS {kind}) AS v
FROM things
WHERE {where}
ORDER BY k
"""


@dataclass
class Writer:
    """Writes expressions that the subset may know, some of them senseless."""

    chance: random.Random

    def value(self, depth: int, pool: Sequence[str] | None = None) -> str:
        """An expression of at most that many levels, of columns of the pool where they decide."""
        among = pool or tuple(COLUMNS)
        if depth <= 0 or self.chance.random() < 0.35:
            return self.chance.choice(among if self.chance.random() < 0.75 else _CONSTANTS)
        sub = depth - 1
        forms = (
            lambda: f"({self.value(sub, _NUMBERS)} {self.chance.choice('+-*')} {self.value(sub, _NUMBERS)})",
            lambda: f"{self.chance.choice(('floor', 'abs', '-'))}({self.value(sub, _NUMBERS)})",
            lambda: f"{self.chance.choice(_CHOOSING)}({self.value(sub, among)}, {self.value(sub, among)})",
            lambda: f"nullif({self.value(sub, among)}, {self.value(sub, among)})",
            lambda: f"CASE WHEN {self.predicate(sub)} THEN {self.value(sub, among)} ELSE {self.value(sub, among)} END",
            lambda: f"CAST({self.value(sub)} AS {self.kind()})",
            lambda: f"({self.predicate(sub)})",
        )
        return self.chance.choices(forms, (20, 15, 8, 4, 6, 9, 3))[0]()

    def predicate(self, depth: int) -> str:
        """A condition."""
        pool = self.chance.choice(_POOLS)
        one, two, three = (self.value(depth - place, pool) for place in range(3))
        forms = (
            lambda: f"{one} {self.chance.choice(('=', '<>', '<', '<=', '>', '>='))} {two}",
            lambda: f"{one} IS {self.chance.choice(('', 'NOT '))}NULL",
            lambda: f"{one} {self.chance.choice(('', 'NOT '))}IN ({self.value(0, pool)}, {self.value(0, pool)})",
            lambda: f"{one} {self.chance.choice(('', 'NOT '))}BETWEEN {two} AND {three}",
            lambda: f"(NOT ({self.predicate(depth - 1) if depth > 0 else 'truth'}))",
            lambda: f"truth IS {self.chance.choice(('TRUE', 'FALSE', 'NOT TRUE'))}",
            lambda: f"(({one} = {two}) {self.chance.choice(('AND', 'OR'))} (truth))",
        )
        return self.chance.choices(forms, (50, 15, 10, 10, 7, 3, 5))[0]()

    def kind(self) -> str:
        """A type to cast to."""
        return self.chance.choice((*_TYPES, *_EXACT))


@dataclass
class Comparison:
    """How many queries went which way; the text of those that answered differently, with a row of each."""

    outcomes: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)


def fill(con: duckdb.DuckDBPyConnection, session: Session, chance: random.Random) -> None:
    """Put the same rows, every value in one at least, into a table `things` of either."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    for run in (con.execute, session.run):
        run("DROP TABLE IF EXISTS things")
        run(f"CREATE TABLE things (k INTEGER, {columns})")
    for k in range(ROWS):
        row = (
            [*values, None][k % (len(values) + 1)] if k < ROWS - 10 else chance.choice([*values, None])
            for _, values in COLUMNS.values()
        )
        written = ", ".join("NULL" if value is None else f"'{value}'" for value in row)
        for run in (con.execute, session.run):
            run(f"INSERT INTO things VALUES ({k}, {written})")


def compare(session: Session, folder: Path, queries: int, seed: int) -> Comparison:
    """Ask so many random queries of both; what fails as a whole is asked row by row."""
    writer, found = Writer(random.Random(seed)), Comparison()  # noqa: S311  that can be had again
    with connect() as con:
        fill(con, session, writer.chance)
        for _ in range(queries):
            value, kind = writer.value(3), writer.kind()
            where = writer.chance.choice(("TRUE", writer.predicate(2)))
            outcome = _ask(con, session, folder / "things_v1.sql", value, kind, where)
            found.outcomes[outcome.partition(":")[0]] += 1
            if outcome.startswith("different"):
                found.different.append(outcome)
    return found


def _ask(con: duckdb.DuckDBPyConnection, session: Session, path: Path, value: str, kind: str, where: str) -> str:
    path.write_text(_TEXT.format(value=value, kind=kind, where=where), encoding="utf-8")
    try:
        query = read_query(path)
        text = bound(query, "postgres", {})
        source_types(session, query)
    except NotRenderable:
        return "not rendered"
    except QueryRefused:
        return "no query of ours"
    except SourceDiffers:
        return "refused by the catalog"
    here, there = _of_file(con, query), _of_server(session, text)
    if here is not None and there is not None:
        return "equal" if here == there else _different(value, kind, where, here, there)
    of_whom = "both" if here is None and there is None else "DuckDB" if here is None else "PostgreSQL"
    return _by_row(con, session, path, (value, kind, where)) or f"an error of {of_whom}"


def _by_row(con: duckdb.DuckDBPyConnection, session: Session, path: Path, parts: tuple[str, str, str]) -> str:
    """The first row that both answer, and differently; whether there are rows that both answer."""
    value, kind, where = parts
    equal = ""
    for k in range(0, ROWS, 3):
        path.write_text(_TEXT.format(value=value, kind=kind, where=f"k = {k} AND ({where})"), encoding="utf-8")
        query = read_query(path)
        here, there = _of_file(con, query), _of_server(session, bound(query, "postgres", {}))
        if here is None or there is None:
            continue
        if here != there:
            return _different(value, kind, where, here, there)
        equal = "equal where there is no error" if here else equal
    return equal


def _different(value: str, kind: str, where: str, here: list[str], there: list[str]) -> str:
    first = next(((one, two) for one, two in zip(here, there, strict=False) if one != two), (len(here), len(there)))
    return f"different: CAST({value} AS {kind}) WHERE {where}: {first[0]} in DuckDB, {first[1]} in PostgreSQL"


def _of_file(con: duckdb.DuckDBPyConnection, query: Query) -> list[str] | None:
    try:
        return [_spelled(row) for row in con.execute(query.text).fetchall()]
    except duckdb.Error:
        return None


def _of_server(session: Session, text: str) -> list[str] | None:
    try:
        return [_spelled(row) for row in session.rows(text)]
    except (StatementRefused, ServerFaltered):
        return None


def _spelled(row: Sequence[object]) -> str:
    """Its bits, as far as Python tells them; a decimal arrives from the server as a text of its digits."""
    return repr([_plain(each) for each in row])


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else value
