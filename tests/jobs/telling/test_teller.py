"""Whoever is told how a night went: what they hear, and that none of them can harm it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.jobs.telling.conftest import NIGHT, PROGRAM, ROOT, THERE, Switch, asleep, environment, kept, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import World


@pytest.fixture
def told(switch: Switch, world: World, monkeypatch: pytest.MonkeyPatch) -> Switch:
    """A switch that the world's commands tell."""
    monkeypatch.setenv("SCORE_PING", switch.url)
    assert world.home.is_dir()
    return switch


def test_the_switch_hears_of_the_start_and_of_the_success_with_the_lines_of_the_screen(
    world: World, told: Switch
) -> None:
    world.run("run", "--as-of", NIGHT)
    told.heard.clear()
    result = world.run("run", "--as-of", "2013-04-14")

    assert told.heard == [("GET", f"{THERE}/start", ""), ("POST", THERE, result.out.rstrip("\n"))]
    assert len(result.out.splitlines()) == 2


def test_the_switch_hears_of_the_failure_with_the_line_of_the_screen(world: World, told: Switch) -> None:
    world.warehouse.unlink()
    result = world.run("run", "--as-of", NIGHT)

    assert result.code == 66
    assert told.heard[1:] == [("POST", f"{THERE}/fail", result.err.rstrip("\n").removeprefix("score: "))]


def test_nights_of_which_one_failed_are_a_failure_with_a_line_each(world: World, told: Switch) -> None:
    world.run("run", "--as-of", NIGHT)
    world.sql("DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13'")
    result = world.run("run", "--as-of", "2013-04-14")
    method, path, body = told.heard[-1]

    assert (result.code, method, path) == (3, "POST", f"{THERE}/fail")
    assert [line.split(":")[0] for line in body.splitlines()] == [
        "flight_delay as of 2013-04-13", "published flight_delay as of 2013-04-14",
    ]  # fmt: skip


def test_a_busy_job_is_a_failure_that_the_switch_hears_of(world: World, told: Switch) -> None:
    with (world.home / "locks" / "flight_delay.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert world.run("run", "--as-of", NIGHT).code == 75
    assert told.heard[-1][:2] == ("POST", f"{THERE}/fail")


@pytest.mark.parametrize("arguments", [["backfill", "--as-of", NIGHT], ["run", "--help"], ["run", "--wat"], ["runs"]])
def test_only_a_night_is_told(world: World, told: Switch, arguments: list[str]) -> None:
    """Whoever asks for help, or backfills by day, keeps no alarm silent."""
    world.run(*arguments)

    assert told.heard == []


def test_the_url_stands_nowhere_but_in_the_request(world: World, told: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    log, figures = world.home.with_name("log"), world.home.with_name("rescore.prom")
    monkeypatch.setenv("SCORE_LOG", str(log))
    monkeypatch.setenv("SCORE_METRICS", str(figures))
    told.answers = [(404, {})]
    result = world.run("run", "--as-of", NIGHT)
    doctor = world.run("doctor")
    written = [path.read_bytes() for path in (log, figures, *world.home.rglob("*")) if path.is_file()]

    assert result.err == "score: SCORE_PING: the answer was 404; the command is not affected\n" * 2
    assert all(THERE not in text for text in (result.out, result.err, doctor.out, doctor.err))
    assert not any(THERE.encode() in content for content in written)


# Where log, figures and pings go (`{here}` is a folder), how the server answers, and what is said of each on stderr.
TROUBLE = {
    "a full disk, no folder, nobody there": (
        "/dev/full", "/no/such/folder/x.prom", "refuses",
        ["SCORE_LOG: No space left", "SCORE_PING: Connection refused", "SCORE_PING: C", "SCORE_METRICS: No such file"],
    ),
    "no folder, one that takes no files, a name that nobody knows": (
        "/no/such/folder/log", "/sys/rescore.prom", "http://nobody.invalid/s3cret",
        ["SCORE_LOG: No such file", "SCORE_PING: ", "SCORE_PING: ", "SCORE_METRICS: "],
    ),
    "a folder, another suffix, a server in trouble": (
        "/", "{here}/figures.txt", "500",
        ["SCORE_LOG: Is a directory", "SCORE_PING: the answer was 500", "SCORE_PING: ", "SCORE_METRICS must be"],
    ),
    "a pipe that nobody reads, a folder of that name, a redirection to a file": (
        "{here}/pipe", "{here}/folder.prom", "302",
        ["SCORE_LOG: No such device", "SCORE_PING: the answer was 302", "SCORE_PING: ", "SCORE_METRICS: Is a"],
    ),
    "nothing, a folder where somebody hangs, a server that never answers": (
        "", "{here}/busy/x.prom", "sleeps",
        ["SCORE_PING: no answer", "SCORE_PING: no answer", "SCORE_METRICS: not done within"],
    ),
    "nothing, nothing, no web address": (
        "", "", "file:///etc/passwd", ["SCORE_PING must look like", "SCORE_PING must look like"],
    ),
}  # fmt: skip


@contextmanager
def server(answer: str) -> Iterator[str]:
    """The URL of a server that answers so."""
    if answer.isdigit():
        with listening() as switch:
            switch.answers = [(int(answer), {"Location": "file:///etc/passwd"})]
            yield switch.url
        return
    with asleep() as (url, socket):
        if answer == "refuses":
            socket.close()
        yield url if answer in {"refuses", "sleeps"} else answer


@pytest.fixture(scope="module")
def night(
    small_warehouse: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, bytes]]:
    """What the night prints and keeps when nobody is told."""
    home = tmp_path_factory.mktemp("untold") / "home"
    shutil.copytree(trained, home)
    environ = {**os.environ, "SCORE_HOME": str(home), "SCORE_WAREHOUSE": f"duckdb:///{small_warehouse}"}
    command = [*PROGRAM, "run", "--as-of", NIGHT, "--json"]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout, kept(home)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_with_those_who_are_told_changes_nothing(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    night: tuple[str, dict[str, bytes]],
    trouble: str,
) -> None:
    """Exit code, stdout and every stored byte are those of a night that nobody is told of; stderr says why."""
    log, figures, answer, said = TROUBLE[trouble]
    os.mkfifo(tmp_path / "pipe")
    for folder in ("folder.prom", "busy"):
        (tmp_path / folder).mkdir()
    busy = os.open(tmp_path / "busy", os.O_RDONLY)
    fcntl.flock(busy, fcntl.LOCK_EX)
    monkeypatch.setenv("SCORE_LOG", log.format(here=tmp_path))
    monkeypatch.setenv("SCORE_METRICS", figures.format(here=tmp_path))
    began = time.monotonic()
    with server(answer) as url:
        monkeypatch.setenv("SCORE_PING", url)
        result = world.run("run", "--as-of", NIGHT, "--json")
    took = time.monotonic() - began
    os.close(busy)

    assert (result.code, result.out, kept(world.home)) == (0, *night)
    assert took < 20
    lines = result.err.splitlines()
    assert len(lines) == len(said)
    for line, start in zip(lines, said, strict=True):
        assert line.startswith(f"score: {start}")


@pytest.mark.parametrize("answer", ["sleeps", "500"])
def test_a_night_that_fails_keeps_its_exit_code_and_its_line(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setenv("SCORE_LOG", "/dev/full")
    monkeypatch.setenv("SCORE_METRICS", "/no/such/folder/x.prom")
    world.warehouse.unlink()
    with server(answer) as url:
        monkeypatch.setenv("SCORE_PING", url)
        result = world.run("run", "--as-of", NIGHT, "--json")

    assert (result.code, result.json["error"]["code"]) == (66, 66)
    assert any(line.endswith(result.json["error"]["message"]) for line in result.err.splitlines())


@contextmanager
def at_work(world: World, url: str) -> Iterator[subprocess.Popen]:
    """A night in a process of its own, which tells a switch."""
    environ = environment(world, SCORE_PING=url, SCORE_METRICS=str(world.home.with_name("rescore.prom")))
    command = [*PROGRAM, "run", "--as-of", NIGHT]
    with subprocess.Popen(
        command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_night_that_is_killed_leaves_a_start_without_an_end(world: World, switch: Switch) -> None:
    """That is what a dead man's switch is for."""
    with at_work(world, switch.url) as process:
        until(lambda: any((world.home / "staging").glob("*/*.parquet")))
        process.kill()
        process.wait()

    assert switch.heard == [("GET", f"{THERE}/start", "")]
    assert not world.home.with_name("rescore.prom").exists()
    assert world.run("run", "--as-of", NIGHT).code == 0


def test_a_night_that_is_terminated_tells_of_its_failure(world: World, switch: Switch) -> None:
    with at_work(world, switch.url) as process:
        until(lambda: any((world.home / "staging").glob("*/*.parquet")))
        process.terminate()
        _, said = process.communicate(timeout=10)

    assert process.returncode == 143
    assert switch.heard[1:] == [("POST", f"{THERE}/fail", said.rstrip("\n").removeprefix("score: "))]
    assert 'exit_code{score_job="flight_delay"} 143\n' in world.home.with_name("rescore.prom").read_text()


def test_a_night_that_is_terminated_while_a_server_sleeps_ends_within_ten_seconds(world: World) -> None:
    with asleep() as (url, socket), at_work(world, url) as process:
        socket.settimeout(60)
        connection, _ = socket.accept()
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=30)
        took = time.monotonic() - began
        connection.close()

    assert process.returncode == 143
    assert took < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_night_ends_the_telling_only(world: World, switch: Switch, number: signal.Signals) -> None:
    """The scores are out and the exit code says so, though nobody heard of it."""
    with at_work(world, switch.url) as process:
        until(lambda: switch.heard)
        switch.holds.clear()
        until(lambda: switch.heard[1:])
        process.send_signal(number)
        out, said = process.communicate(timeout=10)

    assert (process.returncode, said) == (0, "")
    assert out.startswith("published flight_delay")
    assert world.published("SELECT count(*) FROM publications") == [(1,)]
