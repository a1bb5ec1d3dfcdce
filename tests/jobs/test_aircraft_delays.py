"""The job from the warehouse to what analysts see: a regression, labels a week wide, entities that come and go."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import polars as pl
import pytest

from jobs.cli import call
from jobs.research import build_features as features_of
from jobs.research import evaluate, labels, open_snapshot, published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServerWorld, World

JOB = "aircraft_delays"
AS_OF, NIGHTS = "2013-04-20", ("2013-04-20", "2013-04-21", "2013-04-22")


@pytest.fixture(scope="module")
def home_of_the_job(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> Path:
    """A home with a version of the job, and three nights."""
    home = tmp_path_factory.mktemp("aircraft") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        assert call(["train", JOB, "--as-of", AS_OF]) == 0
        for night in NIGHTS:
            assert call(["run", "--as-of", night]) == 0  # the one job in use
    return home


@pytest.fixture
def scored(world: World, home_of_the_job: Path) -> World:
    """A copy of it, and of the warehouse."""
    shutil.rmtree(world.home)
    shutil.copytree(home_of_the_job, world.home)
    return world


def test_every_night_replays_to_the_bit_and_its_model_is_trained_again(scored: World) -> None:
    done = scored.run("verify", "--all", "--retrain", "--json")

    assert done.code == 0
    assert [each["identical"] for each in done.json["runs"]] == [True] * len(NIGHTS)
    assert [each["identical"] for each in done.json["models"]] == [True]
    assert done.json["damaged"] == []


def test_a_backfill_gives_the_same_run_and_a_rewritten_tail_number_is_named(scored: World) -> None:
    """The minutes of the past move from one aircraft to another; a diff says whose score it changed."""
    before = scored.run("runs", JOB, "--as-of", NIGHTS[1], "--json").json["runs"][0]
    again = scored.run("backfill", "--as-of", NIGHTS[1], "--json").json["runs"][0]
    assert (again["run_id"], again["status"]) == (before["run_id"], "already_published")

    scored.sql(
        "UPDATE flight_outcomes SET tailnum = 'N1' WHERE flight_date = DATE '2013-04-18' AND tailnum IS NOT NULL"
    )

    rewritten = scored.run("mutations", "--since", NIGHTS[1], "--json").json
    assert [each["as_of"] for each in rewritten["nights"]] == list(NIGHTS[1:])
    restated = scored.run("backfill", "--as-of", NIGHTS[1], "--restate", "--json").json["runs"][0]
    assert restated["run_id"] != before["run_id"]
    difference = scored.run("diff", before["run_id"], restated["run_id"], "--json")
    assert difference.code == 0
    assert {"snapshot", "feature values"} <= set(difference.json["differs"])


def test_every_proof_holds(scored: World) -> None:
    done = scored.run("prove", "--as-of", NIGHTS[0], "--json")

    assert done.code == 0
    assert [each["name"] for each in done.json["proofs"] if not each["held"]] == []


def test_the_doctor_finds_nothing_wrong(scored: World) -> None:
    """Once the copy of the home has views of its own."""
    assert scored.run("run", "--as-of", NIGHTS[-1]).code == 0

    assert scored.run("doctor", "--json").code == 0


def test_scores_are_measured_beside_what_the_same_aircraft_collected_last_week(scored: World) -> None:
    """By the version when it was trained, and by published nights, whose runs kept the naive score among features."""
    [version] = scored.run("models", JOB, "--json").json["models"]
    shown = scored.run("show", version["model_version"], "--json").json["metrics"]["quality"]
    assert shown["baseline"]["feature"] == "plane_late_min_7d"
    assert version["quality"] == f"RMSE {shown['rmse']:.4f} (naive {shown['baseline']['rmse']:.4f})"

    scores = published(JOB)
    night = open_snapshot(JOB, NIGHTS[0])
    one = scores.filter(pl.col("as_of") == night.as_of)
    [without] = evaluate(JOB, one).to_dicts()
    [beside] = evaluate(JOB, one, features_of(night)).to_dicts()

    assert without["baseline"] is None
    assert without["rows"] == one.height
    assert {**beside, "baseline": None} == without
    happened = labels(JOB, NIGHTS[0])["label"].to_list()
    naive = features_of(night)["plane_late_min_7d"].to_list()
    expected = sum(abs(a - b) for a, b in zip(naive, happened, strict=True)) / len(naive)
    assert beside["baseline"]["mae"] == expected


def test_what_analysts_see_is_keyed_by_aircraft(scored: World) -> None:
    [(rows, aircraft, first, last)] = scored.published(
        f"SELECT count(*), count(DISTINCT tailnum), min(rank), max(rank) FROM {JOB}_latest"
    )

    assert rows == aircraft == last
    assert first == 1
    [(said,)] = scored.published(
        f"SELECT comment FROM duckdb_columns() WHERE table_name = '{JOB}' AND column_name = 'score'"
    )
    assert said.startswith("minutes of arrival delay")


def test_a_week_that_is_not_over_has_no_label_and_is_not_measured(scored: World) -> None:
    """Though some of its arrivals are known."""
    scored.sql("DELETE FROM flight_outcomes WHERE recorded_at >= TIMESTAMPTZ '2013-04-26 04:00:00+00'")

    assert labels(JOB, NIGHTS[0])["label"].null_count() == labels(JOB, NIGHTS[0]).height > 0


def test_a_job_beside_it_goes_on_where_its_tables_are_gone(world: World) -> None:
    """Both are in use; the one that lacks a table fails, and the other's night is published."""
    assert world.run("train", JOB, "--as-of", "2013-04-12").code == 0
    world.sql("ALTER TABLE planes DROP COLUMN engine")  # which only the other job reads

    done = world.run("run", "--as-of", "2013-04-12", "--json")

    assert done.code == 3
    assert {each["job"]: each["status"] for each in done.json["runs"]} == {JOB: "published", "flight_delay": "failed"}


def test_postgresql_gives_the_same_model_and_the_same_night(scored: World, server_world: ServerWorld) -> None:
    """From the rendered SQL: equal digests of snapshot and scores, and so equal names."""
    here = scored.run("runs", JOB, "--as-of", NIGHTS[0], "--json").json["runs"][0]
    shutil.rmtree(server_world.home)

    trained = server_world.run("train", JOB, "--as-of", AS_OF, "--json").json
    [there] = server_world.run("run", JOB, "--as-of", NIGHTS[0], "--json").json["runs"]

    assert trained["model_version"] == here["model_version"]
    for name in ("snapshot_digest", "scores_digest", "run_id", "row_count"):
        assert there[name] == here[name]
