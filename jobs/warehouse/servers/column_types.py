"""Which types of source columns mean to a server what they mean to DuckDB: the others are refused before a row is read.

What the text of a query shows is settled when it is rendered; here is the rest, which only the catalog knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.queries.kinds import Kind, kind_of
from jobs.queries.rendering import beyond_output, casts_to_text, doubtful, text_comparisons
from jobs.warehouse.addresses import POSTGRESQL
from jobs.warehouse.extraction import SourceDiffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobs.queries.check import Query
    from jobs.queries.faithful import Doubt
    from jobs.warehouse.addresses import Engine

# Without a kind, and yet alike: their texts and their equality, as test_types.py tries them.
_ALIKE = frozenset({"ENUM", "JSON", "UUID"})
_UNSCALED = "NUMERIC"
_PADDED = ("character(", "bpchar")
_CASELESS = "citext"


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of a source table: its type as DuckDB spells it, and as the server does.

    `bytewise` is false where its collation takes different texts for equal.
    """

    name: str
    type_sql: str
    there: str
    bytewise: bool = True


@dataclass(frozen=True, slots=True)
class _Uses:
    """What a query makes of its columns, by its text alone: read once for all of them."""

    kinds: tuple[Doubt, ...]
    orderings: tuple[Doubt, ...]
    texts: tuple[Doubt, ...]
    beyond_output: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a query reads a column, and the column."""

    query: Query
    engine: Engine
    uses: _Uses
    table: str
    column: SourceColumn

    def among(self, doubts: tuple[Doubt, ...]) -> Doubt | None:
        """The first doubt about this column; names are compared as DuckDB does."""
        here = (self.table.lower(), self.column.name.lower())
        return next((doubt for doubt in doubts if (doubt.table.lower(), doubt.column.lower()) == here), None)


def require_alike(query: Query, engine: Engine, columns: Mapping[str, Mapping[str, SourceColumn]]) -> None:
    """Pass if every column that the query reads, by table and name, answers to its rendered text as to DuckDB.

    Raises:
        SourceDiffers: naming file and line, the column, its type there, and what to do.
    """
    refusals = (*_OF_EVERY_ENGINE, *(_OF_POSTGRESQL if engine is POSTGRESQL else ()))
    uses = _Uses(
        kinds=doubtful(query, engine.dialect),
        orderings=text_comparisons(query),
        texts=casts_to_text(query),
        beyond_output=beyond_output(query),
    )
    places = (_Place(query, engine, uses, table, column) for table, read in columns.items() for column in read.values())
    for reason in (reason for place in places for refusal in refusals for reason in refusal(place)):
        raise SourceDiffers(reason)


def _another_value(place: _Place) -> Iterator[str]:
    kind = kind_of(place.column.type_sql)
    found = tuple(doubt for doubt in place.uses.kinds if kind in doubt.refused)
    yield from _told(place, place.among(found), "in the warehouse, convert it in a view, or CAST it to another type")


def _type_unlike(place: _Place) -> Iterator[str]:
    """A type of which nobody looked whether it reads alike."""
    column = place.column
    if kind_of(column.type_sql) is None and column.type_sql not in {*_ALIKE, _UNSCALED}:
        yield (
            f"{_line(place)}: {place.table}.{column.name} is {column.there} in {place.engine.title}, which DuckDB has "
            "not, or writes otherwise; read it through a view that casts it to text, or to a number, as you mean it"
        )


def _unscaled(place: _Place) -> Iterator[str]:
    """A numeric that says no digits has any number of them: more than DuckDB computes with, of no one scale."""
    if place.column.type_sql != _UNSCALED:
        return
    wide = tuple(doubt for doubt in place.uses.kinds if Kind.WIDE in doubt.refused)
    found = place.among((*wide, *place.uses.texts))
    yield from _told(place, found, "give it digits, numeric(18, 4), or CAST it to DECIMAL(p, s) only")


def _ordered_by_collation(place: _Place) -> Iterator[str]:
    if place.column.type_sql in {Kind.VARCHAR, "ENUM"}:
        found = place.among(place.uses.orderings)
        yield from _told(place, found, f"write CAST({place.column.name} AS VARCHAR) there, which is ordered by bytes")


def _equal_to_others(place: _Place) -> Iterator[str]:
    """Text that equals another text, by its blanks at the end, its case or its collation, may be returned only."""
    there = place.column.there
    if there.startswith(_PADDED) or there == _CASELESS or not place.column.bytewise:
        found = place.among(place.uses.beyond_output)
        yield from _told(place, found, 'read it through a view that says CAST(... AS text) COLLATE "C"')


def _told(place: _Place, doubt: Doubt | None, remedy: str) -> Iterator[str]:
    if doubt is not None:
        column, engine = place.column, place.engine.title
        collated = "" if column.bytewise else " of a nondeterministic collation"
        yield (
            f"{place.query.path}:{doubt.line}: {place.table}.{column.name} is {column.there}{collated} in {engine}, "
            f"and `{doubt.place}` of it may be another value there than in DuckDB; {remedy}"
        )


def _line(place: _Place) -> str:
    """Where the file first names the column, in whichever way."""
    name = place.column.name.lower()
    lines = enumerate(place.query.text.splitlines(), 1)
    found = next((number for number, line in lines if name in line.partition("--")[0].lower()), 1)
    return f"{place.query.path}:{found}"


_OF_EVERY_ENGINE: tuple[Callable[[_Place], Iterator[str]], ...] = (_another_value,)
_OF_POSTGRESQL: tuple[Callable[[_Place], Iterator[str]], ...] = (
    _type_unlike,
    _unscaled,
    _ordered_by_collation,
    _equal_to_others,
)
