"""Which jobs are worked on when none is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call
from jobs.definition import job_names, load_job
from jobs.project import ROOMS
from jobs.steps.in_use import jobs_in_use, whose_jobs
from jobs.store.home import open_home

if TYPE_CHECKING:
    from tests.conftest import World

NIGHT = "2013-04-12"
pytestmark = pytest.mark.skipif(len(job_names()) == 1, reason="there is one job")


def test_a_job_that_was_never_trained_does_not_stop_the_nights_of_the_others(world: World) -> None:
    """Such as one that came with an upgrade."""
    done = world.run("run", "--as-of", NIGHT, "--json")

    assert done.code == 0
    assert [each["job"] for each in done.json["runs"]] == ["flight_delay"]


def test_before_anything_is_trained_no_job_is_passed_over(tmp_path: Path) -> None:
    """So that the first run says which jobs lack a model."""
    jobs = [load_job(name) for name in job_names()]

    assert jobs_in_use(jobs, open_home(tmp_path)) == jobs


def test_a_job_with_nothing_but_a_closed_night_on_record_is_in_use(world: World) -> None:
    other = next(name for name in job_names() if name != "flight_delay")
    assert world.run("skip", other, "--as-of", NIGHT, "--reason", "a test").code == 0

    done = world.run("run", "--as-of", NIGHT, "--json")

    assert done.code == 0
    assert {(each["job"], each["status"]) for each in done.json["runs"]} == {
        ("flight_delay", "published"), (other, "skipped"),
    }  # fmt: skip


def test_a_job_that_cannot_be_trained_does_not_stop_the_others(world: World) -> None:
    """The exit code says that some are done, and each failure is named."""
    world.sql("DROP TABLE weather")

    done = world.run("train", "--as-of", "2013-04-11", "--json")

    assert done.code == 3
    assert [each["job"] for each in done.json["failed"]] == ["flight_delay"]
    assert [each["job"] for each in done.json["trained"]] == [name for name in job_names() if name != "flight_delay"]
    assert "flight_delay: " in done.err


def test_what_no_job_can_be_trained_on_has_the_code_of_the_failure(world: World) -> None:
    done = world.run("train", "--as-of", "2013-01-20", "--json")

    assert (done.code, len(done.json["failed"]), done.json["trained"]) == (65, len(job_names()), [])


def test_a_command_about_one_job_takes_the_one_that_is_in_use(world: World) -> None:
    """Until a second one is trained; then it asks which."""
    assert world.run("rollback", "--reason", "a test").code == 66  # flight_delay has no other champion
    other = next(name for name in job_names() if name != "flight_delay")
    assert world.run("skip", other, "--as-of", NIGHT, "--reason", "a test").code == 0

    asked = world.run("rollback", "--reason", "a test")

    assert asked.code == 2
    assert "name one" in asked.err


def test_the_doctor_looks_at_the_jobs_in_use_and_at_any_that_is_named(world: World) -> None:
    """What a job that nobody uses lacks makes nobody ill."""
    other = next(name for name in job_names() if name != "flight_delay")

    assert {each["job"] for each in world.run("doctor", "--json").json["checks"]} == {None, "flight_delay"}
    assert {each["job"] for each in world.run("doctor", other, "--json").json["checks"]} == {None, other}


def test_our_own_jobs_are_said_to_be_ours_where_nobody_asked_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of any project and of our source, with nothing trained; not where one of them is named."""
    environ, source = {"SCORE_HOME": str(tmp_path / "home")}, Path(__file__).resolve().parents[3]
    monkeypatch.chdir(tmp_path)
    said = whose_jobs(None, environ, tmp_path) or ""

    assert f"the program's own jobs ({', '.join(job_names())})" in said
    assert f"their home is {tmp_path / 'home'}; cd into your project, or name it: score --project DIR" in said
    assert whose_jobs("orders", environ, tmp_path) == said
    assert whose_jobs("flight_delay", environ, tmp_path) is None
    assert whose_jobs(None, environ, source / "docs") is None
    assert whose_jobs(None, {**environ, "SCORE_PROJECT": str(source)}, tmp_path) is None

    for room in ROOMS:
        (tmp_path / "mine" / room).mkdir(parents=True)
    assert whose_jobs(None, environ, tmp_path / "mine" / "sql") is None

    (tmp_path / "home" / "events" / "flight_delay").mkdir(parents=True)
    (tmp_path / "home" / "events" / "flight_delay" / "00000001.json").touch()
    assert whose_jobs(None, environ, tmp_path) is None


def test_whose_jobs_these_are_is_said_once_on_stderr_and_in_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SCORE_HOME", "SCORE_WAREHOUSE", "SCORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)

    for command in (
        ["check"],
        ["models"],
        ["run", "--as-of", "2013-04-11"],
        ["train", "orders", "--as-of", "2013-04-11"],
    ):
        call([*command, "--json"])
        captured = capfd.readouterr()
        assert captured.err.count("no project here") == 1, command
        assert "no project here" not in captured.out
        json.loads(captured.out)
    assert call(["models", "flight_delay"]) == 0
    assert "no project here" not in capfd.readouterr().err
