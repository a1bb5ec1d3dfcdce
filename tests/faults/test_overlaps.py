"""The same night twice: at once, again and again, or on the day after."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call
from jobs.kill_points import VARIABLE
from tests.faults.conftest import NIGHT
from tests.faults.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.processes import Program

THE_DAY_AFTER = "2013-04-13"


@contextmanager
def halted(place: Place, point: str) -> Iterator[Program]:
    """A nightly run that stands still at a point; it is gone in the end."""
    program = place.start("run", "--as-of", NIGHT, **{VARIABLE: f"{point}:STOP"})
    told = Path(f"/proc/{program.process.pid}/stat")
    try:
        deadline = time.monotonic() + 60
        while told.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline, point
            time.sleep(0.01)
        yield program
    finally:
        program.process.kill()


@pytest.mark.parametrize("point", ["table-extracted", "run-kept", "event-half-written"])
def test_of_two_that_overlap_one_works_and_the_others_are_told_at_once(
    place: Place, undisturbed: dict[str, object], point: str
) -> None:
    """A second start of cron and a backfill: 75; one that waits comes after, and has nothing to do."""
    others = Place(place.home, place.warehouse, place.folder / "others")
    others.folder.mkdir()
    with halted(place, point) as first:
        waiting = place.start("run", "--as-of", NIGHT, "--wait", "10m")
        for arguments in (("run", "--as-of", NIGHT), ("backfill", "--as-of", NIGHT)):
            program = others.start(*arguments)
            assert program.ended(30) == 75
            assert f"process {first.process.pid}" in program.err
        os.kill(first.process.pid, signal.SIGCONT)
        assert (first.ended(), waiting.ended()) == (0, 0)

    assert place.facts() == undisturbed
    assert place.left_over() == []


def test_the_same_night_fifty_times_is_published_once(
    place: Place, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Forty-nine times there is nothing to do."""
    for name, value in place.environ().items():
        monkeypatch.setenv(name, value)
    capfd.readouterr()
    for _ in range(50):
        assert call(["run", "--as-of", NIGHT]) == 0

    told = capfd.readouterr().out.splitlines()
    assert [line.startswith("published") for line in told if "flight_delay" in line] == [True] + 49 * [False]
    assert place.facts() == undisturbed


def test_a_night_that_is_retried_on_the_day_after_keeps_its_as_of(place: Place, undisturbed: dict[str, object]) -> None:
    """Killed before midnight, finished after it: the same run, from what was known on its own day."""
    place.ends_at("run-files-written", "run", "--as-of", NIGHT)

    program = place.start("run", SCORE_TODAY=THE_DAY_AFTER)

    assert program.ended() == 0, program.err
    assert place.shown()[:2] == undisturbed["shown"]
    assert [night[0] for night in place.shown()][2:] == [THE_DAY_AFTER]
