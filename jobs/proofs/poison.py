"""Another future: every value that lies at or after a cutoff becomes an extreme one, and rows are added at its edge.

By event time: what happens from the cutoff on (for the things to score: from the end of the night on) is nonsense, and
claims to have been known just before, so that the bound on event time alone keeps it out. By known time: what became
known from the cutoff on is nonsense, and so are corrections of all that was known, in the very instant of the cutoff.
What was known ahead of the night that is scored stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from jobs.proofs.sources import Source

_SMALL = {"TINYINT": 100, "UTINYINT": 200, "SMALLINT": 30_000, "USMALLINT": 60_000}
_WHOLE = {"INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"}
_FRACTION = {"FLOAT", "DOUBLE"}
_INSTANT = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the future of one night begins: its cutoff, and the end of what is scored; `size` of the extreme values.

    `unseen` says that nothing of the future will be read: then a key of rows that the warehouse overwrites may occur
    twice, and a join that reaches past the cutoff shows.
    """

    cutoff: datetime
    end: datetime
    size: int
    unseen: bool


def poison_events(edge: Edge, source: Source, types: Mapping[str, str]) -> Iterable[str]:
    """Statements that change what happens at or after the cutoff, in one table."""
    if not source.event_time:
        return
    begins = edge.end if source.population else edge.cutoff
    future = _all(source.event_time, ">=", begins)
    shift = "" if source.population or not source.bounded else _known_before(source, types, edge.cutoff)
    if _values(source, types, edge.size) or shift:
        yield _update(source, ", ".join(filter(None, (_values(source, types, edge.size), shift))), future)
    key = _other_key(source, types) if source.bounded or source.population else ""
    if key:
        just_before = edge.cutoff - timedelta(microseconds=1)
        clocks = [*_clocks(source.event_time, types, begins), *_clocks(source.known_time, types, just_before)]
        recent = f"{_all(source.event_time, '>=', begins - timedelta(days=1))} AND NOT ({future})"
        yield _insert(
            source, [key, *clocks, *_extremes(source, types, edge.size)], recent, by=_but(source, source.event_time)
        )


def poison_knowledge(edge: Edge, source: Source, types: Mapping[str, str]) -> Iterable[str]:
    """Statements that change what became known at or after the cutoff, in one table."""
    if not source.known_time:
        return
    later = _all(source.known_time, ">=", edge.cutoff)
    if _values(source, types, edge.size):
        yield _update(source, _values(source, types, edge.size), later)
    yield f"DELETE FROM {source.name} WHERE {_all(source.known_time, '=', edge.cutoff)}"  # noqa: S608  room for ours
    changed = [*_clocks(source.known_time, types, edge.cutoff), *_extremes(source, types, edge.size)]
    known = _all(source.known_time, "<", edge.cutoff)
    if source.appended or edge.unseen:
        yield _insert(source, changed, known, by=source.key)
    key = _other_key(source, types)
    if key:
        yield _insert(source, [key, *changed], known, by=source.key)


def _update(source: Source, assignments: str, where: str) -> str:
    return f"UPDATE {source.name} SET {assignments} WHERE {where}"  # noqa: S608  names are quoted, values ours


def _insert(source: Source, changed: list[str], where: str, by: tuple[str, ...]) -> str:
    """Copies of some rows, with some columns replaced; one of those that agree in `by`."""
    partition = f"PARTITION BY {', '.join(quoted(name) for name in by)} " if by else ""
    newest = ", ".join(f"{quoted(name)} DESC" for name in (*source.known_time, *source.event_time))
    return (
        f"INSERT INTO {source.name} SELECT * REPLACE ({', '.join(changed)}) "  # noqa: S608  as above
        f"FROM {source.name} WHERE {where} QUALIFY row_number() OVER ({partition}ORDER BY {newest}) = 1"
    )


def _but(source: Source, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in source.key if name not in names)


def _all(clocks: tuple[str, ...], comparison: str, instant: datetime) -> str:
    """Whether each of a table's clocks lies there; a null clock is nowhere."""
    return " AND ".join(f"{_instant(name)} {comparison} TIMESTAMPTZ '{instant.isoformat()}'" for name in clocks)


def _instant(name: str) -> str:
    return f"CAST({quoted(name)} AS TIMESTAMPTZ)"


def _clocks(names: tuple[str, ...], types: Mapping[str, str], instant: datetime) -> list[str]:
    return [f"CAST(TIMESTAMPTZ '{instant.isoformat()}' AS {types[name]}) AS {quoted(name)}" for name in names]


def _known_before(source: Source, types: Mapping[str, str], cutoff: datetime) -> str:
    """Assignments that move each known time back to before the cutoff; versions stay as far apart as they are."""
    return ", ".join(
        f"{quoted(name)} = CAST({_instant(name)} - (SELECT max({_instant(name)}) - TIMESTAMPTZ '{cutoff.isoformat()}' "  # noqa: S608  as above
        f"+ INTERVAL 1 DAY FROM {source.name}) AS {types[name]})"
        for name in source.known_time
    )


def _values(source: Source, types: Mapping[str, str], size: int) -> str:
    """Assignments of extreme values."""
    pairs = ((name, _extreme(name, types[name], size)) for name in source.values)
    return ", ".join(f"{quoted(name)} = {value}" for name, value in pairs if value)


def _extremes(source: Source, types: Mapping[str, str], size: int) -> Iterator[str]:
    for name in source.values:
        value = _extreme(name, types[name], size)
        if value:
            yield f"{value} AS {quoted(name)}"


def _extreme(name: str, kind: str, size: int) -> str | None:
    """A value that a feature would show, and that the SQL can still cast; null for a type that is left alone."""
    most = _most(kind)
    if most is not None:
        return f"CAST({min(size, most)} AS {kind})"
    if kind == "BOOLEAN":
        return f"NOT coalesce({quoted(name)}, true)"
    if kind == "VARCHAR":
        return "'POISON'"
    if kind in _INSTANT:
        instant = f"coalesce(CAST({quoted(name)} AS TIMESTAMP), TIMESTAMP '2000-01-01')"
        return f"CAST({instant} + INTERVAL {size} SECOND AS {kind})"
    return None


def _most(kind: str) -> int | None:
    """The largest whole number that a type holds, at most; null if it holds no numbers."""
    if kind in _SMALL:
        return _SMALL[kind]
    if kind.startswith("DECIMAL"):
        precision, scale = (int(part) for part in kind.removeprefix("DECIMAL(").removesuffix(")").split(","))
        return int(10 ** (precision - scale)) - 1
    return 10**9 if kind in _WHOLE | _FRACTION else None


def _other_key(source: Source, types: Mapping[str, str]) -> str:
    """A replacement that makes the key another one; empty if no column of the key can be changed so."""
    free = [name for name in source.key if name not in {*source.event_time, *source.known_time}]
    for name in free:
        if types[name] in _WHOLE:
            span = f"(SELECT max({quoted(name)}) - min({quoted(name)}) + 1 FROM {source.name})"  # noqa: S608  as above
            return f"CAST({quoted(name)} + {span} AS {types[name]}) AS {quoted(name)}"
    for name in free:
        if types[name] == "VARCHAR":
            return f"{quoted(name)} || '~' AS {quoted(name)}"
    return ""
