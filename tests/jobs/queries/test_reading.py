"""What a query reads: which columns of which source tables, and which of them are its clocks and its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.definition import load_job
from jobs.queries.check import read_query
from jobs.queries.reading import SourceTable

if TYPE_CHECKING:
    from pathlib import Path

DECLARED = """\
-- grain: one event
-- role: history
-- key: id
-- event time: happened_at
-- known time: known_at
-- known: rewritten
-- lookback: 7 days

"""
REFERENCE = """\
-- grain: one thing
-- role: reference
-- key: id
-- known: none

"""
ONE = """\
SELECT
  CAST({of}id AS INTEGER) AS id,
  CAST({of}dep_at AS TIMESTAMPTZ) AS happened_at,
  CAST(floor({of}temp * 10 + 0.5) AS INTEGER) AS temp_deci,
  CAST({of}recorded_at AS TIMESTAMPTZ) AS known_at
FROM {table}
WHERE {of}dep_at >= $start
  AND {of}dep_at < $end
  AND {of}recorded_at < $cutoff
  AND {of}deleted = FALSE
ORDER BY id
"""
READ = ("id", "dep_at", "temp", "recorded_at", "deleted")


def reads(folder: Path, text: str) -> tuple[SourceTable, ...]:
    path = folder / "events_v1.sql"
    path.write_text(text, encoding="utf-8")
    return read_query(path).reads


@pytest.mark.parametrize(
    ("table", "of", "path"),
    [
        ("events", "", ("events",)),
        ("events", "events.", ("events",)),
        ("events AS e", "e.", ("events",)),
        ("events AS e", "", ("events",)),
        ("raw.events", "", ("raw", "events")),
        ("raw.events", "events.", ("raw", "events")),
        ("raw.events AS e", "e.", ("raw", "events")),
    ],
)
def test_one_table_is_read_by_whatever_name_its_columns_are_called(
    tmp_path: Path, table: str, of: str, path: tuple[str, ...]
) -> None:
    """SELECT, WHERE and what is computed count, each column once; ORDER BY names output columns."""
    (read,) = reads(tmp_path, DECLARED + ONE.format(table=table, of=of))

    assert read.path == path
    assert read.columns == READ
    assert (read.event_time, read.known_time, read.key) == (("dep_at",), ("recorded_at",), ("id",))


def test_an_output_column_is_no_source_column(tmp_path: Path) -> None:
    """`known_at` and `happened_at` are made here; ordering by them reads nothing."""
    (read,) = reads(tmp_path, DECLARED + ONE.format(table="events", of="").replace("BY id", "BY known_at, id"))

    assert not {"known_at", "happened_at"} & set(read.columns)


JOINED = """\
SELECT
  CAST(o.id AS INTEGER) AS id,
  CAST(s.dest AS VARCHAR) AS dest,
  CAST(o.dep_at AS TIMESTAMPTZ) AS happened_at,
  CAST(greatest(o.recorded_at, s.seen_at) AS TIMESTAMPTZ) AS known_at
FROM outcomes AS o
{join}
WHERE o.dep_at >= $start
  AND o.dep_at < $end
  AND greatest(o.recorded_at, s.seen_at) < $cutoff
  AND s.loaded_at < $cutoff
ORDER BY id
"""


@pytest.mark.parametrize(
    ("join", "left", "right"),
    [
        (
            "INNER JOIN raw.timetable AS s ON s.flight = o.number AND s.day = o.day",
            ["number", "day"],
            ["flight", "day"],
        ),
        ("LEFT JOIN raw.timetable AS s ON (o.number = s.flight)", ["number"], ["flight"]),
        ("LEFT JOIN raw.timetable AS s USING (flight, day)", ["flight", "day"], ["flight", "day"]),
    ],
)
def test_what_tables_are_joined_by_is_read_of_both(
    tmp_path: Path, join: str, left: list[str], right: list[str]
) -> None:
    outcomes, timetable = reads(tmp_path, DECLARED + JOINED.format(join=join))

    assert (outcomes.path, timetable.path) == (("outcomes",), ("raw", "timetable"))
    assert set(outcomes.columns) == {"id", "dep_at", "recorded_at", *left}
    assert set(timetable.columns) == {"dest", "seen_at", "loaded_at", *right}


def test_a_clock_that_is_the_greatest_of_two_is_a_clock_of_both(tmp_path: Path) -> None:
    outcomes, timetable = reads(tmp_path, DECLARED + JOINED.format(join="LEFT JOIN timetable AS s ON s.id = o.id"))

    assert (outcomes.event_time, outcomes.known_time, outcomes.key) == (("dep_at",), ("recorded_at",), ("id",))
    assert (timetable.event_time, timetable.known_time, timetable.key) == ((), ("seen_at",), ())


def test_using_is_of_the_joined_table_and_not_of_every_table(tmp_path: Path) -> None:
    """The airport has no tail number, and the flight no airport's code; DuckDB says that this is right SQL."""
    text = """\
SELECT CAST(f.id AS INTEGER) AS id, CAST(p.seats AS INTEGER) AS seats, CAST(a.alt AS INTEGER) AS alt
FROM flights AS f
LEFT JOIN planes AS p USING (tailnum)
LEFT JOIN airports AS a USING (faa)
ORDER BY id
"""
    flights, planes, airports = reads(tmp_path, REFERENCE + text)

    assert set(flights.columns) == {"id", "tailnum"}
    assert set(planes.columns) == {"seats", "tailnum"}
    assert set(airports.columns) == {"alt", "faa"}
    with duckdb.connect() as con:
        con.execute("CREATE TABLE flights (id INTEGER, tailnum VARCHAR)")
        con.execute("CREATE TABLE planes (tailnum VARCHAR, seats INTEGER, faa VARCHAR)")
        con.execute("CREATE TABLE airports (faa VARCHAR, alt INTEGER)")
        assert con.sql(text).columns == ["id", "seats", "alt"]


def test_a_table_that_is_joined_with_itself_is_read_twice(tmp_path: Path) -> None:
    text = """\
SELECT CAST(a.id AS INTEGER) AS id, CAST(b.name AS VARCHAR) AS parent
FROM things AS a
LEFT JOIN things AS b ON b.id = a.parent
ORDER BY id
"""
    child, parent = reads(tmp_path, REFERENCE + text)

    assert child == SourceTable(None, "things", ("id", "parent"), (), (), ("id",))
    assert parent == SourceTable(None, "things", ("name", "id"), (), (), ())


def test_of_the_flights_every_column_is_known() -> None:
    """As many as there are in the files, counted by hand; the table of contracts covers each."""
    job = load_job("flight_delay")

    found = {(query.table, read.name): len(read.columns) for query in job.queries() for read in query.reads}

    assert found == {
        ("timetable", "scheduled_flights"): 9,
        ("outcomes", "flight_outcomes"): 11,
        ("outcomes", "scheduled_flights"): 7,
        ("labels", "flight_outcomes"): 8,
        ("weather", "weather"): 12,
        ("planes", "planes"): 8,
        ("airports", "airports"): 5,
    }
