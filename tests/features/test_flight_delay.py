"""The job's features and labels: its rules on small tables, its promises on real flights."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.contract import type_text
from features.fitted import apply, fit
from features.flight_delay import FEATURE_SET, KEY, build_features, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from features.clock import Cutoff

    Table = Callable[..., pl.DataFrame]
    Night = Callable[..., list[Cutoff]]
    Tables = Mapping[str, pl.LazyFrame]

COLUMNS = Path(__file__).parent / "flight_delay_columns.txt"
FLIGHT = (
    pl.col("event_day").alias("flight_date"),
    pl.lit("UA").alias("carrier"),
    pl.lit("EWR").alias("origin"),
    pl.lit("ORD").alias("dest"),
)
NOT_OBSERVED = [
    pl.lit(None, pl.Int32).alias(name)
    for name in (
        "dewp_centi_f",
        "humid_centi_pct",
        "wind_dir_deg",
        "wind_speed_centi_mph",
        "wind_gust_centi_mph",
        "pressure_deci_mb",
    )
]


@pytest.fixture
def small(table: Table) -> dict[str, pl.LazyFrame]:
    """Three flights of 1 September, what became of two of them and of their last days, and a little weather."""
    timetable = table(
        """
        event_day  | visible_day | flight | sched_dep_at     | sched_arr_at     | recorded_at
        2013-09-01 | 2013-08-10  | 1      | 2013-09-01T12:00 | 2013-09-01T14:30 | 2013-08-09T04:00
        2013-09-01 | 2013-08-10  | 2      | 2013-09-01T12:40 | 2013-09-01T15:00 | 2013-08-09T04:00
        2013-09-01 | 2013-09-02  | 3      | 2013-09-01T22:00 | 2013-09-01T23:59 | 2013-09-01T05:00
        2013-09-02 | 2013-08-10  | 1      | 2013-09-02T12:00 | 2013-09-02T14:30 | 2013-08-09T04:00
        """,
        flight=pl.Int32(),
    ).with_columns(*FLIGHT, distance_mi=pl.lit(719, pl.Int32))
    outcomes = table(
        """
        event_day  | visible_day | flight | sched_dep_at     | tailnum | arr_delay_min | cancelled | known_at
        2013-08-30 | 2013-08-31  | 1      | 2013-08-30T12:00 | N1      | 14            | 0         | 2013-08-30T15:00
        2013-08-31 | 2013-09-01  | 1      | 2013-08-31T12:00 | N2      | 900           | 0         | 2013-09-01T03:00
        2013-08-31 | 2013-09-01  | 2      | 2013-08-31T12:40 | -       | -             | 1         | 2013-08-31T12:40
        2013-08-31 | 2013-09-02  | 9      | 2013-09-01T03:30 | N1      | 90            | 0         | 2013-09-01T05:05
        2013-09-01 | 2013-09-02  | 1      | 2013-09-01T12:00 | N1      | 15            | 0         | 2013-09-01T14:45
        2013-09-01 | 2013-09-03  | 1      | 2013-09-01T12:00 | N1      | 16            | 0         | 2013-09-02T14:45
        2013-09-01 | 2013-09-02  | 2      | 2013-09-01T12:40 | -       | -             | 0         | 2013-09-02T00:40
        """,
        flight=pl.Int32(),
        tailnum=pl.String(),
        arr_delay_min=pl.Int32(),
    ).with_columns(*FLIGHT, pl.col("cancelled").cast(pl.Boolean))
    weather = table(
        """
        event_day  | visible_day | observed_at      | temp_centi_f | precip_milli_in | visib_centi_mi
        2013-08-31 | 2013-09-01  | 2013-08-31T22:00 | 8000         | 10              | 1000
        2013-09-01 | 2013-09-02  | 2013-09-01T04:00 | 9999         | 99              | 1000
        2013-08-31 | 2013-09-01  | 2013-09-01T03:00 | 7550         | 5               | 299
        """
    ).with_columns(*NOT_OBSERVED, origin=pl.lit("EWR"), recorded_at="observed_at")
    planes = table("tailnum | year_built | seats\nN1 | 1999 | 120\nN2 | - | 200", tailnum=pl.String())
    airports = table("faa | lat_micro_deg | lon_micro_deg\nORD | 41978603 | -87904842", faa=pl.String())
    days = pl.lit(None, pl.Date).alias("event_day"), pl.lit(None, pl.Date).alias("visible_day")
    return {
        "timetable": timetable.lazy(),
        "outcomes": outcomes.lazy(),
        "labels": outcomes.rename({"known_at": "recorded_at"}).lazy(),
        "weather": weather.lazy(),
        "planes": planes.select(*days, pl.col("tailnum"), pl.col("year_built", "seats").cast(pl.Int32)).lazy(),
        "airports": airports.select(*days, pl.all()).lazy(),
    }


@pytest.fixture
def first(small: Tables, night: Night) -> dict[str, object]:
    """The features of flight UA 1 of 1 September."""
    return build_features(small, night("2013-09-01")).row(0, named=True)


def test_the_timetable_of_a_night_is_what_was_known_before_its_cutoff(small: Tables, night: Night) -> None:
    """UA 3 was put into the timetable an hour after midnight; UA 1 of the next day is not of this night."""
    frame = build_features(small, night("2013-09-01"))

    assert frame["flight"].to_list() == [1, 2]
    assert frame["origin_scheduled"].to_list() == [2, 2]
    assert frame["origin_scheduled_earlier"].to_list() == [0, 1]


def test_the_rows_come_by_night_and_then_by_key_whatever_the_key_says_of_days(small: Tables, night: Night) -> None:
    """A flight_date is only a part of the key: a night's rows stand together even if it lies after the next night's."""
    later = pl.when(pl.col("event_day") == date(2013, 9, 1)).then(date(2013, 9, 5)).otherwise("flight_date")
    timetable = small["timetable"].with_columns(flight_date=later)
    frame = build_features({**small, "timetable": timetable}, night("2013-09-01", 2))

    assert frame["as_of"].to_list() == [date(2013, 9, 1), date(2013, 9, 1), date(2013, 9, 2)]


def test_times_of_day_are_those_of_new_york(first: dict[str, object]) -> None:
    """12:00 UTC is 8:00 there in September; 1 September 2013 was a Sunday, one day before Labor Day."""
    assert (first["sched_dep_minute"], first["sched_arr_minute"], first["sched_duration_min"]) == (480, 630, 150)
    assert (first["weekday"], first["days_to_holiday"], first["days_since_holiday"]) == (7, 1, 4)


def test_a_flight_that_lands_after_midnight_is_not_known_at_midnight(first: dict[str, object]) -> None:
    """UA 9 of the evening before landed at 01:05: the carrier is seen with UA 1 (late) and UA 2 (cancelled) only."""
    assert first["carrier_flown_1d"] == 1
    assert first["carrier_late_share_1d"] == 1.0
    assert first["carrier_cancelled_share_1d"] == 0.5
    assert first["evening_carrier_flown_1d"] == 0
    assert first["evening_carrier_late_share_1d"] is None


def test_delays_are_held_within_bounds_before_they_are_summed(first: dict[str, object]) -> None:
    """900 minutes count as 240, beside 14."""
    assert first["number_mean_delay_min_1d"] == 240.0
    assert first["number_mean_delay_min_3d"] == 127.0
    assert first["number_late_share_3d"] == 0.5


def test_weather_is_the_last_known_before_the_cutoff(first: dict[str, object]) -> None:
    """Midnight's own observation (04:00 UTC) is not before it; at 18:00 it was 4.5 degrees warmer."""
    assert first["temp_f"] == 75.5
    assert first["temp_f_change_6h"] == -4.5
    assert first["pressure_mb"] is None
    assert (first["weather_rain_milli_in_1d"], first["weather_wet_h_1d"], first["weather_murky_h_1d"]) == (15, 2, 1)


def test_fleet_facts_are_of_the_plane_that_flew_the_number_last(first: dict[str, object]) -> None:
    """N2, whose year is not known, and not N1 of the day before."""
    assert (first["plane_seats"], first["plane_age_years"]) == (200, None)
    assert (first["dest_lat_deg"], first["dest_lon_deg"]) == (41.978603, -87.904842)


def test_a_label_is_late_by_more_than_15_minutes_or_cancelled_or_never_arrived(small: Tables, night: Night) -> None:
    """UA 1 was 15 minutes late until it was corrected to 16; UA 2 never arrived; nothing is known of 2 September."""
    found = labels(small, night("2013-09-01", 2))

    assert found.columns == ["as_of", *KEY, "label"]
    assert found.select("as_of", "flight", "label").rows() == [
        (date(2013, 9, 1), 1, 1),
        (date(2013, 9, 1), 2, 1),
        (date(2013, 9, 2), 1, None),
    ]
    on_time = small["labels"].filter(pl.col("arr_delay_min").ne_missing(16))
    assert labels({**small, "labels": on_time}, night("2013-09-01"))["label"].to_list() == [0, 1]


def test_a_night_without_flights_or_history_has_no_rows_or_no_figures(small: Tables, night: Night) -> None:
    assert build_features(small, night("2013-01-01")).height == 0
    assert build_features(small, []).height == 0
    empty = {name: rows if name == "timetable" else rows.clear() for name, rows in small.items()}
    first = build_features(empty, night("2013-09-01")).row(0, named=True)
    assert (first["carrier_flown_28d"], first["carrier_late_share_28d"], first["temp_f"]) == (0, None, None)


def test_the_columns_are_those_that_were_reviewed() -> None:
    """A change of the literal is a new version: raise it, and write the columns and the fingerprint here anew."""
    reviewed = COLUMNS.read_text(encoding="utf-8").splitlines()

    assert [f"{feature.name} {type_text(feature.dtype)}" for feature in FEATURE_SET.features] == reviewed
    assert FEATURE_SET.version == 1
    assert FEATURE_SET.fingerprint == "e6f68a19b4aa276c0e3f87688cc73d09e57edac99d8eb3adc098a89c712d5a0d"
    assert len(reviewed) >= 40
    assert all(feature.meaning for feature in FEATURE_SET.features)


def test_fitting_replaces_text_and_leaves_the_order(small: Tables, night: Night) -> None:
    frame = build_features(small, night("2013-09-01"))
    fitted = fit(frame, FEATURE_SET, key=KEY)
    applied = apply(frame, fitted)

    assert fitted.columns(FEATURE_SET).conform(applied, KEY) is applied
    assert fitted.columns(FEATURE_SET).names == FEATURE_SET.names
    assert applied["carrier_code"].to_list() == [0, 0]


NIGHTS = ("2013-03-08", 5)  # with the change of clocks on the 10th


@pytest.fixture(scope="module")
def real_frame(real_tables: Tables, night: Night) -> pl.DataFrame:
    return build_features(real_tables, night(*NIGHTS))


def test_the_order_of_the_rows_of_no_table_matters(real_tables: Tables, real_frame: pl.DataFrame, night: Night) -> None:
    shuffled = {
        name: rows.collect().sample(fraction=1, shuffle=True, seed=7).lazy() for name, rows in real_tables.items()
    }

    assert build_features(shuffled, night(*NIGHTS)).equals(real_frame)
    assert labels(shuffled, night(*NIGHTS)).equals(labels(real_tables, night(*NIGHTS)))


def test_a_restriction_is_a_filter_of_the_whole(real_tables: Tables, real_frame: pl.DataFrame, night: Night) -> None:
    """Loads are still of the whole night, whether it names the flights or the night too, and even a single flight."""
    keys = real_frame.select(*KEY).sample(200, seed=7)
    dated = real_frame.select("as_of", *KEY).sample(200, seed=8)
    single = [real_frame.select("as_of", *KEY).slice(row, 1) for row in (0, 1000, 2000)]
    for only in (keys, dated, *single):
        expected = real_frame.join(only, on=only.columns, how="semi", maintain_order="left")
        assert build_features(real_tables, night(*NIGHTS), only).equals(expected)


def test_a_night_alone_is_what_it_is_among_others(real_tables: Tables, real_frame: pl.DataFrame, night: Night) -> None:
    """Training sees what scoring sees."""
    for cutoff in night(*NIGHTS):
        alone = build_features(real_tables, [cutoff])
        assert alone.equals(real_frame.filter(pl.col("as_of") == cutoff.as_of))
        assert alone.height > 700


def test_nonsense_from_the_future_changes_nothing(real_tables: Tables, night: Night) -> None:
    """Whatever became visible after the night: numbers at their limits, no delays, other places."""
    as_of = date(2013, 3, 12)
    poisoned = {
        name: _poisoned(rows, as_of) if name in {"outcomes", "weather", "timetable"} else rows
        for name, rows in real_tables.items()
    }
    cutoffs = night(str(as_of))

    assert not poisoned["outcomes"].collect().equals(real_tables["outcomes"].collect())
    assert build_features(poisoned, cutoffs).equals(build_features(real_tables, cutoffs))


def _poisoned(rows: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    """The rows with nonsense for every number and text, but for the key, that became visible after the night."""
    nonsense = {
        name: pl.lit(2**31 - 1, dtype) if dtype.is_integer() else pl.lit("?")
        for name, dtype in rows.collect_schema().items()
        if name not in KEY and (dtype.is_integer() or dtype == pl.String)
    }
    future = pl.col("visible_day") > as_of
    return rows.with_columns(**{name: pl.when(future).then(value).otherwise(name) for name, value in nonsense.items()})
