"""The types of source columns: looked up where the rows are read, harmless changes told from those that are refused."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.days import Calendar
from jobs.queries.check import Query, read_query
from jobs.warehouse.duckdb_file import open_duckdb_file
from jobs.warehouse.extraction import SourceDiffers, WarehouseUnavailable
from jobs.warehouse.source_types import harmless, require_same_types

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path("sql/job/things_v1.sql")
THINGS = """\
-- grain: one thing
-- role: reference
-- key: id
-- known: none

SELECT
  CAST(t.id AS INTEGER) AS id,
  CAST(t.Name AS VARCHAR) AS name,
  CAST(p.height AS DOUBLE) AS height
FROM {things} AS t
LEFT JOIN places AS p ON p.place = t.place
ORDER BY id
"""
TABLES = """\
CREATE TABLE things (id INTEGER, name VARCHAR, place VARCHAR);
CREATE TABLE places (place VARCHAR, height FLOAT);
INSERT INTO things VALUES (1, 'secret', 'here');
"""


@pytest.fixture
def types(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """What an extraction says of the source columns, in a warehouse that some SQL made."""

    def look(warehouse: str, text: str = THINGS, things: str = "things") -> dict[str, str]:
        path, file = tmp_path / "warehouse.duckdb", tmp_path / "things_v1.sql"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as con:
            con.execute(warehouse)
        file.write_text(text.format(things=things), encoding="utf-8")
        return types_of(path, read_query(file))

    return look


def types_of(path: Path, query: Query) -> dict[str, str]:
    with open_duckdb_file(path, Calendar("UTC"), 1, path.parent) as extraction:
        return extraction.source_types(query)


def test_every_column_that_is_read_has_its_type(types: Callable[..., dict[str, str]]) -> None:
    assert types(TABLES) == {
        "things.id": "INTEGER",
        "things.Name": "VARCHAR",
        "things.place": "VARCHAR",
        "places.height": "FLOAT",
        "places.place": "VARCHAR",
    }


def test_names_are_compared_as_duckdb_compares_them(types: Callable[..., dict[str, str]]) -> None:
    """In capitals or not; a type keeps the name that the SQL has for its column."""
    found = types(f"{TABLES} ALTER TABLE things RENAME id TO ID; ALTER TABLE places RENAME TO PLACES")

    assert (found["things.id"], found["places.height"]) == ("INTEGER", "FLOAT")


def test_schemas_and_views_are_looked_up_like_tables(types: Callable[..., dict[str, str]]) -> None:
    """Under the name that the SQL has for them, whatever lies behind."""
    of_schema = types(f"{TABLES} CREATE SCHEMA raw; CREATE TABLE raw.things AS FROM things", things="raw.things")
    of_view = types(
        f"{TABLES} ALTER TABLE things RENAME TO kept; "
        "CREATE VIEW things AS SELECT place, 1 AS more, name, id::HUGEINT + 1 AS id FROM kept"
    )

    assert of_schema["raw.things.id"] == "INTEGER"
    assert (of_view["things.id"], of_view["things.Name"]) == ("HUGEINT", "VARCHAR")


def test_the_labels_of_an_enum_are_not_repeated(types: Callable[..., dict[str, str]]) -> None:
    """They are contents of rows; brackets, commas and quotes among them are no end."""
    labels = "'secret'', (1)', 'a)', 'it''s'"
    found = types(
        f"{TABLES} CREATE TYPE kind AS ENUM ({labels}); ALTER TABLE things ALTER name TYPE kind USING NULL; "
        "ALTER TABLE places ALTER height TYPE STRUCT(a kind, b kind[]) USING NULL"
    )

    assert found["things.Name"] == "ENUM"
    assert found["places.height"] == "STRUCT(a ENUM, b ENUM[])"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE things DROP name", "the source table things has no column Name; put it back"),
        ("ALTER TABLE things RENAME name TO title", "the source table things has no column Name; put it back"),
        ("ALTER TABLE places DROP place", "the source table places has no column place; put it back"),
        ("DROP TABLE places; CREATE TABLE places (x INTEGER)", "table places has no column height, place; put"),
        ("DROP TABLE places", "Table with name places does not exist"),
        ("CREATE VIEW v AS FROM places; DROP TABLE places; ALTER VIEW v RENAME TO places", "places"),
    ],
)
def test_what_is_missing_is_named_with_the_file(types: Callable[..., dict[str, str]], change: str, said: str) -> None:
    with pytest.raises(SourceDiffers, match=rf"things_v1\.sql: .*{said}") as refused:
        types(f"{TABLES} {change}")

    assert "\n" not in str(refused.value)


def test_a_column_of_using_is_named_with_the_table_that_lacks_it(types: Callable[..., dict[str, str]]) -> None:
    """DuckDB says `left side` and `right side`."""
    using = THINGS.replace("ON p.place = t.place", "USING (place)")
    assert types(TABLES, using)["places.place"] == "VARCHAR"
    for table in ("things", "places"):
        with pytest.raises(SourceDiffers, match=f"the source table {table} has no column place;"):
            types(f"{TABLES} ALTER TABLE {table} DROP place", using)


LATERAL = """\
-- grain: one thing
-- role: reference
-- key: id
-- known: none

SELECT CAST(number AS INTEGER) AS id, CAST(id AS VARCHAR) AS name
FROM things
ORDER BY id
"""


def test_an_output_column_is_no_substitute_for_a_source_column(types: Callable[..., dict[str, str]]) -> None:
    """DuckDB would take the output column `id` for the dropped one, and say nothing."""
    whole = "CREATE TABLE things AS SELECT 1 AS number, 2 AS id"
    assert types(whole, LATERAL) == {"things.number": "INTEGER", "things.id": "INTEGER"}
    with duckdb.connect() as con:
        con.execute("CREATE TABLE things AS SELECT 1 AS number")
        assert con.sql(LATERAL).fetchall() == [(1, "1")]

    with pytest.raises(SourceDiffers, match="the source table things has no column id;"):
        types(f"{whole}; ALTER TABLE things DROP id", LATERAL)


def test_a_missing_table_is_not_looked_for_among_our_variables(types: Callable[..., dict[str, str]]) -> None:
    """DuckDB's Python client would: a frame would be read, anything else would be a bug."""
    for name in ("query", "found", "name", "bounds", "text", "frame"):
        with pytest.raises(SourceDiffers, match=f"Table with name {name} does not exist"):
            types(TABLES, things=name)


def test_a_view_of_a_file_that_is_gone_cannot_be_read_now(types: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    file.write_text("place,height\nhere,1\n")
    warehouse = f"{TABLES} DROP TABLE places; CREATE VIEW places AS FROM read_csv('{file}')"
    assert types(warehouse)["places.height"] == "BIGINT"

    file.unlink()
    with pytest.raises(WarehouseUnavailable):
        types_of(tmp_path / "warehouse.duckdb", read_query(tmp_path / "things_v1.sql"))


WHOLE = ("TINYINT", "USMALLINT", "INTEGER", "BIGINT", "UHUGEINT")
HARMLESS = [
    *permutations(WHOLE, 2),
    ("VARCHAR", "ENUM"),
    ("ENUM", "VARCHAR"),
    ("FLOAT", "DOUBLE"),
    ("DECIMAL(10,2)", "DECIMAL(11,2)"),
    ("DECIMAL(10,2)", "DECIMAL(11,3)"),
    ("DECIMAL(9,0)", "DECIMAL(10,0)"),
    ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
    ("STRUCT(a ENUM)", "STRUCT(a ENUM)"),
]
REFUSED = [
    ("INTEGER", "VARCHAR"),
    ("VARCHAR", "INTEGER"),
    ("ENUM", "INTEGER"),
    ("INTEGER", "DOUBLE"),
    ("DOUBLE", "INTEGER"),
    ("DOUBLE", "FLOAT"),
    ("INTEGER", "DECIMAL(10,0)"),
    ("INTEGER", "DECIMAL(12,2)"),
    ("DECIMAL(10,2)", "DOUBLE"),
    ("DECIMAL(10,2)", "DECIMAL(9,2)"),
    ("DECIMAL(10,2)", "DECIMAL(10,3)"),
    ("DECIMAL(10,2)", "DECIMAL(10,1)"),
    ("DECIMAL(10,2)", "DECIMAL(38,1)"),
    ("DECIMAL(10,0)", "DECIMAL(12,2)"),
    ("INTEGER", "BOOLEAN"),
    ("BOOLEAN", "TINYINT"),
    ("DATE", "TIMESTAMP"),
    ("TIMESTAMP", "DATE"),
    ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"),
    ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    ("TIMESTAMP", "TIMESTAMP_NS"),
    ("VARCHAR", "BLOB"),
    ("VARCHAR", "JSON"),
    ("UUID", "VARCHAR"),
    ("INTEGER[]", "BIGINT[]"),
    ("BIGINT", "BIGNUM"),
]


@pytest.mark.parametrize(("before", "now"), HARMLESS)
def test_a_change_that_can_cost_nothing_is_harmless(before: str, now: str) -> None:
    assert harmless(before, now)
    require_same_types(FILE, "x", {"t.a": before}, {"t.a": now})


@pytest.mark.parametrize(("before", "now"), REFUSED)
def test_a_change_that_could_mean_something_else_is_refused(before: str, now: str) -> None:
    assert not harmless(before, now)
    with pytest.raises(SourceDiffers):
        require_same_types(FILE, "x", {"t.a": before}, {"t.a": now})


def test_a_refusal_names_every_column_both_types_the_file_and_what_to_do() -> None:
    before = {"t.a": "INTEGER", "t.b": "DATE", "t.c": "DOUBLE", "t.gone": "DATE"}
    now = {"t.a": "VARCHAR", "t.b": "DATE", "t.c": "FLOAT", "t.new": "DATE"}

    with pytest.raises(SourceDiffers) as refused:
        require_same_types(FILE, "snapshot 0123 as of 2013-09-01", before, now)

    assert str(refused.value) == (
        "sql/job/things_v1.sql: the source column t.a is VARCHAR and was INTEGER, t.c is FLOAT and was DOUBLE in "
        "snapshot 0123 as of 2013-09-01; put the type back, or release a further version of the SQL that says how to "
        "read it"
    )
