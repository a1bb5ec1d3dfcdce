"""What is particular to PostgreSQL: how a session is set, what its errors mean, which types its catalog says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.warehouse.addresses import ServerAddress

READ_ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Whatever the server's defaults: a waiter for the lock must see, once it has it, what its holder wrote.
WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
FORBIDDEN = "42501"
NO_ENTRY = re.compile(
    r"authentication failed|no password supplied|role .* does not exist|no pg_hba\.conf entry|permission denied|"
    r"is not permitted to log in"
)
NO_DATABASE = re.compile(r"database .* does not exist")

# SQLSTATE classes after which another try may go well: connection, transaction rollback, resources, lock not available,
# operator intervention (cancelled, shut down), system error; a transaction that took too long, or lay idle too long; a
# server that became a standby.
_PASSING = ("08", "25006", "25P03", "25P04", "40", "53", "55P03", "57", "58")
# A value of a row: data exceptions, and a NaN where an integer should be.
_OF_A_VALUE = ("22", "0A000")
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


def session_settings(address: ServerAddress) -> str:
    """A query that makes a session say the same whatever the server's defaults, and give up in time."""
    patience_ms = int(address.silence_s * 1000)
    limits = {
        "statement_timeout": patience_ms,
        "lock_timeout": patience_ms,
        "idle_in_transaction_session_timeout": max(patience_ms, _IDLE_MS),
    }
    wanted = ", ".join(
        f"('{name}', '{value}')" for name, value in {**_SAME_TEXTS, **_NOTICE_THE_LOST, **limits}.items()
    )
    return f"SELECT set_config(name, wanted.value, false) FROM (VALUES {wanted}) AS wanted (name, value) {_THAT_IT_HAS}"  # noqa: S608


_SAME_TEXTS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "client_encoding": "UTF8",
    "extra_float_digits": 1,
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "row_security": "off",  # an error, where a policy would hide rows
}
# What a job that died without a word holds at the server, a lock above all, is let go of while the next try waits.
_NOTICE_THE_LOST = {
    "client_connection_check_interval": "10s",
    "tcp_keepalives_idle": 30,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
}
_IDLE_MS = 60_000
_THAT_IT_HAS = "JOIN pg_catalog.pg_settings USING (name)"  # PostgreSQL 13 does not check connections
STREAM_AS_LONG_AS_IT_TAKES = "SET LOCAL statement_timeout = 0"  # what streams is watched here: only silence counts


def without_copy(cursor: Any) -> None:  # noqa: ANN401  of the driver
    """Fetch the result at once and not as a COPY, whose errors come without an SQLSTATE, and which knows no EXPLAIN."""
    cursor.adbc_statement.set_options(**{_USE_COPY: "false"})


def passes(sqlstate: str) -> bool:
    """Whether another try may go well."""
    return sqlstate.startswith(_PASSING)


def is_of_a_value(sqlstate: str) -> bool:
    """Whether a value of a row may be what a statement failed on; the message then may hold it."""
    return sqlstate.startswith(_OF_A_VALUE)


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
