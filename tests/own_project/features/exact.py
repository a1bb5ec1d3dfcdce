"""Will the patient stay away? A module that is called like one of the engine's, and uses that one.

Grain: one row per night and visit that is booked for the day that begins with it. Counts over nothing are 0, shares
over nothing are null. Times of day are minutes from the start of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights, with_minute_of_day
from features.contract import Feature, FeatureSet
from features.exact import in_order, one_if
from features.trailing import Figure, Group, Trailing
from features.versions import newest, with_superseded_day

from .shared import DAYS, ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.clock import Cutoff

KEY = ("visit_id",)

PATIENT = Group("patient", ("patient",), "of the patient")
CLINIC = Group("clinic", ("clinic",), "of the clinic")
BOOKED = Figure("visits", "visits", None, "visits that were reported")
MISSED = Figure("missed_share", "missed", "visits", "share missed of the visits")
HISTORY = Trailing(groups=(PATIENT, CLINIC), figures=(BOOKED, MISSED), days=DAYS)

FEATURE_SET = FeatureSet(
    name="visits",
    version=1,
    features=(
        Feature("clinic_code", pl.String(), "the clinic; a code once fitted"),
        Feature("start_minute", pl.Int32(), "booked start, minutes from the start of the day"),
        *HISTORY.features(),
    ),
)


def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: each visit of a night's day, as known at its cutoff."""
    visits = booked(tables, cutoffs)
    if only is not None:
        visits = visits.join(only, on=only.columns, how="semi", maintain_order="left")
    reported = with_superseded_day(tables["attendance"].collect(), KEY, "recorded_at").with_columns(
        visits=pl.lit(1, pl.Int64), missed=one_if(~pl.col("came"))
    )
    frame = pl.concat([visits, HISTORY.columns(reported, visits)], how="horizontal")
    return FEATURE_SET.conform(frame.select("as_of", *KEY, *FEATURE_SET.names), KEY)


def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: `label` (Int8), 1 if the patient stayed away, null if not known."""
    known = newest(tables["labels"].collect(), KEY, "recorded_at").select(*KEY, label=(~pl.col("came")).cast(pl.Int8))
    return booked(tables, cutoffs).select("as_of", *KEY).join(known, on=list(KEY), how="left", maintain_order="left")


def booked(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: the visits of each night's day that were booked before it."""
    asked = nights(cutoffs, ZONE).select("as_of")
    known = tables["visits"].collect().with_columns(as_of="event_day", clinic_code="clinic")
    announced = known.filter(pl.col("visible_day") <= pl.col("as_of"))
    visits = with_minute_of_day(announced, "begins_at", ZONE).rename({"minute_of_day": "start_minute"})
    return in_order(visits.join(asked, on="as_of", how="semi", maintain_order="left"), key=("as_of", *KEY))
