"""What a job expects of its columns in production: declared before training, measured every night, kept on record."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl
import pytest

from jobs.availability import (
    Columns,
    ColumnsUnavailable,
    ColumnsUndeclared,
    DefaultRefused,
    Met,
    Policy,
    PolicyRefused,
    read_policy,
    require_available,
    unknown,
)
from jobs.definition import JobRefused, load_job
from jobs.editions import edition_of
from jobs.settings import read_settings
from jobs.steps.scoring import build_night
from jobs.steps.training import train_version
from jobs.store.documents import read_document
from jobs.store.events import read_chain
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import read_version
from jobs.store.snapshots import read_snapshot
from tests.jobs.test_definition import TOML, parse

if TYPE_CHECKING:
    from tests.conftest import World

JOB, NIGHT = "flight_delay", "2013-04-12"
NEW_ROWS = "flight_date = DATE '2013-04-11'"  # what the night of the 12th is the first to see, nearly all of it


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        ("required", Policy(Fraction(0))),
        ("null allowed", Policy(Fraction(1))),
        ("null allowed up to 5 %", Policy(Fraction(1, 20))),
        ("null allowed up to 0.25 %", Policy(Fraction(1, 400))),
        ("null allowed up to 100 %", Policy(Fraction(1))),
        ({"default": 0}, Policy(Fraction(1), 0)),
        ({"default": False}, Policy(Fraction(1), default=False)),
        ({"default": "unknown"}, Policy(Fraction(1), "unknown")),
    ],
)
def test_a_policy_says_how_many_nulls_and_what_stands_for_them(said: object, policy: Policy) -> None:
    assert read_policy(said) == policy


@pytest.mark.parametrize(
    "said",
    ["optional", "null allowed up to 5%", "null allowed up to 101 %", "null allowed up to -1 %", 5, True, {}, [],
     {"default": None}, {"default": []}, {"default": 1, "most": 2}, "required "],
)  # fmt: skip
def test_what_is_of_no_form_is_refused_with_the_forms(said: object) -> None:
    with pytest.raises(PolicyRefused, match="null allowed up to 5 %"):
        read_policy(said)


def test_a_policy_in_a_job_is_refused_by_its_name() -> None:
    with pytest.raises(JobRefused, match=r"`columns.outcomes.tailnum` must be .*; found 'maybe'"):
        parse(TOML + '[columns.outcomes]\ntailnum = "maybe"\n')


def test_training_refuses_columns_whose_production_is_not_declared(world: World) -> None:
    """Two columns nobody has said anything of are named, and nothing is read, kept or trained."""
    job = load_job(JOB)
    declared = {**job.columns.declared, "weather": {}, "airports": {**job.columns.declared["airports"]}}
    del declared["airports"]["tzone"]
    settings = read_settings(os.environ, lambda: datetime.now(UTC))
    home = open_home(settings.home)
    before = sorted(world.home.rglob("*"))

    with pytest.raises(ColumnsUndeclared, match=r"weather.temp_centi_f, .* and 5 more; write each into \[columns"):
        train_version(replace(job, columns=Columns(declared)), settings, home, date(2013, 4, 9), threads=1)
    assert sorted(world.home.rglob("*")) == before


@pytest.mark.parametrize(
    ("table", "column", "default"),
    [
        ("outcomes", "arr_delay_min", 2**31),
        ("outcomes", "arr_delay_min", 1.5),
        ("outcomes", "arr_delay_min", "0"),
        ("outcomes", "arr_delay_min", True),
        ("outcomes", "cancelled", 0),
        ("outcomes", "tailnum", 0),
    ],
)
def test_a_default_of_another_type_than_its_column_is_refused_by_name(
    world: World, table: str, column: str, default: object
) -> None:
    job = load_job(JOB)
    declared = {**job.columns.declared, table: {**job.columns.declared[table], column: {"default": default}}}
    settings = read_settings(os.environ, lambda: datetime.now(UTC))

    with pytest.raises(DefaultRefused, match=f"the default of {table}.{column} is "):
        train_version(
            replace(job, columns=Columns(declared)), settings, open_home(settings.home), date(2013, 4, 9), threads=1
        )
    assert world.home.is_dir()


def test_the_demo_job_declares_every_column_that_its_features_may_read_and_no_other() -> None:
    job = load_job(JOB)

    assert list(unknown(job.queries(), job.columns)) == []


def test_a_column_of_a_later_version_of_a_table_is_known_beside_the_version_before() -> None:
    """Of two editions, in either order: one has `tailnum`, the other has not."""
    outcomes = next(query for query in load_job(JOB).queries() if query.table == "outcomes")
    without = replace(outcomes, columns=tuple(each for each in outcomes.columns if each.name != "tailnum"))
    columns = Columns({"outcomes": {"tailnum": "null allowed", "tail": "null allowed"}})

    for both in ([outcomes, without], [without, outcomes]):
        assert list(unknown(both, columns)) == ["outcomes.tail"]


def test_nulls_beyond_what_is_declared_stop_the_night_and_nothing_is_published(world: World) -> None:
    """Half of the planes may be unknown; all of those that became known on this night are."""
    world.sql(f"UPDATE flight_outcomes SET tailnum = NULL WHERE {NEW_ROWS}")

    result = world.run("run", "--as-of", NIGHT)

    assert result.code == 65
    assert "outcomes.tailnum is null in " in result.err
    assert "at most 50.0% may be" in result.err
    assert read_chain(open_home(world.home), JOB).current() == {}


def test_nulls_of_nights_before_are_not_held_against_this_one(world: World) -> None:
    """They were met by those nights; the share is of what this one is the first to see."""
    world.sql("UPDATE flight_outcomes SET tailnum = NULL WHERE flight_date < DATE '2013-04-09'")

    assert world.run("run", "--as-of", NIGHT).code == 0


def test_nulls_can_be_accepted_and_that_and_what_was_met_stays_on_record(world: World) -> None:
    world.sql(f"UPDATE flight_outcomes SET tailnum = NULL WHERE {NEW_ROWS}")

    run = world.run("run", "--as-of", NIGHT, "--accept-rows", "--json").json["runs"][0]
    shown = world.run("show", run["run_id"], "--json").json

    assert run["status"] == "published"
    assert shown["rows_accepted"] is True
    met = shown["execution"]["columns_met"]["outcomes"]["tailnum"]
    assert 0 < 0.5 * met["rows"] < met["nulls"]
    assert "outcomes.tailnum" in world.run("show", run["run_id"]).out
    assert world.run("verify", run["run_id"]).code == 0


def test_every_declared_column_is_on_record_in_the_run(world: World) -> None:
    """One entry a column, the rows of a night: some hundreds of outcomes, all of the reference tables."""
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]
    folder = world.home / "jobs" / JOB / "runs"
    found = next(folder.rglob(f"{run['run_id']}/execution.json"), None) or next(
        world.home.rglob(f"{run['run_id']}/execution.json")
    )
    met = read_document(found, "execution")["columns_met"]
    assert isinstance(met, dict)

    declared = load_job(JOB).columns.declared
    assert {table: set(columns) for table, columns in met.items()} == {t: set(c) for t, c in declared.items()}
    assert met["planes"]["seats"] == {"nulls": 0, "rows": world.sql("SELECT count(*) FROM planes")[0][0]}
    assert met["timetable"]["dest"]["rows"] == run["row_count"]


def test_a_version_scores_by_what_was_declared_when_it_was_trained(world: World) -> None:
    """The TOML of today says nothing of a model of yesterday: its replay fills the same nulls with the same value."""
    home = open_home(world.home)
    version = read_version(home, JOB, read_chain(home, JOB).champion(date(2013, 4, 10)))
    other = replace(load_job(JOB), columns=Columns({"outcomes": {"arr_delay_min": {"default": 200}}}))

    assert version.columns == load_job(JOB).columns.declared
    assert edition_of(other, version).columns.declared == version.columns


def test_a_default_stands_for_nulls_in_features_and_the_snapshot_keeps_what_was_there(world: World) -> None:
    """Outcomes without a delay count as 200 minutes late once that is declared; the kept rows still have none."""
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]
    snapshot = read_snapshot(open_home(world.home), JOB, date(2013, 4, 12), run["snapshot_digest"])
    tables = read_tables(in_store(open_home(world.home)), snapshot)
    job = load_job(JOB)
    late = replace(
        job, columns=Columns({"outcomes": {"arr_delay_min": {"default": 200}, "cancelled": {"default": True}}})
    )
    by_hand = {**tables, "outcomes": tables["outcomes"].with_columns(pl.col("arr_delay_min").fill_null(200))}

    filled = build_night(late, tables, snapshot.as_of)

    assert filled.equals(build_night(replace(job, columns=Columns()), by_hand, snapshot.as_of))
    assert not filled.equals(build_night(job, tables, snapshot.as_of))
    assert tables["outcomes"].collect()["arr_delay_min"].null_count() > 0


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_share_is_the_number_that_one_reads(percent: int) -> None:
    """So many of a hundred are allowed, one more is not: a float of 29 % times 100 is less than 29."""
    most = read_policy(f"null allowed up to {percent} %").most

    assert [Met("outcomes", "tailnum", 100, percent + more, most).far for more in (0, 1)] == [False, True]


@pytest.mark.parametrize(("nulls", "far"), [(5, False), (6, True)])
def test_the_share_itself_is_allowed_and_one_row_more_is_not(nulls: int, far: bool) -> None:  # noqa: FBT001
    met = Met("outcomes", "tailnum", rows=100, nulls=nulls, most=Fraction(1, 20))

    assert met.far is far
    if far:
        with pytest.raises(ColumnsUnavailable, match=r"outcomes.tailnum is null in 6 of 100 rows \(6.0%, at most 5.0%"):
            require_available("job", date(2013, 4, 12), [met])


def test_no_new_row_is_no_null() -> None:
    assert not Met("outcomes", "tailnum", rows=0, nulls=0, most=Fraction(0)).far
