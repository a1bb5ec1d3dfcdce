"""The scaled warehouse: a row is a function of its key and the seed, whatever was made before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from bench.workload import Workload, advance, build, copies_for
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    from pathlib import Path

WANTED = Workload(date(2013, 9, 1), copies=2, seed=7)
DAYS = 14
TABLES = ("flight_outcomes", "scheduled_flights")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("workload") / "made.duckdb"
    build(place, WANTED, DAYS)
    return place


def rows_of_one_only(one: Path, other: Path, table: str, where: str = "true") -> int:
    with connect() as con:
        for name, place in (("one", one), ("other", other)):
            con.execute(f"ATTACH '{place}' AS {name} (READ_ONLY)")
        of = {name: f"(FROM {name}.{table} WHERE {where})" for name in ("one", "other")}
        apart = (f"({of[a]} EXCEPT ALL {of[b]})" for a, b in (("one", "other"), ("other", "one")))
        return int(con.execute(f"SELECT count(*) FROM ({' UNION ALL '.join(apart)})").fetchall()[0][0])


def value(place: Path, text: str) -> tuple[int, ...]:
    with connect(place, read_only=True) as con:
        return tuple(con.execute(text).fetchall()[0])


def test_the_same_arguments_give_the_same_rows_and_another_seed_others(made: Path, tmp_path: Path) -> None:
    build(tmp_path / "again.duckdb", WANTED, DAYS)
    build(tmp_path / "other.duckdb", replace(WANTED, seed=8), DAYS)

    assert [rows_of_one_only(made, tmp_path / "again.duckdb", table) for table in TABLES] == [0, 0]
    assert all(rows_of_one_only(made, tmp_path / "other.duckdb", table) for table in TABLES)


def test_a_warehouse_that_advanced_holds_what_one_made_for_that_night_holds_but_for_what_was_overwritten(
    made: Path, tmp_path: Path
) -> None:
    """Nothing depends on what was made before: not the order, not the night on which a row arrived."""
    advanced, direct = tmp_path / "advanced.duckdb", tmp_path / "direct.duckdb"
    advanced.write_bytes(made.read_bytes())

    assert advance(advanced).as_of == date(2013, 9, 2)
    build(direct, replace(WANTED, as_of=date(2013, 9, 2)), DAYS)

    ago_12 = "flight_date >= DATE '2013-08-19' AND flight_date < DATE '2013-09-02'"  # what both hold
    overwritten = rows_of_one_only(advanced, direct, "flight_outcomes", ago_12)
    assert 0 < overwritten <= 20
    assert rows_of_one_only(advanced, direct, "flight_outcomes", f"{ago_12} AND flight_date <> DATE '2013-08-20'") == 0
    within = "flight_date BETWEEN DATE '2013-08-03' AND DATE '2013-09-01'"
    assert rows_of_one_only(advanced, direct, "scheduled_flights", within) == 0
    ahead = "flight_date > DATE '2013-09-01'"
    assert 0 < rows_of_one_only(advanced, direct, "scheduled_flights", ahead) <= 100


def test_nothing_was_known_after_the_night_began_and_some_rows_were_late_or_corrected(made: Path) -> None:
    future = "SELECT count(*) FROM {} WHERE recorded_at >= TIMESTAMPTZ '2013-09-01 00:00:00-04'"
    late = "SELECT count(*) FROM flight_outcomes WHERE recorded_at > sched_dep_at + INTERVAL 24 HOUR"
    corrected = "SELECT count(*) - count(DISTINCT (flight_date, carrier, flight, origin)) FROM flight_outcomes"
    (rows,) = value(made, "SELECT count(*) FROM flight_outcomes")

    assert [value(made, future.format(table)) for table in TABLES] == [(0,), (0,)]
    assert 0.005 < value(made, late)[0] / rows < 0.03
    assert 0.002 < value(made, corrected)[0] / rows < 0.008


def test_each_copy_has_its_own_carriers_and_its_own_delays(made: Path) -> None:
    means = "SELECT avg(arr_delay_min) FILTER (carrier = 'UA{}') FROM flight_outcomes"

    assert value(made, "SELECT count(DISTINCT carrier) FROM flight_outcomes WHERE carrier LIKE 'UA%'") == (2,)
    assert value(made, means.format(1)) != value(made, means.format(2))


def test_days_of_another_year_have_the_flights_of_the_same_weekday(tmp_path: Path) -> None:
    place = tmp_path / "later.duckdb"
    build(place, Workload(date(2016, 3, 2), copies=12, seed=7), 3)

    with connect(place, read_only=True) as con:
        found = con.execute("SELECT DISTINCT flight_date FROM flight_outcomes ORDER BY 1").fetchall()
        flights = con.execute("SELECT count(*) FROM flight_outcomes WHERE flight_date = '2016-02-29'").fetchall()[0][0]
    assert [day for (day,) in found] == [date(2016, 2, 28), date(2016, 2, 29), date(2016, 3, 1)]
    assert flights > 12 * 700


def test_a_flight_departs_on_its_day_though_clocks_changed_on_the_real_one_or_on_the_new(tmp_path: Path) -> None:
    """On 13 March 2016 the day has 23 hours; among 12 copies are flights of 10 March and 3 November 2013."""
    place = tmp_path / "later.duckdb"
    build(place, Workload(date(2016, 3, 2), copies=12, seed=7), 3)

    elsewhere = "SELECT count(*) FROM {} WHERE flight_date <> CAST(timezone('America/New_York', sched_dep_at) AS DATE)"
    assert [value(place, elsewhere.format(table)) for table in TABLES] == [(0,), (0,)]


def test_a_warehouse_that_stands_there_is_left_alone(made: Path) -> None:
    before = made.read_bytes()

    with pytest.raises(SystemExit, match="exists; give another path"):
        build(made, WANTED, DAYS)
    assert made.read_bytes() == before


def test_so_many_entities_need_so_many_copies() -> None:
    assert [copies_for(count) for count in (1, 9_227, 1_000_000, 5_000_000)] == [1, 1, 108, 542]


def test_the_file_is_an_ordinary_one_for_duckdb(made: Path) -> None:
    with duckdb.connect(str(made), read_only=True) as con:
        names = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert names == {"airlines", "airports", "flight_outcomes", "planes", "scheduled_flights", "weather", "workload"}
