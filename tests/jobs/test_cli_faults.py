"""Bad input, damage and bad luck: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from jobs import project
from jobs.steps.scoring import score_snapshot
from jobs.store.documents import read_document, write_document
from jobs.store.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World


def flip(path: Path, at: int = -9) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def lines(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]


BAD = [
    (["run", "--as-of", "yesterday"], 2, "yesterday"),
    (["run", "--as-of", "2013-02-30"], 2, "2013-02-30"),
    (["run", "--as-of", "2100-01-01"], 2, "has not begun yet"),
    (["run", "--wait", "soon"], 2, "soon"),
    (["run", "--wat"], 2, "--wat"),
    (["run", "no_such_job"], 66, "flight_delay"),
    (["run", "../../etc/passwd"], 2, "is no name"),
    (["run", "x" * 300], 2, "is no name"),
    (["run", "a\nb"], 2, "is no name"),
    (["snapshot"], 2, "--as-of"),
    (["snapshot", "--as-of", "1999-01-01"], 65, "timetable_v1.sql"),
    (["snapshot", "--as-of", "9999-12-31"], 2, "has not begun yet"),
    (["train", "flight_delay", "--as-of", "9999-12-31"], 2, "has not begun yet"),
    (["skip", "--as-of", "9999-12-31", "--reason", "x"], 2, "has not begun yet"),
    (["skip", "--as-of", "2013-04-12", "--reason", " "], 2, "one line"),
    (["run", "--as-of", "2013-W15-5"], 2, "2013-W15-5"),
    (["backfill", "--as-of", "2013-04-12", "--publish"], 2, "--model"),
    (["backfill", "--as-of", "2013-04-12", "--hindsight"], 2, "--model"),
    (["train", "flight_delay", "--as-of", "2013-01-20"], 65, "no night to train on"),
    (["backfill", "--as-of", "2013-04-12", "--until", "2013-04-11"], 2, "comes before"),
    (["backfill", "--as-of", "2013-04-12", "--model", "no-such-model"], 66, "no-such-model"),
    (["backfill", "--as-of", "2013-04-12", "--model", "../x"], 2, "is no name"),
    (["verify", "ffff"], 66, "ffff"),
    (["verify"], 66, "nothing was published"),
    (["diff", "ffff", "ffff"], 66, "ffff"),
    (["diff", "ffff"], 2, "RUN_B"),
    (["diff", "ffff", "ffff", "--top", "-1"], 2, "--top"),
    (["mutations"], 2, "--since"),
    (["mutations", "--since", "2013-04-12"], 66, "no night since 2013-04-12 is published"),
    (["mutations", "--since", "2013-04-12", "--until", "2013-04-11"], 2, "comes before"),
    (["show", "'; DROP TABLE x"], 66, "no run, model version or snapshot"),
    (["promote", "no-such-model", "--reason", "x"], 66, "no-such-model"),
    (["promote", "x"], 2, "--reason"),
    (["rollback", "--reason", "x"], 66, "no other champion"),
    (["sql", "SELECT 1"], 66, "nothing was published"),
    (["sql", "--snapshot", "zz", "SELECT 1"], 66, "zz"),
    (["nonsense"], 2, "nonsense"),
    (["snapshot", "--as-of", "0001-01-01"], 2, "before the year 1000"),
    (["train", "flight_delay", "--as-of", "0001-01-01"], 2, "before the year 1000"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), BAD, ids=[" ".join(each[0])[:40] for each in BAD])
def test_bad_input_gets_one_line_and_its_exit_code(world: World, arguments: list[str], code: int, said: str) -> None:
    """On stderr, for a person; with --json, one document on stdout for a program."""
    result = world.run(*arguments)
    assert (result.code, len(lines(result.err)), result.out) == (code, 1, "")
    assert said in result.err
    assert "Traceback" not in result.err

    as_json = world.run(*arguments, "--json")
    assert as_json.code == code
    assert as_json.json["error"]["code"] == code


@pytest.mark.parametrize(
    ("query", "said"),
    [(" ", "no statement"), (";", "no statement"), ("SELECT '\udc80'", "UTF-8"), ("SELECT", "SELECT clause")],
    ids=["blank", "semicolon", "bytes", "half"],
)
def test_a_query_that_is_none_gets_one_line(world: World, query: str, said: str) -> None:
    """2, before DuckDB is confused by it."""
    world.run("run", "--as-of", "2013-04-12")
    result = world.run("sql", query)

    assert (result.code, len(lines(result.err)), result.out) == (2, 1, "")
    assert said in result.err


def test_no_warehouse_is_said_in_one_line(world: World) -> None:
    """66, where it was looked for, and how to make one."""
    world.warehouse.unlink()
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 66
    assert "score demo --load-only" in result.err


def test_a_warehouse_that_is_open_for_writing_is_unavailable(world: World) -> None:
    """69: it is there, and cannot be read now."""
    program = (
        f"import duckdb, time; c = duckdb.connect({str(world.warehouse)!r}); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "open"
        result = world.run("run", "--as-of", "2013-04-12")
        writer.kill()

    assert result.code == 69


def test_a_renamed_source_column_is_named_with_the_file(world: World) -> None:
    """65: which column, which file."""
    world.sql("ALTER TABLE flight_outcomes RENAME arr_delay_min TO arrival_delay")
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 65
    assert "arr_delay_min" in result.err
    assert "outcomes_v1.sql" in result.err


def test_duplicate_keys_are_counted_and_refused(world: World) -> None:
    """65, no row contents."""
    world.sql("INSERT INTO scheduled_flights FROM scheduled_flights WHERE flight_date = DATE '2013-04-12'")
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 65
    assert "occur more than once" in result.err


def test_an_edited_released_file_stops_the_night(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """80: one more space is enough."""
    folder = tmp_path / "sql"
    shutil.copytree(project.sql_root(), folder)
    monkeypatch.setattr(project, "sql_root", lambda: folder)
    with (folder / "flight_delay" / "weather_v1.sql").open("a") as file:
        file.write(" ")
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 80
    assert "weather_v1.sql" in result.err


def objects_of(world: World, digest: str) -> list[Path]:
    """The objects that a snapshot refers to."""
    folder = world.home / "snapshots" / "flight_delay" / "2013-04-12" / digest
    body = read_document(folder / "manifest.json", "snapshot")
    digests = [part[4] for table in body["tables"] for part in table["partitions"]]
    return [world.home / "objects" / each[:2] / f"{each}.parquet" for each in digests]


@pytest.mark.parametrize("pattern", ["runs/*/*/*/manifest.json", "events/*/00000002.json"])
def test_a_damaged_manifest_or_event_is_named(world: World, pattern: str) -> None:
    """80, with the file's name, whether it is the newest run or one of all."""
    world.run("run", "--as-of", "2013-04-12")
    damaged = next(iter(sorted(world.home.glob(pattern))))
    flip(damaged)

    for arguments in (["verify"], ["verify", "--all"]):
        result = world.run(*arguments)
        assert result.code == 80
        assert str(damaged) in result.err


def test_nothing_is_published_from_a_damaged_object_or_model(world: World) -> None:
    """The next night reads the same objects, and stops before it shows anything."""
    first = world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]
    damaged = objects_of(world, first["snapshot_digest"])[10]
    flip(damaged)
    assert world.run("run", "--as-of", "2013-04-13").code == 80
    flip(damaged)

    model = next(world.home.glob("models/*/*/model.txt"))
    flip(model)
    assert world.run("run", "--as-of", "2013-04-13").code == 80
    flip(model)

    assert world.published("SELECT count(*) FROM publications") == [(1,)]
    assert world.run("run", "--as-of", "2013-04-13").code == 0


def test_an_event_that_was_taken_out_is_missed(world: World) -> None:
    """The chain has a gap: 80."""
    world.run("run", "--as-of", "2013-04-13")
    world.run("run", "--as-of", "2013-04-14")
    next(world.home.glob("events/*/00000002.json")).unlink()

    assert world.run("run", "--as-of", "2013-04-14").code == 80


def test_the_same_run_with_other_scores_is_an_alarm(world: World) -> None:
    """81, and the message says how to look into it."""
    run = world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]
    manifest = next(world.home.glob("runs/*/*/*/manifest.json"))
    write_document(manifest, "run", {**read_document(manifest, "run"), "scores_digest": "0" * 64})

    result = world.run("backfill", "--as-of", "2013-04-12")

    assert result.code == 81
    assert f"score verify {run['run_id']}" in result.err
    assert world.run("verify", "--json").json["runs"][0]["first_divergence"] == "raw_scores"


def test_a_second_process_is_told_that_the_job_is_busy(world: World) -> None:
    """75 within a second, with the holder's process id."""
    lock = world.home / "locks" / "flight_delay.lock"
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 4711, since 2013-04-12T04:45:00Z")
        held.flush()
        began = time.monotonic()
        result = world.run("run", "--as-of", "2013-04-12")
        took = time.monotonic() - began

    assert result.code == 75
    assert "process 4711" in result.err
    assert took < 5


def test_a_terminated_run_leaves_nothing_half_done(world: World) -> None:
    """SIGTERM in the middle: 143, staging empty, the next run needs nobody."""
    program = [sys.executable, "-c", "from jobs.cli import main; main()", "run", "--as-of", "2013-04-12"]
    with subprocess.Popen(
        program, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 60
        while not any((world.home / "staging").glob("*/*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 143
    assert len(lines(said.decode())) == 1
    assert list((world.home / "staging").iterdir()) == []
    assert world.run("run", "--as-of", "2013-04-12").code == 0


def test_a_bug_is_one_line_and_its_trace_is_in_the_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """70: what no table of failures knows."""

    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("secret row contents")

    monkeypatch.setattr("jobs.steps.nights.score_snapshot", broken)
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 70
    assert len(lines(result.err)) == 1
    assert "secret" not in result.err
    assert "ZeroDivisionError" in (world.home / "log" / "score.log").read_text()


def test_a_full_disk_keeps_the_previous_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """74 when an fsync fails; not acknowledged, and the next run does the night."""
    world.run("run", "--as-of", "2013-04-12")

    def full(_path: object) -> None:
        raise OSError(28, "No space left on device", "scores.parquet")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.store.objects.sync_file", full)
        result = world.run("run", "--as-of", "2013-04-13")

    assert result.code == 74
    assert "No space left" in result.err
    assert world.published("SELECT count(*) FROM publications") == [(1,)]
    assert world.run("run", "--as-of", "2013-04-13").code == 0


def test_a_kill_between_event_and_views_is_mended_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event says published, the analysts' views do not show it yet: whoever comes next builds them."""
    world.run("run", "--as-of", "2013-04-12")
    with monkeypatch.context() as patch:
        patch.setattr("jobs.steps.nights.refresh_views", lambda *_: False)
        world.run("run", "--as-of", "2013-04-13")
    assert world.published("SELECT max(as_of)::VARCHAR FROM flight_delay") == [("2013-04-12",)]

    assert world.run("run", "--as-of", "2013-04-13", "--json").json["runs"][0]["status"] == "already_published"
    assert world.published("SELECT max(as_of)::VARCHAR FROM flight_delay") == [("2013-04-13",)]


def test_json_is_one_document_even_when_some_nights_fail(world: World) -> None:
    """Runs and the error, in one object."""
    world.sql("DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13'")
    world.run("run", "--as-of", "2013-04-12")
    content = json.loads(world.run("run", "--as-of", "2013-04-14", "--json").out)

    assert content["error"]["code"] == 3
    assert content["error"]["name"] == "incomplete"
    assert len(content["runs"]) == 2


def test_several_processes_take_the_same_snapshot_at_once(world: World) -> None:
    """No lock is needed: all succeed, with the same digest, and the store is whole."""
    program = [sys.executable, "-c", "from jobs.cli import main; main()", "snapshot", "--as-of", "2013-04-12", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    started = [subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [process.communicate(timeout=120)[0] for process in started]

    assert [process.returncode for process in started] == [0, 0, 0]
    assert len({json.loads(each)["digest"] for each in printed}) == 1
    assert len(list((world.home / "snapshots" / "flight_delay" / "2013-04-12").iterdir())) == 1
    assert world.run("run", "--as-of", "2013-04-12").code == 0
    assert world.run("verify").code == 0


def test_an_edit_that_no_longer_parses_is_still_called_an_edit(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 and not 78: what was released is looked at before it is parsed."""
    folder = tmp_path / "sql"
    shutil.copytree(project.sql_root(), folder)
    monkeypatch.setattr(project, "sql_root", lambda: folder)
    (folder / "flight_delay" / "weather_v1.sql").write_text("DROP TABLE weather")

    assert world.run("run", "--as-of", "2013-04-12").code == 80


def test_a_damaged_run_of_the_history_is_not_published(world: World) -> None:
    """It was kept, it was damaged, and now it shall be shown: 80, and analysts see what they saw."""
    first = world.run("run", "--as-of", "2013-04-20", "--json").json["runs"][0]
    challenger = world.run("train", "flight_delay", "--as-of", "2013-04-15", "--json").json["model_version"]
    beside = world.run("backfill", "--as-of", "2013-04-20", "--model", challenger, "--json").json["runs"][0]
    flip(next(world.home.glob(f"runs/*/*/{beside['run_id']}/scores.parquet")))

    assert world.run("backfill", "--as-of", "2013-04-20", "--model", challenger, "--publish").code == 80
    assert world.published("SELECT DISTINCT run_id FROM flight_delay") == [(first["run_id"],)]


def test_a_backfill_that_loses_its_lock_lists_what_it_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """3: one night done, one busy."""
    world.run("run", "--as-of", "2013-04-11")
    taken: list[TextIO] = []

    def takes_the_lock(*arguments: object, **named: object) -> object:
        scored = score_snapshot(*arguments, **named)
        if not taken:
            taken.append((world.home / "locks" / "flight_delay.lock").open("r+"))
        return scored

    monkeypatch.setattr("jobs.steps.nights.score_snapshot", takes_the_lock)
    real = locked

    @contextmanager
    def others_come_first(path: Path, wait_s: float = 0.0) -> Iterator[None]:
        if taken:
            fcntl.flock(taken[0], fcntl.LOCK_EX)
        with real(path, wait_s):
            yield

    monkeypatch.setattr("jobs.steps.nights.locked", others_come_first)
    result = world.run("backfill", "--as-of", "2013-04-12", "--until", "2013-04-14", "--json")
    taken[0].close()

    assert result.code == 3
    assert [(run["as_of"], run["status"]) for run in result.json["runs"]] == [
        ("2013-04-12", "published"),
        ("2013-04-13", "failed"),
    ]


@pytest.mark.parametrize("closing", ["2>&-", ">&- 2>&- <&-", ">/dev/full", ">/dev/full 2>/dev/full", "| true"])
def test_closed_and_full_streams_change_nothing(world: World, closing: str) -> None:
    """The night is published, and the exit code says so."""
    program = f"{sys.executable} -c 'from jobs.cli import main; main()' run --as-of 2013-04-12 {closing}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program}"],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert world.published("SELECT count(*) FROM publications") == [(1,)]


@pytest.mark.parametrize(
    "url",
    ["mysql://u:s3cret@h/db", "duckdb:///postgresql://u:s3cret@h/db", "duckdb:///md:x?token=s3cret", "s3cret"],
)
def test_a_warehouse_that_is_none_is_refused_without_its_password(
    world: World, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """78, and what stood in the variable is repeated nowhere."""
    monkeypatch.setenv("SCORE_WAREHOUSE", url)
    result = world.run("run", "--as-of", "2013-04-12", "--json")

    assert result.code == 78
    assert "s3cret" not in result.out + result.err


def test_a_home_that_was_copied_elsewhere_verifies_and_answers_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup is a copy: nothing has to be run first, and nothing of the old place is looked at."""
    world.run("run", "--as-of", "2013-04-12")
    copy = world.home.with_name("a copy [1] of 'it'")
    shutil.copytree(world.home, copy)
    shutil.rmtree(world.home)
    monkeypatch.setenv("SCORE_HOME", str(copy))

    assert world.run("verify", "--all").code == 0
    assert world.run("sql", "SELECT count(*) > 0 AS any FROM flight_delay_latest", "--json").json["rows"] == [[True]]


def test_reading_commands_make_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped SCORE_HOME is not made by looking at it."""
    elsewhere = tmp_path / "mistyped"
    monkeypatch.setenv("SCORE_HOME", str(elsewhere))
    for command in ("runs", "models", "snapshots"):
        assert world.run(command).code == 0
    assert world.run("verify").code == 66
    assert not elsewhere.exists()


def test_a_null_in_the_key_of_an_outcome_is_counted_and_refused(world: World) -> None:
    """65: the join with the timetable does not hide it."""
    world.sql("UPDATE flight_outcomes SET carrier = NULL WHERE flight_date = DATE '2013-04-09' AND flight < 100")
    result = world.run("run", "--as-of", "2013-04-12")

    assert result.code == 65
    assert "outcomes_v1.sql" in result.err
    assert "null in the key" in result.err
