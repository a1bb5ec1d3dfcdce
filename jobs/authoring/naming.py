"""Columns of the warehouse as columns of a job: what they are called there, and how the SQL casts them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.queries.kinds import Kind
from jobs.queries.words import KEYWORDS_OF_POSTGRES
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobs.authoring.facts import Facts

LABELS = "labels"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_PLACES = 2  # of numbers that do not say how many they have
_DIGITS = 18
# What extraction adds, what the score tables have beside the key, and what the generated features name themselves.
_TAKEN = frozenset(
    {
        *("as_of", "event_day", "visible_day", "superseded_day", "score", "raw_score", "rank", "model_version"),
        *("run_id", "scored_at", "label", "last_day", "first", "last", "rows"),
    }
)
_WHOLE = {
    "BOOLEAN": "BOOLEAN",
    "UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT",
    **{name: name for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """One output column: its name, its type, and what is cast to it.

    `scale` is 10 to the places of an amount; `nulls` is the share of rows that have none.
    """

    name: str
    type_sql: str
    expression: str
    nulls: float
    scale: int = 1

    @property
    def sql(self) -> str:
        """As SELECT lists it."""
        return f"CAST({self.expression} AS {self.type_sql}) AS {self.name}"

    @property
    def dtype(self) -> str:
        """The Polars type, as Python writes it."""
        return _POLARS[self.type_sql]


_POLARS = {
    "BOOLEAN": "pl.Boolean",
    "TINYINT": "pl.Int8",
    "SMALLINT": "pl.Int16",
    "INTEGER": "pl.Int32",
    "BIGINT": "pl.Int64",
    "VARCHAR": "pl.String",
    "DATE": "pl.Date",
    "TIMESTAMPTZ": 'pl.Datetime("us", "UTC")',
}


def output_of(column: Facts, rows: int) -> Output:
    """A column that is a clock, a key or an entity, in a table of so many rows."""
    return Output(as_name(column.name), _type_of(column), as_source(column.name), column.nulls / rows)


def amount_of(column: Facts, rows: int) -> Output:
    """A column that is summed: as a whole number, of as small a unit as it has places."""
    name, source, nulls = as_name(column.name), as_source(column.name), column.nulls / rows
    if column.kind is Kind.INTEGER:
        return Output(name, "BIGINT", source, nulls)
    digits = _DECIMAL.fullmatch(column.type_sql)
    places = int(digits[2]) if digits else _PLACES
    scale = 10**places
    if places == 0:
        return Output(name, "BIGINT", source, nulls)
    if column.kind is Kind.DOUBLE:  # not round(x): engines round the halves of a double differently
        return Output(f"{name}_x{scale}", "BIGINT", f"floor({source} * {scale} + 0.5)", nulls, scale)
    return Output(
        f"{name}_x{scale}", "BIGINT", f"CAST({source} AS DECIMAL({_DIGITS}, {places})) * {scale}", nulls, scale
    )


def _type_of(column: Facts) -> str:
    if column.kind in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        return "TIMESTAMPTZ"
    if column.type_sql.startswith("DECIMAL"):
        return "BIGINT"
    return _WHOLE.get(column.type_sql, "VARCHAR")


def as_name(name: str) -> str:
    """A name that an output column may have."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column"
    plain = f"c_{plain}" if plain[0].isdigit() else plain
    return f"{plain}_" if plain in _TAKEN or plain in KEYWORDS_OF_POSTGRES else plain


def as_source(name: str) -> str:
    """A source column as SQL names it: quoted only where it must be."""
    return name if _PLAIN.fullmatch(name) and name not in KEYWORDS_OF_POSTGRES else quoted(name)


def noun_of(table: str, taken: Collection[str]) -> str:
    """What the rows of a table are called in the job; a file and a feature are named after it."""
    noun = as_name(table).rstrip("_").lstrip("_") or "rows"
    return f"{noun}_rows" if noun in {LABELS, *taken} or noun in _TAKEN else noun
