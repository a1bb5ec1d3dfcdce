"""Features and labels of the job `flight_delay`: will a flight scheduled out of New York arrive late, or never?

Grain: one row per night and flight of that day's timetable. Counts over nothing are 0; shares, means and weather over
nothing are null. Delays are held between one hour early and four hours late before they are summed, so that one absurd
row cannot move a mean. Times of day are minutes from the start of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights, with_minute_of_day
from features.contract import Feature, FeatureSet
from features.exact import clipped, in_order, one_if, scaled, whole_minutes
from features.fitted import RareLabels
from features.holidays import near_holidays
from features.lastknown import last_known
from features.sweep import clip_history
from features.trailing import Figure, Group, Trailing
from features.versions import newest, with_superseded_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.clock import Cutoff

ZONE = "America/New_York"
KEY = ("flight_date", "carrier", "flight", "origin")
LATE_OVER_MIN = 15
EARLIEST_MIN, LATEST_MIN = -60, 240
EVENING_MIN = 18 * 60  # the six hours before the cutoff begin here
FLEET_DAYS, SKY_DAYS = 84, 2
NEAR_DAYS = 4  # a holiday further away is not told from any other: its distance would name the date

CARRIER = Group("carrier", ("carrier",), "of the carrier")
ORIGIN = Group("origin", ("origin",), "from the origin")
DEST = Group("dest", ("dest",), "to the destination")
NUMBER = Group("number", ("carrier", "flight", "origin"), "of the flight number from the origin")

FLOWN = Figure("flown", "flown", None, "flights that arrived")
LATE = Figure("late_share", "late", "flown", "share more than 15 min late, of the flights that arrived")
DELAY = Figure("mean_delay_min", "delay_min", "flown", "mean arrival delay, of the flights that arrived")
LOST = Figure("cancelled_share", "lost", "known", "share cancelled or never arrived, of the flights")

DAYS = Trailing(
    groups=(
        CARRIER,
        ORIGIN,
        DEST,
        Group("route", ("origin", "dest"), "on the route"),
        NUMBER,
        Group("carrier_hour", ("carrier", "hour"), "of the carrier scheduled in the same hour of the day"),
        Group("origin_hour", ("origin", "hour"), "from the origin scheduled in the same hour of the day"),
    ),
    figures=(FLOWN, LATE, DELAY, LOST),
    days=(1, 3, 7, 28),
)
FINER = Trailing(
    groups=(
        Group("carrier_origin", ("carrier", "origin"), "of the carrier from the origin"),
        Group("carrier_dest", ("carrier", "dest"), "of the carrier to the destination"),
        Group("dest_hour", ("dest", "hour"), "to the destination scheduled in the same hour of the day"),
    ),
    figures=(LATE, DELAY),
    days=(7, 28),
)
EVENINGS = Trailing(
    groups=(
        Group("evening_carrier", CARRIER.by, "of the carrier scheduled at 18 h or later"),
        Group("evening_origin", ORIGIN.by, "from the origin scheduled at 18 h or later"),
        Group("evening_dest", DEST.by, "to the destination scheduled at 18 h or later"),
    ),
    figures=(FLOWN, LATE, DELAY, LOST),
    days=(1,),
)
RAIN = Trailing(
    groups=(Group("weather", ("origin",), "at the origin"),),
    figures=(
        Figure("rain_milli_in", "precip_milli_in", None, "precipitation"),
        Figure("wet_h", "wet", None, "hours with precipitation"),
        Figure("murky_h", "murky", None, "hours with less than 3 miles of visibility"),
    ),
    days=(1, 3),
)

# How many flights of the night's timetable share these columns; and how many of them are scheduled earlier in the day.
LOADS = (
    ("night", (), "flights scheduled out of New York that day"),
    ("origin", ("origin",), "flights scheduled from the origin that day"),
    ("dest", ("dest",), "flights scheduled to the destination that day"),
    ("route", ("origin", "dest"), "flights scheduled on the route that day"),
    ("origin_hour", ("origin", "hour"), "flights scheduled from the origin in that hour"),
    ("carrier_origin", ("carrier", "origin"), "flights of the carrier scheduled from the origin that day"),
    ("carrier_origin_hour", ("carrier", "origin", "hour"), "flights of the carrier from the origin in that hour"),
    ("carrier_dest", ("carrier", "dest"), "flights of the carrier scheduled to the destination that day"),
)
QUEUES = (
    ("origin", ("origin",), "flights scheduled earlier that day from the origin"),
    ("route", ("origin", "dest"), "flights scheduled earlier that day on the route"),
    ("carrier_origin", ("carrier", "origin"), "flights of the carrier scheduled earlier that day from the origin"),
)

# Feature, column of the table, units of the column in one of the feature, meaning.
SKY = (
    ("temp_f", "temp_centi_f", 100, "temperature, °F"),
    ("dewpoint_f", "dewp_centi_f", 100, "dew point, °F"),
    ("humidity_pct", "humid_centi_pct", 100, "relative humidity, percent"),
    ("wind_dir_deg", "wind_dir_deg", 1, "direction that the wind comes from, degrees"),
    ("wind_speed_mph", "wind_speed_centi_mph", 100, "wind, miles per hour"),
    ("wind_gust_mph", "wind_gust_centi_mph", 100, "gusts, miles per hour, null if none"),
    ("precip_in", "precip_milli_in", 1000, "precipitation of the hour, inches"),
    ("pressure_mb", "pressure_deci_mb", 10, "pressure at sea level, millibars"),
    ("visibility_mi", "visib_centi_mi", 100, "visibility, miles"),
)
TRENDS = tuple(sky for sky in SKY if sky[0] in {"temp_f", "dewpoint_f", "wind_speed_mph", "pressure_mb"})
MURKY_BELOW_CENTI_MI = 300

FEATURE_SET = FeatureSet(
    name="flight_delay",
    version=1,
    features=(
        Feature("carrier_code", pl.String(), "the carrier; a code once fitted"),
        Feature("origin_code", pl.String(), "the airport of departure; a code once fitted"),
        Feature("dest_code", pl.String(), "the airport of arrival; a code once fitted"),
        Feature("sched_dep_minute", pl.Int32(), "scheduled departure, minutes from the start of the day"),
        Feature("sched_arr_minute", pl.Int64(), "scheduled arrival, minutes from the start of the day of departure"),
        Feature("sched_duration_min", pl.Int64(), "scheduled minutes from departure to arrival"),
        Feature("distance_mi", pl.Int32(), "miles from origin to destination"),
        Feature("weekday", pl.Int32(), "day of the week, 1 is Monday"),
        Feature("days_to_holiday", pl.Int32(), f"days to the next US federal holiday; {NEAR_DAYS} if further"),
        Feature("days_since_holiday", pl.Int32(), f"days since the last US federal holiday; {NEAR_DAYS} if further"),
        *(Feature(f"{name}_scheduled", pl.Int32(), meaning) for name, _, meaning in LOADS),
        *(Feature(f"{name}_scheduled_earlier", pl.Int32(), meaning) for name, _, meaning in QUEUES),
        *DAYS.features(),
        *FINER.features(),
        *EVENINGS.features(),
        *(Feature(name, pl.Float64(), f"last known at the origin: {meaning}") for name, _, _, meaning in SKY),
        *(Feature(f"{name}_change_6h", pl.Float64(), f"since 18 h: {meaning}") for name, _, _, meaning in TRENDS),
        *RAIN.features(),
        Feature("plane_age_years", pl.Int32(), "age of the plane that flew the number last, by year of manufacture"),
        Feature("plane_seats", pl.Int32(), "seats of the plane that flew the number last"),
        Feature("dest_lat_deg", pl.Float64(), "latitude of the destination, degrees north"),
        Feature("dest_lon_deg", pl.Float64(), "longitude of the destination, degrees east"),
    ),
)

# A destination of fewer flights than that is one of the rare ones, and so is one that training did not see.
TRANSFORMS = (RareLabels(("dest_code",), least_share="0.0001"),)


def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: each flight of the night's timetable, as known at its cutoff.

    Args:
        tables: those of `sql/flight_delay`, with their day columns.
        cutoffs: the nights, one or hundreds.
        only: key rows (some of `as_of`, *KEY) that restrict what comes out, never what is looked at.

    Raises:
        ColumnsDiffer, RowsDiffer: if the result is not as `FEATURE_SET` declares, which is a bug.
        CutoffDiffers: if a cutoff is not the beginning of its day in New York.
        VersionsTie: if two versions of one row became known in the same instant.
    """
    asked = nights(cutoffs, ZONE)
    flights = with_loads(scheduled(tables["timetable"].collect(), asked))
    if only is not None:
        flights = flights.join(only, on=only.columns, how="semi", maintain_order="left")
    flown = outcomes(tables["outcomes"].collect(), asked["as_of"])
    seen = weather(tables["weather"].collect(), asked["as_of"])
    parts = (
        flights,
        DAYS.columns(flown, flights),
        FINER.columns(flown, flights),
        EVENINGS.columns(flown.filter(pl.col("minute_of_day") >= EVENING_MIN), flights),
        sky(seen, flights),
        RAIN.columns(seen, flights),
        fleet(flown, tables["planes"].collect(), flights),
        places(tables["airports"].collect(), flights),
    )
    frame = pl.concat(parts, how="horizontal").select("as_of", *KEY, *FEATURE_SET.names)
    return FEATURE_SET.conform(frame, KEY)


def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order, of the nights' timetables: `label` (Int8).

    1 if the flight arrived more than 15 minutes late, was cancelled, or never reported an arrival, else 0; null if no
    outcome is among `labels`, which are those known before the training cutoff.
    """
    flights = scheduled(tables["timetable"].collect(), nights(cutoffs, ZONE)).select("as_of", *KEY)
    known = newest(tables["labels"].collect(), KEY, "recorded_at")
    in_time = arrived() & (pl.col("arr_delay_min") <= LATE_OVER_MIN)
    bad = known.select(*KEY, label=(~in_time).cast(pl.Int8))
    return flights.join(bad, on=list(KEY), how="left", maintain_order="left")


def scheduled(timetable: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: the flights of each night's day that were known before its cutoff."""
    known = timetable.filter(pl.col("visible_day") <= pl.col("event_day")).with_columns(as_of="event_day")
    rows = newest(known.join(asked, on="as_of", how="semi", maintain_order="left"), KEY, "recorded_at")
    near = near_holidays(asked["as_of"]).select(pl.all().clip(0, NEAR_DAYS)).with_columns(asked["as_of"])
    dated = with_minute_of_day(rows, "sched_dep_at", ZONE).join(near, on="as_of", how="left", maintain_order="left")
    duration = whole_minutes("sched_dep_at", "sched_arr_at")
    flights = dated.with_columns(
        hour=pl.col("minute_of_day") // 60,
        carrier_code="carrier",
        origin_code="origin",
        dest_code="dest",
        sched_dep_minute="minute_of_day",
        sched_arr_minute=pl.col("minute_of_day") + duration,
        sched_duration_min=duration,
        weekday=pl.col("as_of").dt.weekday().cast(pl.Int32),
    )
    return in_order(flights, key=("as_of", *KEY))


def with_loads(flights: pl.DataFrame) -> pl.DataFrame:
    """The flights and their order, with how many others of the night they compete with. Flights at once are a tie."""
    among = {f"{name}_scheduled": pl.len().over("as_of", *by).cast(pl.Int32) for name, by, _ in LOADS}
    place = pl.col("minute_of_day").rank("min").cast(pl.Int32) - 1  # exact: flights at the same minute share a place
    before = {f"{name}_scheduled_earlier": place.over("as_of", *by) for name, by, _ in QUEUES}
    return flights.with_columns(**among, **before)


def arrived() -> pl.Expr:
    """Whether a known outcome is an arrival: it says when, and is no cancellation. Never null."""
    return pl.col("arr_delay_min").is_not_null() & ~pl.col("cancelled").fill_null(value=False)


def outcomes(rows: pl.DataFrame, asked: pl.Series) -> pl.DataFrame:
    """One row per version of an outcome that counts at some night: what windows sum, all Int64."""
    versions = with_superseded_day(clip_history(rows, FLEET_DAYS, asked), KEY, "known_at")
    return with_minute_of_day(versions, "sched_dep_at", ZONE).with_columns(
        hour=pl.col("minute_of_day") // 60,
        known=pl.lit(1, pl.Int64),
        flown=one_if(arrived()),
        lost=one_if(~arrived()),
        late=one_if(arrived() & (pl.col("arr_delay_min") > LATE_OVER_MIN)),
        delay_min=pl.when(arrived()).then(clipped("arr_delay_min", EARLIEST_MIN, LATEST_MIN)),
    )


def weather(rows: pl.DataFrame, asked: pl.Series) -> pl.DataFrame:
    """One row per version of an observation that counts at some night, with what windows sum."""
    versions = with_superseded_day(clip_history(rows, max(RAIN.days), asked), ("origin", "observed_at"), "recorded_at")
    return with_minute_of_day(versions, "observed_at", ZONE).with_columns(
        wet=one_if(pl.col("precip_milli_in") > 0),
        murky=one_if(pl.col("visib_centi_mi") < MURKY_BELOW_CENTI_MI),
    )


def sky(seen: pl.DataFrame, flights: pl.DataFrame) -> pl.DataFrame:
    """One row per flight, in their order: the last known weather at the origin, and how it changed since 18 h."""
    now = _last_seen(seen, flights)
    then = _last_seen(seen.filter(pl.col("minute_of_day") <= EVENING_MIN), flights).rename(lambda name: f"{name}_then")
    both = pl.concat([now, then], how="horizontal")
    return both.select(
        **{name: scaled(column, unit) for name, column, unit, _ in SKY},
        **{
            f"{name}_change_6h": scaled(pl.col(column) - pl.col(f"{column}_then"), unit)
            for name, column, unit, _ in TRENDS
        },
    )


def _last_seen(seen: pl.DataFrame, flights: pl.DataFrame) -> pl.DataFrame:
    columns = [column for _, column, _, _ in SKY]
    order = ("observed_at", "recorded_at")
    return last_known(seen, by=("origin",), newest=order, values=columns, days=SKY_DAYS, asked=flights)


def fleet(flown: pl.DataFrame, planes: pl.DataFrame, flights: pl.DataFrame) -> pl.DataFrame:
    """One row per flight, in their order: age and seats of the plane that flew the number last; null if not known."""
    order = ("sched_dep_at", "flight_date", "known_at")
    tail = last_known(flown, by=NUMBER.by, newest=order, values=("tailnum",), days=FLEET_DAYS, asked=flights)
    known = tail.join(planes.select("tailnum", "year_built", "seats"), on="tailnum", how="left", maintain_order="left")
    age = flights["as_of"].dt.year() - known["year_built"]
    return known.select(plane_age_years=age.cast(pl.Int32), plane_seats="seats")


def places(airports: pl.DataFrame, flights: pl.DataFrame) -> pl.DataFrame:
    """One row per flight, in their order: where the destination lies; null if it is not among the airports."""
    lies = airports.select(
        "faa", dest_lat_deg=scaled("lat_micro_deg", 1_000_000), dest_lon_deg=scaled("lon_micro_deg", 1_000_000)
    )
    found = flights.select("dest").join(lies, left_on="dest", right_on="faa", how="left", maintain_order="left")
    return found.drop("dest")
