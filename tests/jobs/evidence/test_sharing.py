"""Replays in several processes: what one process says of each run, in its order, and an end when it is asked for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.evidence import sharing
from jobs.evidence.sharing import ReplayerLost, verify_apart
from jobs.evidence.verifying import Choice, verify_runs
from jobs.project import OURS, Project
from jobs.screen import silent
from jobs.store.home import Home
from jobs.store.runs import kept_runs
from tests.jobs.evidence.tampering import JOB, flip

if TYPE_CHECKING:
    from tests.conftest import World

ROOT = Path(__file__).parents[3]
NIGHTS = 8


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, trained: Path, small_warehouse: Path) -> Path:
    """A home with eight nights; tests copy it."""
    from jobs.cli import call  # noqa: PLC0415

    home = tmp_path_factory.mktemp("nights") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        assert call(["backfill", "--as-of", "2013-04-12", "--until", f"2013-04-{11 + NIGHTS}"]) == 0
    return home


@pytest.fixture
def home(nights: Path, world: World) -> Home:
    """A copy of it, for the program too."""
    shutil.rmtree(world.home)
    shutil.copytree(nights, world.home)
    assert world.run("run", "--as-of", "2013-04-12").code == 0  # analysts see the runs where they lie now
    return Home(world.home)


def damage(home: Home) -> list[str | None]:
    """Damage five of the runs; the stages at which replays have to stop."""
    folders = list(kept_runs(home, [JOB.name]))
    flip(folders[0] / "manifest.json")
    flip(folders[2] / "features.parquet")
    flip(folders[3] / "scores.parquet")
    flip(folders[7] / "execution.json")
    [snapshot] = (home.root / "snapshots" / JOB.name / folders[5].parent.name).glob("*/taken.json")
    flip(snapshot)
    return ["run", None, "features", "scores", None, "snapshot", None, "run"]


def test_many_processes_say_what_one_says_of_whole_and_damaged_runs(home: Home) -> None:
    """Verdict by verdict, each with its detail, in the same order."""
    expected = damage(home)
    folders = kept_runs(home, [JOB.name])
    alone = verify_runs([JOB], home, Choice((), everything=True), 1, os.environ, silent)

    assert [each.first_divergence for each in alone] == expected
    for processes in (2, 3):
        assert verify_apart(OURS, home, folders, processes, os.environ, silent) == alone


def test_what_all_runs_need_is_found_damaged_by_each_process(home: Home) -> None:
    """A model that is not what was written: nobody replays with it, and everybody says so, and is told of."""
    [model] = home.root.glob("models/*/*/model.txt")
    flip(model)
    told: list[float | None] = []
    folders = kept_runs(home, [JOB.name])
    found = verify_apart(OURS, home, folders, 2, os.environ, lambda _, share=None: told.append(share))

    assert told == [n / NIGHTS for n in range(NIGHTS)]
    assert {(each.first_divergence, each.code) for each in found} == {("model", 80)}
    assert all(str(model) in each.detail for each in found)


def test_the_command_takes_processes_for_many_runs_only_and_prints_the_same(
    home: Home, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(home)
    alone = world.run("verify", "--all", "--threads", "1", "--json")
    asked: list[int] = []

    def apart(project: Project, place: Home, folders: list[Path], processes: int, *rest: object) -> object:
        asked.append(processes)
        return verify_apart(project, place, folders, processes, *rest)

    monkeypatch.setattr(sharing, "verify_apart", apart)
    shared = world.run("verify", "--all", "--threads", "2", "--json")
    world.run("verify", "--all", "--threads", "1")
    world.run("verify", "--threads", "2")

    assert asked == [2]
    assert (shared.code, shared.json, shared.err) == (alone.code, alone.json, alone.err)


def test_runs_are_shared_out_in_stretches_and_whoever_is_done_takes_from_the_longest() -> None:
    shares = sharing._shares(10, 3)
    assert [list(share) for share in shares] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]

    taken = []
    while (place := sharing._next(shares[0], shares, sharing.Lock())) is not None:
        taken.append(place)
    assert taken == [0, 1, 2, 9, 5, 8, 4, 7, 3, 6]
    assert all(later == earlier + 1 for earlier, later in pairwise(taken[:3]))


def test_a_process_that_is_lost_ends_it_with_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that the kernel killed for its memory."""
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(sharing.subprocess, "Popen", start)

    def kill_first(_text: str, _share: float | None = None) -> None:
        started[0].kill()

    with pytest.raises(ReplayerLost, match="--threads 1"):
        verify_apart(OURS, home, kept_runs(home, [JOB.name]), 2, os.environ, kill_first)
    assert all(process.returncode is not None for process in started)


def test_a_bug_in_another_process_is_a_bug_here_with_its_trace(home: Home) -> None:
    """A folder of a job that there is not: no run that was chosen lies in one."""
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*JobMissing"):
        verify_apart(OURS, home, [home.root / "runs" / "no_job" / "2013-04-12" / "ab"] * 2, 2, os.environ, silent)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_processes_at_once(home: Home, number: signal.Signals) -> None:
    """Within ten seconds, with its own code, and none of them goes on; sent to the group, as a terminal does.

    One that was just being started is not known yet: it ends when it finds that nobody asks it anything.
    """
    program = [sys.executable, "-c", "from jobs.cli import main; main()", "verify", "--all", "--threads", "2"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(program, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, process_group=0)
    children = wait_for_children(process.pid)
    began = time.monotonic()
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=10)

    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert time.monotonic() - began < 10
    while [each for each in children if Path(f"/proc/{each}").exists()]:
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    assert home.root.is_dir()


def test_processes_end_when_the_one_that_asks_is_killed(home: Home) -> None:
    """At the latest after the replay that they are in."""
    program = [sys.executable, "-c", "from jobs.cli import main; main()", "verify", "--all", "--threads", "2"]
    process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = wait_for_children(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{each}").exists() for each in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert home.root.is_dir()


def wait_for_children(process: int) -> list[int]:
    """The two processes that this one has started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
        if len(found) == 2:
            return found
        time.sleep(0.02)
    raise AssertionError("no processes were started")
