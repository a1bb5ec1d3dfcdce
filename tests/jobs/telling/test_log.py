"""Log lines: one JSON object each, which says where a night spent its time and what became of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jobs.telling.log import FIELDS, SILENT, Lines, Log
from tests.jobs.telling.conftest import NIGHT, PROGRAM, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

AT = datetime(2013, 9, 1, 4, 45, tzinfo=UTC)


def logged(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def log(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lines of the world's commands go."""
    path = world.home.with_name("night.jsonl")
    monkeypatch.setenv("SCORE_LOG", str(path))
    return path


def test_a_night_is_told_phase_by_phase_and_table_by_table(world: World, log: Path) -> None:
    """With rows, bytes and milliseconds; from the snapshot on with the run's id."""
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]
    lines = logged(log)
    night = [line for line in lines if line["as_of"]]

    assert [(line["event"], line["phase"] or "") for line in lines] == [
        ("started", ""), ("phase", "lock"), ("phase", "model"), *[("table", "snapshot")] * 5, ("phase", "snapshot"),
        ("phase", "features"), ("phase", "score"), ("phase", "keep"), ("phase", "publish"), ("phase", "views"),
        ("night", ""), ("ended", ""),
    ]  # fmt: skip
    assert all(tuple(line)[: len(FIELDS)] == FIELDS for line in lines)
    assert {(line["command"], line["process"], line["level"]) for line in lines} == {("run", os.getpid(), "info")}
    assert {(line["job"], line["as_of"]) for line in night} == {("flight_delay", NIGHT)}
    ids = {line["phase"]: line["run_id"] for line in night}
    assert ids == {
        **dict.fromkeys(("model", "snapshot")),
        **dict.fromkeys(set(ids) - {"model", "snapshot"}, run["run_id"]),
    }
    assert all(isinstance(line["ms"], int) for line in lines[1:])
    assert lines[-1]["code"] == 0
    assert lines[-1]["ms"] >= sum(line["ms"] for line in lines if line["event"] == "phase" and line["as_of"])


def test_rows_and_bytes_are_those_of_what_is_kept(world: World, log: Path) -> None:
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]
    tables = world.run("snapshot", "--as-of", NIGHT, "--json").json["tables"]
    lines = logged(log)
    told = {line["table"]: line["rows"] for line in lines if line["event"] == "table"}
    phases = {line["phase"]: line for line in lines if line["event"] == "phase" and line["command"] == "run"}
    files = world.home.glob(f"runs/*/*/{run['run_id']}/*.parquet")

    assert told == {name: table["rows"] for name, table in tables.items()}
    assert phases["snapshot"]["rows"] == sum(told.values())
    assert phases["snapshot"]["bytes"] == sum(line["bytes"] for line in lines if line["event"] == "table")
    assert {phases[name]["rows"] for name in ("features", "score", "keep")} == {run["row_count"]}
    assert phases["keep"]["bytes"] == sum(path.stat().st_size for path in files)


def test_a_night_that_fails_is_told_with_code_name_and_message_and_where_it_broke_off(world: World, log: Path) -> None:
    world.sql("DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13'")
    world.run("run", "--as-of", NIGHT)
    log.unlink()

    result = world.run("run", "--as-of", "2013-04-14")
    errors = [line for line in logged(log) if line["level"] == "error"]

    assert result.code == 3
    assert [(each["event"], each["phase"]) for each in errors] == [
        ("table", "snapshot"), ("phase", "snapshot"), ("night", None), ("ended", None),
    ]  # fmt: skip
    assert {each["as_of"] for each in errors[:3]} == {"2013-04-13"}
    assert (errors[2]["code"], errors[2]["name"], errors[2]["status"]) == (65, "data", "failed")
    assert errors[2]["message"] in result.err
    assert errors[3]["code"] == 3


def test_a_command_that_fails_is_told_without_a_password(
    world: World, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", "mysql://u:s3cret@h/db")
    world.run("run", "--as-of", NIGHT)
    failed = logged(log)[1]

    assert (failed["event"], failed["code"], failed["name"]) == ("failed", 78, "config")
    assert failed["message"].startswith("SCORE_WAREHOUSE ")
    assert "s3cret" not in log.read_text()


def test_a_bug_is_told_without_what_it_says(world: World, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """70; its text may hold the contents of a row."""

    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("secret row contents")

    monkeypatch.setattr("jobs.steps.nights.score_snapshot", broken)

    assert world.run("run", "--as-of", NIGHT).code == 70
    assert [line["code"] for line in logged(log) if "code" in line] == [70, 70]
    assert "secret" not in log.read_text()


def test_training_backfills_and_replays_are_told_too(world: World, log: Path) -> None:
    world.run("run", "--as-of", NIGHT)
    log.unlink()
    for arguments in (["train", "flight_delay", "--as-of", "2013-04-11"], ["backfill", "--as-of", NIGHT], ["verify"]):
        assert world.run(*arguments).code == 0
    phases: dict[str, list[str]] = {}
    for line in logged(log):
        phases.setdefault(line["command"], []).append(line["phase"] or line["event"])

    assert phases == {
        "train": ["started", *["snapshot"] * 7, "features", "train", "ended"],
        "backfill": [
            "started", "lock", "model", "snapshot", "features", "score", "keep", "publish", "views", "night", "ended",
        ],
        "verify": ["started", "ended"],
    }  # fmt: skip


def test_nothing_is_told_unless_it_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_LOG", "")
    result = world.run("run", "--as-of", NIGHT)

    assert (result.code, result.err) == (0, "")
    SILENT.say("nothing")


def test_stderr_takes_the_lines_and_stdout_keeps_the_result(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_LOG", "-")
    result = world.run("run", "--as-of", NIGHT, "--json")

    assert result.json["runs"][0]["status"] == "published"
    assert [json.loads(line)["event"] for line in result.err.splitlines()][::15] == ["started", "ended"]


def test_a_phase_that_breaks_off_is_an_error_and_the_failure_goes_on() -> None:
    lines: list[str] = []
    log = Log(lines.append, lambda: AT).of(job="a")

    def broken() -> None:
        with log.phase("keep") as line:
            line["rows"] = 3
            raise KeyError

    with pytest.raises(KeyError):
        broken()

    told = json.loads(lines[0])
    assert (told["ts"], told["level"], told["phase"], told["rows"]) == (AT.isoformat(), "error", "keep", 3)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    """Each line is one write to the end of the file."""
    program = (
        f"from jobs.telling.log import Lines; lines = Lines({str(tmp_path / 'log')!r}, print)\n"
        "for _ in range(500): lines.write('x' * 3000 + '\\n')"
    )
    started = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) for _ in range(3)]

    assert [each.wait() for each in started] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == ("x" * 3000 + "\n") * 1500


def test_a_log_that_was_rotated_away_is_begun_again(world: World, log: Path) -> None:
    world.run("run", "--as-of", NIGHT)
    log.rename(log.with_suffix(".1"))
    world.run("run", "--as-of", NIGHT)

    assert [line["event"] for line in logged(log)] == ["started", "phase", "night", "ended"]


@pytest.mark.parametrize("place", ["/dev/full", "/no/such/folder/log", "/", "a\0b"])
def test_a_place_that_takes_no_line_is_told_once(place: str) -> None:
    told: list[str] = []
    lines = Lines(place, told.append)
    for _ in range(3):
        lines.write("{}\n")

    assert len(told) == 1
    assert told[0].startswith("SCORE_LOG: ")


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told: list[str] = []
    began = time.monotonic()
    Lines(str(tmp_path / "pipe"), told.append).write("{}\n")

    assert told == [
        "SCORE_LOG: No such device or address; no lines are written from here on, and the command goes on without them"
    ]
    assert time.monotonic() - began < 1


def test_a_reader_that_fell_asleep_is_waited_for_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told: list[str] = []
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    lines = Lines(str(tmp_path / "pipe"), told.append)
    began = time.monotonic()
    for _ in range(1000):
        lines.write("x" * 1000 + "\n")
    took = time.monotonic() - began
    read = os.read(reader, 1_000_000)
    os.close(reader)

    assert told == [
        "SCORE_LOG: it takes no more; no lines are written from here on, and the command goes on without them"
    ]
    assert 0.9 < took < 3
    assert set(read.splitlines()) == {b"x" * 1000}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_what_is_opened_in_the_night_never_gets_the_number_of_a_stream(closed: str) -> None:
    """A library that prints to a closed stdout would print into the lock, or into a file of scores."""
    program = "import os, jobs.cli as c; c.call = lambda _: os.open(os.devnull, os.O_RDONLY); c.main()"
    done = subprocess.run(["bash", "-c", f"'{sys.executable}' -c '{program}' {closed}"], cwd=ROOT, check=False)

    assert done.returncode >= 3


def test_cron_s_bare_environment_a_full_log_disk_and_closed_streams_do_not_stop_a_night(world: World) -> None:
    """No PATH, no HOME, no locale, no terminal; nothing can be said to anybody. The night is published."""
    named = f"SCORE_HOME='{world.home}' SCORE_WAREHOUSE='duckdb:///{world.warehouse}' SCORE_LOG=/dev/full"
    command = f"env -i {named} '{sys.executable}' -m jobs run --as-of {NIGHT} <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, check=False, timeout=120)

    assert done.returncode == 0
    assert world.published("SELECT count(*) FROM publications") == [(1,)]
    [manifest] = world.home.glob("runs/*/*/*/manifest.json")
    assert world.run("verify", manifest.parent.name).code == 0


def test_a_pipe_that_was_closed_does_not_stop_a_night(world: World) -> None:
    """The log goes to a stderr whose reader is gone."""
    command = f"set -o pipefail; {' '.join(PROGRAM)} run --as-of {NIGHT} 2>&1 >/dev/null | true"
    environ = environment(world, SCORE_LOG="-")
    done = subprocess.run(["bash", "-c", command], env=environ, cwd=ROOT, check=False, timeout=120)

    assert done.returncode == 0
    assert world.published("SELECT count(*) FROM publications") == [(1,)]
