"""`score gc` on a real home: what nothing needs goes, what anything needs stays, whatever comes in between."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.collecting import deleting
from jobs.collecting.choosing import choose
from jobs.collecting.deleting import collect, look_through
from jobs.collecting.stored import read_stored
from jobs.definition import load_job
from jobs.evidence.inspecting import inspect_store
from jobs.evidence.retraining import retrain_version
from jobs.evidence.verifying import verify_run
from jobs.steps import snapshots as looking
from jobs.steps.snapshots import take_snapshot
from jobs.store.documents import write_document
from jobs.store.home import Home, read_home, staging
from jobs.store.locks import locked
from jobs.store.objects import object_path
from jobs.store.registry import read_version, version_names
from jobs.store.runs import kept_runs, read_run
from jobs.store.snapshots import kept_snapshots, newest_kept, read_snapshot
from tests.jobs.collecting.litter import (
    JOB,
    KINDS,
    LOOKED_AT,
    NIGHT,
    TRAINED,
    aged,
    files,
    orphan,
    snapshot_of,
    superseded,
    superseded_training,
)
from tests.jobs.evidence.tampering import flip, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World

WEEK_S = 604_800.0
ROOT = Path(__file__).parents[3]


def gone(before: dict[str, bytes], root: Path) -> set[Path]:
    """The files that are not there any more; those that are have the bytes that they had."""
    after = files(root)
    assert {name: before[name] for name in after} == after
    return {root / name for name in before.keys() - after.keys()}


def littered(root: Path, number: int = 0) -> set[Path]:
    """One of each kind; returns the files that nobody needs."""
    return set().union(*(kind(root, number) for kind in KINDS))


def test_what_nothing_needs_goes_and_every_verdict_is_as_before(world: World) -> None:
    """The promise of the command, on a home with each kind of litter: replays, stored files, training again."""
    verify = ("verify", "--all", "--read-data", "--retrain", "--json")
    needed = files(world.home)
    assert world.run("gc", "--json").json["snapshots"] == []
    before = world.run(*verify)
    litter = littered(world.home)
    with_litter = files(world.home)

    result = world.run("gc", "--delete", "--json")

    assert (result.code, before.code) == (0, 0)
    assert gone(with_litter, world.home) == litter
    assert files(world.home) == needed
    assert world.run(*verify) == before
    assert (result.json["deleted"], result.json["more_than_half"], result.json["too_young"]) == (True, False, 0)
    assert [each["as_of"] for each in result.json["snapshots"]] == [TRAINED, NIGHT]
    assert (result.json["objects"]["count"], result.json["temporary"]["count"]) == (3, 2)
    assert world.run("gc", "--delete", "--json").json["objects"]["count"] == 0


def test_without_delete_it_only_says_what_would_go(world: World) -> None:
    """Words for a person, and not a byte of difference: no lock, no staging, nothing."""
    littered(world.home)
    shutil.rmtree(world.home / "staging")
    before = {path: path.stat().st_mtime_ns for path in world.home.rglob("*")}

    said = world.run("gc")

    assert said.code == 0
    assert "would delete 2 snapshots, 3 objects (" in said.out
    assert "2 temporary files, the oldest of " in said.out
    assert "nothing was deleted; to do it: score gc --delete" in said.out
    assert {path: path.stat().st_mtime_ns for path in world.home.rglob("*")} == before
    assert "deleted 2 snapshots, 3 objects (" in world.run("gc", "--delete").out
    assert "nothing to delete" in world.run("gc").out


def test_what_is_younger_than_a_week_stays_until_it_is_not(world: World) -> None:
    """Somebody may be about to refer to it; how much there is of it is said."""
    aged(littered(world.home), 6 * 86_400)

    assert world.run("gc", "--delete", "--json").json["too_young"] == 7
    assert "nobody needs 7 things more, younger than 7 days" in world.run("gc").out
    assert world.run("gc", "--delete", "--older-than", "5d", "--json").json["objects"]["count"] == 3


@pytest.mark.parametrize("age", ["", "7", "-1d", "1w", "1d2h", "1.5d"])
def test_an_age_is_days_or_hours(world: World, age: str) -> None:
    assert world.run("gc", "--older-than", age).code == 2


def test_what_is_not_ours_stays(world: World) -> None:
    """Notes of a person, objects under another name, logs: none of it is what this deletes."""
    others = ["objects/notes.txt", "objects/ab/notes.parquet", f"objects/ab/{'c' * 64}.parquet", "log/score.log",
              f"snapshots/{JOB}/2013-04-12/notes.txt", f"runs/{JOB}/.x.1.tmp", ".secret", ".env.tmp"]  # fmt: skip
    for name in others:
        (world.home / name).parent.mkdir(exist_ok=True)
        (world.home / name).write_text("mine")
        aged({world.home / name})
    before = files(world.home)

    assert world.run("gc", "--delete", "--older-than", "0d").code == 0
    assert files(world.home) == before


@pytest.mark.parametrize("seed", range(12))
def test_of_any_heap_of_litter_exactly_that_goes(world: World, seed: int) -> None:
    """Any number of each kind, each old or young: what is old goes, and the home is whole in every byte."""
    drawn = random.Random(seed)  # noqa: S311  a heap of litter is no secret
    old, young = set(), set()
    for kind in KINDS:
        for number in range(drawn.randrange(4)):
            paths = kind(world.home, number)
            (old if drawn.random() < 0.6 else young).update(paths)
    aged(young, 3_600)
    before = files(world.home)

    collect(Home(world.home), [], datetime.now(UTC), WEEK_S, more_than_half=False)

    assert gone(before, world.home) == old
    assert inspect_store(Home(world.home)) == []


def test_nothing_that_stays_could_go(world: World) -> None:
    """Tight: without any one of the snapshots or objects that are kept, a replay, a training or a look is another."""
    littered(world.home)
    assert world.run("gc", "--delete").code == 0
    home, job = read_home(world.home), load_job(JOB)
    kept = [(each.as_of, each.digest) for each in kept_snapshots(home, JOB)]
    runs = {read_run(folder).inputs.snapshot_digest: folder for folder in kept_runs(home, [JOB])}
    [version] = version_names(home, JOB)

    assert len(kept) == 6  # the 10th to train and to score, the 11th, the 12th twice, the 13th
    for as_of, digest in kept:
        folder = home.snapshots(JOB, as_of) / digest
        first_night = read_snapshot(home, JOB, as_of, digest).first_night
        aside = world.home / "aside"
        folder.rename(aside)
        if digest in runs:
            assert verify_run(job, home, runs[digest]).first_divergence == "snapshot"
        elif first_night != as_of:
            assert "is not kept" in retrain_version(job, home, version, 1).detail
        else:
            assert as_of.isoformat() == LOOKED_AT
            assert newest_kept(home, JOB, as_of, first_night=as_of) is None
        aside.rename(folder)
    found = sorted(home.objects.glob("*/*.parquet"))
    for path in found[:: len(found) // 25]:
        path.rename(world.home / "aside")
        assert any(path.name in each.message for each in inspect_store(home))
        (world.home / "aside").rename(path)


def test_the_last_snapshot_that_a_version_of_sql_took_stays(world: World) -> None:
    """The next look by that SQL holds the types of its source columns against what it read then."""
    superseded(world.home, 0)
    stored = read_stored(Home(world.home))
    old = next(each for each in stored.snapshots if each.taken_at.startswith("2013-04-09"))
    alone = [each for each in stored.snapshots if each is not old]
    replaced = replace(stored, snapshots=(*alone, replace(old, read_by=frozenset({("timetable", "other SQL")}))))

    assert [each.digest for each in choose(stored, time.time()).snapshots] == [old.digest]
    assert choose(replaced, time.time()).snapshots == ()


def test_what_a_model_was_trained_on_stays_though_somebody_looked_again_since(world: World) -> None:
    """Its training snapshot is not the newest of its as-of any more, and still what it is trained again from."""
    superseded_training(world.home, 0)
    home = Home(world.home)
    newest = snapshot_of(home, TRAINED, scoring=False)
    for taken in kept_snapshots(home, JOB, newest.as_of):
        year = "2001" if taken.digest == newest.digest else "2099"
        folder = home.snapshots(JOB, newest.as_of) / taken.digest
        write_document(folder / "taken.json", "snapshot taken", {"taken_at": f"{year}-01-01T00:00:00+00:00"})
    kept = len(kept_snapshots(home, JOB))

    assert world.run("gc", "--delete", "--older-than", "0d").code == 0
    assert len(kept_snapshots(home, JOB)) == kept
    assert read_version(home, JOB, version_names(home, JOB)[0]).snapshot_digest == newest.digest


def test_what_a_golden_night_refers_to_stays_by_itself(world: World) -> None:
    """It has no other objects than its training snapshot; that is how it is made, and not what this relies on."""
    [path] = orphan(world.home, 0)
    stored = read_stored(Home(world.home))

    assert [each.path for each in choose(stored, time.time()).objects] == [path]
    assert choose(replace(stored, golden=frozenset({path})), time.time()).objects == ()
    assert stored.golden


def event(root: Path) -> Path:
    return root / "events" / JOB / "00000002.json"


def first(pattern: str) -> Callable[[Path], Path]:
    return lambda root: min(root.glob(pattern))


FLIPPED = {
    "format": lambda root: root / "format.json",
    "event": event,
    "manifest of a snapshot": first("snapshots/*/*/*/manifest.json"),
    "time of a snapshot": first("snapshots/*/*/*/taken.json"),
    "manifest of a run": first("runs/*/*/*/manifest.json"),
    "manifest of a model": first("models/*/*/manifest.json"),
    "golden night": first("models/*/*/golden_night.json"),
    "proofs": first("proofs/*/*.json"),
}
REMOVED = {
    **{name: path for name, path in FLIPPED.items() if name != "format"},
    "object": first("objects/*/*.parquet"),
    "scores": first("runs/*/*/*/scores.parquet"),
    "golden rows": first("models/*/*/golden_rows.parquet"),
    "text of a model": first("models/*/*/model.txt"),
}
FOLDERS = ["events", "snapshots", "models", "runs", "proofs", f"runs/{JOB}/2013-04-13", f"snapshots/{JOB}/2013-04-10"]


def refused(world: World, name: str) -> None:
    """Exit 80 with the name, with and without --delete, and nothing is touched."""
    before = files(world.home)
    for more in ((), ("--delete", "--more-than-half")):
        result = world.run("gc", "--older-than", "0d", *more)
        assert (result.code, result.out) == (80, "")
        assert name in result.err
    assert files(world.home) == before


@pytest.mark.parametrize("what", FLIPPED)
def test_a_home_with_a_damaged_document_loses_nothing(world: World, what: str) -> None:
    """Who cannot read what refers to things does not know what is referred to."""
    littered(world.home)
    path = FLIPPED[what](world.home)
    flip(path, len(path.read_bytes()) // 2)
    refused(world, str(path))


@pytest.mark.parametrize("what", REMOVED)
def test_a_home_from_which_a_file_is_missing_loses_nothing(world: World, what: str) -> None:
    littered(world.home)
    path = REMOVED[what](world.home)
    path.unlink()
    refused(world, path.parent.name if what == "object" else str(path.parent))


def test_a_home_with_an_object_that_is_cut_short_loses_nothing(world: World) -> None:
    littered(world.home)
    path = REMOVED["object"](world.home)
    path.write_bytes(path.read_bytes()[:-1])
    refused(world, str(path))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_home_that_is_half_copied_loses_nothing(world: World, folder: str) -> None:
    littered(world.home)
    shutil.rmtree(world.home / folder)
    refused(world, "")


def test_objects_alone_are_no_home(world: World) -> None:
    """As after the first minutes of a restore."""
    for folder in ("events", "snapshots", "models", "runs", "proofs"):
        shutil.rmtree(world.home / folder)
    refused(world, "no snapshot that refers to any")


def test_snapshots_without_events_are_no_home(world: World) -> None:
    """Runs may have been made of the older ones; only the events and the runs could say so."""
    littered(world.home)
    for folder in ("events", "models", "runs", "proofs"):
        shutil.rmtree(world.home / folder)
    refused(world, f"no event of {JOB} is on record")


def test_more_than_half_goes_only_when_somebody_says_that_this_is_right(world: World) -> None:
    """The share of objects is the last guard: whatever is wrong with a home, it mostly shows in it."""
    needed = files(world.home)
    count = sum(1 for name in needed if name.startswith("objects/"))
    for number in range(count + 1):
        path = object_path(Home(world.home).objects, sha256(str(number).encode()).hexdigest())
        path.parent.mkdir(exist_ok=True)
        path.touch()
        aged({path})

    refused_ = world.run("gc", "--delete")
    assert refused_.code == 80
    assert f"{count + 1:,} objects would go and {count:,} stay" in refused_.err
    assert world.run("gc", "--json").json["more_than_half"] is True
    assert "score gc --delete --more-than-half" in world.run("gc").out
    assert world.run("gc", "--delete", "--more-than-half").code == 0
    assert files(world.home) == needed


def test_a_run_in_progress_makes_it_busy_at_once(world: World) -> None:
    litter = littered(world.home)
    home = Home(world.home)
    with locked(home.lock(JOB)):
        begun = time.monotonic()
        assert world.run("gc", "--delete").code == 75
        assert time.monotonic() - begun < 1
    assert all(path.exists() for path in litter)
    assert world.run("gc", "--delete", "--wait", "10s").code == 0


def test_whoever_takes_a_snapshot_or_trains_makes_it_busy_at_once(world: World) -> None:
    """They hold no lock of the job; what they have staged says that they are at work."""
    littered(world.home)
    with staging(Home(world.home)):
        begun = time.monotonic()
        busy = world.run("gc", "--delete")
        assert time.monotonic() - begun < 1
    assert busy.code == 75
    assert f"process {os.getpid()} is taking a snapshot" in busy.err
    assert world.run("gc", "--delete").code == 0


def test_what_a_killed_writer_staged_is_in_nobody_s_way(world: World) -> None:
    (world.home / "staging" / "4711-abcdef12").mkdir()
    (world.home / "staging" / "4711-abcdef12" / ".owner").touch()

    assert world.run("gc", "--delete").code == 0
    assert list((world.home / "staging").iterdir()) == []


def test_a_snapshot_in_the_making_keeps_what_it_has_read_of_earlier_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stores no object again that an earlier manifest names; were that deleted meanwhile, it would be missing."""
    given, home, day = settings(world.home, world.warehouse), Home(world.home), date(2013, 4, 14)
    world.sql("UPDATE airports SET lat = lat + 1")
    first_look = take_snapshot(load_job(JOB), given, home, day).snapshot
    world.sql("UPDATE airports SET lat = lat - 1")
    take_snapshot(load_job(JOB), given, home, day)
    world.sql("UPDATE airports SET lat = lat + 1, alt_ft = 1 WHERE faa = 'ATL'")
    world.sql("UPDATE airports SET lat = lat + 1 WHERE faa <> 'ATL'")
    codes = []

    def compare_then_collect(*arguments: object) -> object:
        found = original(*arguments)
        codes.append(world.run("gc", "--delete", "--older-than", "0d").code)
        return found

    original = looking._to_compare
    monkeypatch.setattr(looking, "_to_compare", compare_then_collect)
    third = take_snapshot(load_job(JOB), given, home, day).snapshot
    monkeypatch.undo()

    before = {part.digest for part in first_look.table("airports").partitions}
    assert codes == [75]
    assert before & {part.digest for part in third.table("airports").partitions}
    assert inspect_store(home) == []


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


def killed_at(world: World, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Collect, and die before a given rename, removal or sync; returns whether there was so much to do."""
    left = iter([False] * step + [True] * 10_000)

    def guarded[**P, T](do: Callable[P, T]) -> Callable[P, T]:
        def done(*arguments: P.args, **named: P.kwargs) -> T:
            if next(left):
                raise Killed
            return do(*arguments, **named)

        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", guarded(Path.unlink))
        patch.setattr(Path, "rename", guarded(Path.rename))
        patch.setattr(deleting, "sync_folder", guarded(deleting.sync_folder))
        patch.setattr(shutil, "rmtree", lambda *_a, **_n: None)  # who is killed tidies nothing
        try:
            collect(Home(world.home), [], datetime.now(UTC), WEEK_S, more_than_half=False)
        except Killed:
            return True
    return False


def test_killed_before_any_step_it_leaves_a_whole_home_and_the_next_call_does_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each kill the home is whole in every byte; the next call needs nobody, and ends with the same."""
    needed, aside = files(world.home), world.home.with_name("aside")
    littered(world.home)
    shutil.copytree(world.home, aside)
    steps = 0
    while killed_at(world, steps, monkeypatch):
        assert inspect_store(Home(world.home)) == []
        assert world.run("gc", "--delete").code == 0
        assert files(world.home) == needed
        shutil.rmtree(world.home)
        shutil.copytree(aside, world.home)
        steps += 1
    assert steps > 10


KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from jobs import cli
from jobs.collecting import deleting
delete = deleting._delete
def half(plan, staged):
    for each in plan.snapshots:
        each.folder.rename(staged / f"{each.job}-{each.digest}")
    plan.objects[0].path.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
deleting._delete = half
cli.call(["gc", "--delete"])
"""


def test_a_process_that_is_killed_in_the_middle_leaves_its_lock_and_its_staging_to_nobody(world: World) -> None:
    """A real kill -9: locks fall, staging is dropped, and the next call ends it."""
    needed = files(world.home)
    littered(world.home)

    done = subprocess.run([sys.executable, "-c", KILLS_ITSELF], cwd=ROOT, check=False)

    assert done.returncode == -signal.SIGKILL
    assert inspect_store(Home(world.home)) == []
    assert world.run("gc", "--delete").code == 0
    assert files(world.home) == needed
    assert list((world.home / "staging").iterdir()) == []


def test_a_night_after_it_finds_what_it_needs(world: World) -> None:
    """The next nights, a restatement and a training are as they would have been without it."""
    other = world.home.with_name("other")
    littered(world.home)
    shutil.copytree(world.home, other)
    assert world.run("gc", "--delete", "--older-than", "0d").code == 0
    steps = (
        ("run", "--as-of", "2013-04-15"),
        ("backfill", "--as-of", NIGHT, "--restate"),
        ("train", "flight_delay", "--as-of", TRAINED),
    )
    assert [world.run(*step).code for step in steps] == [0, 0, 0]
    here = {name for name in files(world.home) if name.startswith(("runs/", "models/"))}

    shutil.rmtree(world.home)
    shutil.copytree(other, world.home)
    assert [world.run(*step).code for step in steps] == [0, 0, 0]
    assert {name for name in files(world.home) if name.startswith(("runs/", "models/"))} == here


@pytest.fixture
def no_home(world: World) -> Iterator[World]:
    """A place where nothing was made yet."""
    shutil.rmtree(world.home)
    yield world
    shutil.rmtree(world.home, ignore_errors=True)


def test_where_nothing_is_kept_there_is_nothing_to_delete(no_home: World) -> None:
    assert no_home.run("gc").code == 0
    assert not no_home.home.exists()
    assert no_home.run("gc", "--delete").code == 0


def test_looking_takes_no_lock(world: World) -> None:
    littered(world.home)
    with locked(Home(world.home).lock(JOB)), staging(Home(world.home)):
        assert look_through(Home(world.home), datetime.now(UTC), WEEK_S).anything
