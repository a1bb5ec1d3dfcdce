"""The demonstration as a whole, on the flights that were known by March: every job, night by night, replayed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from jobs.definition import job_names, load_job

if TYPE_CHECKING:
    from tests.conftest import World

UNTIL = "2013-03-22"


def test_the_demonstration_trains_scores_and_replays_every_job_and_twice_is_once(world: World) -> None:
    """Labels of the night are not known by then, nor those of a week: nothing is claimed of how good the scores are."""
    shutil.rmtree(world.home)
    world.warehouse.unlink()

    done = world.run("demo", "--until", UNTIL, "--json")

    assert done.code == 0
    assert tuple(done.json["jobs"]) == job_names()
    assert done.json["identical"] is True
    for name, shown in done.json["jobs"].items():
        [run] = shown["runs"]
        assert (run["job"], run["as_of"], run["status"]) == (name, UNTIL, "published")
        assert shown["quality"] is None

    again = world.run("demo", "--until", UNTIL)

    assert again.code == 0
    for name, shown in done.json["jobs"].items():
        job, [run] = load_job(name), shown["runs"]
        assert f"{name}: {job.score_meaning}" in again.out
        assert f"of {run['row_count']:,} {job.words.things} as of {UNTIL}" in again.out
        assert (
            f"replayed {UNTIL}, {name} run {run['run_id'][:12]}, from what it kept: identical to the bit" in again.out
        )
    assert again.out.count("what really happened is not known yet") == len(job_names())
    assert again.out.count("not known yet") == 11 * len(job_names())
