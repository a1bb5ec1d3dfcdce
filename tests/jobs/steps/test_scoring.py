"""What scoring refuses before it computes anything, and several jobs in one command."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.nights import Desk, exit_code, run_jobs
from jobs.steps.scoring import FeaturesOfAnotherVersion, SqlOfAnotherVersion, load_model, score_snapshot
from jobs.steps.snapshots import take_snapshot
from jobs.store.events import read_chain
from jobs.store.home import open_home
from jobs.store.registry import read_version

if TYPE_CHECKING:
    from tests.conftest import World

NIGHT = date(2013, 4, 12)


@pytest.fixture
def desk(world: World) -> Desk:
    """The job of the small world, as the command line would sit down to it."""
    named = {"SCORE_HOME": str(world.home), "SCORE_WAREHOUSE": f"duckdb:///{world.warehouse}"}
    job = load_job("flight_delay")
    settings = read_settings(named, lambda: datetime.now(UTC))
    return Desk(job, settings, open_home(world.home), (job,))


def test_a_model_scores_only_rows_of_the_sql_and_features_that_it_was_trained_with(desk: Desk, world: World) -> None:
    """Law 6: anything else is refused by name."""
    snapshot = take_snapshot(desk.job, desk.settings, desk.home, NIGHT).snapshot
    version = read_version(desk.home, desk.job.name, read_chain(desk.home, desk.job.name).champion(NIGHT))
    model = load_model(desk.home, version)
    weather = replace(snapshot.table("weather"), sql_fingerprint="0" * 64)
    others = tuple(weather if table.name == "weather" else table for table in snapshot.tables)

    with pytest.raises(SqlOfAnotherVersion, match="other SQL of weather than"):
        score_snapshot(desk.job, desk.home, replace(snapshot, tables=others), version, model, world.home)
    fewer = tuple(each for each in version.features if each[0] != "weekday")
    older = replace(version, features=fewer, feature_fingerprint="0" * 64)
    with pytest.raises(FeaturesOfAnotherVersion, match="`weekday` is new"):
        score_snapshot(desk.job, desk.home, snapshot, older, model, world.home)


def test_a_job_that_cannot_work_does_not_stop_the_others(desk: Desk, world: World) -> None:
    """Of several jobs each gets its outcome; here both are the busy one."""
    with (world.home / "locks" / "flight_delay.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outcomes = run_jobs([desk, desk], NIGHT)

    assert [outcome.failure.code for outcome in outcomes if outcome.failure] == [75, 75]
    assert exit_code(outcomes) == 75
