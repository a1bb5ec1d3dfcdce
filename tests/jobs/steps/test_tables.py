"""Reading a table: what is recognised by its marks is exactly what reading it again would give."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.days import Calendar
from jobs.queries.check import Query, read_query
from jobs.steps.tables import Reading, TableRead, read_table
from jobs.store.marks import Known
from jobs.store.objects import ObjectStore
from jobs.warehouse.bounds import Bounds
from jobs.warehouse.duckdb_file import open_duckdb_file
from jobs.warehouse.extraction import KeyBroken
from jobs.warehouse.looking import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    type Row = tuple[object, ...]

NEW_YORK, AS_OF = Calendar("America/New_York"), date(2013, 9, 1)
BOUNDS = Bounds(date(2013, 8, 20), AS_OF, AS_OF)
REFERENCE = Bounds(None, None, AS_OF)
SQL = """\
-- grain: one event
-- role: {role}
-- key: id, place
{clocks}

SELECT
  CAST(id AS BIGINT) AS id,
  CAST(place AS VARCHAR) AS place,
  CAST(happened_at AS TIMESTAMPTZ) AS happened_at,
  CAST(number AS INTEGER) AS number,
  CAST(share AS DOUBLE) AS share,
  CAST(price AS DECIMAL(9, 2)) AS price,
  CAST(word AS VARCHAR) AS word,
  CAST(flag AS BOOLEAN) AS flag,
  CAST(on_day AS DATE) AS on_day,
  CAST(known_at AS TIMESTAMPTZ) AS known_at
FROM events
{where}
ORDER BY id, place{version}
"""
CLOCKS = "-- event time: happened_at\n-- known time: known_at\n-- known: {known}\n-- lookback: 12 days"
WHERE = "WHERE happened_at >= $start AND happened_at < $end AND known_at < $cutoff"
COLUMNS = {
    "id": "BIGINT", "place": "VARCHAR", "happened_at": "TIMESTAMPTZ", "number": "INTEGER", "share": "DOUBLE",
    "price": "DECIMAL(9, 2)", "word": "VARCHAR", "flag": "BOOLEAN", "on_day": "DATE", "known_at": "TIMESTAMPTZ",
}  # fmt: skip


@dataclass
class Desk:
    """A warehouse of events, three queries over it, and stores that begin empty."""

    folder: Path
    queries: Mapping[str, Query]
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def warehouse(self, rows: list[Row]) -> Iterator[Path]:
        """A warehouse of these rows, in this order."""
        path = self.folder / f"{next(self.numbers)}.duckdb"
        with duckdb.connect(str(path)) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(f"CREATE TABLE events ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
            if rows:
                con.executemany(f"INSERT INTO events VALUES ({', '.join('?' for _ in COLUMNS)})", rows)
        yield path
        path.unlink()

    def read(
        self, rows: list[Row], query: str, known: TableRead | None = None, as_of: date = AS_OF, **other: str
    ) -> TableRead | str:
        """One look, with what an earlier one knew; or the failure. `other` types are what the source columns have."""
        bounds = REFERENCE if query == "reference" else BOUNDS
        staged = self.folder / f"staged-{next(self.numbers)}"
        staged.mkdir()
        seals = {part.digest: part.seal for part in known.table.partitions} if known else {}
        store = ObjectStore(self.folder / "objects", staged, seals)
        types = {"events": {"events.id": "BIGINT"} | other}
        before = {"events": Known(known.table, known.marks)} if known else {}
        try:
            with self.warehouse(rows) as path, open_duckdb_file(path, NEW_YORK, 1, staged) as extraction:
                return read_table(self.queries[query], bounds, Reading(extraction, store, types, before, as_of))
        except KeyBroken as error:
            return str(error)
        finally:
            shutil.rmtree(staged)

    def look(self, rows: list[Row], query: str, known: TableRead | None = None, **other: str) -> TableRead:
        """A look that goes well."""
        read = self.read(rows, query, known, **other)
        assert isinstance(read, TableRead), read
        return read


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("tables")
    texts = {
        "appended": SQL.format(
            role="history", clocks=CLOCKS.format(known="appended"), where=WHERE, version=", known_at"
        ),
        "rewritten": SQL.format(role="history", clocks=CLOCKS.format(known="rewritten"), where=WHERE, version=""),
        "reference": SQL.format(role="reference", clocks="-- known: none", where="", version=""),
    }
    queries = {}
    for name, text in texts.items():
        (folder / name).mkdir()
        (folder / name / "events_v1.sql").write_text(text)
        queries[name] = read_query(folder / name / "events_v1.sql")
    return Desk(folder, queries)


def event(number: int, day: int = 0, late_days: int = 0, /, **values: object) -> Row:
    """One event, reported an hour later or some days later."""
    happened_at = datetime(2013, 8, 21, 12, tzinfo=UTC) + timedelta(days=day)
    row: dict[str, object] = {
        "id": number, "place": "JFK", "happened_at": happened_at, "number": number, "share": 0.5, "price": 1,
        "word": "a", "flag": True, "on_day": date(2013, 8, 21),
        "known_at": happened_at + timedelta(days=late_days, hours=1),
    }  # fmt: skip
    return tuple((row | values).values())


EVENTS = [event(number, day) for day in range(10) for number in range(day * 3, day * 3 + 3)]
QUERY = pytest.mark.parametrize("query", ["appended", "rewritten", "reference"])


@QUERY
def test_what_did_not_change_is_recognised_in_any_order(desk: Desk, query: str) -> None:
    """None is thirty days old."""
    first = desk.look(EVENTS, query)

    again = desk.look(EVENTS[::-1], query, first)

    assert again.table == first.table
    assert again.marks == first.marks
    assert again.recognised == len(first.table.partitions) > 5
    assert first.recognised == 0


def test_only_what_changed_is_read(desk: Desk) -> None:
    first = desk.look(EVENTS, "rewritten")
    changed = [*EVENTS[:-1], event(29, 9, word="b")]

    again = desk.look(changed, "rewritten", first)

    assert again.recognised == 9
    assert again.table.partitions[:9] == first.table.partitions[:9]
    assert again.table == desk.look(changed, "rewritten").table != first.table


SPOILED: dict[str, object] = {
    "number": None, "share": 0.25, "price": 2, "word": None, "flag": False, "on_day": date(2013, 8, 22),
    "happened_at": datetime(2013, 8, 21, 12, 0, 1, tzinfo=UTC), "known_at": datetime(2013, 8, 21, 14, tzinfo=UTC),
    "place": "LGA", "id": 100,
}  # fmt: skip


@QUERY
@pytest.mark.parametrize("column", SPOILED)
def test_a_change_of_any_one_column_is_noticed(desk: Desk, query: str, column: str) -> None:
    first = desk.look(EVENTS, query)

    again = desk.look([event(0, **{column: SPOILED[column]}), *EVENTS[1:]], query, first)

    assert again.table.digest != first.table.digest
    assert again.table == desk.look([event(0, **{column: SPOILED[column]}), *EVENTS[1:]], query).table


@pytest.mark.parametrize("column", ["number", "word", "share"])
def test_values_that_two_rows_exchange_are_noticed(desk: Desk, column: str) -> None:
    """The mark of a partition must not be made of the hashes of its columns, each for itself."""
    at = list(COLUMNS).index(column)
    rows = [event(number, 0, number=number, word=str(number), share=float(number)) for number in range(8)]
    swapped = [list(row) for row in rows]
    swapped[2][at], swapped[5][at] = rows[5][at], rows[2][at]
    first = desk.look(rows, "rewritten")

    again = desk.look([tuple(row) for row in swapped], "rewritten", first)

    assert again.recognised == 0
    assert again.table.digest != first.table.digest


values = st.fixed_dictionaries(
    {
        "number": st.none() | st.integers(-2, 2),
        "share": st.none() | st.sampled_from([0.0, -0.0, 0.5, -0.5, 1e308, 5e-324]),
        "word": st.none() | st.sampled_from(["", "a", "b", "ab", "a" * 13, "é"]),
        "flag": st.none() | st.booleans(),
    }
)
events = st.builds(
    lambda number, day, late, given: event(number, day, late, **given),
    st.integers(0, 6),
    st.integers(0, 4),
    st.integers(0, 3),
    values,
)
tables = st.lists(events, min_size=1, max_size=12)


@st.composite
def changed(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """Rows deleted, inserted, changed in one value, exchanging values, or moved to another day; in another order."""
    after = [list(row) for row in rows]
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["delete", "insert", "value", "swap"]))
        row = draw(st.integers(0, max(len(after) - 1, 0)))
        at = draw(st.integers(0, len(COLUMNS) - 1))
        if kind == "insert" or not after:
            after.append(list(draw(events)))
        elif kind == "delete":
            after.pop(row)
        elif kind == "value":
            after[row][at] = draw(events)[at]
        else:
            other = draw(st.integers(0, len(after) - 1))
            after[row][at], after[other][at] = after[other][at], after[row][at]
    return [tuple(row) for row in draw(st.permutations(after))]


@QUERY
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_shortcut_gives_what_a_full_read_gives(desk: Desk, query: str, data: st.DataObject) -> None:
    """The same manifest, seals and marks included, or the same refusal of keys, with the same figures."""
    rows = data.draw(tables)
    first = desk.read(rows, query)
    if isinstance(first, str):
        return
    after = [*data.draw(changed(rows)), event(90, 9)]  # one that stays, so that no table is empty

    full, short = desk.read(after, query), desk.read(after, query, first)

    if isinstance(full, str) or isinstance(short, str):
        assert short == full
    else:
        assert short.table == full.table
        assert short.marks == full.marks


BROKEN: dict[str, tuple[str, Row, str]] = {
    "a key of another day comes again": ("rewritten", event(0, 9), "1 keys occur more than once"),
    "a key comes again on its day, later": ("rewritten", event(0, 0, 5), "1 keys occur more than once"),
    "a version is of another day": ("appended", event(0, 9), "1 keys have versions at different event times"),
    "a version is of another hour": (
        "appended",
        event(0, 0, 5, happened_at=datetime(2013, 8, 21, 13, tzinfo=UTC)),
        "1 keys have versions at different event times",
    ),
    "a version comes twice": ("appended", event(0, 0), "1 keys occur more than once"),
    "a key is null": ("appended", event(0, 9, id=None), "1 have a null in the key"),
    "a part of a key is null": ("rewritten", event(0, 9, place=None), "1 have a null in the key"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_new_row_is_held_against_the_keys_of_what_is_recognised(desk: Desk, what: str) -> None:
    query, row, said = BROKEN[what]
    first = desk.look(EVENTS, query)

    told = desk.read([*EVENTS, row], query, first)

    assert isinstance(told, str)
    assert said in told
    assert told == desk.read([*EVENTS, row], query)


def test_a_correction_is_no_repeated_key(desk: Desk) -> None:
    first = desk.look(EVENTS, "appended")

    again = desk.look([*EVENTS, event(0, 0, 5, number=7)], "appended", first)

    assert again.recognised == len(first.table.partitions)
    assert len(again.table.partitions) == len(first.table.partitions) + 1


def test_a_partition_is_read_when_its_turn_comes(desk: Desk) -> None:
    """Thirty days after its day, and then again; whatever its mark says."""
    first = desk.look(EVENTS, "rewritten")
    wrong = replace(
        first,
        table=replace(first.table, partitions=tuple(replace(part, digest="0" * 64) for part in first.table.partitions)),
    )

    due = desk.read(EVENTS, "rewritten", wrong, as_of=date(2013, 8, 23) + timedelta(days=30))

    assert isinstance(due, TableRead)
    mended = [part.event_day for part in due.table.partitions if part.digest != "0" * 64]
    assert mended == [date(2013, 8, 23)]


def test_other_types_of_the_source_other_sql_or_other_columns_mean_reading_all(desk: Desk) -> None:
    first = desk.look(EVENTS, "rewritten")
    other_sql = replace(first, table=replace(first.table, sql_fingerprint="0" * 64))
    other_columns = replace(
        first, table=replace(first.table, columns=(*first.table.columns[:-1], ("known_at", "date")))
    )

    assert desk.look(EVENTS, "rewritten", first, **{"events.id": "INTEGER"}).recognised == 0
    assert desk.look(EVENTS, "rewritten", other_sql).recognised == 0
    assert desk.look(EVENTS, "rewritten", other_columns).recognised == 0
    assert desk.look(EVENTS, "rewritten", first).recognised == 10


def test_a_mark_of_the_same_rows_and_another_count_is_another_partition(desk: Desk) -> None:
    first = desk.look(EVENTS, "rewritten")
    day = Cell(date(2013, 8, 21), date(2013, 8, 22))
    fewer = replace(first, marks={**first.marks, day: replace(first.marks[day], rows=2)})

    assert desk.look(EVENTS, "rewritten", fewer).recognised == 9
