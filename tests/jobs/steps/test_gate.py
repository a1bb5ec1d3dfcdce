"""The gate on row counts: a table that is loaded by half is found before anything is kept, a Saturday is not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

NIGHT, SATURDAY = "2013-04-12", "2013-04-13"
HALF = "hash(carrier, flight, origin) % 2 = 0"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Path:
    """A home in which the nights of the 10th, 11th and 12th are published; tests work on copies."""
    home = tmp_path_factory.mktemp("gated") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        for night in ("2013-04-10", "2013-04-11", NIGHT):
            assert call(["run", "--as-of", night]) == 0
    return home


BROKEN = {
    "population by half": (
        f"DELETE FROM scheduled_flights WHERE flight_date = DATE '{SATURDAY}' AND {HALF}",
        "timetable has ",
    ),
    "population twice": (
        (
            "INSERT INTO scheduled_flights BY NAME SELECT * EXCLUDE (n) REPLACE (flight + 10000 * n AS flight) "
            f"FROM scheduled_flights, range(1, 3) AS r(n) WHERE flight_date = DATE '{SATURDAY}'"
        ),
        "timetable has ",
    ),
    "the last day of a history by half": (
        f"DELETE FROM flight_outcomes WHERE flight_date = DATE '{NIGHT}' AND {HALF}",
        "rows of outcomes became known on the day before",
    ),
    "the last day of another history not at all": (
        "DELETE FROM weather WHERE recorded_at >= TIMESTAMPTZ '2013-04-12 04:00:00+00'",
        "0 rows of weather became known on the day before, where the last 3 nights had 72 to 72, usually 72",
    ),
    "the older days of a history by half": (
        f"DELETE FROM flight_outcomes WHERE flight_date < DATE '{NIGHT}' AND {HALF}",
        "rows of outcomes that the night of 2013-04-12 saw, ",
    ),
    "a reference by half": ("DELETE FROM planes WHERE hash(tailnum) % 2 = 0", "planes has "),
}


def latest(world: World) -> list[tuple]:
    return world.published("SELECT max(as_of)::VARCHAR, count(DISTINCT as_of), count(*) FROM flight_delay")


def snapshots(world: World) -> set[str]:
    return {str(path) for path in world.home.glob("snapshots/*/*/*")} | {str(p) for p in world.home.glob("objects/*/*")}


def last_event(world: World) -> dict:
    return json.loads(max(world.home.glob("events/*/*.json")).read_text())["body"]


@pytest.mark.parametrize("what", BROKEN)
def test_a_table_that_is_far_shorter_or_longer_is_refused_and_nothing_is_kept(world: World, what: str) -> None:
    """65 with figures; the old scores stay, and once the load is repaired the next run publishes."""
    change, words = BROKEN[what]
    before, kept, whole = latest(world), snapshots(world), world.warehouse.read_bytes()
    world.sql(change)

    for command in (("run",), ("backfill",)):
        result = world.run(*command, "--as-of", SATURDAY)
        assert result.code == 65
        assert words in result.err
        assert "--accept-rows" in result.err
        assert (latest(world), snapshots(world)) == (before, kept)
    world.warehouse.write_bytes(whole)
    assert world.run("run", "--as-of", SATURDAY).code == 0
    assert latest(world)[0][0] == SATURDAY


@pytest.mark.parametrize("what", BROKEN)
def test_who_accepts_the_rows_is_on_record(world: World, what: str) -> None:
    """The event says so, and so do the lists; a night whose counts are usual is not marked by the same flag."""
    world.sql(BROKEN[what][0])

    result = world.run("run", "--as-of", SATURDAY, "--accept-rows", "--json")

    assert result.code == 0
    assert (last_event(world)["as_of"], last_event(world)["rows_accepted"]) == (SATURDAY, True)
    [run] = world.run("runs", "--as-of", SATURDAY, "--json").json["runs"]
    assert run["rows_accepted"] is True
    assert "current (row counts accepted)" in world.run("runs").out
    assert world.run("runs").out.count("accepted") == 1
    assert world.run("show", run["run_id"], "--json").json["rows_accepted"] is True
    assert "accepted with --accept-rows" in world.run("show", run["run_id"]).out
    assert world.run("verify", run["run_id"]).code == 0


def test_a_usual_night_is_not_marked_though_the_flag_was_given(world: World) -> None:
    """And its event has not one byte more than events ever had: homes of before stay what they are."""
    assert world.run("run", "--as-of", SATURDAY, "--accept-rows").code == 0
    assert "rows_accepted" not in last_event(world)


def test_ten_days_of_real_nights_pass_saturdays_and_sundays_among_them(world: World) -> None:
    result = world.run("run", "--as-of", "2013-04-22", "--json")

    assert result.code == 0
    assert len(result.json["runs"]) == 10


def test_after_an_accepted_night_the_next_is_held_to_what_is_usual(world: World) -> None:
    """One odd night among the last moves their median little; what is repaired afterwards is no reason to stop."""
    world.sql(f"CREATE TABLE aside AS FROM flight_outcomes WHERE flight_date < DATE '{NIGHT}' AND {HALF}")
    world.sql(f"DELETE FROM flight_outcomes WHERE flight_date < DATE '{NIGHT}' AND {HALF}")
    assert world.run("run", "--as-of", SATURDAY, "--accept-rows").code == 0
    world.sql("INSERT INTO flight_outcomes FROM aside")

    assert world.run("run", "--as-of", "2013-04-15").code == 0


def test_a_far_night_does_not_stop_those_after_it(world: World) -> None:
    world.sql(BROKEN["population by half"][0])

    result = world.run("run", "--as-of", "2013-04-15", "--json")

    assert result.code == 3
    assert [run["status"] for run in result.json["runs"]] == ["failed", "published", "published"]
    assert result.json["runs"][0]["error"]["code"] == 65


def test_rows_that_somebody_kept_unscored_are_held_to_it_too_and_looked_at_again(world: World) -> None:
    """`score snapshot` keeps what it sees; that it is kept is no reason to publish it."""
    whole = world.warehouse.read_bytes()
    world.sql(BROKEN["population by half"][0])
    assert world.run("snapshot", "--as-of", SATURDAY).code == 0

    assert world.run("run", "--as-of", SATURDAY).code == 65
    world.warehouse.write_bytes(whole)
    assert world.run("run", "--as-of", SATURDAY).code == 0
    assert "rows_accepted" not in last_event(world)


def test_a_replay_of_an_accepted_night_asks_no_more(world: World) -> None:
    """Its rows are on record; and where another model scores them, so is that they were accepted."""
    world.sql(BROKEN["population by half"][0])
    assert world.run("run", "--as-of", SATURDAY).code == 65
    assert world.run("run", "--as-of", SATURDAY, "--accept-rows").code == 0

    again = world.run("backfill", "--as-of", SATURDAY, "--json")
    assert (again.code, again.json["runs"][0]["status"]) == (0, "already_published")
    version = world.run("train", "flight_delay", "--as-of", SATURDAY, "--json").json["model_version"]
    other = world.run("backfill", "--as-of", SATURDAY, "--model", version, "--publish", "--json")
    assert (other.code, other.json["runs"][0]["status"]) == (0, "published")
    assert last_event(world)["rows_accepted"] is True
    assert world.run("backfill", "--as-of", SATURDAY, "--restate").code == 65


@pytest.mark.parametrize("night", ["2013-04-11", NIGHT])
def test_fewer_than_three_nights_before_say_nothing(world: World, night: str) -> None:
    """Restated, the second and the third night have one and two before them."""
    world.sql(f"DELETE FROM scheduled_flights WHERE flight_date = DATE '{night}' AND {HALF}")

    assert world.run("backfill", "--restate", "--as-of", night).code == 0
    assert "rows_accepted" not in last_event(world)
