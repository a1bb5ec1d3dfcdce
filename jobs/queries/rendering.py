"""The versioned SQL in the words of other engines: rendered from the one source, kept beside it, reviewed like code.

A kept rendering is `<folder of the job>/<dialect>/<table>_v<N>.sql`; nothing runs there that is not, byte for byte,
what is rendered now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import SqlglotError

from jobs.queries.bounds import parameters
from jobs.queries.check import Query, read_query
from jobs.queries.dialects import DIALECTS, QUOTED, NotRenderable, is_constant_instant, renderable_faults, translate
from jobs.queries.faithful import cast_to_text, doubts, more_than_output, text_in_order
from jobs.queries.grammar import Parsed, parse
from jobs.queries.lexis import cut
from jobs.queries.released import read_released
from jobs.queries.source import QueryRefused, Source
from jobs.store.documents import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jobs.queries.faithful import Doubt

# How the literal of an instant ends: in the form that the engine's documentation gives for its timestamps with a zone.
_ZERO_OFFSET = {"snowflake": " +00:00", "trino": " UTC"}


class RenderingStale(Exception):
    """A kept rendering is missing, or is not what its source gives: nobody reviewed what would run."""


def render(query: Query, dialect: str) -> str:
    """The text that is kept and reviewed; parameters stand in it as in the source, `$cutoff`.

    Raises:
        NotRenderable: with the first thing that the dialect cannot say.
    """
    tree = _translated(query, dialect)
    for placeholder in list(tree.find_all(exp.Placeholder)):
        placeholder.replace(exp.Var(this=f"${placeholder.name}"))
    return f"{_header(query, dialect)}\n{_written(query, tree, dialect)}\n"


def bound(query: Query, dialect: str, instants: Mapping[str, datetime]) -> str:
    """What runs: the same text with a literal of its instant, in UTC, for every parameter of the declaration.

    Raises:
        NotRenderable: with the first thing that the dialect cannot say.
    """
    if set(instants) != set(parameters(query.declaration)):
        raise ValueError(f"{query.path.name} takes {parameters(query.declaration)}, not {tuple(instants)}")
    tree = _translated(query, dialect, instants)
    text = _written(query, tree, dialect)
    _require_read_back(query, text, dialect)
    return f"{_header(query, dialect)}\n{text}\n"


def kept_at(query: Query, dialect: str) -> Path:
    """Where the rendering of a query is kept."""
    return query.path.parent / dialect / query.path.name


def kept_rendering(query: Query, dialect: str) -> Path:
    """Where the kept rendering lies, if it is byte for byte what is rendered now.

    Raises:
        RenderingStale: if it is not, or is not there.
        NotRenderable: if there can be none.
    """
    path, wanted = kept_at(query, dialect), render(query, dialect).encode()
    remedy = f"run `score release {query.path.parent.name}`, which renders it again, and review what it wrote"
    if not path.is_file():
        raise RenderingStale(f"{path} is not there, so nobody reviewed what {dialect} would be asked; {remedy}")
    if path.read_bytes() != wanted:
        raise RenderingStale(f"{path} is not what {query.path.name} renders to with sqlglot {_version()}; {remedy}")
    return path


@dataclass(frozen=True, slots=True)
class Renewed:
    """What rendering a job's released files again wrote, and which engines cannot be given which of them."""

    written: tuple[Path, ...]
    refused: tuple[QueryRefused, ...]


def renew_renderings(folder: Path) -> Renewed:
    """Write what is stale or missing of the renderings of a job's released files.

    Files that an engine cannot be given have no rendering there: one that is left from before is removed. A file of an
    old release that a rule of today refuses is refused for all engines at once.
    """
    written: list[Path] = []
    refused: list[QueryRefused] = []
    for name in read_released(folder):
        try:
            query = read_query(folder / name)
        except QueryRefused as refusal:
            refused.append(refusal)
            continue
        for dialect in DIALECTS:
            try:
                written += _renewed(query, dialect)
            except NotRenderable as refusal:
                kept_at(query, dialect).unlink(missing_ok=True)
                refused.append(refusal)
    return Renewed(tuple(written), tuple(refused))


def _renewed(query: Query, dialect: str) -> Iterator[Path]:
    """The path of the kept rendering if it had to be written."""
    path, wanted = kept_at(query, dialect), render(query, dialect).encode()
    if not path.is_file() or path.read_bytes() != wanted:
        write_durably(path, wanted)
        yield path


def text_comparisons(query: Query) -> tuple[Doubt, ...]:
    """What stands in `<`, BETWEEN, greatest() or their like and may be text, by the text alone.

    Where the catalog says that it is text, another engine orders it by its own collation; CAST(... AS VARCHAR) in the
    comparison is rendered so that bytes decide.
    """
    return _first_of_each(text_in_order(_parsed(query)))


def casts_to_text(query: Query) -> tuple[Doubt, ...]:
    """What is cast to VARCHAR; of a number without a scale each engine writes its own digits."""
    return _first_of_each(cast_to_text(_parsed(query)))


def beyond_output(query: Query) -> tuple[Doubt, ...]:
    """What is compared, joined or computed with, and not only returned as VARCHAR."""
    return _first_of_each(more_than_output(_parsed(query)))


def doubtful(query: Query, dialect: str) -> tuple[Doubt, ...]:
    """Every source column whose type, unknown to the text, decides whether the dialect answers as DuckDB does.

    Of several places with one column and the same kinds, the first.
    """
    return _first_of_each(doubts(_parsed(query), dialect))


def _first_of_each(found: Iterable[Doubt]) -> tuple[Doubt, ...]:
    first: dict[tuple[object, ...], Doubt] = {}
    for doubt in found:
        first.setdefault((doubt.table, doubt.column, doubt.refused), doubt)
    return tuple(first.values())


def _parsed(query: Query) -> Parsed:
    source = Source(query.path, query.table, query.version, query.text, query.fingerprint)
    return parse(source, cut(source))


def _translated(query: Query, dialect: str, instants: Mapping[str, datetime] | None = None) -> exp.Select:
    if dialect not in DIALECTS:
        raise ValueError(f"{dialect!r} is none of {', '.join(DIALECTS)}")
    parsed = _parsed(query)
    for fault in renderable_faults(parsed, dialect):
        raise fault
    return translate(_with_literals(parsed.select, dialect, instants or {}), dialect)


def _with_literals(select: exp.Select, dialect: str, instants: Mapping[str, datetime]) -> exp.Select:
    """The tree with a typed literal in the place of every parameter that is given, and of the source's own instants."""
    tree = select.copy()
    for cast in list(tree.find_all(exp.Cast)):
        if is_constant_instant(cast):
            cast.replace(_literal(datetime.fromisoformat(cast.this.name), dialect))
    for placeholder in list(tree.find_all(exp.Placeholder)):
        if placeholder.name in instants:
            placeholder.replace(_literal(instants[placeholder.name], dialect))
    return tree


def _literal(instant: datetime, dialect: str) -> exp.Cast:
    """The instant in UTC, to the microsecond."""
    clock = instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    text = exp.Literal.string(clock + _ZERO_OFFSET.get(dialect, "+00:00"))
    return exp.Cast(this=text, to=exp.DataType(this=exp.DType.TIMESTAMPTZ))


def _written(query: Query, tree: exp.Select, dialect: str) -> str:
    try:
        return _sql(tree, dialect)
    except SqlglotError as unsupported:
        raise NotRenderable(query.path, 1, f"sqlglot cannot write it for {dialect}: {unsupported}") from unsupported


def _sql(tree: exp.Expr, dialect: str) -> str:
    quoted = dialect in QUOTED
    level = ErrorLevel.RAISE
    return tree.sql(dialect, pretty=True, comments=False, identify=quoted, unsupported_level=level)


def _require_read_back(query: Query, text: str, dialect: str) -> None:
    """Pass if the text is read as what was written."""
    try:
        again = _sql(parse_one(text, dialect=dialect), dialect)
    except SqlglotError as broken:
        raise NotRenderable(query.path, 1, f"the text for {dialect} cannot be read again: {broken}") from broken
    if again != text:
        raise NotRenderable(query.path, 1, f"the text for {dialect} is read as another query; simplify the expressions")


def _header(query: Query, dialect: str) -> str:
    return (
        f"-- {dialect}, rendered by sqlglot {_version()} from {query.path.name}, SHA-256 {query.fingerprint}; "
        f"never edited, written by score release"
    )


def _version() -> str:
    return version("sqlglot")


def table_names(query: Query, dialect: str) -> tuple[str, ...]:
    """The tables that the query reads, in its order, as the dialect's text names them."""
    select = translate(_parsed(query).select, dialect)
    clauses = [select.args["from_"], *(select.args.get("joins") or ())]
    tables = [exp.Table(this=clause.this.this, db=clause.this.args.get("db")) for clause in clauses]
    return tuple(_sql(table, dialect) for table in tables)
