"""What kind of value a piece of a query is, as far as its text says; the engines differ by kind, not by width."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Kind(StrEnum):
    """The types that behave alike, by the name of one of them."""

    BOOLEAN = "BOOLEAN"
    INTEGER = "INTEGER"
    DECIMAL = "DECIMAL"
    WIDE = "DECIMAL of more than 18 digits"
    SCALELESS = "DECIMAL of several scales"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    VARCHAR = "VARCHAR"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    INTERVAL = "INTERVAL"


Kinds = frozenset[Kind]

OF_COLUMNS: Kinds = frozenset(Kind) - {Kind.SCALELESS, Kind.INTERVAL}
NONE: Kinds = frozenset()

_NARROW = 18
_BY_NAME = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), Kind.INTEGER),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), Kind.INTEGER),
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
    "REAL": Kind.FLOAT,
}
_CAST_TO = {
    exp.DType.BOOLEAN: Kind.BOOLEAN,
    **dict.fromkeys((exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT), Kind.INTEGER),
    exp.DType.DOUBLE: Kind.DOUBLE,
    exp.DType.TEXT: Kind.VARCHAR,
    exp.DType.DATE: Kind.DATE,
    exp.DType.TIMESTAMPTZ: Kind.TIMESTAMPTZ,
}
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.WIDE, Kind.SCALELESS, Kind.FLOAT, Kind.DOUBLE)
_DAYS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_PREDICATES = (exp.Predicate, exp.Connector, exp.Not, exp.Boolean)


def kind_of(type_sql: str) -> Kind | None:
    """The kind of a source column, of its type as DuckDB spells it; None for a type that no query here knows."""
    name, _, digits = type_sql.upper().partition("(")
    if name == Kind.DECIMAL:
        return _decimal(digits.partition(",")[0])
    return _BY_NAME.get(name) or (Kind(name) if name in OF_COLUMNS else None)


def cast_to(cast: exp.Cast) -> Kind:
    """The kind that a checked query casts to."""
    if cast.to.this is exp.DType.DECIMAL:
        return _decimal(cast.to.expressions[0].name)
    return _CAST_TO[cast.to.this]


def _decimal(digits: str) -> Kind:
    """Two decimals of 18 digits each have a common type in DuckDB, which has 38; of wider ones it rounds one."""
    return Kind.DECIMAL if digits.isdecimal() and int(digits) <= _NARROW else Kind.WIDE


def unknown(_: exp.Column) -> Kinds:
    """A column of which the text says nothing, and which decides nothing."""
    return NONE


def kinds(node: exp.Expr, of: Callable[[exp.Column], Kinds] = unknown) -> Kinds:
    """The kinds that a value may be of, given those of the columns; empty where it is null or nothing is known."""
    if isinstance(node, exp.Column):
        return of(node)
    own = _own_kind(node)
    if own is not None:
        return frozenset({own})
    parts = [kinds(part, of) for part in operands(node)]
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        return _arithmetic(node, *parts)
    if isinstance(node, exp.Floor):
        return frozenset(Kind.DOUBLE if kind is Kind.INTEGER else kind for kind in parts[0])
    return _chosen(parts)


def operands(node: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that a value's kind comes from: of CASE its results, of NULLIF what it passes on."""
    if isinstance(node, exp.Case):
        yield from (branch.args["true"] for branch in node.args["ifs"])
        yield from (each for each in (node.args.get("default"),) if each)
    elif isinstance(node, (exp.Paren, exp.Neg, exp.Abs, exp.Floor, exp.Nullif)):
        yield node.this
    elif isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        yield from (node.this, node.expression)
    elif isinstance(node, (exp.Coalesce, exp.Greatest, exp.Least)):
        yield from (node.this, *node.expressions)


def deciding_columns(node: exp.Expr) -> Iterator[exp.Column]:
    """The columns that decide of which kind a value is; none below a cast or a comparison."""
    if isinstance(node, exp.Column):
        yield node
    for part in operands(node):
        yield from deciding_columns(part)


def kinds_that_lead_to(node: exp.Expr, column: exp.Column, refused: Kinds) -> Kinds:
    """The kinds that a deciding column must not be of, lest the value be of a refused kind."""

    def leads(kind: Kind) -> bool:
        return bool(kinds(node, lambda each: frozenset({kind}) if each is column else NONE) & refused)

    return frozenset(filter(leads, OF_COLUMNS))


def is_whole(node: exp.Expr) -> bool:
    """Whether a number has no digits after the point, whatever its type: what floor() gives, and its negative."""
    within = node.unnest()
    if isinstance(within, (exp.Neg, exp.Abs)):
        return is_whole(within.this)
    return isinstance(within, exp.Floor) or kinds(within) == {Kind.INTEGER} != set(deciding_columns(within))


def _own_kind(node: exp.Expr) -> Kind | None:
    """The kind that a piece has whatever stands below it; None where that decides."""
    if isinstance(node, exp.Cast):
        return cast_to(node)
    if isinstance(node, exp.Literal):
        fraction = Kind.DECIMAL if "." in node.name else Kind.INTEGER
        return Kind.VARCHAR if node.is_string else fraction
    if isinstance(node, exp.Placeholder):
        return Kind.TIMESTAMPTZ
    return Kind.BOOLEAN if isinstance(node, _PREDICATES) else None


def _chosen(parts: Sequence[Kinds]) -> Kinds:
    """The kinds of one value of several; decimals lose their one scale, where PostgreSQL would keep each one's own."""
    union: Kinds = frozenset().union(*parts)
    if len(parts) > 1 and Kind.DECIMAL in union:
        return union - {Kind.DECIMAL} | {Kind.SCALELESS}
    return union


def _arithmetic(node: exp.Expr, left: Kinds, right: Kinds) -> Kinds:
    """The kinds of a sum, difference or product; a product of two decimals, no constant, may have too many digits."""
    found = left or right
    if left and right:
        found = frozenset().union(*(_result(node, *pair) for pair in product(left, right)))
    constant = isinstance(node.this.unnest(), exp.Literal) or isinstance(node.expression.unnest(), exp.Literal)
    if isinstance(node, exp.Mul) and not constant and Kind.DECIMAL in found:
        return found - {Kind.DECIMAL} | {Kind.WIDE}
    return found


def _result(node: exp.Expr, left: Kind, right: Kind) -> Kinds:
    """The kind of a sum, difference or product; both kinds where only an engine knows."""
    if left in _NUMBERS and right in _NUMBERS:
        return frozenset({max(left, right, key=_NUMBERS.index)})
    if isinstance(node, exp.Sub) and left == right and left in _DAYS:
        return frozenset({Kind.INTEGER if left is Kind.DATE else Kind.INTERVAL})
    return frozenset({left, right})
