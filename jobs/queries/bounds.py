"""The bounds of a role: which spans of event time and known time a query may return, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.columns import selected
from jobs.queries.declaration import Role
from jobs.queries.grammar import is_within, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.queries.declaration import Declaration
    from jobs.queries.grammar import Parsed
    from jobs.queries.source import QueryRefused

_SIGNS: dict[type[exp.Expr], str] = {exp.GTE: ">=", exp.LT: "<"}


@dataclass(frozen=True, slots=True)
class Bound:
    """One condition that must stand in WHERE, joined by AND: the clock's expression, the sign, the parameter."""

    clock: str
    kind: type[exp.Expr]
    parameter: str

    def wanted(self, expression: exp.Expr) -> str:
        """The condition as it should be written."""
        return f"`{short(expression).strip('`')} {_SIGNS[self.kind]} ${self.parameter}`"


def bounds(declaration: Declaration) -> tuple[Bound, ...]:
    """The bounds of the declared role: half-open on event time, known before the cutoff."""
    event, known = declaration.event_time, declaration.known_time
    on_event = event is not None and declaration.role is not Role.REFERENCE
    return (
        *((Bound(event, exp.GTE, "start"), Bound(event, exp.LT, "end")) if event and on_event else ()),
        *((Bound(known, exp.LT, "cutoff"),) if known else ()),
    )


def parameters(declaration: Declaration) -> tuple[str, ...]:
    """The parameters that a query of this declaration takes: exactly these are to be bound."""
    return tuple(bound.parameter for bound in bounds(declaration))


def bound_faults(parsed: Parsed, declaration: Declaration) -> Iterator[QueryRefused]:
    """Bounds that are missing or not as declared, and parameters that stand anywhere else."""
    conditions = list(_conjuncts(parsed.select))
    refused: set[int] = set()
    for bound in bounds(declaration):
        expression = selected(parsed, bound.clock)
        if expression is None or any(_is(condition, bound, expression) for condition in conditions):
            continue
        near = [each for each in conditions if _mentions(each, bound.parameter) and not _recorded(each, bound)]
        refused.update(map(id, near))
        if is_within(expression):  # or it is refused as it is selected, and is not to be written again in a bound
            yield _missing(parsed, bound, expression, near)
    allowed = {id(condition) for condition in conditions if _allowed(parsed, declaration, condition)}
    yield from _strays(parsed, allowed | refused, conditions)


def _conjuncts(select: exp.Select) -> Iterator[exp.Expr]:
    """What WHERE joins by AND, without parentheses, in order."""
    where = select.args.get("where")
    pending = [where.this] if where else []
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, exp.And):
            pending += [node.expression, node.this]
        else:
            yield node


def _is(condition: exp.Expr, bound: Bound, expression: exp.Expr) -> bool:
    return (
        type(condition) is bound.kind
        and condition.this.unnest() == expression
        and _parameter(condition.expression) == bound.parameter
    )


def _parameter(node: exp.Expr | None) -> str | None:
    return node.name if isinstance(node, exp.Placeholder) else None


def _mentions(condition: exp.Expr, parameter: str) -> bool:
    return any(node.name == parameter for node in condition.find_all(exp.Placeholder))


def _recorded(condition: exp.Expr, bound: Bound) -> bool:
    """Whether it bounds a column of a joined table by the cutoff: allowed, but not the bound that is looked for."""
    return bound.parameter == "cutoff" and _bounds_a_column(condition)


def _bounds_a_column(condition: exp.Expr) -> bool:
    return (
        type(condition) is exp.LT
        and type(condition.this.unnest()) is exp.Column
        and _parameter(condition.expression) == "cutoff"
    )


def _missing(parsed: Parsed, bound: Bound, expression: exp.Expr, near: list[exp.Expr]) -> QueryRefused:
    wanted = f"WHERE needs {bound.wanted(expression)}, as `{bound.clock}` is selected, joined by AND"
    if near:
        return parsed.refused(near[0], f"{short(near[0])} does not bound `{bound.clock}`; {wanted}")
    where = parsed.select.args.get("where") or parsed.select.args.get("from_") or parsed.select
    return parsed.refused(where, f"no bound of `{bound.clock}` by ${bound.parameter}; {wanted}")


def _allowed(parsed: Parsed, declaration: Declaration, condition: exp.Expr) -> bool:
    """A declared bound, or a joined table's column below the cutoff where the declaration knows a cutoff."""
    declared = [(bound, selected(parsed, bound.clock)) for bound in bounds(declaration)]
    if any(expression is not None and _is(condition, bound, expression) for bound, expression in declared):
        return True
    return _bounds_a_column(condition) and "cutoff" in parameters(declaration)


def _strays(parsed: Parsed, settled: set[int], conditions: list[exp.Expr]) -> Iterator[QueryRefused]:
    """Parameters outside the bounds: one refusal for each."""
    within = {id(node) for each in conditions if id(each) in settled for node in each.find_all(exp.Placeholder)}
    for node in parsed.select.find_all(exp.Placeholder):
        if id(node) not in within:
            around = node.parent or node
            reason = (
                "parameters stand in the bounds of the role only: $start, $end on event time, $cutoff on known time"
            )
            yield parsed.refused(around, f"${node.name} in {short(around)}; {reason}")
