"""The same rows in a DuckDB file and on a PostgreSQL server: the same bytes arrive, or a refusal that says what to do.

One small query per theme. On a server with ICU, as Debian's, the databases order text as in English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from jobs.definition import load_job
from jobs.exits import FAILURES
from jobs.queries.check import Query, read_query
from jobs.queries.rendering import kept_at, render
from jobs.store.digest import rows_digest
from jobs.warehouse.addresses import Address, FileAddress, read_server_address
from jobs.warehouse.bounds import Bounds
from jobs.warehouse.extraction import SourceDiffers
from jobs.warehouse.opening import examine_warehouse, open_warehouse
from tests import postgres

if TYPE_CHECKING:
    from pathlib import Path

JOB = load_job("flight_delay")
BOUNDS = Bounds(None, None, date(2013, 9, 1))
TEXT = """\
-- grain: one row
-- role: reference
-- key: {key}
-- known: none

SELECT
  {columns}
FROM {source}
ORDER BY {key}
"""
NUMBERS = ("SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(38, 0)", "DECIMAL(38, 9)")
TEXTS = [
    "",
    " ",
    "a",
    "a ",
    "A",
    "B",
    "b",
    "ä",
    "a\u0308",
    "Z",
    "z",
    "_",
    "-",
    "é",
    "ß",
    "ss",
    "İ",
    "日本",
    "😀",
    "\uffff",
    "a-b",
    "ab",
    "'",
    '"',
    "\\n",
]


@dataclass(frozen=True)
class Answer:
    """What an extraction gave: the digest of its rows and the types of the source columns."""

    digest: str
    types: dict[str, str]
    rows: list[tuple]


@dataclass
class Both:
    """A DuckDB file and a database, loaded with the same statements, and one SQL file that is asked of both."""

    folder: Path
    url: str

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The file's, the server's."""
        return FileAddress(self.folder / "warehouse.duckdb"), read_server_address(self.url)

    def load(self, statements: str, *, only: str = "") -> None:
        """Run statements on both, or on the one that `only` names."""
        if only != "postgresql":
            with duckdb.connect(str(self.folder / "warehouse.duckdb")) as con:
                con.execute("SET TimeZone = 'UTC'")
                con.execute(statements.replace("NUMERIC,", "DECIMAL(38, 9),").replace("NUMERIC)", "DECIMAL(38, 9))"))
        if only != "duckdb":
            for statement in filter(str.strip, statements.split(";")):
                postgres.run(self.url, re.sub("DOUBLE(?! PRECISION)", "DOUBLE PRECISION", statement))

    def query(self, columns: str, source: str, key: str = "id") -> Query:
        """A checked query whose rendering is kept."""
        path = self.folder / "things_v1.sql"
        path.write_text(TEXT.format(columns=columns.replace(";", ",\n  "), source=source, key=key), encoding="utf-8")
        query = read_query(path)
        kept_at(query, "postgres").parent.mkdir(exist_ok=True)
        kept_at(query, "postgres").write_text(render(query, "postgres"), encoding="utf-8")
        return query

    def ask(self, columns: str, source: str = "things", key: str = "id") -> tuple[Answer, Answer]:
        """What the file answers, what the server does; the doctor has nothing against either."""
        query = self.query(columns, source, key)
        for address in self.addresses:
            examine_warehouse(address, JOB, [(query, BOUNDS)], self.folder)
        of_file, of_server = (self.answer(query, address) for address in self.addresses)
        return of_file, of_server

    def answer(self, query: Query, address: Address) -> Answer:
        """What one of them answers; the staging file is gone afterwards, as in a snapshot."""
        with open_warehouse(address, JOB, [(query, BOUNDS)], self.folder) as extraction:
            types = extraction.source_types(query)
            assert extraction.check_keys(query, BOUNDS) >= 0
            frame = pl.concat(extraction.rows(query, BOUNDS))
        (self.folder / "server.duckdb").unlink(missing_ok=True)
        return Answer(rows_digest(frame), types, frame.rows())

    def refusal(self, query: Query, address: Address) -> str:
        """How one of them refuses, on reading."""
        with pytest.raises(SourceDiffers) as refused:
            self.answer(query, address)
        (self.folder / "server.duckdb").unlink(missing_ok=True)
        return str(refused.value)

    def refused_by_catalog(self, columns: str, source: str = "things", key: str = "id") -> str:
        """How the server is refused before a row is read, which the doctor does too."""
        query = self.query(columns, source, key)
        said = self.refusal(query, self.addresses[1])
        with pytest.raises(SourceDiffers) as examined:
            examine_warehouse(self.addresses[1], JOB, [(query, BOUNDS)], self.folder)
        assert str(examined.value) == said
        return said


@pytest.fixture(scope="module")
def database(postgres_server: postgres.Server, worker_id: str) -> str:
    """The URL of a database of this module."""
    return postgres_server.make(f"types_{worker_id}")


@pytest.fixture
def both(tmp_path: Path, database: str) -> Both:
    """Nothing in either yet."""
    for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "DROP SCHEMA IF EXISTS raw CASCADE"):
        postgres.run(database, statement)
    return Both(tmp_path, database)


def casts(*columns: tuple[str, str]) -> str:
    """Output columns `id` and of each pair a value in a type, named c0, c1 and so on."""
    named = (f"CAST({value} AS {kind}) AS c{place}" for place, (value, kind) in enumerate(columns))
    return ";".join(("CAST(id AS INTEGER) AS id", *named))


def values(rows: list[str]) -> str:
    """An INSERT of numbered rows."""
    return f"INSERT INTO things VALUES {', '.join(f'({place}, {row})' for place, row in enumerate(rows))}"


def assert_same(answers: tuple[Answer, Answer], rows: int) -> None:
    of_file, of_server = answers
    assert len(of_file.rows) == rows
    assert [repr(row) for row in of_server.rows] == [repr(row) for row in of_file.rows]
    assert (of_server.digest, of_server.types) == (of_file.digest, of_file.types)


def test_numbers_at_their_edges_are_the_same(both: Both) -> None:
    both.load(
        "CREATE TABLE things (id INTEGER, small SMALLINT, whole INTEGER, big BIGINT, price NUMERIC(10, 2), "
        "wide NUMERIC(38, 0), fine NUMERIC(38, 9), single REAL, twice DOUBLE);"
        + values(
            [
                "0, 0, 0, 0, 0, 0, 0, 0",
                (
                    "32767, 2147483647, 9223372036854775807, 99999999.99, 99999999999999999999999999999999999999, "
                    "12345678901234567890123456789.123456789, 3.4028235e38, 1.7976931348623157e308"
                ),
                (
                    "-32768, -2147483648, -9223372036854775808, -99999999.99, -99999999999999999999999999999999999999, "
                    "-0.000000001, 1e-45, 5e-324"
                ),
                "1, 1, 9007199254740993, 0.05, 1, 0.1, 0.1, 0.1",
                "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
            ]
        )
    )

    asked = casts(
        ("small", "SMALLINT"), ("whole", "INTEGER"), ("big", "BIGINT"), ("price", "DECIMAL(10, 2)"),
        ("wide", "DECIMAL(38, 0)"), ("fine", "DECIMAL(38, 9)"), ("single", "DOUBLE"), ("twice", "DOUBLE"),
        ("price", "VARCHAR"), ("wide", "VARCHAR"), ("fine", "VARCHAR"), ("big", "VARCHAR"), ("price", "DOUBLE"),
    )  # fmt: skip
    assert_same(both.ask(asked), 5)


def test_halves_and_casts_between_numbers_are_the_same(both: Both) -> None:
    halves = ["0.5", "-0.5", "1.5", "-1.5", "2.5", "-2.5", "0.05", "-0.05", "0.15", "126.5", "127.49", "1.005", "2.675"]
    both.load(
        "CREATE TABLE things (id INTEGER, twice DOUBLE, price NUMERIC(10, 3), fine NUMERIC(38, 9));"
        + values([f"{half}, {half}, {half}" for half in halves])
    )

    asked = casts(
        *[(name, kind) for name in ("twice", "price", "fine") for kind in ("TINYINT", "INTEGER", "BIGINT")],
        *[(name, kind) for name in ("price", "fine") for kind in ("DECIMAL(10, 1)", "DECIMAL(38, 2)")],
        ("floor(twice * 100 + 0.5)", "INTEGER"), ("twice * 3", "DOUBLE"), ("price * 3 - 1", "DECIMAL(18, 3)"),
    )  # fmt: skip
    assert_same(both.ask(asked), len(halves))


def test_a_number_without_digits_is_cast_alike(both: Both) -> None:
    """Its type is NUMERIC there and has no like here; DuckDB has it with nine digits."""
    both.load(
        "CREATE TABLE things (id INTEGER, free NUMERIC);"
        + values(["0.5", "-2.5", "2147483646.4", "123456789012345678.123456789", "NULL", "0.000000001"])
    )

    of_file, of_server = both.ask(casts(("free", "DECIMAL(38, 9)"), ("free", "DECIMAL(20, 1)"), ("free", "BIGINT")))

    assert of_server.digest == of_file.digest
    assert (of_file.types["things.free"], of_server.types["things.free"]) == ("DECIMAL(38,9)", "NUMERIC")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e40"])
def test_a_numeric_that_no_decimal_is_has_no_place(both: Both, value: str) -> None:
    both.load(
        f"CREATE TABLE things (id INTEGER, free NUMERIC); INSERT INTO things VALUES (1, '{value}')", only="postgresql"
    )

    said = both.refusal(both.query(casts(("id", "INTEGER"), ("free", "DECIMAL(38, 2)")), "things"), both.addresses[1])

    assert "things_v1.sql: a value has no place in the type that the SQL casts it to: c1" in said
    assert value not in said


def test_doubles_that_are_no_numbers_are_the_same(both: Both) -> None:
    """NaN is the greatest to both, and the sign of zero is kept."""
    both.load(
        "CREATE TABLE things (id INTEGER, twice DOUBLE);"
        + values(["'NaN'", "'Infinity'", "'-Infinity'", "'-0.0'", "0.0", "1.0", "NULL"])
    )

    asked = casts(
        ("twice", "DOUBLE"), ("-twice", "DOUBLE"), ("abs(twice)", "DOUBLE"), ("twice > 1", "BOOLEAN"),
        ("twice = twice", "BOOLEAN"), ("greatest(twice, 5)", "DOUBLE"), ("least(twice, 5)", "DOUBLE"),
        ("twice BETWEEN 0 AND 1", "BOOLEAN"), ("nullif(twice, 0)", "DOUBLE"), ("floor(twice)", "DOUBLE"),
    )  # fmt: skip
    assert_same(both.ask(asked), 7)


def test_instants_and_days_are_the_same(both: Both) -> None:
    """Microseconds, the first and the last year, both sides of a change of clocks; a wall clock is read in UTC."""
    both.load(
        "CREATE TABLE things (id INTEGER, seen TIMESTAMPTZ, clock TIMESTAMP, day DATE);"
        + values(
            [
                "'0001-01-01 00:00:00+00', '0001-01-01 00:00:00', '0001-01-01'",
                "'9999-12-31 23:59:59.999999+00', '9999-12-31 23:59:59.999999', '9999-12-31'",
                "'2013-03-10 06:59:59.999999+00', '2013-03-10 02:30:00', '2013-03-10'",
                "'2013-03-10 03:00:00-04', '2013-03-10 03:00:00.5', '2013-11-03'",
                "'2013-11-03 01:30:00-04', '1969-12-31 23:59:59.999999', '1970-01-01'",
                "'2013-11-03 01:30:00-05', '2016-12-31 23:59:59.1', '1900-02-28'",
                "'1582-10-10 00:00:00+00', '1883-11-18 12:03:58', '2000-02-29'",
                "NULL, NULL, NULL",
            ]
        )
    )

    asked = casts(
        *[(name, kind) for name in ("seen", "clock") for kind in ("TIMESTAMPTZ", "DATE", "VARCHAR")],
        ("day", "DATE"), ("day", "TIMESTAMPTZ"), ("day", "VARCHAR"), ("greatest(seen, clock)", "TIMESTAMPTZ"),
        ("seen < CAST('2013-03-10 07:00:00+00' AS TIMESTAMPTZ)", "BOOLEAN"),
        ("clock < CAST('2013-03-10 07:00:00+00' AS TIMESTAMPTZ)", "BOOLEAN"),
        ("day >= CAST('2000-02-29' AS DATE)", "BOOLEAN"), ("day < seen", "BOOLEAN"),
    )  # fmt: skip
    assert_same(both.ask(asked), 8)


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP", "DATE"])
@pytest.mark.parametrize("value", ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"])
def test_what_is_infinite_or_of_another_millennium_is_refused_by_either(both: Both, kind: str, value: str) -> None:
    text = value.replace(" BC", " (BC)")
    both.load(f"CREATE TABLE things (id INTEGER, seen {kind})")
    both.load(f"INSERT INTO things VALUES (1, '{text}'), (2, '2013-01-01')", only="duckdb")
    both.load(f"INSERT INTO things VALUES (1, '{value}'), (2, '2013-01-01')", only="postgresql")

    query = both.query(casts(("seen", "DATE" if kind == "DATE" else "TIMESTAMPTZ")), "things")
    said = [both.refusal(query, address) for address in both.addresses]

    assert said[0] == said[1]
    assert "years 1 to 9999: c0 in 1 rows" in said[0]


def test_text_of_every_script_is_the_same_and_bytes_order_it(both: Both) -> None:
    """What sorts by a language sorts otherwise than by bytes; on the package's server nothing does."""
    quoted = ["'" + text.replace("'", "''") + "'" for text in TEXTS]
    both.load(
        "CREATE TABLE things (id INTEGER, name VARCHAR, other VARCHAR);"
        + values([f"{one}, {other}" for one in quoted for other in ("'a'", "'Z'", "'é'", "'_'", "'a-c'")])
    )

    asked = casts(
        ("name", "VARCHAR"), ("name < 'b'", "BOOLEAN"), ("CAST(name AS VARCHAR) < other", "BOOLEAN"),
        ("name BETWEEN 'A' AND 'z'", "BOOLEAN"), ("greatest(CAST(name AS VARCHAR), other)", "VARCHAR"),
        ("least(name, 'm')", "VARCHAR"), ("name = other", "BOOLEAN"), ("name IN ('ä', 'ß')", "BOOLEAN"),
        ("nullif(name, other)", "VARCHAR"), ("coalesce(name, other)", "VARCHAR"), ("name <> 'a'", "BOOLEAN"),
    )  # fmt: skip
    assert_same(both.ask(asked, "things"), 5 * len(TEXTS))


def test_a_key_of_text_is_in_the_same_order(both: Both) -> None:
    quoted = ["'" + text.replace("'", "''") + "'" for text in TEXTS]
    both.load("CREATE TABLE things (id INTEGER, name VARCHAR);" + values(quoted))

    of_file, of_server = both.ask("CAST(name AS VARCHAR) AS name;CAST(id AS INTEGER) AS id", key="name")

    assert_same((of_file, of_server), len(TEXTS))
    assert [row[2] for row in of_server.rows] == sorted(TEXTS, key=str.encode)


def test_a_server_with_a_language_would_order_otherwise(both: Both, postgres_server: postgres.Server) -> None:
    """That the tests above can fail: where the server can, its databases order text as in English."""
    if not postgres_server.orders_text:
        pytest.skip("this server orders by bytes only")

    assert postgres.run(both.url, "SELECT 'B' < 'a'") == [(False,)]


@pytest.mark.parametrize("value", ["name < other", "greatest(name, other)", "name BETWEEN other AND other"])
def test_text_that_a_collation_would_order_is_refused(both: Both, value: str) -> None:
    both.load("CREATE TABLE things (id INTEGER, name VARCHAR(20), other TEXT)", only="postgresql")

    said = both.refused_by_catalog(casts(("id", "INTEGER"), (value, "VARCHAR" if "great" in value else "BOOLEAN")))

    assert "things_v1.sql:9: things.name is character varying(20) in PostgreSQL, and `" in said
    assert "write CAST(name AS VARCHAR) there, which is ordered by bytes" in said


def test_labels_of_an_enum_are_text_also_in_a_key(both: Both) -> None:
    both.load(
        "CREATE TYPE mood AS ENUM ('sad', 'OK', 'ümit', 'happy');"
        "CREATE TABLE things (id INTEGER, feels mood, felt mood);"
        "INSERT INTO things VALUES (1, 'happy', 'sad'), (2, 'sad', NULL), (3, 'OK', 'OK'), (4, 'ümit', 'happy')"
    )

    asked = (
        "CAST(feels AS VARCHAR) AS feels;CAST(felt AS VARCHAR) AS felt;CAST(feels = 'OK' AS BOOLEAN) AS fine;"
        "CAST(feels = felt AS BOOLEAN) AS same;CAST(CAST(feels AS VARCHAR) < 'p' AS BOOLEAN) AS early"
    )
    answers = both.ask(asked, key="feels")

    assert_same(answers, 4)
    assert answers[0].types["things.feels"] == "ENUM"
    assert [row[2] for row in answers[1].rows] == ["OK", "happy", "sad", "ümit"]


def test_an_enum_in_an_order_is_refused(both: Both) -> None:
    """There by the order of its labels, here by their text where it stands with one."""
    both.load(
        "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE things (id INTEGER, a mood, b mood)", only="postgresql"
    )

    assert "things.a is mood in PostgreSQL, and `a < b`" in both.refused_by_catalog(casts(("a < b", "BOOLEAN")))


def test_json_uuids_and_truths_are_the_same(both: Both) -> None:
    both.load(
        "CREATE TABLE things (id INTEGER, said JSON, who UUID, is_so BOOLEAN);"
        + values(
            [
                """'{"b": 1,  "a": [1, 2.50, null], "é": "\\u00e4😀"}', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', true""",
                "'\"text\"', '00000000-0000-0000-0000-000000000000', false",
                "'null', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL",
                "NULL, NULL, true",
            ]
        )
    )

    asked = casts(
        ("said", "VARCHAR"), ("who", "VARCHAR"), ("is_so", "BOOLEAN"), ("is_so", "VARCHAR"), ("is_so", "INTEGER"),
        ("is_so IS NOT TRUE", "BOOLEAN"), ("who = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "BOOLEAN"),
        ("said IS NULL", "BOOLEAN"),
    )  # fmt: skip
    assert_same(both.ask(asked), 4)


def test_nothing_but_nulls_and_nothing_at_all_are_the_same(both: Both) -> None:
    columns = dict(
        zip(
            "abcdefg", ("SMALLINT", "BIGINT", "DOUBLE", "NUMERIC(10, 2)", "VARCHAR", "TIMESTAMPTZ", "DATE"), strict=True
        )
    )
    both.load(f"CREATE TABLE things (id INTEGER, {', '.join(map(' '.join, columns.items()))})")
    asked = casts(*((name, kind.replace("NUMERIC", "DECIMAL")) for name, kind in columns.items()))

    assert_same(both.ask(asked), 0)
    both.load(values(["NULL, NULL, NULL, NULL, NULL, NULL, NULL"] * 3))
    assert_same(both.ask(asked), 3)


def test_names_that_need_quotes_are_quoted(both: Both) -> None:
    names = ("Order", "user", "MixedCase", "select", "ALL", "end")
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    both.load(
        f'CREATE TABLE "Order" (id INTEGER, "a space" INTEGER, "ümlaut" INTEGER, {" INTEGER, ".join(quoted)} INTEGER);'
        f'INSERT INTO "Order" VALUES (1, 8, 9, {", ".join(map(str, range(len(names))))});'
        'CREATE TABLE "user" (id INTEGER, "MixedCase" INTEGER);'
        'INSERT INTO "user" VALUES (1, 77)'
    )
    numbered = (f"CAST(o.{name} AS INTEGER) AS c{place}" for place, name in enumerate(quoted))
    asked = ";".join(("CAST(o.id AS INTEGER) AS id", 'CAST(u."MixedCase" AS INTEGER) AS mixed', *numbered))

    answers = both.ask(asked, '"Order" AS o JOIN "user" AS u ON u.id = o.id')

    assert_same(answers, 1)
    assert answers[1].rows[0][2:] == (1, 77, *range(len(names)))


_SHAPES = {
    "a schema": ("CREATE SCHEMA raw; CREATE TABLE raw.things (id INTEGER, n INTEGER)", "raw.things"),
    "columns in another order": ("CREATE TABLE things (n INTEGER, id INTEGER)", "things"),
    "a further column": ("CREATE TABLE things (id INTEGER, extra MONEY, n INTEGER)", "things"),
    "dropped columns": (
        ("CREATE TABLE things (gone TEXT, id INTEGER, gone_too INTEGER[], n INTEGER);"
        "ALTER TABLE things DROP COLUMN gone; ALTER TABLE things DROP COLUMN gone_too"),
        "things",
    ),
    "a partitioned table": (
        ("CREATE TABLE things (id INTEGER, n INTEGER) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF things FOR VALUES FROM (0) TO (2);"
        "CREATE TABLE high PARTITION OF things FOR VALUES FROM (2) TO (9)"),
        "things",
    ),
    "a view": ("CREATE TABLE base (id INTEGER, n INTEGER); CREATE VIEW things AS SELECT n, id FROM base", "things"),
    "domains": (
        ("CREATE DOMAIN whole AS INTEGER CHECK (VALUE > 0); CREATE DOMAIN counted AS whole NOT NULL;"
        "CREATE TABLE things (id counted, n whole)"),
        "things",
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", _SHAPES)
def test_the_shape_of_a_table_there_changes_nothing(both: Both, shape: str) -> None:
    made, source = _SHAPES[shape]
    both.load(
        f"{'CREATE SCHEMA raw;' if 'raw' in source else ''} CREATE TABLE {source} (id INTEGER, n INTEGER)",
        only="duckdb",
    )
    both.load(made, only="postgresql")
    both.load(f"INSERT INTO {source} (id, n) VALUES (1, 10), (2, 20), (3, 30)")

    assert_same(both.ask(casts(("n", "INTEGER")), source), 3)


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("CREATE TABLE things (id INTEGER, renamed INTEGER)", "the source table things has no column n"),
        ("CREATE TABLE other (id INTEGER, n INTEGER)", "things"),
    ],
)
def test_what_is_missing_is_named_as_of_a_file(both: Both, made: str, found: str) -> None:
    both.load(made)
    query = both.query(casts(("n", "INTEGER")), "things")

    of_file, of_server = (both.refusal(query, address) for address in both.addresses)

    assert all("things_v1.sql" in said and found in said for said in (of_file, of_server))
    assert of_file == of_server or "does not exist" in of_server


def test_a_retyped_column_says_the_same_type(both: Both) -> None:
    """So a change of it is refused by what is kept of the last snapshot, from either."""
    kinds = ("SMALLINT", "BIGINT", "REAL", "DOUBLE", "NUMERIC(9, 3)", "VARCHAR(5)", "BOOLEAN", "DATE", "UUID", "JSON")
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate((*kinds, "TIMESTAMP", "TIMESTAMPTZ")))
    both.load(f"CREATE TABLE things (id INTEGER, {columns})")

    of_file, of_server = both.ask(casts(*((f"c{place} IS NULL", "BOOLEAN") for place in range(len(kinds) + 2))))

    assert of_server.types == of_file.types


REFUSED = {
    "things_v1.sql:9: things.x is jsonb in PostgreSQL": ("JSONB", "x", "VARCHAR"),
    "things.x is money in": ("MONEY", "x", "VARCHAR"),
    "things.x is integer[] in": ("INTEGER[]", "x", "VARCHAR"),
    "things.x is character varying(5)[] in": ("VARCHAR(5)[]", "x", "VARCHAR"),
    "things.x is interval in": ("INTERVAL", "x", "VARCHAR"),
    "things.x is bytea in": ("BYTEA", "x", "VARCHAR"),
    "things.x is time with time zone in": ("TIMETZ", "x", "VARCHAR"),
    "things.x is inet in": ("INET", "x", "VARCHAR"),
    "things.x is numeric(3,-2) in": ("NUMERIC(3, -2)", "x", "DECIMAL(10, 2)"),
    "things.x is numeric in PostgreSQL, and `CAST(x AS TEXT)`": ("NUMERIC", "x", "VARCHAR"),
    "things.x is numeric in PostgreSQL, and `CAST(x AS DOUBLE)`": ("NUMERIC", "x", "DOUBLE"),
    "things.x is numeric in PostgreSQL, and `CAST(X AS DOUBLE)`": ("NUMERIC", "X", "DOUBLE"),
    "things.x is numeric in PostgreSQL, and `x > 1`": ("NUMERIC", "x > 1", "BOOLEAN"),
    "things.x is numeric(38,0) in PostgreSQL, and `CAST(x AS DOUBLE)`": ("NUMERIC(38, 0)", "x", "DOUBLE"),
    "things.x is double precision in PostgreSQL, and `CAST(x AS TEXT)`": ("DOUBLE PRECISION", "x", "VARCHAR"),
    "things.x is double precision in PostgreSQL, and `CAST(x AS DECIMAL(10, 2))`": ("FLOAT8", "x", "DECIMAL(10, 2)"),
    "things.x is real in PostgreSQL, and `x * 2`": ("REAL", "x * 2", "DOUBLE"),
    "things.x is text in PostgreSQL, and `CAST(x AS TIMESTAMPTZ)`": ("TEXT", "x", "TIMESTAMPTZ"),
    "things.x is character(5) in PostgreSQL, and `x = 'a '`": ("CHAR(5)", "x = 'a '", "BOOLEAN"),
    "things.x is character(5) in PostgreSQL, and `coalesce(x, 'a ')`": ("CHAR(5)", "coalesce(x, 'a ')", "VARCHAR"),
    "things.x is bpchar in PostgreSQL, and `x IN": ("BPCHAR", "x IN ('a', 'b')", "BOOLEAN"),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_a_type_that_reads_otherwise_is_refused_before_a_row_is_read(both: Both, said: str) -> None:
    kind, value, asked = REFUSED[said]
    both.load(f"CREATE TABLE things (id INTEGER, x {kind})", only="postgresql")

    found = both.refused_by_catalog(casts(("id", "INTEGER"), (value, asked)))

    assert said.lower() in found.lower()
    assert "things_v1.sql:9: " in found
    assert FAILURES[f"{SourceDiffers.__module__}.{SourceDiffers.__name__}"] == 65


@pytest.mark.parametrize(
    ("left", "right"), [("CHAR(3)", "CHAR(3)"), ("REAL", "DOUBLE PRECISION"), ("NUMERIC", "INTEGER")]
)
@pytest.mark.parametrize("joined", ["USING (x)", "ON b.x = a.x"])
def test_a_join_on_such_a_type_is_refused_too(both: Both, left: str, right: str, joined: str) -> None:
    both.load(f"CREATE TABLE one (id INTEGER, x {left}); CREATE TABLE two (x {right}, y INTEGER)", only="postgresql")
    columns = "CAST(a.id AS INTEGER) AS id;CAST(b.y AS INTEGER) AS y"

    assert "one.x is " in both.refused_by_catalog(columns, f"one AS a JOIN two AS b {joined}")


def test_a_padded_text_is_read_without_its_blanks(both: Both) -> None:
    """Of CHAR(n) PostgreSQL says that they mean nothing; a DuckDB file has none."""
    both.load("CREATE TABLE things (id INTEGER, code CHAR(5)); INSERT INTO things VALUES (1, 'ab'), (2, ''), (3, NULL)")

    assert_same(both.ask(casts(("code", "VARCHAR"), ("code IS NULL", "BOOLEAN"))), 3)


@pytest.mark.parametrize("value", ["x = 'A'", "CAST(x AS VARCHAR) = 'A'", "x IN ('A')", "nullif(x, 'A') IS NULL"])
def test_text_that_equals_other_text_is_only_returned(both: Both, postgres_server: postgres.Server, value: str) -> None:
    """By a collation that passes over case; what is refused is asked otherwise than it would be answered."""
    if not postgres_server.orders_text:
        pytest.skip("this server has no collation but bytes")
    postgres.run(both.url, "DROP COLLATION IF EXISTS caseless")
    postgres.run(
        both.url, "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    both.load("CREATE TABLE things (id INTEGER, x VARCHAR COLLATE caseless)", only="postgresql")
    both.load("CREATE TABLE things (id INTEGER, x VARCHAR)", only="duckdb")
    both.load("INSERT INTO things VALUES (1, 'a'), (2, 'A'), (3, 'ä')")

    assert_same(both.ask(casts(("x", "VARCHAR"))), 3)
    said = both.refused_by_catalog(casts((value, "BOOLEAN")))
    assert "things.x is character varying of a nondeterministic collation in PostgreSQL" in said


def test_caseless_text_is_only_returned(both: Both) -> None:
    if not postgres.run(both.url, "SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("this server has no citext")
    both.load("CREATE EXTENSION citext; CREATE TABLE things (id INTEGER, x CITEXT)", only="postgresql")
    both.load("CREATE TABLE things (id INTEGER, x VARCHAR)", only="duckdb")
    both.load("INSERT INTO things VALUES (1, 'a'), (2, 'A')")

    assert_same(both.ask(casts(("x", "VARCHAR"))), 2)
    assert "things.x is citext in PostgreSQL, and `x = 'A'`" in both.refused_by_catalog(casts(("x = 'A'", "BOOLEAN")))


def test_a_database_of_other_habits_answers_the_same(
    both: Both, postgres_server: postgres.Server, worker_id: str
) -> None:
    """Its encoding, how it reads a backslash, what it makes of `= NULL`, its time zone: the session says its own."""
    name = f"habits_{worker_id}"
    postgres.run(postgres_server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres.run(postgres_server.url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    for setting in (
        "transform_null_equals = on",
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
    ):
        postgres.run(postgres_server.url, f"ALTER DATABASE {name} SET {setting}")
    both.url = postgres_server.database(name)
    both.load("CREATE TABLE things (id INTEGER, name VARCHAR, seen TIMESTAMPTZ)")
    for only, first, second in (("duckdb", "'ä'", "'é'"), ("postgresql", "chr(228)", "chr(233)")):
        rows = f"(1, {first}, '2013-03-10 06:00:00+00'), (2, {second}, NULL), (3, NULL, NULL)"
        both.load(f"INSERT INTO things VALUES {rows}", only=only)

    asked = casts(
        ("name", "VARCHAR"), ("name = 'ä'", "BOOLEAN"), ("(name = NULL) IS NULL", "BOOLEAN"), ("seen", "VARCHAR"),
        ("seen", "DATE"),
    )  # fmt: skip
    assert_same(both.ask(asked), 3)
