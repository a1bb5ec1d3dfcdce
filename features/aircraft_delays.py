"""Features and labels of the job `aircraft_delays`: how many minutes of arrival delay will an aircraft collect?

Grain: one row per night and aircraft (tail number) that was seen in the 28 days before: by what was known at the
cutoff, it was to fly a flight out of New York that was scheduled in these days, whether or not it was cancelled. Counts
and sums over nothing are 0, shares and means over nothing are null.

An aircraft collects the minutes by which its flights arrive late, each held at four hours so that one absurd row cannot
make a week: from there on it is out of its rotation, however long. To arrive early gives nothing back, for the minutes
are lost to those who waited; and a flight that is cancelled, or never reports an arrival, adds none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights
from features.contract import Feature, FeatureSet
from features.exact import clipped, one_if
from features.fitted import RareLabels
from features.lastknown import last_known
from features.seen import seen
from features.sweep import clip_history, windows
from features.trailing import Figure, Group, Trailing
from features.versions import newest, with_superseded_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.clock import Cutoff

ZONE = "America/New_York"
KEY = ("tailnum",)
HORIZON_DAYS, LABEL_DELAY_DAYS = 7, 1
SEEN_DAYS = 28
LATE_OVER_MIN, LATEST_MIN = 15, 240
FLIGHT = ("flight_date", "carrier", "flight", "origin")

FLOWN = Figure("flown", "flown", None, "flights that arrived")
MINUTES = Figure("late_min", "late_min", None, "minutes of arrival delay collected")
MEAN = Figure("mean_late_min", "late_min", "flown", "minutes of arrival delay collected, for each flight that arrived")
LATE = Figure("late_share", "late", "flown", "share more than 15 min late, of the flights that arrived")
LOST = Figure("cancelled_share", "lost", "known", "share cancelled or never arrived, of the flights")
ALOFT = Figure("air_min", "air_min", None, "minutes in the air")

PLANE = Group("plane", KEY, "of the aircraft")
OWN = Trailing(groups=(PLANE,), figures=(FLOWN, MINUTES), days=(1, 3, 7, 14, 28))
OWN_SHARES = Trailing(groups=(PLANE,), figures=(MEAN, LATE, LOST, ALOFT), days=(7, 28))

FEATURE_SET = FeatureSet(
    name="aircraft_delays",
    version=1,
    features=(
        Feature("carrier_code", pl.String(), "the carrier that flew it last; a code once fitted"),
        Feature("origin_code", pl.String(), "the airport that it left last; a code once fitted"),
        Feature("maker_code", pl.String(), "who made it; a code once fitted"),
        Feature("model_code", pl.String(), "its model; a code once fitted"),
        Feature("days_since_seen", pl.Int32(), "days from its last flight that is known of to the cutoff"),
        Feature("age_years", pl.Int32(), "its age, by year of manufacture"),
        Feature("seats", pl.Int32(), "its seats"),
        *OWN.features(),
        *OWN_SHARES.features(),
    ),
)

# A model of which there are few has a home, and so has one that is new.
TRANSFORMS = (RareLabels(("maker_code", "model_code"), least_share="0.005"),)


def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, tailnum), in that order: each aircraft seen in the 28 days before, as known at the cutoff.

    Args:
        tables: those of `sql/aircraft_delays`, with their day columns.
        cutoffs: the nights, one or hundreds.
        only: key rows (some of `as_of`, tailnum) that restrict what comes out, never what is looked at.

    Raises:
        ColumnsDiffer, RowsDiffer: if the result is not as `FEATURE_SET` declares, which is a bug.
        CutoffDiffers: if a cutoff is not the beginning of its day in New York.
        VersionsTie: if two versions of one row became known in the same instant.
    """
    asked = nights(cutoffs, ZONE)
    flown = outcomes(tables["outcomes"].collect(), asked["as_of"])
    there = aircraft(flown, asked)
    if only is not None:
        there = there.join(only, on=only.columns, how="semi", maintain_order="left")
    known = with_last_flight(with_plane(there, tables["planes"].collect()), flown)
    parts = (known, OWN.columns(flown, known), OWN_SHARES.columns(flown, known))
    frame = pl.concat(parts, how="horizontal").select("as_of", *KEY, *FEATURE_SET.names)
    return FEATURE_SET.conform(frame, KEY)


def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, tailnum), in that order, of the aircraft of each night: `label` (Int64), minutes collected.

    Of flights scheduled in the 7 days that begin with the night; 0 if it had none. Null until something is known of the
    day after these, for until then arrivals are still to come.
    """
    asked = nights(cutoffs, ZONE)
    reported = tables["labels"].collect()
    there = aircraft(outcomes(tables["outcomes"].collect(), asked["as_of"]), asked)
    ahead = there.with_columns(pl.col("as_of").dt.offset_by(f"{HORIZON_DAYS}d"))
    in_the_week = windows(arrivals(reported), by=KEY, sums=("late_min",), days=(HORIZON_DAYS,), asked=ahead)
    newest_day = pl.lit(reported["visible_day"].max(), pl.Date)
    settled = pl.col("as_of").dt.offset_by(f"{HORIZON_DAYS + LABEL_DELAY_DAYS}d") <= newest_day
    minutes = pl.when(settled).then(f"late_min_{HORIZON_DAYS}d").alias("label")
    return pl.concat([there, in_the_week], how="horizontal").select("as_of", *KEY, minutes)


def aircraft(flown: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per (as_of, tailnum), in that order: who was seen in the days before each night, by what was known."""
    return seen(flown, by=KEY, days=SEEN_DAYS, asked=asked)


def outcomes(rows: pl.DataFrame, asked: pl.Series) -> pl.DataFrame:
    """One row per version of an outcome that counts at some night: what windows sum, all Int64."""
    versions = with_superseded_day(clip_history(rows, SEEN_DAYS, asked), FLIGHT, "recorded_at")
    return versions.with_columns(
        known=pl.lit(1, pl.Int64),
        flown=one_if(arrived()),
        lost=one_if(~arrived()),
        late=one_if(arrived() & (pl.col("arr_delay_min") > LATE_OVER_MIN)),
        late_min=collected(),
        air_min=pl.col("air_time_min").cast(pl.Int64),
    )


def arrivals(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per flight, by the newest version: when it was scheduled, whose it was, what it collected.

    It counts from the day after its own, for here it does not matter since when that was known.
    """
    return newest(rows, FLIGHT, "recorded_at").select(
        "event_day",
        *KEY,
        visible_day=pl.col("event_day").dt.offset_by("1d"),
        superseded_day=pl.lit(None, pl.Date),
        late_min=collected(),
    )


def arrived() -> pl.Expr:
    """Whether a known outcome is an arrival: it says when, and is no cancellation. Never null."""
    return pl.col("arr_delay_min").is_not_null() & ~pl.col("cancelled").fill_null(value=False)


def collected() -> pl.Expr:
    """The minutes that an outcome adds: late ones, at most four hours of them; null if it is no arrival."""
    return pl.when(arrived()).then(clipped("arr_delay_min", 0, LATEST_MIN))


def with_plane(there: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """The rows and their order, with what the register says of the aircraft; null if it is not there."""
    made = planes.select("tailnum", "model", "seats", "year_built", maker="manufacturer")
    known = there.join(made, on="tailnum", how="left", maintain_order="left")
    age = pl.col("as_of").dt.year() - pl.col("year_built")
    return known.with_columns(age_years=age.cast(pl.Int32), maker_code="maker", model_code="model")


def with_last_flight(there: pl.DataFrame, flown: pl.DataFrame) -> pl.DataFrame:
    """The rows and their order, with carrier, origin and day of the last flight of the aircraft that was reported."""
    order = ("sched_dep_at", *FLIGHT, "recorded_at")
    dated = flown.with_columns(day="event_day")
    last = last_known(
        dated,
        by=KEY,
        newest=order,
        values=("carrier", "origin", "day"),
        days=SEEN_DAYS,
        asked=there.select("as_of", *KEY),
    )
    both = pl.concat([there, last], how="horizontal")
    since = (pl.col("as_of") - pl.col("day")).dt.total_days().cast(pl.Int32)
    return both.with_columns(carrier_code="carrier", origin_code="origin", days_since_seen=since)
