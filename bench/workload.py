"""Scales the real flights of 2013 up: a DuckDB warehouse of the same tables, with a million entities a night or ten.

    python bench/workload.py /tmp/large.duckdb --entities 1000000   # as of 2013-09-01, with 100 days of outcomes
    python bench/workload.py /tmp/large.duckdb --advance            # what a warehouse does until the next night

The whole timetable of New York is copied `n` times, each time under other carriers (`UA17` is the 17th `UA`), with the
weeks of the year moved, so that no two copies have the same delays; days outside of 2013 have the flights of the same
weekday of that year. Then, drawn by the row's key alone: delays differ by up to three minutes, one outcome in a hundred
is recorded days late, one in two hundred is corrected by a further row. Overnight new outcomes, late ones, corrections
and a timetable day arrive, old outcomes of three days and flights to come are overwritten in place.

A row is a function of (seed, key): the first and the hundredth night that hold it hold the same row, whatever was made
before it. One day is made at a time, so that memory does not grow with the history.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from features.clock import begins
from jobs.warehouse.engine import connect
from jobs.warehouse.sample_files import NEW_YORK, read_sample, sample_folder
from jobs.warehouse.sample_tables import FLIGHT_OUTCOMES, SCHEDULED_FLIGHTS, TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb
    import polars as pl

AS_OF, SEED = date(2013, 9, 1), 20130901
HORIZON_DAYS, AHEAD_DAYS = 10, 14  # how far a night looks ahead, and how long before its day a flight is announced
HISTORY_DAYS, TIMETABLE_DAYS = 120, 30  # kept of what is past; training looks back further than a night
REAL_FLIGHTS_A_DAY = 922.7  # mean of the 364 days that are copied
LATEST_DAYS = 9  # until then an outcome arrives, or its correction
REWRITTEN_DAYS_AGO = (12, 33, 61)
_DAY = timedelta(days=1)
_FIRST = date(2013, 1, 1)
_EVER = datetime(1900, 1, 1, tzinfo=UTC)
_KEY = "concat_ws('|', $seed, flight_date, carrier, flight, origin)"


@dataclass(frozen=True, slots=True)
class Workload:
    """What a warehouse was made of, and how far it has come: it holds what was known before `as_of` began."""

    as_of: date
    copies: int
    seed: int


def main() -> None:
    """Make a warehouse or advance one; say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--entities", type=int, default=1_000_000, help="a night's, about (default: 1000000)")
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--advance", action="store_true", help="to the next night, in place")
    given = parser.parse_args()
    began = time.perf_counter()
    if given.advance:
        made = advance(given.place)
    else:
        made = build(given.place, Workload(given.as_of, copies_for(given.entities), given.seed))
    print(f"{given.place} as of {made.as_of}: {counts(given.place)}, in {time.perf_counter() - began:.1f} s")


def copies_for(entities: int) -> int:
    """How many copies of the real flights make so many entities a night, about."""
    return max(1, round(entities / HORIZON_DAYS / REAL_FLIGHTS_A_DAY))


def build(place: Path, wanted: Workload, history_days: int = HISTORY_DAYS) -> Workload:
    """Make the warehouse at `place`, which must not exist."""
    if place.exists():
        raise SystemExit(f"{place} exists; give another path, or remove it")
    sample = read_sample(sample_folder())
    with connect(place) as con:
        _create(con, sample)
        _prepare(con, wanted, sample)
        con.execute("INSERT INTO workload VALUES (?, ?, ?)", [wanted.as_of, wanted.copies, wanted.seed])
        for n in range(-TIMETABLE_DAYS, AHEAD_DAYS):
            _add(con, _TIMETABLE, wanted, wanted.as_of + n * _DAY, _EVER)
        for n in range(-history_days, 0):
            _add(con, _OUTCOMES, wanted, wanted.as_of + n * _DAY, _EVER)
    return wanted


def advance(place: Path) -> Workload:
    """Bring the warehouse at `place` to the next night: rows arrive, some rows that stand there are overwritten."""
    with connect(place) as con:
        held = Workload(*con.execute("SELECT as_of, copies, seed FROM workload").fetchall()[0])
        wanted = Workload(held.as_of + _DAY, held.copies, held.seed)
        since = begins(held.as_of, NEW_YORK)
        _prepare(con, wanted, read_sample(sample_folder()))
        _add(con, _TIMETABLE, wanted, held.as_of + AHEAD_DAYS * _DAY, since)
        for n in range(-LATEST_DAYS, 1):
            _add(con, _OUTCOMES, wanted, held.as_of + n * _DAY, since)
        for ago in REWRITTEN_DAYS_AGO:
            con.execute(_REWRITE_OUTCOMES, {"seed": f"{held.seed}|{held.as_of}", "day": held.as_of - ago * _DAY})
        rewritten = {"seed": f"{held.seed}|{held.as_of}", "day": held.as_of, "at": since + timedelta(hours=12)}
        con.execute(_REWRITE_TIMETABLE, rewritten)
        con.execute("UPDATE workload SET as_of = ?", [wanted.as_of])
    return wanted


def counts(place: Path) -> str:
    """The rows of the two large tables, as text."""
    with connect(place, read_only=True) as con:
        rows = {table.name: con.table(table.name).shape[0] for table in (FLIGHT_OUTCOMES, SCHEDULED_FLIGHTS)}
    return ", ".join(f"{count:,} {name}" for name, count in rows.items())


def _create(con: duckdb.DuckDBPyConnection, sample: Mapping[str, pl.DataFrame]) -> None:
    """The tables of the sample; those that are not scaled with their rows."""
    for table in TABLES:
        columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        con.execute(f"CREATE TABLE {table.name} ({columns})")
        if table not in (FLIGHT_OUTCOMES, SCHEDULED_FLIGHTS):
            con.register("fresh", sample[table.name].to_arrow())
            con.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM fresh")
            con.unregister("fresh")
    con.execute("CREATE TABLE workload (as_of DATE, copies INTEGER, seed BIGINT)")


def _prepare(con: duckdb.DuckDBPyConnection, wanted: Workload, sample: Mapping[str, pl.DataFrame]) -> None:
    """The real flights, by their clock times and what follows those, and by how many weeks each copy is moved."""
    frames = {
        "timetable": sample[SCHEDULED_FLIGHTS.name].drop("recorded_at"),
        "outcome": sample[FLIGHT_OUTCOMES.name].drop("sched_dep_at"),
    }
    for name, frame in frames.items():
        con.register(name, frame.to_arrow())
    con.execute(_REAL)
    con.execute(_COPIES, {"copies": wanted.copies, "seed": wanted.seed})
    for name in frames:
        con.unregister(name)


def _add(con: duckdb.DuckDBPyConnection, text: str, wanted: Workload, day: date, since: datetime) -> None:
    """The rows of one day that became known from `since` on and before the as-of began."""
    parameters = {
        "seed": wanted.seed,
        "day": day,
        "place": (day - _FIRST).days,
        "since": since,
        "until": begins(wanted.as_of, NEW_YORK),
    }
    if text is _TIMETABLE:
        parameters["announced_at"] = begins(day - AHEAD_DAYS * _DAY, NEW_YORK)
    con.execute(text, parameters)


_REAL = """
CREATE TEMP TABLE real AS
SELECT
  t.flight_date - DATE '2013-01-01' AS place, t.carrier, t.flight, t.origin, t.dest, t.distance_mi,
  timezone('America/New_York', t.sched_dep_at) - t.flight_date::TIMESTAMP AS clock,
  t.sched_arr_at - t.sched_dep_at AS flight_time, o.recorded_at - t.sched_dep_at AS known_after,
  o.tailnum, o.dep_delay_min, o.arr_delay_min, o.air_time_min, o.cancelled
FROM timetable AS t
JOIN outcome AS o USING (flight_date, carrier, flight, origin)
WHERE t.flight_date < DATE '2013-12-31'
"""

_COPIES = """
CREATE TEMP TABLE copies AS
SELECT n AS copy, (md5_number_lower($seed || '|copy|' || n) % 52)::INTEGER AS weeks FROM range(1, $copies + 1) AS r(n)
"""

_DAY_OF_A_COPY = """
  FROM (
    SELECT *, carrier || copy AS its_carrier, timezone('America/New_York', $day::TIMESTAMP + clock) AS departs_at
    FROM copies JOIN real ON real.place = ($place + 7 * copies.weeks) % 364
  )
"""

_TIMETABLE = f"""
INSERT INTO scheduled_flights BY NAME
SELECT
  $day::DATE AS flight_date, its_carrier AS carrier, flight, origin, dest, departs_at AS sched_dep_at,
  departs_at + flight_time AS sched_arr_at, distance_mi,
  $announced_at::TIMESTAMPTZ AS recorded_at
{_DAY_OF_A_COPY}
WHERE $announced_at::TIMESTAMPTZ >= $since AND $announced_at::TIMESTAMPTZ < $until AND $seed IS NOT NULL
"""

_OUTCOMES = f"""
INSERT INTO flight_outcomes BY NAME
WITH copied AS (
  SELECT
    $day::DATE AS flight_date, its_carrier AS carrier, flight, origin, departs_at AS sched_dep_at, tailnum,
    dep_delay_min, arr_delay_min, air_time_min, cancelled, departs_at + known_after AS recorded_at
  {_DAY_OF_A_COPY}
), drawn AS (
  SELECT *, md5_number_lower({_KEY}) AS bits FROM copied
), reported AS (
  SELECT
    * REPLACE (
      arr_delay_min + ((bits & 255) % 7)::INTEGER - 3 AS arr_delay_min,
      recorded_at + to_minutes(((bits & 255) % 7)::INTEGER) + to_days(
        CASE WHEN ((bits >> 8) & 65535) % 100 = 0 THEN 1 + (((bits >> 24) & 255) % 5)::INTEGER ELSE 0 END
      ) AS recorded_at
    )
  FROM drawn
), corrected AS (
  SELECT
    * REPLACE (
      arr_delay_min + ((bits >> 48) % 31)::INTEGER - 10 AS arr_delay_min,
      recorded_at + to_minutes(1 + ((bits >> 48) % 4320)::INTEGER) AS recorded_at
    )
  FROM reported
  WHERE ((bits >> 32) & 65535) % 200 = 0
)
SELECT * EXCLUDE (bits) FROM (FROM reported UNION ALL FROM corrected)
WHERE recorded_at >= $since AND recorded_at < $until
"""

_REWRITE_OUTCOMES = f"""
UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 5
WHERE flight_date = $day AND md5_number_lower({_KEY}) % 1000 = 0
"""

_REWRITE_TIMETABLE = f"""
UPDATE scheduled_flights SET sched_arr_at = sched_arr_at + INTERVAL 10 MINUTE, recorded_at = $at
WHERE flight_date > $day AND md5_number_lower({_KEY}) % 1000 = 0
"""


if __name__ == "__main__":
    main()
