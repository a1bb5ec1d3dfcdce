"""What a query reads of the warehouse: its source tables, their columns, and which of these are the two clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from jobs.queries.columns import selected
from jobs.queries.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobs.queries.declaration import Declaration
    from jobs.queries.grammar import Parsed


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One table of FROM: the columns that are read of it, in the order of the text, and those of the declared clocks.

    `event_time`, `known_time` and `key` are the columns of this table that the declared output columns are made of.
    """

    schema: str | None
    name: str
    columns: tuple[str, ...]
    event_time: tuple[str, ...]
    known_time: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """Its name, after its schema where the SQL names one."""
        return (self.schema, self.name) if self.schema else (self.name,)


def source_tables(parsed: Parsed, declaration: Declaration) -> tuple[SourceTable, ...]:
    """The tables that a checked query reads, in the order of FROM."""
    tables = list(tables_of(parsed))
    only = tables[0].alias_or_name if len(tables) == 1 else ""

    def columns(alias: str, tree: exp.Expr | None) -> tuple[str, ...]:
        return _once(name for table, name in _references(parsed, tree) if (table or only) == alias)

    def clock(alias: str, name: str | None) -> tuple[str, ...]:
        return columns(alias, selected(parsed, name)) if name else ()

    return tuple(
        SourceTable(
            schema=table.db or None,
            name=table.name,
            columns=columns(table.alias_or_name, parsed.select),
            event_time=clock(table.alias_or_name, declaration.event_time),
            known_time=clock(table.alias_or_name, declaration.known_time),
            key=_once(each for name in declaration.key for each in clock(table.alias_or_name, name)),
        )
        for table in tables
    )


def _references(parsed: Parsed, tree: exp.Expr | None) -> Iterator[tuple[str, str]]:
    """Table (empty where none is named) and name of the source columns below a node; ORDER BY names output columns."""
    order = parsed.select.args.get("order")
    ordering = set(map(id, order.find_all(exp.Column))) if order else set()
    for column in tree.find_all(exp.Column, bfs=False) if tree is not None else ():
        if id(column) not in ordering:
            yield column.table, column.name
    yield from _using(parsed) if tree is parsed.select else ()


def _using(parsed: Parsed) -> Iterator[tuple[str, str]]:
    """Table and name of the columns of USING: of the joined table, and of the one before it where there is only one.

    Of several before it the text does not say which has the column, unless it is named elsewhere.
    """
    first, *joined = (table.alias_or_name for table in tables_of(parsed))
    for place, (table, join) in enumerate(zip(joined, parsed.select.args.get("joins") or (), strict=True)):
        for name in join.args.get("using") or ():
            if place == 0:
                yield first, name.name
            yield table, name.name


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
