"""A copy of SCORE_HOME is a backup: taken as docs/backup.md says, also while nights are at work, it is whole."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.evidence.inspecting import inspect_store
from jobs.store.home import Home, read_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
RECIPE = re.search(r"\n((?:    .*\n)*    for part in (.*); do\n(?:    .*\n)*)", PAGE)
assert RECIPE
PARTS = RECIPE[2].split()
NIGHTS = """
import sys
from jobs.cli import call
print("ready", flush=True)
for day in range(13, 31):
    assert call(["run", "--as-of", f"2013-04-{day}"]) == 0
"""


def copy(home: Path, backup: Path) -> None:
    """The recipe of the page, as a shell reads it."""
    subprocess.run(["bash", "-c", RECIPE[1]], env={**os.environ, "SCORE_HOME": home, "BACKUP": backup}, check=True)


def copy_part(home: Path, backup: Path, part: str) -> None:
    backup.mkdir(exist_ok=True)
    if (home / part).is_dir():
        shutil.copytree(home / part, backup / part)
    elif (home / part).exists():
        shutil.copy2(home / part, backup / part)


def run_files(home: Path) -> dict[str, bytes]:
    """The files of every run but the record of when and where it was executed, with their bytes."""
    found = sorted((home / "runs").glob("*/*/*/*"))
    return {str(path.relative_to(home)): path.read_bytes() for path in found if path.name != "execution.json"}


def shown(home: Path) -> list[tuple]:
    with duckdb.connect(str(home / "scores.duckdb"), read_only=True) as con:
        rows: list[tuple] = con.execute("SELECT * EXCLUDE (scored_at) FROM flight_delay ORDER BY ALL").fetchall()
        return rows


@pytest.fixture
def elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a backup goes; the program works there once it is restored."""
    yield world.home.with_name("restored")
    monkeypatch.setenv("SCORE_HOME", str(world.home))


def move_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_HOME", str(home))


def test_a_restored_home_replays_and_goes_on_as_the_one_that_it_is_a_copy_of(
    world: World, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage of every run, what analysts see, and the bytes of the next night."""
    for night in ("2013-04-12", "2013-04-13"):
        assert world.run("run", "--as-of", night).code == 0
    copy(world.home, elsewhere)
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted(set(PARTS) - {"proofs"})
    verdicts = world.run("verify", "--all", "--read-data", "--json")
    assert world.run("run", "--as-of", "2013-04-14").code == 0

    move_to(elsewhere, monkeypatch)
    assert "is missing; score run builds it anew" in world.run("verify", "--all").err
    assert world.run("run", "--as-of", "2013-04-13", "--json").json["runs"][0]["status"] == "already_published"
    assert world.run("verify", "--all", "--read-data", "--json") == verdicts
    assert world.run("run", "--as-of", "2013-04-14").code == 0
    assert run_files(elsewhere) == run_files(world.home)
    assert shown(elsewhere) == shown(world.home)


def test_an_older_backup_catches_up_to_the_same_runs(world: World) -> None:
    """What was published since is scored again: the same ids, the same bytes, for the warehouse says the same."""
    backup = world.home.with_name("backup")
    assert world.run("run", "--as-of", "2013-04-12").code == 0
    copy(world.home, backup)
    for night in ("2013-04-13", "2013-04-14"):
        assert world.run("run", "--as-of", night).code == 0
    before, seen = run_files(world.home), shown(world.home)
    shutil.rmtree(world.home)
    copy(backup, world.home)

    again = world.run("run", "--as-of", "2013-04-14", "--json").json["runs"]

    assert [(each["as_of"], each["status"]) for each in again] == [
        ("2013-04-13", "published"), ("2013-04-14", "published"),
    ]  # fmt: skip
    assert (run_files(world.home), shown(world.home)) == (before, seen)
    assert world.run("verify", "--all", "--read-data").code == 0


def copied_with_nights_between(world: World, backup: Path, parts: list[str], after: tuple[str, ...]) -> None:
    for part in parts:
        copy_part(world.home, backup, part)
        if part in after:
            assert world.run("run", "--as-of", f"2013-04-{13 + after.index(part)}").code == 0


def test_nights_between_the_parts_of_a_copy_does_no_harm(
    world: World, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a copied file names was there when it was copied, and is copied after it."""
    assert world.run("run", "--as-of", "2013-04-12").code == 0
    copied_with_nights_between(world, elsewhere, PARTS, ("events", "runs", "snapshots"))

    assert inspect_store(read_home(elsewhere)) == []
    move_to(elsewhere, monkeypatch)
    assert world.run("run", "--as-of", "2013-04-13").code == 0
    assert world.run("verify", "--all", "--read-data").code == 0


def test_in_the_order_of_a_walk_the_copy_lacks_something_and_verify_says_so(
    world: World, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why the page is strict about the order: one night, the parts by name."""
    assert world.run("run", "--as-of", "2013-04-12").code == 0
    copied_with_nights_between(world, elsewhere, sorted(PARTS), ("objects",))

    move_to(elsewhere, monkeypatch)
    assert world.run("verify", "--all").code == 80
    assert world.run("gc", "--delete").code == 80


def test_copies_taken_while_nights_are_at_work_are_whole(
    world: World, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copy after copy beside a process that publishes; it is killed in the end, and the last copy is of that."""
    assert world.run("run", "--as-of", "2013-04-12").code == 0
    backups: list[Path] = []
    with subprocess.Popen([sys.executable, "-c", NIGHTS], cwd=ROOT, stdout=subprocess.PIPE) as nights:
        assert nights.stdout
        assert nights.stdout.readline() == b"ready\n"
        while len(list(world.home.glob("runs/*/*/*"))) < 4:
            backups.append(world.home.with_name(f"backup{len(backups)}"))
            copy(world.home, backups[-1])
            time.sleep(0.37)
            assert nights.poll() is None
        nights.kill()
    assert nights.returncode == -signal.SIGKILL
    copy(world.home, elsewhere)

    for backup in [*backups, elsewhere]:
        assert inspect_store(Home(backup)) == []
    assert len({len(run_files(backup)) for backup in backups}) > 1
    assert world.run("run", "--as-of", "2013-04-16").code == 0
    for backup in (backups[-1], elsewhere):
        move_to(backup, monkeypatch)
        assert world.run("run", "--as-of", "2013-04-16").code == 0
        assert world.run("verify", "--all", "--read-data").code == 0
        same = run_files(world.home)
        assert {name: same[name] for name in run_files(backup)} == run_files(backup)
