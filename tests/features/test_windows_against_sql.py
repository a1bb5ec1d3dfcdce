"""Every window of `flight_delay` on real nights, against plain SQL on the warehouse, one cutoff at a time.

The SQL knows nothing of days, spans or sweeps: it asks which rows were recorded before the instant of the cutoff, takes
the newest of each flight, and averages those that were scheduled in the window.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from features.flight_delay import build_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from features.clock import Cutoff

# The clocks change on 10 March: the windows of the nights after it hold a day of 23 hours.
NIGHTS = ("2013-03-06", "2013-03-10", "2013-03-11", "2013-03-13", "2013-03-20")
WINDOWS = {
    "carrier": "carrier",
    "origin": "origin",
    "dest": "dest",
    "route": "origin, dest",
    "number": "carrier, flight, origin",
    "carrier_hour": "carrier, hour",
    "origin_hour": "origin, hour",
    "carrier_origin": "carrier, origin",
    "carrier_dest": "carrier, dest",
    "dest_hour": "dest, hour",
    "evening_carrier": "carrier",
    "evening_origin": "origin",
    "evening_dest": "dest",
}
FINER = ("carrier_origin", "carrier_dest", "dest_hour")
LOCAL = "timezone('America/New_York', sched_dep_at)"
HOUR = f"(epoch_us(sched_dep_at) - epoch_us(timezone('America/New_York', date_trunc('day', {LOCAL})))) // 3600000000"
KNOWN = f"""
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT o.*, s.dest, {HOUR.replace("sched_dep_at", "o.sched_dep_at")} AS hour,
        arr_delay_min IS NOT NULL AND NOT cancelled AS arrived
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY flight_date, carrier, flight, origin ORDER BY recorded_at DESC
        ) AS age
        FROM flight_outcomes WHERE recorded_at < $cutoff
    ) AS o
    JOIN scheduled_flights AS s USING (flight_date, carrier, flight, origin)
    WHERE age = 1
"""
FIGURES = """
    count(*) FILTER (arrived) AS flown,
    count(*) FILTER (arrived AND arr_delay_min > 15) AS late,
    sum(greatest(least(arr_delay_min, 240), -60)) FILTER (arrived) AS delay_min,
    count(*) AS known
"""
SHARES = """
    flown,
    CAST(late AS DOUBLE) / nullif(flown, 0) AS late_share,
    CAST(delay_min AS DOUBLE) / nullif(flown, 0) AS mean_delay_min,
    CAST(known - flown AS DOUBLE) / nullif(known, 0) AS cancelled_share
"""


@pytest.fixture(scope="module")
def nights(night: Callable[..., list[Cutoff]]) -> list[Cutoff]:
    return [cutoff for day in NIGHTS for cutoff in night(day)]


@pytest.fixture(scope="module")
def frame(real_tables: Mapping[str, pl.LazyFrame], nights: list[Cutoff]) -> pl.DataFrame:
    """All nights in one sweep."""
    built = build_features(real_tables, nights)
    return built.with_columns(hour=pl.col("sched_dep_minute") // 60, dest="dest_code")


@pytest.fixture(scope="module")
def warehouse(real_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse itself, on which temporary tables are made."""
    with duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{real_warehouse}' AS warehouse (READ_ONLY)")
        for name in ("flight_outcomes", "scheduled_flights", "weather", "planes"):
            con.execute(f"CREATE VIEW {name} AS SELECT * FROM warehouse.{name}")
        yield con


def _days(group: str) -> tuple[int, ...]:
    if group.startswith("evening"):
        return (1,)
    return (7, 28) if group in FINER else (1, 3, 7, 28)


def _midnight(day: date) -> datetime:
    """New York's midnight, written out: UTC-4 from the day after 10 March on, UTC-5 up to it."""
    return datetime.fromisoformat(f"{day}T{'04' if day > date(2013, 3, 10) else '05'}:00:00+00:00")


def _by_sql(con: duckdb.DuckDBPyConnection, group: str, as_of: date, days: int) -> pl.DataFrame:
    """One row per group: the figures of one window at one cutoff, from `known`."""
    since = _midnight(as_of - timedelta(days=days))
    evening = "AND hour >= 18" if group.startswith("evening") else ""
    return con.sql(
        f"SELECT {WINDOWS[group]}, {SHARES} FROM (SELECT {WINDOWS[group]}, {FIGURES} FROM known "
        f"WHERE sched_dep_at >= $since AND sched_dep_at < $until {evening} GROUP BY ALL)",
        params={"since": since, "until": _midnight(as_of)},
    ).pl()


def _differences(frame: pl.DataFrame, expected: pl.DataFrame, group: str, days: int) -> int:
    """How many values of the features of one window are not, to the bit, those of the SQL."""
    by = WINDOWS[group].split(", ")
    casts = {name: frame.schema[name] for name in by}
    both = frame.join(expected.cast(casts), on=by, how="left", maintain_order="left")  # type: ignore[arg-type]
    figures = (
        ["late_share", "mean_delay_min"]
        if group in FINER
        else ["flown", "late_share", "mean_delay_min", "cancelled_share"]
    )
    wanted = both.with_columns(pl.col("flown").fill_null(0))
    return sum(
        wanted.filter(pl.col(f"{group}_{figure}_{days}d").ne_missing(pl.col(figure))).height for figure in figures
    )


def test_every_window_is_what_plain_sql_gives_at_each_cutoff(
    frame: pl.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """136 columns on five nights, value by value, with late outcomes, corrections, and corrections of one day."""
    different = {}
    for as_of, flights in frame.group_by("as_of", maintain_order=True):
        warehouse.execute(KNOWN, {"cutoff": _midnight(as_of[0])})  # type: ignore[arg-type]
        for group in WINDOWS:
            for days in _days(group):
                expected = _by_sql(warehouse, group, as_of[0], days)  # type: ignore[arg-type]
                different[as_of[0], group, days] = _differences(flights, expected, group, days)

    assert len(different) == len(NIGHTS) * (7 * 4 + 3 * 2 + 3)
    assert {window: count for window, count in different.items() if count} == {}


def test_the_injected_rows_change_what_the_windows_see(
    frame: pl.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """Otherwise the test above would prove little: corrections in effect, superseded rows, rows not known yet."""
    cutoff = {"cutoff": _midnight(date(2013, 3, 13))}
    counts = warehouse.execute(
        """
        SELECT count(*) FILTER (recorded_at < $cutoff) - count(DISTINCT (flight_date, carrier, flight, origin))
            FILTER (recorded_at < $cutoff) AS superseded, count(*) FILTER (recorded_at >= $cutoff) AS not_known_yet
        FROM flight_outcomes WHERE sched_dep_at < $cutoff AND sched_dep_at >= $cutoff - INTERVAL 28 DAY
        """,
        cutoff,
    ).fetchall()

    assert counts[0][0] > 1000
    assert counts[0][1] > 100
    assert frame.height > 4000


def test_the_last_known_weather_is_what_plain_sql_gives_at_each_cutoff(
    frame: pl.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """Temperature now and at 18 h, and the rain of a day and of three."""
    by_sql = """
        SELECT origin,
            CAST(floor(max_by(temp_f, observed_at) * 100 + 0.5) AS INTEGER) AS now,
            CAST(floor(max_by(temp_f, observed_at) FILTER (observed_at <= $evening) * 100 + 0.5) AS INTEGER) AS evening,
            sum(CAST(floor(precip_in * 1000 + 0.5) AS INTEGER)) FILTER (observed_at >= $day) AS day,
            sum(CAST(floor(precip_in * 1000 + 0.5) AS INTEGER)) AS days
        FROM weather WHERE recorded_at < $cutoff AND observed_at < $cutoff AND observed_at >= $three GROUP BY origin
    """
    for as_of, flights in frame.group_by("as_of", maintain_order=True):
        cutoff, night = _midnight(as_of[0]), as_of[0]  # type: ignore[arg-type]
        day, three = _midnight(night - timedelta(days=1)), _midnight(night - timedelta(days=3))  # type: ignore[operator]
        times = {"cutoff": cutoff, "evening": day + timedelta(hours=18), "day": day, "three": three}
        both = flights.join(warehouse.sql(by_sql, params=times).pl(), on="origin", how="left", maintain_order="left")

        assert both["temp_f"].equals((both["now"] / 100).alias("temp_f"))
        assert both["temp_f_change_6h"].equals(((both["now"] - both["evening"]) / 100).alias("temp_f_change_6h"))
        assert both["weather_rain_milli_in_1d"].to_list() == both["day"].to_list()
        assert both["weather_rain_milli_in_3d"].to_list() == both["days"].to_list()


def test_the_plane_is_the_one_of_the_last_known_flight_of_that_number(
    frame: pl.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """Among the flights of 84 days that were known, the latest scheduled; a null tail number is no plane."""
    last = """
        SELECT carrier, flight, origin, seats, p.year_built FROM (
            SELECT *, row_number() OVER (PARTITION BY carrier, flight, origin ORDER BY sched_dep_at DESC) AS place
            FROM known WHERE sched_dep_at < $cutoff AND sched_dep_at >= $cutoff - INTERVAL 84 DAY
        ) LEFT JOIN planes AS p USING (tailnum) WHERE place = 1
    """
    night = date(2013, 3, 10)
    warehouse.execute(KNOWN, {"cutoff": _midnight(night)})
    expected = warehouse.sql(last, params={"cutoff": _midnight(night)}).pl()
    flights = frame.filter(pl.col("as_of") == night)
    both = flights.join(expected, on=["carrier", "flight", "origin"], how="left", maintain_order="left")

    assert both["plane_seats"].to_list() == both["seats"].to_list()
    assert both["plane_age_years"].to_list() == (2013 - both["year_built"]).to_list()
    assert both["seats"].null_count() < both.height // 2
