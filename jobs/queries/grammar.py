"""The subset of SQL as a table: which kinds of node a tree may hold, and which parts each may have.

A list of what is allowed: what nobody thought of is refused by its name.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, SqlglotError

from jobs.queries.source import QueryRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobs.queries.lexis import Token
    from jobs.queries.source import Source

DIALECT = "duckdb"

_MOST_SHOWN = 60

# sqlglot warns of what it cannot render, even while it is quoted in a refusal; that is no line of ours on stderr.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

FUNCTIONS: Mapping[type[exp.Expr], str] = {
    exp.Abs: "abs",
    exp.Coalesce: "coalesce",
    exp.Floor: "floor",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.Nullif: "nullif",
}

_BINARY = frozenset({"this", "expression"})
_PARTS: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset({"expressions", "from_", "joins", "where", "order"}),
    exp.From: frozenset({"this"}),
    exp.Table: frozenset({"this", "db", "alias"}),
    exp.TableAlias: frozenset({"this"}),
    exp.Join: frozenset({"this", "side", "kind", "on", "using"}),
    exp.Where: frozenset({"this"}),
    exp.Order: frozenset({"expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this", "expressions", "nested"}),
    exp.DataTypeParam: frozenset({"this"}),
    exp.Column: frozenset({"this", "table"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Placeholder: frozenset({"this"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Boolean: frozenset({"this"}),
    exp.Null: frozenset(),
    exp.Paren: frozenset({"this"}),
    exp.Not: frozenset({"this"}),
    exp.Neg: frozenset({"this"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.If: frozenset({"this", "true"}),
    **dict.fromkeys((exp.And, exp.Or, exp.Is, exp.Add, exp.Sub, exp.Mul), _BINARY),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), _BINARY),
    exp.Abs: frozenset({"this"}),
    exp.Floor: frozenset({"this"}),
    exp.Nullif: _BINARY,
    exp.Coalesce: frozenset({"this", "expressions"}),
    exp.Greatest: frozenset({"this", "expressions", "ignore_nulls"}),
    exp.Least: frozenset({"this", "expressions", "ignore_nulls"}),
}
_REASONS: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Star, "`*`; name each column, a new one in the warehouse must not slip in"),
    (exp.TryCast, "TRY_CAST; it turns what does not fit into null in silence, write CAST"),
    (exp.Window, "a window function; windows are made in features, in exact integers"),
    (exp.AggFunc, "the aggregate {sql}; extraction returns rows, sums are made in features"),
    (exp.Query, "a subquery; extraction is one SELECT over tables"),
    (exp.Div, "division; engines divide integers differently, extract both sides and divide once in features"),
    (exp.Collate, "COLLATE; order and compare plainly"),
    (exp.AtTimeZone, "AT TIME ZONE; make the TIMESTAMPTZ in a view of the warehouse, and read its column here"),
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """One file as words and as a tree; what the checks read."""

    source: Source
    tokens: tuple[Token, ...]
    select: exp.Select

    def refused(self, node: exp.Expr, reason: str) -> QueryRefused:
        """The refusal of a piece of the tree, with the line that it opens on."""
        return QueryRefused(self.source.path, self.line_of(node), reason)

    def line_of(self, node: exp.Expr) -> int:
        """The line of the first word below the node; where it has none, of its keyword, or of what surrounds it."""
        if node is self.select:
            return self.tokens[0].line
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        if starts:
            return self.source.text.count("\n", 0, min(starts)) + 1
        keyword = [token.line for token in self.tokens if token.upper.replace("_", "") == node.key.upper()]
        if len(keyword) == 1:
            return keyword[0]
        return self.line_of(node.parent) if node.parent else self.tokens[0].line


def parse(source: Source, tokens: Sequence[Token]) -> Parsed:
    """The tree of a file that holds one statement.

    Raises:
        QueryRefused: if it is no SQL, or no plain SELECT.
    """
    try:
        tree = parse_one(source.text, dialect=DIALECT)
    except SqlglotError as broken:
        raise _syntax_error(source, tokens, broken) from broken
    if not isinstance(tree, exp.Select):
        reason = f"a {tree.key.upper()}; an extraction is one plain SELECT over tables"
        raise QueryRefused(source.path, _line_of_word(tokens, tree.key.upper()), reason)
    return Parsed(source, tuple(tokens), tree)


def _syntax_error(source: Source, tokens: Sequence[Token], broken: SqlglotError) -> QueryRefused:
    """The first of what sqlglot says, without its picture of the text."""
    first = broken.errors[0] if isinstance(broken, ParseError) and broken.errors else {}
    found = f" near `{first['highlight']}`" if first.get("highlight") else ""
    line = first.get("line") or tokens[-1].line
    return QueryRefused(source.path, line, f"syntax error{found}: {first.get('description') or broken}")


def _line_of_word(tokens: Sequence[Token], word: str) -> int:
    return next((token.line for token in tokens if token.upper == word), tokens[0].line)


def grammar_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """Every node, and every part of a node, that the subset does not have; nothing below a refused node."""
    pending: list[exp.Expr] = [parsed.select]
    while pending:
        node = pending.pop()
        if type(node) not in _PARTS or (isinstance(node, exp.Select) and node is not parsed.select):
            yield parsed.refused(node, _reason(parsed, node))
            continue
        for part, value in node.args.items():
            if not value:
                continue
            if part in _PARTS[type(node)]:
                pending.extend(_nodes(value))
            else:
                yield _part_refused(parsed, node, part, value)


def is_within(node: exp.Expr) -> bool:
    """Whether every kind of node in a piece of the tree is one that the subset has."""
    return all(type(each) in _PARTS for each in node.walk())


def short(node: exp.Expr) -> str:
    """A piece of SQL for a message: one line, its beginning where it is long."""
    sql = " ".join(node.sql(DIALECT, comments=False).split())
    return f"`{sql if len(sql) <= _MOST_SHOWN else sql[:_MOST_SHOWN] + '...'}`"


def _nodes(value: object) -> list[exp.Expr]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, exp.Expr)]


def _part_refused(parsed: Parsed, node: exp.Expr, part: str, value: object) -> QueryRefused:
    """The refusal of a clause such as LIMIT, at its own line where it has one."""
    within = (_nodes(value) or [node])[0]
    name = {"group": "GROUP BY", "with_": "WITH", "catalog": "a catalog"}.get(part, part.replace("_", " ").upper())
    return parsed.refused(within, f"{name} in {short(node)}; the subset has no such part, remove it")


def _reason(parsed: Parsed, node: exp.Expr) -> str:
    for kind, reason in _REASONS:
        if isinstance(node, kind):
            return reason.format(sql=short(node))
    if isinstance(node, exp.Func):
        written = parsed.source.text[node.meta["start"] : node.meta["end"] + 1] if "start" in node.meta else ""
        name = written or node.sql_name().lower()
        return f"the function `{name}`; extraction knows {', '.join(FUNCTIONS.values())}"
    return f"{node.key.upper()} in {short(node)}; the subset has casts, arithmetic, comparisons and CASE"
