"""Calendar days of a zone: no gap, no overlap, whatever the clocks do."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from features.clock import ZoneUnknown, zone
from jobs.days import Calendar, DayRun
from jobs.queries.check import Query, read_query
from jobs.warehouse.bounds import Bounds, days_sql
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    import duckdb

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[2]

NEW_YORK = Calendar("America/New_York")

# What the clocks did on these days: hours of the day, and when it began in UTC.
ODD_DAYS = [
    ("America/New_York", "2013-03-10", 23, "2013-03-10 05:00"),
    ("America/New_York", "2013-11-03", 25, "2013-11-03 04:00"),
    ("America/New_York", "2012-02-29", 24, "2012-02-29 05:00"),
    ("America/Sao_Paulo", "2013-10-20", 23, "2013-10-20 03:00"),  # midnight is skipped: the day begins at 01:00
    ("America/Sao_Paulo", "2013-02-16", 25, "2013-02-16 02:00"),  # 23:00 to midnight comes twice
    ("America/Havana", "2013-11-03", 25, "2013-11-03 04:00"),  # 00:00 to 01:00 comes twice
    ("America/Havana", "2013-03-10", 23, "2013-03-10 05:00"),
    ("America/Goose_Bay", "2010-11-07", 25, "2010-11-07 03:00"),  # at 00:01 back to 23:01 of the day before
    ("Pacific/Apia", "2011-12-29", 24, "2011-12-29 10:00"),
    ("Pacific/Apia", "2011-12-30", 0, "2011-12-30 10:00"),  # left out
    ("Pacific/Apia", "2011-12-31", 24, "2011-12-30 10:00"),
    ("Asia/Kolkata", "2013-09-01", 24, "2013-08-31 18:30"),
    ("Asia/Kathmandu", "2013-09-01", 24, "2013-08-31 18:15"),
    ("Australia/Lord_Howe", "2013-10-06", 23.5, "2013-10-05 13:30"),  # the clocks change by half an hour
    ("Pacific/Kwajalein", "1993-08-21", 0, "1993-08-21 12:00"),
    ("America/Toronto", "1919-03-30", 23.5, "1919-03-30 05:00"),  # at 23:30 on to 00:30: midnight lies inside
    ("America/Toronto", "1919-03-31", 23.5, "1919-03-31 04:30"),
    ("UTC", "2013-09-01", 24, "2013-09-01 00:00"),
]
ZONES = sorted({name for name, *_ in ODD_DAYS} | {"Asia/Gaza", "Africa/Monrovia", "Pacific/Kiritimati", "Asia/Beirut"})


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(("name", "text", "hours", "begins"), ODD_DAYS, ids=str)
def test_a_day_begins_with_its_first_instant_and_is_as_long_as_it_is(
    name: str, text: str, hours: float, begins: str
) -> None:
    calendar, day = Calendar(name), date.fromisoformat(text)

    assert calendar.cutoff(day) == at(begins)
    assert calendar.cutoff(day).tzinfo is UTC
    assert calendar.cutoff(day + DAY) - calendar.cutoff(day) == timedelta(hours=hours)


@pytest.mark.parametrize("name", ZONES)
def test_days_follow_each_other_without_gap_or_overlap(name: str) -> None:
    calendar = Calendar(name)
    cutoffs = [calendar.cutoff(date(2009, 12, 25) + n * DAY) for n in range(800)]

    assert cutoffs == sorted(cutoffs)
    for begins, ends, day in zip(
        cutoffs, cutoffs[1:], (date(2009, 12, 25) + n * DAY for n in range(800)), strict=False
    ):
        if begins < ends:
            assert calendar.day_of(begins) == calendar.day_of(ends - timedelta(microseconds=1)) == day
            assert begins.astimezone(zone(name)).date() == day


instants = st.datetimes(datetime(1970, 1, 3), datetime(2035, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  bounds


@given(st.sampled_from(ZONES), instants)
@settings(max_examples=300, deadline=None)
def test_an_instant_lies_in_the_day_that_it_is_said_to_be_of(name: str, instant: datetime) -> None:
    calendar = Calendar(name)
    day = calendar.day_of(instant)

    assert calendar.cutoff(day) <= instant < calendar.cutoff(day + DAY)


def test_an_hour_that_comes_twice_is_of_the_day_that_had_begun() -> None:
    """Goose Bay: after the first minute of 7 November the clocks showed 23:01 of the 6th again."""
    goose_bay, repeated = Calendar("America/Goose_Bay"), at("2010-11-07 03:30")

    assert repeated.astimezone(zone("America/Goose_Bay")).date() == date(2010, 11, 6)
    assert goose_bay.day_of(repeated) == date(2010, 11, 7)


def test_an_instant_may_be_of_any_zone_but_must_have_one() -> None:
    tokyo = datetime(2013, 9, 1, 13, tzinfo=zone("Asia/Tokyo"))

    assert NEW_YORK.day_of(tokyo) == date(2013, 9, 1)
    assert NEW_YORK.day_of(tokyo - timedelta(microseconds=1)) == date(2013, 8, 31)
    with pytest.raises(TypeError):
        NEW_YORK.day_of(datetime(2013, 9, 1))  # noqa: DTZ001  that is the point


def test_stretches_of_equal_days_end_where_the_clocks_change() -> None:
    us = 3_600_000_000

    assert NEW_YORK.runs(date(2013, 3, 8), date(2013, 3, 12)) == (
        DayRun(date(2013, 3, 8), at("2013-03-08 05:00"), 2, 24 * us),
        DayRun(date(2013, 3, 10), at("2013-03-10 05:00"), 1, 23 * us),
        DayRun(date(2013, 3, 11), at("2013-03-11 04:00"), 2, 24 * us),
    )
    assert NEW_YORK.runs(date(2013, 3, 8), date(2013, 3, 7)) == ()


def test_a_day_that_was_left_out_is_in_no_stretch() -> None:
    us = 3_600_000_000
    apia = Calendar("Pacific/Apia")
    after = DayRun(date(2011, 12, 31), at("2011-12-30 10:00"), 2, 24 * us)

    assert apia.runs(date(2011, 12, 28), date(2012, 1, 1)) == (
        DayRun(date(2011, 12, 28), at("2011-12-28 10:00"), 2, 24 * us),
        after,
    )
    assert apia.runs(date(2011, 12, 30), date(2012, 1, 1)) == (after,)
    assert apia.runs(date(2011, 12, 30), date(2011, 12, 30)) == ()


@given(st.sampled_from(ZONES), st.dates(date(1971, 1, 1), date(2035, 1, 1)), st.integers(0, 900))
@example("Pacific/Apia", date(2011, 12, 1), 90)
@settings(max_examples=25, deadline=None)
def test_stretches_cover_every_day_once(name: str, first: date, days: int) -> None:
    calendar, last = Calendar(name), first + days * DAY
    told = {
        run.first + n * DAY: run.begins + n * timedelta(microseconds=run.day_us)
        for run in calendar.runs(first, last)
        for n in range(run.days)
    }
    every = [first + n * DAY for n in range(days + 1)]

    assert told == {day: calendar.cutoff(day) for day in every if calendar.cutoff(day) < calendar.cutoff(day + DAY)}


@pytest.mark.parametrize(
    "name",
    ["", "/", "Mars/Base", "../zoneinfo/UTC", "/etc/passwd", "America/New_York/", "America", "america/new_york",
     "tzdata.zi", "leapseconds", "UTC\n", "A" * 300, "US\x00", "Ü", "..", "__init__"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_zone_of_the_package_is_refused(name: str) -> None:
    with pytest.raises(ZoneUnknown, match="names look like America/New_York"):
        zone(name)


def test_every_zone_of_the_package_that_programs_know_can_be_read() -> None:
    for name in (
        "UTC",
        "Etc/GMT+5",
        "Etc/GMT-14",
        "America/Port-au-Prince",
        "America/Argentina/Buenos_Aires",
        "EST5EDT",
    ):
        assert zone(name).key == name


def test_the_rules_are_the_package_s_whatever_the_host_says() -> None:
    lines = (
        "from datetime import date; from jobs.days import Calendar; "
        "print(Calendar('America/New_York').cutoff(date(2013, 9, 1)))"
    )
    for host in ({"TZ": "Asia/Tokyo"}, {"TZ": "nonsense", "PYTHONTZPATH": "/nowhere"}):
        said = subprocess.run(
            [sys.executable, "-c", lines], cwd=ROOT, env=host, capture_output=True, text=True, check=True
        )
        assert said.stdout == "2013-09-01 04:00:00+00:00\n"


QUERY = """\
-- grain: one event
-- role: {role}
-- key: id
{event}-- known time: known_at
-- known: rewritten
{lookback}
SELECT
  CAST(id AS BIGINT) AS id,
  CAST(happened_at AS TIMESTAMPTZ) AS happened_at,
  CAST(known_at AS TIMESTAMPTZ) AS known_at
FROM events
WHERE {bounds}known_at < $cutoff
ORDER BY id
"""


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Query]:
    """A query of each role."""
    folder = tmp_path_factory.mktemp("sql")
    found = {}
    for role in ("history", "population", "labels", "reference"):
        reference = role == "reference"
        (folder / f"{role}_v1.sql").write_text(
            QUERY.format(
                role=role,
                event="" if reference else "-- event time: happened_at\n",
                lookback="-- lookback: 30 days\n" if role == "history" else "",
                bounds="" if reference else "happened_at >= $start AND happened_at < $end AND ",
            )
        )
        found[role] = read_query(folder / f"{role}_v1.sql")
    return found


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    """One connection, whose zone must not matter."""
    found = connect()
    found.execute("SET TimeZone = 'Asia/Tokyo'")
    return found


@given(
    name=st.sampled_from(ZONES),
    role=st.sampled_from(["history", "population", "labels"]),
    start=st.dates(date(1992, 1, 1), date(2034, 1, 1)) | st.sampled_from([date(2011, 12, 25), date(2013, 10, 15)]),
    days=st.integers(1, 40),
    horizon=st.integers(1, 3),
    offsets=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)), min_size=1, max_size=30
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_days_that_duckdb_counts_are_the_calendar_s(
    queries: dict[str, Query],
    con: duckdb.DuckDBPyConnection,
    name: str,
    role: str,
    start: date,
    days: int,
    horizon: int,
    offsets: list[tuple[float, float]],
) -> None:
    """Event day and visible day of any row within the bounds, in SQL, are those of `Calendar.day_of`."""
    calendar, ahead = Calendar(name), horizon if role == "population" else 0
    end = start + days * DAY
    bounds = Bounds(start, end, end - ahead * DAY)
    first, last, cutoff = (calendar.cutoff(day) for day in (start, end, bounds.cutoff))
    early = first - 20 * DAY
    rows = [
        (n, first + (last - first) * one, early + (cutoff - early) * two)
        for n, (one, two) in enumerate([*offsets, (0, 0)])
        if first + (last - first) * one < last
    ]
    event_day, visible_day = days_sql(queries[role], bounds, calendar, horizon)
    con.execute("CREATE OR REPLACE TABLE events (id BIGINT, happened_at TIMESTAMPTZ, known_at TIMESTAMPTZ)")
    con.executemany("INSERT INTO events VALUES ($1, $2, $3)", rows)

    counted = con.execute(f"SELECT {event_day}, {visible_day} FROM events ORDER BY id").fetchall()

    wanted = []
    for _, happened, known in rows:
        event = calendar.day_of(happened)
        wanted.append((event, max(event - ahead * DAY, calendar.day_of(known)) + DAY))
    assert counted == wanted


@given(st.sampled_from(ZONES), st.lists(instants, min_size=1, max_size=30))
@settings(max_examples=15, deadline=None)
def test_a_reference_is_visible_from_the_day_after_it_was_known(
    queries: dict[str, Query], con: duckdb.DuckDBPyConnection, name: str, known: list[datetime]
) -> None:
    calendar = Calendar(name)
    cutoff = max(calendar.day_of(each) for each in known) + DAY
    event_day, visible_day = days_sql(queries["reference"], Bounds(None, None, cutoff), calendar, 1)
    con.execute("CREATE OR REPLACE TABLE events (id BIGINT, happened_at TIMESTAMPTZ, known_at TIMESTAMPTZ)")
    con.executemany("INSERT INTO events VALUES ($1, NULL, $2)", list(enumerate(known)))

    counted = con.execute(f"SELECT {event_day}, {visible_day} FROM events ORDER BY id").fetchall()

    assert counted == [(None, calendar.day_of(each) + DAY) for each in known]
