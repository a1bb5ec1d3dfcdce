"""Features and labels of the job `flights_ahead`: will a flight of the next ten days arrive late, or never?

Grain: one row per night and flight of the ten days that begin with it, as announced before the night's cutoff. Counts
over nothing are 0, shares and means over nothing are null. Delays are held between one hour early and four hours late
before they are summed. Times of day are minutes from the start of the day.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights, with_minute_of_day
from features.contract import Feature, FeatureSet
from features.exact import clipped, in_order, one_if, whole_minutes
from features.pieces import pieces, pieces_of_history
from features.trailing import Figure, Group, Trailing, summed
from features.versions import newest, with_superseded_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from features.clock import Cutoff

ZONE = "America/New_York"
KEY = ("flight_date", "carrier", "flight", "origin")
HORIZON_DAYS, HISTORY_DAYS = 10, 100
LATE_OVER_MIN = 15
EARLIEST_MIN, LATEST_MIN = -60, 240
MOST_FLIGHTS = 500_000  # at a time
OUTCOME_COLUMNS = ("event_day", "visible_day", *KEY, "recorded_at", "arr_delay_min", "cancelled")

CARRIER = Group("carrier", ("carrier",), "of the carrier")
CARRIER_ORIGIN = Group("carrier_origin", ("carrier", "origin"), "of the carrier from the origin")
NUMBER = Group("number", ("carrier", "flight", "origin"), "of the flight number from the origin")

FLOWN = Figure("flown", "flown", None, "flights that arrived")
LATE = Figure("late_share", "late", "flown", "share more than 15 min late, of the flights that arrived")
DELAY = Figure("mean_delay_min", "delay_min", "flown", "mean arrival delay, of the flights that arrived")
LOST = Figure("cancelled_share", "lost", "known", "share cancelled or never arrived, of the flights")

NUMBERS = Trailing(groups=(NUMBER,), figures=(FLOWN, LATE, DELAY), days=(7, 28, HISTORY_DAYS))
CARRIERS = Trailing(groups=(CARRIER,), figures=(LATE, DELAY, LOST), days=(7, 28))
ORIGINS = Trailing(groups=(CARRIER_ORIGIN,), figures=(LATE,), days=(7, 28))

FEATURE_SET = FeatureSet(
    name="flights_ahead",
    version=1,
    features=(
        Feature("origin_code", pl.String(), "the airport of departure; a code once fitted"),
        Feature("dest_code", pl.String(), "the airport of arrival; a code once fitted"),
        Feature("days_ahead", pl.Int32(), "days from the cutoff to the flight's"),
        Feature("weekday", pl.Int32(), "day of the week of the flight, 1 is Monday"),
        Feature("sched_dep_minute", pl.Int32(), "scheduled departure, minutes from the start of the day"),
        Feature("sched_duration_min", pl.Int64(), "scheduled minutes from departure to arrival"),
        Feature("distance_mi", pl.Int32(), "miles from origin to destination"),
        *NUMBERS.features(),
        *CARRIERS.features(),
        *ORIGINS.features(),
    ),
)


def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: each flight of the ten days from a night on, as known at its cutoff.

    Args:
        tables: those of `sql/flights_ahead`, with their day columns.
        cutoffs: the nights.
        only: key rows (some of `as_of`, *KEY) that restrict what comes out, never what is looked at.
    """
    return FEATURE_SET.conform(pl.concat(feature_batches(tables, cutoffs, only)), KEY)


def feature_batches(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> Iterator[pl.DataFrame]:
    """The same rows, piece by piece: night by night, and some days of flights at a time."""
    asked = nights(cutoffs, ZONE)
    history = pieces_of_history(tables["outcomes"].select(OUTCOME_COLUMNS), HISTORY_DAYS, asked["as_of"])
    sums = summed((NUMBERS, CARRIERS, ORIGINS), map(outcomes, history), tuple(asked["as_of"]))
    for night in asked["as_of"]:
        for rows in pieces(announced(tables["timetable"], night), MOST_FLIGHTS, by="flight_date"):
            flights = scheduled(rows, night)
            if only is not None:
                flights = flights.join(only, on=only.columns, how="semi", maintain_order="left")
            frame = pl.concat([flights, sums.columns(flights)], how="horizontal")
            yield frame.select("as_of", *KEY, *FEATURE_SET.names)


def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: `label` (Int8), 1 if late by more than 15 minutes or never arrived.

    Null if no outcome is among `labels`, which are those known before the training cutoff.
    """
    each = (
        scheduled(announced(tables["timetable"], night).collect(), night) for night in nights(cutoffs, ZONE)["as_of"]
    )
    flights = pl.concat(each).select("as_of", *KEY)
    known = newest(tables["labels"].collect(), KEY, "recorded_at")
    in_time = arrived() & (pl.col("arr_delay_min") <= LATE_OVER_MIN)
    bad = known.select(*KEY, label=(~in_time).cast(pl.Int8))
    return flights.join(bad, on=list(KEY), how="left", maintain_order="left")


def announced(timetable: pl.LazyFrame, night: date) -> pl.LazyFrame:
    """The flights of the ten days from a night on, of those that were announced before it."""
    within = pl.col("event_day").is_between(night, night + timedelta(days=HORIZON_DAYS), closed="left")
    return timetable.filter(within, pl.col("visible_day") <= night)


def scheduled(rows: pl.DataFrame, night: date) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: some flights that were announced before a night."""
    dated = with_minute_of_day(rows, "sched_dep_at", ZONE).rename({"minute_of_day": "sched_dep_minute"})
    flights = dated.with_columns(
        as_of=pl.lit(night, pl.Date),
        origin_code="origin",
        dest_code="dest",
        days_ahead=(pl.col("event_day") - night).dt.total_days().cast(pl.Int32),
        weekday=pl.col("event_day").dt.weekday().cast(pl.Int32),
        sched_duration_min=whole_minutes("sched_dep_at", "sched_arr_at"),
    )
    return in_order(flights, key=("as_of", *KEY))


def arrived() -> pl.Expr:
    """Whether a known outcome is an arrival: it says when, and is no cancellation. Never null."""
    return pl.col("arr_delay_min").is_not_null() & ~pl.col("cancelled").fill_null(value=False)


def outcomes(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per version of an outcome: what windows sum, all Int64."""
    return with_superseded_day(rows, KEY, "recorded_at").with_columns(
        known=pl.lit(1, pl.Int64),
        flown=one_if(arrived()),
        lost=one_if(~arrived()),
        late=one_if(arrived() & (pl.col("arr_delay_min") > LATE_OVER_MIN)),
        delay_min=pl.when(arrived()).then(clipped("arr_delay_min", EARLIEST_MIN, LATEST_MIN)),
    )
