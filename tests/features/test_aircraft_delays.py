"""The job's features and labels: its rules on small tables; windows and labels on real flights against plain SQL."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from features.aircraft_delays import (
    FEATURE_SET,
    HORIZON_DAYS,
    KEY,
    LABEL_DELAY_DAYS,
    LATEST_MIN,
    SEEN_DAYS,
    build_features,
    labels,
)
from features.fitted import apply, fit
from jobs.definition import load_job
from jobs.warehouse.bounds import bounds_of
from jobs.warehouse.duckdb_file import open_duckdb_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from features.clock import Cutoff

    Table = Callable[..., pl.DataFrame]
    Night = Callable[..., list[Cutoff]]

NIGHT = "2013-09-01"
AS_OF, FIRST = date(2013, 3, 21), date(2013, 3, 5)  # the clocks change on the 10th
NIGHTS = ("2013-03-06", "2013-03-09", "2013-03-13")


def flights(table: Table, text: str) -> pl.LazyFrame:
    """Outcomes of a carrier from one airport; the key's day is that of the event."""
    return (
        table(
            "event_day | visible_day | flight | tailnum | arr_delay_min | cancelled | recorded_at\n" + text.strip(),
            flight=pl.Int32(),
            tailnum=pl.String(),
            arr_delay_min=pl.Int32(),
        )
        .with_columns(
            pl.col("cancelled").cast(pl.Boolean),
            flight_date="event_day",
            carrier=pl.lit("UA"),
            origin=pl.lit("EWR"),
            sched_dep_at=pl.col("event_day").cast(pl.Datetime("us", "UTC")).dt.offset_by("16h"),
            air_time_min=pl.when(pl.col("arr_delay_min").is_not_null()).then(pl.lit(100, pl.Int32)),
        )
        .lazy()
    )


@pytest.fixture
def planes(table: Table) -> pl.LazyFrame:
    return table(
        """
        tailnum | year_built | manufacturer | model | seats
        N1      | 1999       | BOEING       | 737   | 140
        N2      | -          | AIRBUS       | A320  | 180
        """,
        tailnum=pl.String(), manufacturer=pl.String(), model=pl.String(), seats=pl.Int32(), year_built=pl.Int32(),
    ).lazy()  # fmt: skip


@pytest.fixture
def outcomes(table: Table) -> pl.LazyFrame:
    """What was reported of August, and of a day that is not over."""
    return flights(
        table,
        """
        2013-08-04 | 2013-08-05 | 1 | N1 | 10  | 0 | 2013-08-04T19:00
        2013-08-30 | 2013-08-31 | 2 | N1 | 300 | 0 | 2013-08-30T19:00
        2013-08-31 | 2013-09-01 | 3 | N1 | -20 | 0 | 2013-08-31T19:00
        2013-08-31 | 2013-09-02 | 4 | N1 | 99  | 0 | 2013-09-01T05:00
        2013-08-03 | 2013-08-04 | 5 | N2 | 50  | 0 | 2013-08-03T19:00
        2013-08-20 | 2013-08-21 | 6 | N3 | 5   | 0 | 2013-08-20T19:00
        2013-08-20 | 2013-08-23 | 6 | N4 | 5   | 0 | 2013-08-22T19:00
        2013-08-25 | 2013-08-26 | 7 | N5 | -   | 1 | 2013-08-25T16:00
        2013-08-25 | 2013-08-26 | 8 | -  | -   | 1 | 2013-08-25T16:00
        2013-08-31 | 2013-09-02 | 9 | N6 | 7   | 0 | 2013-09-01T04:30
        """,
    )


@pytest.fixture
def ahead(table: Table) -> pl.LazyFrame:
    """What became of the week from 1 September on."""
    return flights(
        table,
        """
        2013-08-31 | 2013-09-01 | 3 | N1 | 60  | 0 | 2013-08-31T19:00
        2013-09-01 | 2013-09-02 | 1 | N1 | 30  | 0 | 2013-09-01T19:00
        2013-09-01 | 2013-09-03 | 1 | N1 | 40  | 0 | 2013-09-02T19:00
        2013-09-04 | 2013-09-05 | 1 | N1 | 900 | 0 | 2013-09-04T19:00
        2013-09-05 | 2013-09-06 | 1 | N1 | -90 | 0 | 2013-09-05T19:00
        2013-09-06 | 2013-09-07 | 1 | N1 | -   | 1 | 2013-09-06T19:00
        2013-09-07 | 2013-09-09 | 1 | N1 | 1   | 0 | 2013-09-08T05:00
        2013-09-08 | 2013-09-09 | 1 | N1 | 99  | 0 | 2013-09-08T19:00
        """,
    )


def test_an_aircraft_is_there_from_the_night_that_knows_of_it_until_28_days_after_its_last_flight(
    outcomes: pl.LazyFrame, planes: pl.LazyFrame, night: Night
) -> None:
    """N2 flew too long ago, N6 is not known of yet; N3 never flew: the flight was N4's, as a correction says.

    A cancelled flight counts, one without a tail number is nobody's.
    """
    frame = build_features({"outcomes": outcomes, "planes": planes}, night(NIGHT))

    assert frame["tailnum"].to_list() == ["N1", "N4", "N5"]
    before = build_features({"outcomes": outcomes, "planes": planes}, night("2013-08-22"))
    assert before["tailnum"].to_list() == ["N1", "N2", "N3"]


def test_minutes_are_late_ones_of_arrivals_and_at_most_four_hours_each(
    outcomes: pl.LazyFrame, planes: pl.LazyFrame, night: Night
) -> None:
    """300 minutes count as 240; to be early gives nothing back; what is not known yet is not there."""
    frame = build_features({"outcomes": outcomes, "planes": planes}, night(NIGHT))

    ours = frame.row(by_predicate=pl.col("tailnum") == "N1", named=True)
    assert {name: ours[f"plane_late_min_{name}"] for name in ("1d", "3d", "28d")} == {"1d": 0, "3d": 240, "28d": 250}
    assert (ours["plane_flown_28d"], ours["plane_mean_late_min_7d"], ours["plane_late_share_28d"]) == (3, 120.0, 1 / 3)
    assert (ours["days_since_seen"], ours["age_years"], ours["seats"], ours["model_code"]) == (1, 14, 140, "737")
    cancelled = frame.row(by_predicate=pl.col("tailnum") == "N5", named=True)
    assert (cancelled["plane_flown_28d"], cancelled["plane_mean_late_min_28d"]) == (0, None)
    assert (cancelled["plane_cancelled_share_28d"], cancelled["model_code"]) == (1.0, None)


def test_a_label_is_the_sum_of_the_week_that_begins_with_the_night(
    outcomes: pl.LazyFrame, ahead: pl.LazyFrame, planes: pl.LazyFrame, night: Night
) -> None:
    """40 as corrected, 240 of 900, 0 of an early one and of a cancelled one, 1 of the last day; not what lies outside.

    An aircraft that does not fly has 0, which is no unknown.
    """
    found = labels({"outcomes": outcomes, "planes": planes, "labels": ahead}, night(NIGHT))

    assert found.columns == ["as_of", *KEY, "label"]
    assert found.select("tailnum", "label").rows() == [("N1", 281), ("N4", 0), ("N5", 0)]


def test_a_label_is_null_until_something_of_the_day_after_the_week_is_known(
    outcomes: pl.LazyFrame, ahead: pl.LazyFrame, planes: pl.LazyFrame, night: Night
) -> None:
    """Until then arrivals of the week are still to come, and a sum of what is known would be too small."""
    early = ahead.filter(pl.col("visible_day") <= date(2013, 9, 8))
    for rows in (early, ahead.filter(pl.lit(value=False))):
        found = labels({"outcomes": outcomes, "planes": planes, "labels": rows}, night(NIGHT))

        assert found["label"].to_list() == [None, None, None]
        assert found.schema["label"] == pl.Int64


def test_the_horizon_and_the_delay_are_those_of_the_job() -> None:
    """Which the engine knows of its TOML, and the labels by themselves."""
    job = load_job("aircraft_delays")

    assert (job.horizon_days, job.label_delay_days) == (HORIZON_DAYS, LABEL_DELAY_DAYS)
    lookbacks = {query.declaration.lookback_days for query in job.queries()} - {None}
    assert lookbacks == {SEEN_DAYS}
    assert job.training.warm_up_days > SEEN_DAYS
    assert job.key == KEY


def test_an_aircraft_alone_is_what_it_is_among_all(outcomes: pl.LazyFrame, planes: pl.LazyFrame, night: Night) -> None:
    tables = {"outcomes": outcomes, "planes": planes}
    whole = build_features(tables, night("2013-08-20", 13))

    for only in (pl.DataFrame({"tailnum": ["N4"]}), whole.select("as_of", *KEY).gather_every(3)):
        alone = build_features(tables, night("2013-08-20", 13), only)
        assert alone.equals(whole.join(only, on=only.columns, how="semi"))


@pytest.fixture(scope="module")
def real(real_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.LazyFrame]:
    """What the versioned SQL gives of real flights, with late rows and corrections, for training as of 21 March."""
    job, spill = load_job("aircraft_delays"), tmp_path_factory.mktemp("spill")
    tables = {}
    with open_duckdb_file(real_warehouse, job.calendar, job.horizon_days, spill) as warehouse:
        for query in job.queries():
            bounds = bounds_of(query, AS_OF, FIRST, job.horizon_days)
            assert bounds
            assert warehouse.check_keys(query, bounds)
            tables[query.table] = pl.concat(warehouse.rows(query, bounds)).lazy()
    return tables


@pytest.fixture(scope="module")
def real_nights(night: Night) -> list[Cutoff]:
    return [cutoff for day in NIGHTS for cutoff in night(day)]


KNOWN = """
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT *, CAST(timezone('America/New_York', sched_dep_at) AS DATE) AS day,
        arr_delay_min IS NOT NULL AND NOT cancelled AS arrived,
        CASE WHEN arr_delay_min IS NOT NULL AND NOT cancelled THEN greatest(0, least({most}, arr_delay_min)) END AS late
    FROM flight_outcomes WHERE recorded_at < timezone('America/New_York', TIMESTAMP '{cutoff}')
    QUALIFY row_number() OVER (PARTITION BY flight_date, carrier, flight, origin ORDER BY recorded_at DESC) = 1
"""


@pytest.mark.parametrize("day", NIGHTS)
def test_windows_on_real_flights_are_what_plain_sql_says(
    real_warehouse: Path, real: Mapping[str, pl.LazyFrame], real_nights: list[Cutoff], day: str
) -> None:
    """Which knows nothing of days, spans or sweeps: the newest version of each flight, recorded before the instant."""
    frame = build_features(real, real_nights).filter(pl.col("as_of") == date.fromisoformat(day))
    with duckdb.connect(str(real_warehouse), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(KNOWN.format(most=LATEST_MIN, cutoff=day))
        expected = con.sql(
            f"""
            SELECT tailnum,
                coalesce(sum(late) FILTER (day >= DATE '{day}' - 7), 0) AS plane_late_min_7d,
                coalesce(sum(late), 0) AS plane_late_min_28d,
                count(*) FILTER (arrived AND day >= DATE '{day}' - 3) AS plane_flown_3d,
                count(*) FILTER (NOT arrived) / count(*) AS plane_cancelled_share_28d,
                sum(late) / nullif(count(*) FILTER (arrived), 0) AS plane_mean_late_min_28d,
                coalesce(sum(air_time_min) FILTER (day >= DATE '{day}' - 7), 0) AS plane_air_min_7d
            FROM known WHERE day >= DATE '{day}' - 28 AND day < DATE '{day}' AND tailnum IS NOT NULL
            GROUP BY tailnum ORDER BY tailnum
            """
        ).pl()

    assert expected.height > 1_000
    assert frame.select(expected.columns).equals(expected.cast(dict(frame.select(expected.columns).schema)))


def test_labels_on_real_flights_are_what_plain_sql_says(
    real_warehouse: Path, real: Mapping[str, pl.LazyFrame], real_nights: list[Cutoff]
) -> None:
    """Of all that was recorded before the training cutoff; the last night has not matured by a day, and has none."""
    found = labels(real, real_nights)
    with duckdb.connect(str(real_warehouse), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(KNOWN.format(most=LATEST_MIN, cutoff=AS_OF))
        week = "SELECT tailnum, sum(late) AS minutes FROM known WHERE day >= $1 AND day < $1 + 7 GROUP BY tailnum"
        happened = {day: dict(con.execute(week, [date.fromisoformat(day)]).fetchall()) for day in NIGHTS}

    assert date.fromisoformat(NIGHTS[-1]) + timedelta(days=HORIZON_DAYS + LABEL_DELAY_DAYS) == AS_OF
    for as_of, tailnum, label in found.iter_rows():
        assert label == (happened[as_of.isoformat()].get(tailnum) or 0)
    assert found["label"].n_unique() > 100


def test_text_becomes_codes_and_a_model_that_is_rare_or_new_has_a_home(
    real: Mapping[str, pl.LazyFrame], real_nights: list[Cutoff]
) -> None:
    from features.aircraft_delays import TRANSFORMS  # noqa: PLC0415  beside what it is asked for

    frame = build_features(real, real_nights)
    state = fit(frame, FEATURE_SET, TRANSFORMS, key=KEY)

    seen = apply(frame.head(1).with_columns(model_code=pl.lit("NEVER BUILT")), state)

    assert not any(dtype == pl.String for name, dtype in seen.schema.items() if name not in KEY)
    assert seen["model_code"].null_count() == 0
