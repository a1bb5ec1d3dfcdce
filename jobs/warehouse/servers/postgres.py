"""What is particular to PostgreSQL: how a session is set, what its errors mean, which types its catalog says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.warehouse.addresses import ServerAddress

READ_ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
FORBIDDEN = "42501"
NO_ENTRY = re.compile(
    r"authentication failed|no password supplied|role .* does not exist|no pg_hba\.conf entry|permission denied|"
    r"is not permitted to log in"
)
SAID = re.compile(r"\b(?:ERROR|FATAL|PANIC):\s+(.*)")
NO_DATABASE = re.compile(r"database .* does not exist")

# SQLSTATE classes after which another try may go well: connection, transaction rollback, resources, lock not available,
# operator intervention (cancelled, shut down), system error.
_PASSING = ("08", "40", "53", "55P03", "57", "58")
_CONNECT = {
    "application_name": "rescore",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_USE_COPY = "adbc.postgresql.use_copy"
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TYPES = {
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "text": "VARCHAR",
    "name": "VARCHAR",
    "citext": "VARCHAR",
    "date": "DATE",
    "json": "JSON",
    "uuid": "UUID",
    "bytea": "BLOB",
    "interval": "INTERVAL",
}
_TEXT = re.compile(r"character varying(\(\d+\))?|character\(\d+\)|bpchar")
_TIMESTAMP = re.compile(r"timestamp(\(\d\))? (with|without) time zone")

# Of a domain, the type that it is of in the end; a view has columns as a table has.
COLUMN_TYPES = """
WITH RECURSIVE typed AS (
    SELECT attname, attnum, atttypid AS type_of, atttypmod AS modifier, attcollation AS ordered_by
    FROM pg_catalog.pg_attribute WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT attname, attnum, d.typbasetype, d.typtypmod, ordered_by
    FROM typed JOIN pg_catalog.pg_type AS d ON d.oid = type_of AND d.typtype = 'd'
)
SELECT attname::text, format_type(type_of, modifier), t.typtype::text,
       coalesce((SELECT collisdeterministic FROM pg_catalog.pg_collation AS c WHERE c.oid = ordered_by), true)
FROM typed JOIN pg_catalog.pg_type AS t ON t.oid = type_of AND t.typtype <> 'd' ORDER BY attnum
"""


def connect_arguments(address: ServerAddress) -> dict[str, Any]:
    """What the driver is called with: the URL, and limits that it does not name itself."""
    place, _, query = address.url.partition("?")
    named = {part.partition("=")[0] for part in query.split("&")}
    limits = [f"{name}={value}" for name, value in _CONNECT.items() if name not in named]
    return {"uri": f"{place}?{'&'.join(filter(None, [query, *limits]))}"}


def session_settings(address: ServerAddress) -> Iterator[str]:
    """Statements that make a session say the same whatever the server's defaults, and give up in time."""
    patience_ms = int(address.silence_s * 1000)
    yield "SET client_encoding = 'UTF8'"
    yield "SET transform_null_equals = off"
    yield "SET TimeZone = 'UTC'"
    yield "SET DateStyle = 'ISO, YMD'"
    yield "SET extra_float_digits = 1"
    yield f"SET statement_timeout = {patience_ms}"
    yield f"SET lock_timeout = {patience_ms}"
    yield f"SET idle_in_transaction_session_timeout = {10 * patience_ms}"


def without_copy(cursor: Any) -> None:  # noqa: ANN401  of the driver
    """Fetch the result at once and not as a COPY, whose errors come without an SQLSTATE, and which knows no EXPLAIN."""
    cursor.adbc_statement.set_options(**{_USE_COPY: "false"})


def passes(sqlstate: str) -> bool:
    """Whether another try may go well."""
    return sqlstate.startswith(_PASSING)


def type_name(formatted: str, kind: str) -> str:
    """A column's type as DuckDB spells it, so that a warehouse may move between the two; labels of an enum are rows."""
    if kind == "e":
        return "ENUM"
    if match := _NUMERIC.fullmatch(formatted):
        return f"DECIMAL({match[1]},{match[2]})"
    if _TEXT.fullmatch(formatted):
        return "VARCHAR"
    if match := _TIMESTAMP.fullmatch(formatted):
        return "TIMESTAMP WITH TIME ZONE" if match[2] == "with" else "TIMESTAMP"
    return _TYPES.get(formatted, formatted.upper())


def literal(text: str) -> str:
    """A text as an SQL literal, whatever the server's `standard_conforming_strings`."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
