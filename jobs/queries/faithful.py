"""What an engine would answer differently than DuckDB, as far as the text says, and what only its catalog can tell.

Tried value by value on PostgreSQL 15 and 18. The other engines were never run: Snowflake's keywords and Spark's order
of NaN were looked up in their documentation, the rest is from knowledge of them (docs/decisions/0013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.grammar import short
from jobs.queries.kinds import (
    OF_COLUMNS,
    Kind,
    Kinds,
    cast_to,
    deciding_columns,
    is_whole,
    kinds,
    kinds_that_lead_to,
    operands,
)
from jobs.queries.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobs.queries.grammar import Parsed

ORDERING = (exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.Greatest, exp.Least)
COMPARING = (*ORDERING, exp.EQ, exp.NEQ)

_FRACTIONS: Kinds = frozenset({Kind.FLOAT, Kind.DOUBLE})
_DECIMALS: Kinds = frozenset({Kind.DECIMAL, Kind.WIDE, Kind.SCALELESS})
_WIDE: Kinds = frozenset({Kind.WIDE})
_TEXT: Kinds = frozenset({Kind.VARCHAR})
_INSTANTS: Kinds = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_SPAN: Kinds = frozenset({Kind.INTERVAL})

# What is cast to the first is another value, or another text, if it is one of the second. Where an engine raises an
# error that DuckDB does not, nothing wrong can come of it; such pairs are not here.
_ELSEWHERE: Mapping[Kind, Kinds] = {
    Kind.BOOLEAN: _TEXT | _FRACTIONS,
    Kind.INTEGER: _TEXT | _FRACTIONS,
    Kind.DECIMAL: _TEXT | _FRACTIONS,
    Kind.DOUBLE: _TEXT | _WIDE,
    Kind.VARCHAR: _FRACTIONS | _DECIMALS | _INSTANTS | _SPAN,
    Kind.DATE: _TEXT,
    Kind.TIMESTAMPTZ: _TEXT,
}
UNFAITHFUL: Mapping[str, Mapping[Kind, Kinds]] = {
    "postgres": {
        Kind.DECIMAL: _FRACTIONS,
        Kind.DOUBLE: _WIDE,
        Kind.VARCHAR: _FRACTIONS | _SPAN | {Kind.SCALELESS},
        Kind.DATE: _TEXT,
        Kind.TIMESTAMPTZ: _TEXT,
    },
    "snowflake": {**_ELSEWHERE, Kind.DATE: _TEXT | _INSTANTS},
    "bigquery": _ELSEWHERE,
    "spark": {**_ELSEWHERE, Kind.INTEGER: _TEXT | _FRACTIONS | _DECIMALS},
    "trino": {**_ELSEWHERE, Kind.DATE: _TEXT | _INSTANTS},
}
# Of these, greatest() and least() do not take NaN for the greatest of all numbers.
_NAN_IS_UNORDERED = frozenset({"bigquery", "trino"})

# Engines widen single precision apart, and DuckDB rounds a decimal where the common type would need over 38 digits.
_ALONE = (exp.Neg, exp.Abs, exp.Floor)
_TOGETHER = (*COMPARING, exp.In, exp.Add, exp.Sub, exp.Mul, exp.Coalesce, exp.Nullif, exp.Case)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One source column in one place, where the text is only right if the column is of none of these kinds."""

    table: str
    column: str
    refused: Kinds
    line: int
    place: str


def doubts(parsed: Parsed, dialect: str) -> Iterator[Doubt]:
    """What the warehouse's catalog must say before the rendered text may run, in the order of the text."""
    for node, operand, refused in _sensitive(parsed.select, dialect):
        for column in deciding_columns(operand):
            leading = kinds_that_lead_to(operand, column, refused)
            if leading:
                yield _doubt(parsed, column, node, leading)
    yield from _joined(parsed, frozenset({Kind.FLOAT}) | _WIDE)


def differences(parsed: Parsed, dialect: str) -> Iterator[tuple[exp.Expr, Kind]]:
    """The pieces whose text alone shows that the engine would answer differently, with the kind that does it."""
    for node, operand, refused in _sensitive(parsed.select, dialect):
        yield from ((node, kind) for kind in sorted(kinds(operand) & refused))


def _sensitive(select: exp.Select, dialect: str) -> Iterator[tuple[exp.Expr, exp.Expr, Kinds]]:
    """Every place where kinds matter, each of its operands, and the kinds that it may not be of."""
    for node in select.walk(bfs=False):
        if isinstance(node, exp.Cast):
            yield node, node.this, refused_in_cast(node, dialect)
        elif isinstance(node, _ALONE):
            yield node, node.this, frozenset({Kind.FLOAT})
        elif isinstance(node, _TOGETHER):
            unordered = dialect in _NAN_IS_UNORDERED and isinstance(node, (exp.Greatest, exp.Least))
            refused = frozenset({Kind.FLOAT}) | _WIDE | (_FRACTIONS if unordered else frozenset())
            yield from ((node, operand, refused) for operand in compared(node))


def refused_in_cast(cast: exp.Cast, dialect: str) -> Kinds:
    """The kinds of which the engine makes another value by this cast.

    A constant text of a date or an instant is held to one spelling already, and a whole number needs no rounding.
    """
    target = Kind.DECIMAL if cast_to(cast) is Kind.WIDE else cast_to(cast)
    refused = UNFAITHFUL[dialect].get(target, frozenset())
    within = cast.this.unnest()
    if target in {Kind.DATE, Kind.TIMESTAMPTZ} and isinstance(within, exp.Literal):
        return refused - _TEXT
    if target is Kind.INTEGER and is_whole(within):
        return refused - _FRACTIONS - _DECIMALS
    return refused


def is_text(node: exp.Expr) -> bool:
    """Whether a value is text by the text of the query alone."""
    return Kind.VARCHAR in kinds(node)


def compared(node: exp.Expr) -> tuple[exp.Expr, ...]:
    """The values that are computed or compared with one another; of CASE its results, and what it compares."""
    if isinstance(node, exp.Between):
        return node.this, node.args["low"], node.args["high"]
    if isinstance(node, exp.Case):
        tested = (node.this, *(branch.this for branch in node.args["ifs"])) if node.this else ()
        return *tested, *operands(node)
    return tuple(part for part in (node.this, node.args.get("expression"), *node.expressions) if part)


def text_in_order(parsed: Parsed) -> Iterator[Doubt]:
    """What is put in order where the text does not show that it is text; if it is, a collation may decide."""
    for node in parsed.select.find_all(*ORDERING, bfs=False):
        if not any(map(is_text, compared(node))):
            columns = (column for operand in compared(node) for column in deciding_columns(operand))
            yield from (_doubt(parsed, column, node, _TEXT) for column in columns)


def cast_to_text(parsed: Parsed) -> Iterator[Doubt]:
    """What is cast to VARCHAR; a number that says no scale has each value's own there."""
    for cast in parsed.select.find_all(exp.Cast, bfs=False):
        if cast_to(cast) is Kind.VARCHAR:
            yield from (_doubt(parsed, column, cast, _DECIMALS) for column in deciding_columns(cast.this))


def more_than_output(parsed: Parsed) -> Iterator[Doubt]:
    """What is used in another way than `CAST(column AS VARCHAR) AS name` and IS NULL; refused is every kind.

    Of USING, the column of every table, as the text does not say which have it.
    """
    order = parsed.select.args.get("order")
    ordering = set(map(id, order.find_all(exp.Column))) if order else set()
    for column in parsed.select.find_all(exp.Column, bfs=False):
        if id(column) not in ordering and not _is_output(column):
            yield _doubt(parsed, column, column.parent or column, OF_COLUMNS)
    yield from _joined(parsed, OF_COLUMNS)


def _joined(parsed: Parsed, refused: Kinds) -> Iterator[Doubt]:
    """What USING compares."""
    for join in parsed.select.args.get("joins") or ():
        for name in join.args.get("using") or ():
            for table in tables_of(parsed):
                path = ".".join(part for part in (table.db, table.name) if part)
                yield Doubt(path, name.name, refused, parsed.line_of(join.this), f"USING ({name.name})")


def _is_output(column: exp.Column) -> bool:
    cast = column.parent
    if isinstance(cast, exp.Is) and isinstance(cast.expression, exp.Null):
        return True
    return isinstance(cast, exp.Cast) and cast_to(cast) is Kind.VARCHAR and isinstance(cast.parent, exp.Alias)


def _doubt(parsed: Parsed, column: exp.Column, place: exp.Expr, refused: Kinds) -> Doubt:
    return Doubt(table_of(parsed, column), column.name, refused, parsed.line_of(place), short(place).strip("`"))


def table_of(parsed: Parsed, column: exp.Column) -> str:
    """The table that a column is read of, as FROM names it, its schema before it."""
    tables = list(tables_of(parsed))
    called = next((each for each in tables if each.alias_or_name == column.table), tables[0])
    return ".".join(part for part in (called.db, called.name) if part)
