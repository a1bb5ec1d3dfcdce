"""What a job expects of its source columns in production, and what a night met.

A column may be there at training, whole and long known, and be null every night: its feature is then learnt from, and
missing when it counts. So each column that features may read declares what its nulls mean. It is measured each night
on the rows that this night is the first to see (of a population or a reference: on all), and stays on record.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from jobs.queries.declaration import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from jobs.queries.check import Query
    from jobs.store.documents import Json
    from jobs.store.opening import CountNulls
    from jobs.store.snapshots import Snapshot, TableSnapshot

    type Constant = str | int | float | bool

REQUIRED, NULL_ALLOWED = "required", "null allowed"
FORMS = '"required", "null allowed", "null allowed up to 5 %", or { default = 0 }'
_BITS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
_UP_TO = re.compile(r"null allowed up to (?P<percent>\d{1,2}(\.\d{1,4})?|100) %")


class PolicyRefused(Exception):
    """What a job says of a column in production is of none of the forms."""


class ColumnsUndeclared(Exception):
    """A job does not say of every column that its features may read what becomes of it in production."""


class ColumnsUnavailable(Exception):
    """A column has more nulls on a night than its job allows."""


class DefaultRefused(Exception):
    """A default is no value of its column's type."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one column's nulls mean: how large a share of a night's rows they may be, and what stands for them."""

    most: Fraction
    default: Constant | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """By table and column, the policies as they were declared: JSON values, as they travel with a model version."""

    declared: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    def policies(self, table: str) -> dict[str, Policy]:
        """The policy of each declared column of a table.

        Raises:
            PolicyRefused: if one is of none of the forms.
        """
        return {name: read_policy(said) for name, said in self.declared.get(table, {}).items()}

    def of(self, queries: Sequence[Query]) -> Columns:
        """Only those of the columns that these queries have: others are of other editions."""
        there = {query.table: declarable(query) for query in queries}
        mine = {
            table: {name: said for name, said in named.items() if name in there.get(table, ())}
            for table, named in self.declared.items()
        }
        return Columns({table: named for table, named in mine.items() if named})

    def filled(self, tables: Mapping[str, pl.LazyFrame]) -> Mapping[str, pl.LazyFrame]:
        """The tables with their defaults for nulls: what features are built from."""
        return {name: _filled(rows, self.policies(name)) for name, rows in tables.items()}


@dataclass(frozen=True, slots=True)
class Met:
    """What a night met in one column: how many of its rows, and how many nulls."""

    table: str
    column: str
    rows: int
    nulls: int
    most: Fraction

    @property
    def far(self) -> bool:
        """Whether there are more nulls than allowed."""
        return self.nulls > self.most * self.rows


def read_policy(said: object) -> Policy:
    """The policy that one entry declares.

    Raises:
        PolicyRefused: if it is of none of the forms.
    """
    if said == REQUIRED:
        return Policy(most=Fraction(0))
    if said == NULL_ALLOWED:
        return Policy(most=Fraction(1))
    if isinstance(said, str) and (found := _UP_TO.fullmatch(said)):
        return Policy(most=Fraction(found["percent"]) / 100)
    default = said.get("default") if isinstance(said, dict) and set(said) == {"default"} else None
    if isinstance(default, str | int | float | bool):
        return Policy(most=Fraction(1), default=default)
    raise PolicyRefused(f"must be {FORMS}; found {said!r}")


def undeclared(queries: Sequence[Query], columns: Columns) -> Iterator[tuple[Query, str]]:
    """Each column that features may read and nobody has said anything of; key and clocks are never null."""
    for query in queries:
        if _is_read(query):
            named = columns.declared.get(query.table, {})
            yield from ((query, name) for name in declarable(query) if name not in named)


def _is_read(query: Query) -> bool:
    """Whether features may read the table; labels are not there in production."""
    return query.declaration.role is not Role.LABELS


def declarable(query: Query) -> list[str]:
    """The columns of a table that may be null: all but its key and its clocks."""
    of_rows = {*query.declaration.key, query.declaration.event_time, query.declaration.known_time}
    return [column.name for column in query.columns if column.name not in of_rows]


def unknown(queries: Sequence[Query], columns: Columns) -> Iterator[str]:
    """Each declared column that no table has, or that is never null anyway, as `table.column`.

    A table may be there in several versions, those of all editions.
    """
    there = {(query.table, name) for query in queries if _is_read(query) for name in declarable(query)}
    for table, named in columns.declared.items():
        yield from (f"{table}.{name}" for name in named if (table, name) not in there)


def require_declared(job: str, queries: Sequence[Query], columns: Columns) -> None:
    """Pass if every column that features may read has a policy; what cannot be trusted at night is not learnt from.

    Raises:
        ColumnsUndeclared: naming those that have none.
    """
    missing = [f"{query.table}.{name}" for query, name in undeclared(queries, columns)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""  # noqa: PLR2004  a line that can be read
        raise ColumnsUndeclared(
            f"job `{job}` does not say what happens in production when these are null: {', '.join(missing[:5])}{more}; "
            f"write each into [columns.<table>] of the job's TOML: {FORMS}"
        )


def columns_met(columns: Columns, snapshot: Snapshot, count: CountNulls) -> list[Met]:
    """What a snapshot's night meets in each column with a policy; rows of earlier nights were met by those."""
    met = []
    for table in snapshot.tables:
        policies = columns.policies(table.name)
        if not policies:
            continue
        new = [part for part in table.partitions if _is_new(table, part.visible_day, snapshot)]
        rows, nulls = count(table, new, list(policies))
        met += [Met(table.name, name, rows, nulls[name], policy.most) for name, policy in policies.items()]
    return met


def _is_new(table: TableSnapshot, visible_day: object, snapshot: Snapshot) -> bool:
    return table.role != Role.HISTORY or visible_day == snapshot.as_of


def require_available(job: str, as_of: object, met: Sequence[Met]) -> None:
    """Pass if no column has more nulls than it may.

    Raises:
        ColumnsUnavailable: with figures; never what stands in a row.
    """
    far = [each for each in met if each.far]
    if far:
        said = "; ".join(
            f"{each.table}.{each.column} is null in {each.nulls:,} of {each.rows:,} rows "
            f"({each.nulls / each.rows:.1%}, at most {each.most:.1%} may be)"
            for each in far
        )
        raise ColumnsUnavailable(
            f"{job} as of {as_of}: {said}. Nothing was published. Is the source whole? If it is and this is right: "
            "add --accept-rows, which stays on record"
        )


def met_json(met: Sequence[Met]) -> dict[str, Json]:
    """As it stands in an execution record: by table and column, rows and nulls."""
    found: dict[str, dict[str, Json]] = {}
    for each in met:
        found.setdefault(each.table, {})[each.column] = {"nulls": each.nulls, "rows": each.rows}
    return dict(found)


def require_defaults(queries: Sequence[Query], columns: Columns) -> None:
    """Pass if each default is a value of its column's type.

    Raises:
        DefaultRefused: naming the first that is none.
    """
    for query in queries:
        types = {column.name: column.type_sql for column in query.columns}
        for name, policy in columns.policies(query.table).items():
            if policy.default is not None and name in types and not _fits(policy.default, types[name]):
                raise DefaultRefused(
                    f"the default of {query.table}.{name} is {policy.default!r}, and the column is {types[name]}; "
                    "give a value of that type"
                )


def _fits(value: Constant, type_sql: str) -> bool:
    """Whether a constant is, exactly, a value of a column of that type; days and instants have none."""
    if isinstance(value, bool) or type_sql == "BOOLEAN":
        return isinstance(value, bool) and type_sql == "BOOLEAN"
    if isinstance(value, str) or type_sql == "VARCHAR":
        return isinstance(value, str) and type_sql == "VARCHAR"
    if type_sql in _BITS:
        return isinstance(value, int) and -(2 ** _BITS[type_sql]) <= value < 2 ** _BITS[type_sql]
    return type_sql == "DOUBLE" and math.isfinite(value) and float(value) == value


def _filled(rows: pl.LazyFrame, policies: Mapping[str, Policy]) -> pl.LazyFrame:
    defaults = {name: each.default for name, each in policies.items() if each.default is not None}
    if not defaults:
        return rows
    import polars as pl  # noqa: PLC0415  what a job declares is read without it

    schema = rows.collect_schema()  # rows that other SQL took may lack a column of this edition
    return rows.with_columns(
        pl.col(name).fill_null(pl.lit(value, dtype=schema[name])) for name, value in defaults.items() if name in schema
    )
