"""Analysts who query the published scores all the time, each in a process of its own, and check every answer."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import adbc_driver_postgresql.dbapi as driver
import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from multiprocessing.synchronize import Event

type Shown = tuple[str, str, int, int]

_PAUSE_S = 0.3
_HELD_READS = 20
_WHOLE = (
    "SELECT as_of::VARCHAR, run_id, count(*), bit_xor(hash(shown)) FROM ({rows}) AS shown GROUP BY ALL ORDER BY ALL"
)
_ROWS = "SELECT * EXCLUDE (scored_at) FROM {relation}"
_WHOLE_ON_SERVER = (
    "SELECT as_of::text, run_id, count(*), bit_xor(hashtextextended(shown::text, 0)) FROM ({rows}) AS shown "
    "GROUP BY as_of, run_id ORDER BY as_of, run_id"
)
_ROWS_ON_SERVER = (
    "SELECT flight_date, carrier, flight, origin, as_of, score, raw_score, rank, model_version, run_id FROM {relation}"
)
_CURRENT_ON_SERVER = "SELECT DISTINCT ON (as_of) as_of::text, run_id FROM scores.publications ORDER BY as_of, seq DESC"
_CURRENT = "SELECT as_of::VARCHAR, max_by(run_id, seq) FROM publications GROUP BY ALL ORDER BY ALL"


@dataclass(frozen=True)
class Seen:
    """One look: what is published, and the rows of each relation: as-of, run, how many, a checksum (no clock in it)."""

    published: tuple[tuple[str, str], ...]
    shown: tuple[Shown, ...]
    latest: tuple[Shown, ...]


@dataclass
class Answers:
    """How many answers one analyst got, which of them were not whole, and which had less than the one before."""

    reads: int = 0
    partial: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def scores(home: Path, warehouse: str) -> AbstractContextManager[Callable[[], Seen]]:
    """The published scores as an analyst has them: opened once, to be looked at as often as wanted."""
    return _on_server(warehouse) if warehouse.startswith("postgresql") else _in_file(home)


@contextmanager
def _in_file(home: Path) -> Iterator[Callable[[], Seen]]:
    with duckdb.connect(str(home / "scores.duckdb"), read_only=True) as con:
        yield lambda: _look(lambda text: con.execute(text).fetchall(), "", _CURRENT, _WHOLE, _ROWS)


@contextmanager
def _on_server(url: str) -> Iterator[Callable[[], Seen]]:
    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:

        def ask(text: str) -> list[tuple]:
            cursor.execute(text)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

        yield lambda: _look(ask, "scores.", _CURRENT_ON_SERVER, _WHOLE_ON_SERVER, _ROWS_ON_SERVER)


def _look(ask: Callable[[str], list[tuple]], schema: str, current: str, whole: str, rows: str) -> Seen:
    """Everything that is published, in one transaction."""
    ask("BEGIN ISOLATION LEVEL REPEATABLE READ" if schema else "BEGIN")
    published = ask(current)
    shown, latest = (
        ask(whole.format(rows=rows.format(relation=schema + relation)))
        for relation in ("flight_delay", "flight_delay_latest")
    )
    ask("COMMIT")
    return Seen(tuple(published), tuple(shown), tuple(latest))


def complaint(seen: Seen, expected: Mapping[str, Shown]) -> str | None:
    """What is not whole in a look; null if all of it is."""
    if wrong := [night for night in seen.shown if expected.get(night[0]) != night]:
        return f"other rows than the undisturbed home's: {wrong}"
    if (told := list(seen.published)) != [night[:2] for night in seen.shown]:
        return f"publications say {told}, the rows {seen.shown}"
    if seen.latest != seen.shown[-1:]:
        return f"the latest rows are {seen.latest}"
    if [night[0] for night in seen.shown] != sorted(expected)[: len(seen.shown)]:
        return f"a night between others is missing: {seen.shown}"
    return None


def ask_on(board: str, expected: dict[str, Shown], stop: Event, until: float, hold: bool) -> None:  # noqa: FBT001
    """Query whichever home the board names, until told to stop; then write beside the board what came of it.

    With `hold`, one connection is kept for many reads, which must all give the same; else each read opens the file.
    """
    answers, before, name = Answers(), {}, f"{board}.{'holding' if hold else 'opening'}-{time.monotonic_ns()}"
    while not stop.is_set() and time.time() < until:
        place, warehouse = json.loads(Path(board).read_text(encoding="utf-8"))
        home = Path(place)
        try:
            for seen in _looks(home, warehouse, stop, _HELD_READS if hold else 1):
                answers.reads += 1
                if said := complaint(seen, expected):
                    answers.partial.append(said)
                if len(seen.shown) < before.get(home, 0):
                    answers.lost.append(f"{before[home]} nights were there, then {len(seen.shown)}")
                before[home] = max(before.get(home, 0), len(seen.shown))
        except (duckdb.Error, driver.Error) as error:
            answers.reads += 1
            answers.partial.append(f"{type(error).__name__}: {error}")
    Path(f"{name}.answers").write_text(json.dumps(vars(answers)), encoding="utf-8")


def _looks(home: Path, warehouse: str, stop: Event, times: int) -> Iterator[Seen]:
    with scores(home, warehouse) as look:
        for _ in range(times):
            yield look()
            if stop.wait(_PAUSE_S):
                return


def collected(board: Path) -> Answers:
    """The answers of all analysts together, once they have stopped."""
    whole = Answers()
    for path in sorted(board.parent.glob(f"{board.name}.*.answers")):
        one = Answers(**json.loads(path.read_text(encoding="utf-8")))
        whole.reads += one.reads
        whole.partial += one.partial
        whole.lost += one.lost
    return whole
