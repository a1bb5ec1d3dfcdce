"""Killed at any named point: the old state is seen, or the new; the next run needs nobody and gives the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from jobs.kill_points import POINTS, VARIABLE
from jobs.store.locks import locked
from tests.conftest import TRAINED_AS_OF
from tests.faults.conftest import NIGHT
from tests.faults.place import Place

if TYPE_CHECKING:
    from pathlib import Path

OF_TRAINING = [point for point in POINTS if point.startswith("version-")]
OF_A_NIGHT = [point for point in POINTS if point not in OF_TRAINING]
NEW = {"views-switched"}  # the only point of a night from which analysts see it


def sees_old_or_new(place: Place, undisturbed: dict[str, object], *, new: bool) -> None:
    """Both nights, or the first one, each whole."""
    both = undisturbed["shown"]
    assert place.shown() == (both if new else both[:1])


def ends_like_the_undisturbed(place: Place, undisturbed: dict[str, object]) -> None:
    """One more run, without anybody's help: the same files and events, nothing left over."""
    place.run("run", "--as-of", NIGHT)
    assert place.facts() == undisturbed
    assert place.left_over() == []


@pytest.mark.parametrize("point", OF_A_NIGHT)
def test_a_night_that_is_killed_at_a_named_point_is_finished_by_the_next(
    place: Place, undisturbed: dict[str, object], point: str
) -> None:
    """As by a power cut: no handler runs, no file is closed."""
    code, _ = place.ends_at(point, "run", "--as-of", NIGHT)

    assert code == -signal.SIGKILL
    sees_old_or_new(place, undisturbed, new=point in NEW)
    ends_like_the_undisturbed(place, undisturbed)


@pytest.mark.parametrize("sent", ["TERM", "INT"])
@pytest.mark.parametrize("point", OF_A_NIGHT)
def test_a_night_that_is_stopped_at_a_named_point_cleans_up_and_says_so(
    place: Place, undisturbed: dict[str, object], point: str, sent: str
) -> None:
    """143 or 130 within 10 s, one line, staging is empty at once."""
    began = time.monotonic()
    code, program = place.ends_at(f"{point}:{sent}", "run", "--as-of", NIGHT)

    assert (code, program.out) == ({"TERM": 143, "INT": 130}[sent], "")
    assert time.monotonic() - began < 10
    assert len(program.err.splitlines()) == 1
    assert place.left_over() == []
    sees_old_or_new(place, undisturbed, new=point in NEW)
    ends_like_the_undisturbed(place, undisturbed)


@pytest.mark.parametrize("point", ["object-half-written", "event-half-written", "views-beside"])
def test_a_process_that_loads_everything_itself_dies_at_the_same_points(
    place: Place, undisturbed: dict[str, object], point: str
) -> None:
    """As cron starts it."""
    command = [sys.executable, "-m", "jobs", "run", "--as-of", NIGHT]
    done = subprocess.run(command, env=place.environ(**{VARIABLE: point}), capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, b"", b"")
    sees_old_or_new(place, undisturbed, new=False)
    ends_like_the_undisturbed(place, undisturbed)


@pytest.fixture(scope="session")
def trained_facts(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> dict[str, object]:
    """What a home holds after a training in which nothing went wrong."""
    return Place(trained, "", tmp_path_factory.mktemp("facts")).facts()


@pytest.mark.parametrize("point", OF_TRAINING)
def test_a_training_that_is_killed_at_a_named_point_is_finished_by_the_next(
    tmp_path: Path, small_warehouse: Path, trained_facts: dict[str, object], point: str
) -> None:
    """The same version, and it is promoted once."""
    place = Place(tmp_path / "home", f"duckdb:///{small_warehouse}", tmp_path)
    code, _ = place.ends_at(point, "train", "flight_delay", "--as-of", TRAINED_AS_OF)
    assert code == -signal.SIGKILL
    assert list(place.home.glob("events/*/*")) == []

    place.run("train", "flight_delay", "--as-of", TRAINED_AS_OF)

    assert place.facts() == trained_facts
    assert place.left_over() == []


def test_a_night_that_waits_for_the_lock_is_stopped_at_once(place: Place) -> None:
    """143 within 10 s, though it was told to wait an hour."""
    with locked(place.home / "locks" / "flight_delay.lock"):
        program = place.start("run", "--as-of", NIGHT, "--wait", "1h")
        deadline = time.monotonic() + 30
        while not (place.folder / "printed.err").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)
        program.process.terminate()
        assert program.ended(10) == 143


def test_a_point_that_there_is_not_is_refused(place: Place) -> None:
    """78, with those that there are; nothing is done."""
    for wrong in ("nowhere", "published:HUP", ":KILL"):
        code, program = place.ends_at(wrong, "run", "--as-of", NIGHT)
        assert code == 78
        assert "run-kept, event-half-written" in program.err
        assert len(program.err.splitlines()) == 1
    assert not list(place.home.glob(f"snapshots/*/{NIGHT}"))
