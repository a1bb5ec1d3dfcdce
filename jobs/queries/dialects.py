"""A checked query's tree, turned into the tree that another engine answers alike, or refused.

What sqlglot alone would get wrong is put right here, one small function for one difference.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.faithful import ORDERING, compared, differences, is_text
from jobs.queries.grammar import short
from jobs.queries.kinds import Kind, cast_to, kinds
from jobs.queries.source import QueryRefused
from jobs.queries.words import KEYWORDS_OF_POSTGRES, KEYWORDS_OF_SNOWFLAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobs.queries.grammar import Parsed

DIALECTS = ("postgres", "snowflake", "bigquery", "spark", "trino")

# There a quoted name is read without regard to case as an unquoted one is, so that quoting cannot change what it means.
QUOTED = frozenset({"bigquery", "spark", "trino"})

_MOST_DIGITS = 15  # any constant of so many digits is exact as a double
_MOST_PLACES_OF_NUMERIC = 9
_BYTE = 256  # the smallest factor that takes what is no TINYINT out of SMALLINT

_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.WIDE, Kind.SCALELESS, Kind.DOUBLE})
_PREDICATES = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between, exp.Not)


class NotRenderable(QueryRefused):
    """A query, right for DuckDB, of which another engine cannot be given a text that means the same."""


def renderable_faults(parsed: Parsed, dialect: str) -> Iterator[NotRenderable]:
    """Everything that the dialect cannot say, by the piece of the source that says it."""
    for node, kind in differences(parsed, dialect):
        reason = (
            f"{short(node)} of a {kind} is another value there; floor() it, scale it, or convert it in the warehouse"
        )
        yield _refused(parsed, dialect, node, reason)
    for fault in (*_FAULTS, *_FAULTS_OF.get(dialect, ())):
        for node, reason in fault(parsed.select):
            yield _refused(parsed, dialect, node, reason)


def translate(select: exp.Select, dialect: str) -> exp.Select:
    """A copy of the tree that sqlglot writes rightly in the dialect; parameters stay."""
    tree = select.copy()
    for change in _CHANGES[dialect]:
        for node in [*tree.find_all(exp.Expr, bfs=False)][::-1]:
            change(node)
    return tree


def is_constant_instant(cast: exp.Expr) -> bool:
    """Whether it is an instant that the source spells out."""
    within = cast.this
    return _is_cast_to(cast, exp.DType.TIMESTAMPTZ) and isinstance(within, exp.Literal) and bool(within.is_string)


def _refused(parsed: Parsed, dialect: str, node: exp.Expr, reason: str) -> NotRenderable:
    return NotRenderable(parsed.source.path, parsed.line_of(node), f"not for {dialect}: {reason}")


def _unclear_predicates(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    """A comparison in a comparison: what binds stronger is for each engine to say."""
    for node in select.find_all(*_PREDICATES, bfs=False):
        inner = [part for part in node.iter_expressions() if isinstance(part, _PREDICATES)]
        if inner and not isinstance(node, exp.Not):
            yield node, f"the comparison in {short(node)} has no parentheses; write them, engines disagree"


def _long_constants(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    for literal in select.find_all(exp.Literal, bfs=False):
        digits = literal.name.replace(".", "")
        in_type = isinstance(literal.parent, exp.DataTypeParam)
        if not literal.is_string and not in_type and len(digits) > _MOST_DIGITS:
            yield literal, f"the constant {short(literal)} has more than {_MOST_DIGITS} digits; engines round it apart"


def _impossible_instants(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    for cast in filter(is_constant_instant, select.find_all(exp.Cast, bfs=False)):
        try:
            datetime.fromisoformat(cast.this.name)
        except ValueError:
            yield cast, f"{short(cast)} is no instant of the calendar; correct it"


def _keywords_of_snowflake(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    """Names that need quotes there, where quotes also ask for the case in which the name was made."""
    for name in select.find_all(exp.Identifier, bfs=False):
        if not name.args.get("quoted") and name.name.lower() in KEYWORDS_OF_SNOWFLAKE:
            yield name, f"the name {short(name)} is a keyword there; quote it in the case that the warehouse has it in"


def _decimals_of_bigquery(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    for cast in select.find_all(exp.Cast, bfs=False):
        if cast_to(cast) in {Kind.DECIMAL, Kind.WIDE}:
            yield cast, f"{short(cast)} would lose its precision and scale; scale it to an integer"
    for literal in select.find_all(exp.Literal, bfs=False):
        if not literal.is_string and len(literal.name.partition(".")[2]) > _MOST_PLACES_OF_NUMERIC:
            yield (
                literal,
                f"the constant {short(literal)} has more than {_MOST_PLACES_OF_NUMERIC} digits after the point",
            )


def _using_of_trino(select: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    for join in select.args.get("joins") or ():
        if join.args.get("using"):
            yield join, f"after USING no column of {short(join.this)} may name its table there; write ON"


_FAULTS: tuple[Callable[[exp.Select], Iterator[tuple[exp.Expr, str]]], ...] = (
    _unclear_predicates,
    _long_constants,
    _impossible_instants,
)
_FAULTS_OF: Mapping[str, tuple[Callable[[exp.Select], Iterator[tuple[exp.Expr, str]]], ...]] = {
    "snowflake": (_keywords_of_snowflake,),
    "bigquery": (_decimals_of_bigquery,),
    "trino": (_using_of_trino,),
}


def _smallint_holds_tinyint(node: exp.Expr) -> None:
    """PostgreSQL has no TINYINT; the product is out of SMALLINT's range just where the value is out of TINYINT's."""
    if not _is_cast_to(node, exp.DType.TINYINT):
        return
    byte = _cast(exp.Literal.number(_BYTE), exp.DType.SMALLINT)
    product = exp.Mul(this=_cast(node.this.copy(), exp.DType.SMALLINT), expression=byte)
    there_and_back = exp.Div(this=exp.Paren(this=product), expression=byte.copy(), typed=True, safe=False)
    node.replace(_cast(there_and_back, exp.DType.SMALLINT))


def _booleans_become_numbers(node: exp.Expr) -> None:
    """PostgreSQL casts BOOLEAN to INTEGER and nothing else."""
    if not isinstance(node, exp.Cast) or node.to.this is exp.DType.INT:
        return
    if cast_to(node) in _NUMBERS and kinds(node.this) == {Kind.BOOLEAN}:
        node.this.replace(_cast(node.this.copy(), exp.DType.INT))


def _numbers_become_booleans(node: exp.Expr) -> None:
    """PostgreSQL casts INTEGER to BOOLEAN and nothing else; of a number it is whether it is not 0."""
    if not isinstance(node, exp.Cast) or cast_to(node) is not Kind.BOOLEAN:
        return
    if kinds(node.this) & _NUMBERS:
        node.this.replace(exp.NEQ(this=exp.Paren(this=node.this.copy()), expression=exp.Literal.number(0)))


def _text_is_compared_by_bytes(node: exp.Expr) -> None:
    """DuckDB orders text by its bytes; PostgreSQL by the collation of the column or of the database."""
    if isinstance(node, ORDERING):
        for operand in compared(node):
            if is_text(operand):
                operand.replace(exp.Paren(this=_by_bytes(operand.copy())))


def _text_is_ordered_by_bytes(node: exp.Expr) -> None:
    """The collation of an output column is that of ORDER BY its name."""
    if isinstance(node, exp.Alias) and _is_cast_to(node.this, exp.DType.TEXT):
        node.this.replace(_by_bytes(node.this.copy()))


def _keywords_are_quoted(node: exp.Expr) -> None:
    """What DuckDB takes for a name and PostgreSQL for a keyword; in lower case, which an unquoted name stands for."""
    if isinstance(node, exp.Identifier) and not node.args.get("quoted") and node.name.lower() in KEYWORDS_OF_POSTGRES:
        node.replace(exp.Identifier(this=node.name.lower(), quoted=True))


def _null_of_equals(node: exp.Expr) -> None:
    """nullif() is of its first value's type; PostgreSQL's is of the type in which it compares the two."""
    if isinstance(node, exp.Nullif):
        first, second = (_apart(operand.copy()) for operand in compared(node))
        equal = exp.If(this=exp.EQ(this=first, expression=second), true=exp.Null())
        node.replace(exp.Case(ifs=[equal], default=node.this.copy()))


def _nulls_are_passed_over(node: exp.Expr) -> None:
    """There greatest() and least() of a null are null."""
    if not isinstance(node, (exp.Greatest, exp.Least)):
        return
    first, *others = (operand.copy() for operand in compared(node))
    for other in others:
        both = type(node)(this=first.copy(), expressions=[other.copy()], ignore_nulls=False)
        first = exp.Coalesce(this=both, expressions=[first, other])
    node.replace(first)


def _null_is_neither_true_nor_false(node: exp.Expr) -> None:
    """`x IS TRUE` is never null; sqlglot writes `x` where the engine does not know it."""
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
        value: exp.Expr = _cast(node.this.copy(), exp.DType.BOOLEAN)
        value = value if node.expression.this else exp.Not(this=value)
        node.replace(exp.Coalesce(this=value, expressions=[exp.Boolean(this=False)]))


def _instants_without_a_zone(node: exp.Expr) -> None:
    """Snowflake's TIMESTAMP_TZ keeps an offset, of which its date depends; TIMESTAMP_LTZ is an instant."""
    if isinstance(node, exp.DataType) and node.this is exp.DType.TIMESTAMPTZ:
        node.replace(_microseconds(exp.DType.TIMESTAMPLTZ))


def _instants_with_microseconds(node: exp.Expr) -> None:
    """Trino's TIMESTAMP WITH TIME ZONE has milliseconds unless it says otherwise."""
    if isinstance(node, exp.DataType) and node.this is exp.DType.TIMESTAMPTZ and not node.expressions:
        node.replace(_microseconds(exp.DType.TIMESTAMPTZ))


def _constants_are_decimals(node: exp.Expr) -> None:
    """BigQuery reads 1.5 as a double."""
    if isinstance(node, exp.Literal) and not node.is_string and "." in node.name:
        node.replace(_cast(exp.Literal.string(node.name), exp.DType.DECIMAL))


def _cast(node: exp.Expr, to: exp.DType) -> exp.Cast:
    return exp.Cast(this=node, to=exp.DataType(this=to))


def _is_cast_to(node: exp.Expr | None, to: exp.DType) -> bool:
    return isinstance(node, exp.Cast) and node.to.this is to


def _by_bytes(node: exp.Expr) -> exp.Collate:
    within = node if isinstance(node, (exp.Cast, exp.Literal, exp.Paren)) else exp.Paren(this=node)
    return exp.Collate(this=within, expression=exp.Identifier(this="C", quoted=True))


def _apart(node: exp.Expr) -> exp.Expr:
    """A value that nothing around it can be read into."""
    return node if isinstance(node, (exp.Column, exp.Literal, exp.Func, exp.Paren)) else exp.Paren(this=node)


def _microseconds(type_: exp.DType) -> exp.DataType:
    return exp.DataType(this=type_, expressions=[exp.DataTypeParam(this=exp.Literal.number(6))])


_CHANGES: Mapping[str, tuple[Callable[[exp.Expr], None], ...]] = {
    "postgres": (
        _null_of_equals,
        _text_is_compared_by_bytes,
        _booleans_become_numbers,
        _numbers_become_booleans,
        _smallint_holds_tinyint,
        _text_is_ordered_by_bytes,
        _keywords_are_quoted,
    ),
    "snowflake": (_null_of_equals, _null_is_neither_true_nor_false, _instants_without_a_zone),
    "bigquery": (_null_of_equals, _nulls_are_passed_over, _constants_are_decimals),
    "spark": (_null_of_equals,),
    "trino": (_null_of_equals, _null_is_neither_true_nor_false, _nulls_are_passed_over, _instants_with_microseconds),
}
