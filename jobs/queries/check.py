"""Reading an SQL file: parsed and held to every rule before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from jobs.queries.bounds import bound_faults
from jobs.queries.columns import (
    Column,
    column_faults,
    declared_faults,
    order_faults,
    order_names,
    output_columns,
    total_order_faults,
)
from jobs.queries.declaration import Declaration, examine_declaration
from jobs.queries.grammar import Parsed, grammar_faults, parse
from jobs.queries.lexis import Token, cut, spelling_faults, statement_faults
from jobs.queries.reading import SourceTable, source_tables
from jobs.queries.source import QueryRefused, Source, read_source
from jobs.queries.tables import join_faults, reference_faults, table_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_OF_THE_TREE: tuple[Callable[[Parsed], Iterator[QueryRefused]], ...] = (
    grammar_faults,
    table_faults,
    join_faults,
    reference_faults,
    column_faults,
    order_faults,
)
_OF_THE_DECLARATION: tuple[Callable[[Parsed, Declaration], Iterator[QueryRefused]], ...] = (
    declared_faults,
    bound_faults,
    total_order_faults,
)


@dataclass(frozen=True, slots=True)
class Query:
    """One table's SQL in one version, checked; `text` is what runs, `fingerprint` the SHA-256 of the file's bytes."""

    table: str
    version: int
    path: Path
    text: str
    fingerprint: str
    declaration: Declaration
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    reads: tuple[SourceTable, ...]


def read_query(path: Path) -> Query:
    """The query of one SQL file.

    Raises:
        QueryMissing: if there is no such file.
        QueryRefused: with the first thing that is wrong with it; `check_queries` gives all.
        DeclarationRefused: if that is in its declaration.
    """
    return _checked(read_source(path))


@lru_cache(maxsize=128)
def _checked(source: Source) -> Query:
    """The query of a file's bytes, parsed once a process: every night asks twice."""
    query, refusals = _examine(source)
    if query is None:
        raise refusals[0]
    return query


def check_queries(paths: Iterable[Path]) -> tuple[QueryRefused, ...]:
    """Everything that is wrong with the files, by file and line; empty if all may run.

    Raises:
        QueryMissing: if one of them is not there.
    """
    return tuple(chain.from_iterable(map(_refused, paths)))


def _refused(path: Path) -> tuple[QueryRefused, ...]:
    try:
        return _examine(read_source(path))[1]
    except QueryRefused as refused:
        return (refused,)


def _examine(source: Source) -> tuple[Query | None, tuple[QueryRefused, ...]]:
    """The query, or all refusals of its file in the order of their lines."""
    try:
        tokens = cut(source)
    except QueryRefused as refused:
        return None, (refused,)
    declaration, undeclared = examine_declaration(source.path, source.text)
    parsed, unparsed = _tree(source, tokens)
    refusals: list[QueryRefused] = [*undeclared, *unparsed]
    if parsed is not None:
        refusals += _refusals(parsed, declaration)
    if refusals or parsed is None or declaration is None:
        return None, tuple(sorted(refusals, key=lambda refused: refused.line))
    return _query(parsed, declaration), ()


def _tree(source: Source, tokens: tuple[Token, ...]) -> tuple[Parsed | None, list[QueryRefused]]:
    """The tree, and what the words alone refuse; no tree where they are not one SELECT."""
    refusals = [QueryRefused(source.path, line, reason) for line, reason in statement_faults(tokens)]
    if refusals:
        return None, refusals
    spelling = [QueryRefused(source.path, line, reason) for line, reason in spelling_faults(tokens)]
    try:
        return parse(source, tokens), spelling
    except QueryRefused as refused:
        return None, [*spelling, refused]
    except RecursionError:
        return None, [*spelling, _too_deep(source, tokens)]


def _refusals(parsed: Parsed, declaration: Declaration | None) -> list[QueryRefused]:
    """What the rules refuse; those that need a declaration only where there is one."""
    try:
        found = [refused for rule in _OF_THE_TREE for refused in rule(parsed)]
        if declaration is not None:
            found += [refused for rule in _OF_THE_DECLARATION for refused in rule(parsed, declaration)]
    except RecursionError:
        return [_too_deep(parsed.source, parsed.tokens)]
    return found


def _too_deep(source: Source, tokens: tuple[Token, ...]) -> QueryRefused:
    return QueryRefused(source.path, tokens[0].line, "the expressions are nested too deeply to be read; simplify them")


def _query(parsed: Parsed, declaration: Declaration) -> Query:
    source = parsed.source
    return Query(
        table=source.table,
        version=source.version,
        path=source.path,
        text=source.text,
        fingerprint=source.fingerprint,
        declaration=declaration,
        columns=output_columns(parsed),
        order=order_names(parsed),
        reads=source_tables(parsed, declaration),
    )
