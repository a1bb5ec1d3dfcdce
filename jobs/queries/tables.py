"""What a query reads: plain tables, joined on equal columns, and columns that say which table they are from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.grammar import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobs.queries.grammar import Parsed
    from jobs.queries.source import QueryRefused

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CATALOGUES = ("duckdb_", "pg_", "sqlite_", "pragma_", "information_schema")
_FILES = frozenset(
    {"csv", "tsv", "txt", "parquet", "json", "jsonl", "ndjson", "arrow", "ipc", "gz", "zst", "db", "duckdb"}
)
_POSITIONS = frozenset({"rowid", "ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})
_SESSION = frozenset(
    {
        *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        *("current_catalog", "current_database", "current_schema"),
        *("current_role", "current_user", "session_user", "user"),
    }
)


def table_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """Whatever is read that is no table by name, and tables that share a name."""
    tables = list(tables_of(parsed))
    if not tables:
        yield parsed.refused(parsed.select, "no FROM; an extraction reads a table")
    seen: set[str] = set()
    for table in tables:
        yield from _name_faults(parsed, table)
        if table.alias_or_name in seen:
            yield parsed.refused(table, f"two tables are called `{table.alias_or_name}`; give each an alias")
        seen.add(table.alias_or_name)


def tables_of(parsed: Parsed) -> Iterator[exp.Table]:
    """The tables of FROM and its joins, in order."""
    clauses = [parsed.select.args.get("from_"), *_joins(parsed)]
    yield from (clause.this for clause in clauses if clause and isinstance(clause.this, exp.Table))


def _joins(parsed: Parsed) -> Sequence[exp.Join]:
    return parsed.select.args.get("joins") or ()


def _name_faults(parsed: Parsed, table: exp.Table) -> Iterator[QueryRefused]:
    name, schema = table.this, table.args.get("db")
    parts = [part for part in (schema, name) if part]
    if not all(isinstance(part, exp.Identifier) and _PLAIN.fullmatch(part.name) for part in parts):
        yield parsed.refused(table, f"{short(table)} is no table's name; read tables of the warehouse, never a file")
    elif any(part.name.lower().startswith(_CATALOGUES) for part in parts):
        yield parsed.refused(table, f"{short(table)} describes the engine, not the warehouse; read a table")
    elif schema and name.name.lower() in _FILES:
        yield parsed.refused(table, f"DuckDB would read {short(table)} as a file; read a table of the warehouse")


def join_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """Joins that are not INNER or LEFT, or not on equal columns of the joined table and one before it."""
    for join in _joins(parsed):
        kind = " ".join(str(join.args.get(part) or "") for part in ("method", "side", "kind")).split()
        if kind not in ([], ["INNER"], ["LEFT"], ["LEFT", "OUTER"]):
            yield parsed.refused(join, f"{short(join.this)} is joined by {' '.join(kind)}; write INNER or LEFT JOIN")
        elif not join.args.get("using") and not join.args.get("on"):
            yield parsed.refused(join, f"{short(join.this)} is joined without ON or USING; say which columns are equal")
        elif on := join.args.get("on"):
            yield from _on_faults(parsed, join.this.alias_or_name, on)


def _on_faults(parsed: Parsed, joined: str, on: exp.Expr) -> Iterator[QueryRefused]:
    for condition in on.flatten() if isinstance(on, exp.And) else [on.unnest()]:
        sides = [side for side in (condition.this, condition.args.get("expression")) if type(side) is exp.Column]
        equal = type(condition) is exp.EQ and len(sides) == len(("left", "right"))
        if not equal or [side.table for side in sides].count(joined) != 1:
            reason = f"ON says `{joined}.column = other.column`, joined by AND; other conditions stand in WHERE"
            yield parsed.refused(condition, f"the join condition {short(condition)}; {reason}")


def reference_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """Columns that do not say their table where there are several, and names that are no column of the warehouse."""
    called = [table.alias_or_name for table in tables_of(parsed)]
    order = parsed.select.args.get("order")
    ordering = set(map(id, order.find_all(exp.Column))) if order else set()
    for column in parsed.select.find_all(exp.Column):
        if id(column) not in ordering and isinstance(column.this, exp.Identifier):
            reason = _wrong_reference(column, called)
            if reason:
                yield parsed.refused(column, reason)


def _wrong_reference(column: exp.Column, called: Sequence[str]) -> str | None:
    name = column.name.lower()
    if name in _POSITIONS:
        return f"`{column.name}` is where a row lies, not what it says; it changes with the order of the warehouse"
    if column.table:
        known = column.table in called
        return None if known else f"{short(column)} names no table of FROM; the tables are {', '.join(called)}"
    if name in _SESSION:
        return f"`{column.name}` depends on the session; time and user are no columns"
    if len(called) > 1:
        return f"{short(column)} does not say which table it is from; write one of {', '.join(called)} before it"
    if column.name in called:
        return f"{short(column)} is a whole row of the table; name its columns"
    return None
