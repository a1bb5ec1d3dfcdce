"""Where jobs come from: the folder that is named, the one around, or the program's own; half a project is none."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs import project as project_module
from jobs.definition import JobMissing, all_jobs, job_names, load_job
from jobs.environment import code, host, lock_file, lock_sha256
from jobs.project import OURS, ROOMS, Project, ProjectMissing, ProjectRefused, project_around, project_at
from jobs.settings import SettingRefused, read_project, read_settings

if TYPE_CHECKING:
    from tests.conftest import World

ROOT = Path(__file__).resolve().parents[2]


def rooms(folder: Path, *names: str) -> Path:
    for name in names or ROOMS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def with_job(folder: Path, name: str = "mine") -> Path:
    """A whole project with a copy of our own job's TOML under another name."""
    text = (OURS.jobs / "flight_delay.toml").read_text(encoding="utf-8")
    (rooms(folder) / "jobs" / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_has_its_own_jobs_only_and_ours_are_those_of_the_program(tmp_path: Path) -> None:
    there = project_at(with_job(tmp_path / "p"))

    assert job_names(there) == ("mine",)
    assert "flight_delay" in job_names(OURS)
    assert "mine" not in job_names(OURS)
    job = load_job("mine", there)
    assert (job.sql_folder, job.models_folder) == (tmp_path / "p" / "sql" / "mine", tmp_path / "p" / "models")
    assert (job.project, load_job("flight_delay").project) == (there, OURS)
    with pytest.raises(JobMissing, match=r"no job `flight_delay` in the project .*/p; there is mine"):
        load_job("flight_delay", there)


def test_a_project_without_a_job_says_where_one_would_stand(tmp_path: Path) -> None:
    with pytest.raises(JobMissing, match=rf"the project {tmp_path} has no job: there is no TOML in {tmp_path}/jobs"):
        all_jobs(project_at(rooms(tmp_path)))


@pytest.mark.parametrize("lacking", ROOMS)
def test_half_a_project_says_what_is_missing_and_nobody_elses_jobs_are_taken(tmp_path: Path, lacking: str) -> None:
    """Named or found: three of the four rooms are meant as a project."""
    folder = rooms(tmp_path / "p", *(room for room in ROOMS if room != lacking))

    for look in (project_at, project_around):
        with pytest.raises(ProjectRefused, match=rf"{folder} is no whole project: {lacking}/ missing"):
            look(folder)


def test_a_toml_in_jobs_is_enough_to_be_meant(tmp_path: Path) -> None:
    folder = rooms(tmp_path, "jobs")
    assert project_around(folder) == OURS

    (folder / "jobs" / "mine.toml").write_text("")
    with pytest.raises(ProjectRefused, match=r"sql/ and features/ and models/ missing"):
        project_around(folder)


def test_the_nearest_project_above_counts_from_whichever_folder(tmp_path: Path) -> None:
    outer, inner = with_job(tmp_path / "outer"), with_job(tmp_path / "outer" / "inner", "other")

    for folder in (inner, inner / "sql", rooms(inner, "notes/deep") / "notes" / "deep"):
        assert project_around(folder) == Project(inner)
    assert project_around(outer / "sql") == Project(outer)
    assert project_around(rooms(outer / "tests")) == Project(outer), "rooms alone are not as good as a job"
    assert project_around(tmp_path) == OURS


def test_the_source_of_the_program_is_no_project(tmp_path: Path) -> None:
    """In a checkout its own jobs run as ever; another copy of it cannot be run by this one."""
    assert project_around(ROOT / "tests") == OURS
    assert project_at(ROOT) == OURS

    copy = with_job(tmp_path / "copy")
    (copy / "jobs" / "definition.py").write_text("")
    assert project_around(copy) == OURS
    with pytest.raises(ProjectRefused, match="another copy of it runs"):
        project_at(copy)


def test_a_project_is_the_same_however_one_comes_to_it(tmp_path: Path) -> None:
    """By a link, with dots, with spaces and letters of other alphabets: its home is one folder."""
    folder = with_job(tmp_path / "Prévisions du réseau")
    link = tmp_path / "current"
    link.symlink_to(folder)

    assert {project_at(each) for each in (folder, link, folder / "sql" / "..")} == {Project(folder)}
    assert project_around(link / "jobs") == Project(folder)


def test_code_of_another_user_is_run_only_if_its_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that everybody may write to, below which somebody calls the program."""
    folder = with_job(tmp_path / "p")
    monkeypatch.setattr(project_module.os, "geteuid", lambda: 4242)
    if folder.stat().st_uid == 0:
        os.chown(folder, 4343, -1)

    with pytest.raises(ProjectRefused, match=r"belongs to .*its code would be run; name it"):
        project_around(folder)
    assert project_at(folder) == Project(folder)


def test_what_is_named_goes_before_what_is_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, around = with_job(tmp_path / "named"), with_job(tmp_path / "around")
    monkeypatch.chdir(around)

    assert read_project({"SCORE_PROJECT": "../named"}) == Project(named)
    assert read_project({"SCORE_PROJECT": ""}) == Project(around)
    with pytest.raises(ProjectMissing, match="there is no folder"):
        read_project({"SCORE_PROJECT": str(tmp_path / "nowhere")})
    with pytest.raises(SettingRefused, match="SCORE_PROJECT must be UTF-8"):
        read_project({"SCORE_PROJECT": "p\udcff"})


def test_the_home_of_a_project_lies_in_it_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = with_job(tmp_path / "p")
    monkeypatch.chdir(folder / "sql")
    then = read_settings({}, project_clock)

    assert (then.home, then.project) == (folder / "var", Project(folder))
    assert read_settings({"SCORE_HOME": str(tmp_path / "h")}, project_clock).home == tmp_path / "h"


def project_clock():  # noqa: ANN201  a clock
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime(2013, 4, 12, tzinfo=UTC)


def test_the_code_on_record_covers_the_modules_and_the_tomls_of_a_project(tmp_path: Path) -> None:
    there = project_at(with_job(tmp_path / "p"))
    before = code(there)
    assert before.keys() - code(OURS).keys() == {"project_features", "project_jobs", "project_models"}
    assert code(OURS).items() <= before.items()

    for room, name in (("features", "deep/mine.py"), ("models", "mine.toml"), ("jobs", "mine.toml")):
        path = tmp_path / "p" / room / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("# changed\n")
        after = code(there)
        assert [key for key in after if after[key] != before[key]] == [f"project_{room}"]
        before = after
    (tmp_path / "p" / "features" / "notes.txt").write_text("no code")
    (tmp_path / "p" / "features" / ".#mine.py").symlink_to("an editor's lock, which names nobody's file")
    assert code(there) == before
    assert (host(there)["project"], "project" in host(OURS)) == (str(tmp_path / "p"), False)


def test_the_lock_file_of_a_project_is_the_one_on_record(tmp_path: Path) -> None:
    there = project_at(rooms(tmp_path))
    assert lock_file(there) == lock_file(OURS) == (ROOT / "uv.lock").read_bytes()

    (tmp_path / "uv.lock").write_bytes(b"version = 1\n")
    assert lock_file(there) == b"version = 1\n"
    assert lock_sha256(there) != lock_sha256(OURS)


def test_no_module_forgets_to_say_of_which_project_a_job_is() -> None:
    """`OURS` is the default for whoever works in our own source; the program itself passes what the edge found."""
    forgotten = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "jobs").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if len(node.args) < {"load_job": 2, "job_names": 1, "parse_job": 4}.get(node.func.id, 0)
    ]

    assert forgotten == []


def test_an_empty_project_option_is_refused_and_never_our_own_jobs(world: World) -> None:
    """As `--project "$PROJECT"` in a crontab that does not set it."""
    done = world.run("--project", "", "runs")

    assert done.code == 2
    assert "names no folder" in done.err


def test_a_project_that_is_named_after_the_command_is_told_where_to_stand(world: World, tmp_path: Path) -> None:
    done = world.run("runs", "--project", str(tmp_path))

    assert done.code == 2
    assert "it stands before the command: score --project DIR COMMAND" in done.err


def test_the_demonstration_is_not_mixed_into_a_project(world: World, tmp_path: Path) -> None:
    done = world.run("--project", str(with_job(tmp_path / "p")), "demo")

    assert done.code == 2
    assert "scores the program's own job" in done.err


def test_a_job_of_a_project_stands_in_messages_with_its_project(world: World, tmp_path: Path) -> None:
    folder = with_job(tmp_path / "p")
    refused = world.run("--project", str(folder), "run", "flight_delay", "--json")

    assert refused.code == 66
    assert refused.json["error"]["message"] == f"there is no job `flight_delay` in the project {folder}; there is mine"
    assert world.run("runs").code == 0, "the option holds for one call"
