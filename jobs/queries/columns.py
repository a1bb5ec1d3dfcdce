"""What a query returns: columns that are named and typed by a cast, and their total order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.declaration import Known, declared_fields
from jobs.queries.grammar import DIALECT, short
from jobs.queries.source import QueryRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobs.queries.declaration import Declaration
    from jobs.queries.grammar import Parsed

RESERVED = frozenset({"event_day", "visible_day", "as_of"})

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TYPES = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INTEGER",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.TEXT: "VARCHAR",
    exp.DType.DATE: "DATE",
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
}
_MOST_DIGITS = 38
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:\d\d)?)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Column:
    """One output column, with its type as DuckDB spells it."""

    name: str
    type_sql: str


def type_sql(type_: exp.Expr | None) -> str | None:
    """The type in capitals; None if it is not one that travels unchanged between the engines."""
    if not isinstance(type_, exp.DataType):
        return None
    if type_.this is exp.DType.DECIMAL:
        return _decimal(type_)
    return None if type_.expressions else _TYPES.get(type_.this)


def _decimal(type_: exp.DataType) -> str | None:
    digits = [parameter.name for parameter in type_.expressions]
    if len(digits) != 2 or not all(digit.isdecimal() for digit in digits):  # noqa: PLR2004 - precision and scale
        return None
    precision, scale = (int(digit) for digit in digits)
    return f"DECIMAL({precision},{scale})" if 1 <= precision <= _MOST_DIGITS and scale <= precision else None


def cast_of(projection: exp.Expr) -> exp.Cast | None:
    """The cast of `CAST(... AS type) AS name`; None for an output column of another form."""
    within = projection.this if isinstance(projection, exp.Alias) else None
    return within if isinstance(within, exp.Cast) else None


def selected(parsed: Parsed, name: str | None) -> exp.Expr | None:
    """What is cast to the output column of that name, without parentheses; None if there is no such column."""
    for projection in parsed.select.expressions:
        cast = cast_of(projection)
        if cast is not None and projection.alias == name:
            return cast.this.unnest() if isinstance(cast.this, exp.Expr) else None
    return None


def output_columns(parsed: Parsed) -> tuple[Column, ...]:
    """The columns that are named and typed as they should be, in order."""
    typed = ((each.alias, type_sql(cast.to)) for each in parsed.select.expressions if (cast := cast_of(each)))
    return tuple(Column(name, type_) for name, type_ in typed if type_)


def order_names(parsed: Parsed) -> tuple[str, ...]:
    """The output columns by which the rows are ordered."""
    return tuple(item.this.name for item in _ordered(parsed) if isinstance(item.this, exp.Column))


def _ordered(parsed: Parsed) -> Sequence[exp.Ordered]:
    order = parsed.select.args.get("order")
    return [item for item in order.expressions if isinstance(item, exp.Ordered)] if order else []


def column_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """Output columns without a cast or a name, and casts to types that the engines read differently."""
    taken: set[str] = set()
    for projection in parsed.select.expressions:
        if cast_of(projection) is None:
            yield parsed.refused(projection, f"the output column {short(projection)}; write CAST(... AS type) AS name")
            continue
        yield from _name_faults(parsed, projection, taken)
        taken.add(projection.alias)
    for cast in parsed.select.find_all(exp.Cast):
        yield from _cast_faults(parsed, cast)


def _name_faults(parsed: Parsed, projection: exp.Expr, taken: set[str]) -> Iterator[QueryRefused]:
    name, alias = projection.alias, projection.args["alias"]
    if not _NAME.fullmatch(name) or alias.args.get("quoted"):
        yield parsed.refused(alias, f"the output name {short(alias)}; names are plain, lower-case and unquoted")
    elif name in RESERVED:
        yield parsed.refused(alias, f"the output name `{name}` is taken by the columns that extraction adds; rename it")
    elif name in taken:
        yield parsed.refused(alias, f"two output columns are named `{name}`; rename one")


def _cast_faults(parsed: Parsed, cast: exp.Cast) -> Iterator[QueryRefused]:
    type_ = type_sql(cast.to)
    if type_ is None:
        allowed = ", ".join([*_TYPES.values(), f"DECIMAL(p, s) with p <= {_MOST_DIGITS}"])
        yield parsed.refused(cast, f"a cast to `{cast.to.sql(DIALECT)}`; the types are {allowed}")
    within = cast.this
    if isinstance(within, exp.Literal) and within.is_string:
        form = {"DATE": _DATE, "TIMESTAMPTZ": _INSTANT}.get(type_ or "")
        if form and not form.fullmatch(within.name):
            yield parsed.refused(cast, f"the constant {short(cast)}; write 2013-08-31, an instant with its offset")


def declared_faults(parsed: Parsed, declaration: Declaration) -> Iterator[QueryRefused]:
    """Names of the declaration that are no output columns, or of a type that cannot serve."""
    types = {column.name: column.type_sql for column in output_columns(parsed)}
    names = {projection.alias_or_name for projection in parsed.select.expressions}
    lines = {name: field.line for name, field in declared_fields(parsed.source.text).items()}
    clocks = (("event time", declaration.event_time), ("known time", declaration.known_time))
    for field, name in [*(("key", name) for name in declaration.key), *clocks]:
        if name is not None and name not in names:
            reason = f"the declared {field} `{name}` is no output column; select it, or correct the declaration"
            yield QueryRefused(parsed.source.path, lines[field], reason)
    for field, name in clocks:
        if name in types and types[name] != "TIMESTAMPTZ":
            yield _typed_wrongly(parsed, name, f"the {field} `{name}` is {types[name]}; an instant is TIMESTAMPTZ")
    for name in declaration.key:
        if types.get(name) == "DOUBLE":
            yield _typed_wrongly(parsed, name, f"the key `{name}` is DOUBLE; a key is exact, scale it to an integer")


def _typed_wrongly(parsed: Parsed, name: str, reason: str) -> QueryRefused:
    return parsed.refused(next(each for each in parsed.select.expressions if each.alias == name), reason)


def order_faults(parsed: Parsed) -> Iterator[QueryRefused]:
    """An order by anything but output columns, ascending, each once and none a float."""
    types = {column.name: column.type_sql for column in output_columns(parsed)}
    names = {projection.alias_or_name for projection in parsed.select.expressions}
    seen: set[str] = set()
    for item in _ordered(parsed):
        within = item.this
        plain = type(within) is exp.Column and not within.table
        if not plain or within.name not in names:
            yield parsed.refused(item, f"ORDER BY {short(within)}; order by names of output columns, without a table")
            continue
        if item.args.get("desc"):
            yield parsed.refused(item, f"ORDER BY `{within.name}` DESC; the order is ascending")
        if types.get(within.name) == "DOUBLE":
            yield parsed.refused(item, f"ORDER BY `{within.name}`, a DOUBLE; NaN and -0.0 have no order, leave it out")
        if within.name in seen:
            yield parsed.refused(item, f"ORDER BY `{within.name}` twice; keep one")
        seen.add(within.name)


def total_order_faults(parsed: Parsed, declaration: Declaration) -> Iterator[QueryRefused]:
    """An order that leaves ties open: it ends in the key, and for versions of a row in the known time."""
    version = (declaration.known_time,) if declaration.known is Known.APPENDED and declaration.known_time else ()
    wanted = (*declaration.key, *version)
    found = order_names(parsed)
    if found[-len(wanted) :] != wanted:
        order = parsed.select.args.get("order")
        line = parsed.line_of(order) if order else parsed.tokens[-1].line
        stands = f"ORDER BY {', '.join(found)}" if order else "no ORDER BY"
        reason = f"{stands}; no tie may be left open, the order ends in {', '.join(wanted)}"
        yield QueryRefused(parsed.source.path, line, reason)
