"""A storm: nights are killed at random instants while analysts ask; after each kill, the next run must need nobody."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.analysts import Answers, Shown, ask_on, collected, complaint
from tests.faults.place import Place, place_in
from tests.processes import fork_server, in_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess
    from multiprocessing.synchronize import Event

ROOT = Path(__file__).resolve().parents[2]
FRESH_SHARE, AGAIN_SHARE, MISSED_SHARE = 0.05, 0.6, 0.15
_LATELY = 9
STATES = ("before anything", "staged", "snapshot kept", "run kept", "event written", "views switched")


@dataclass(frozen=True)
class Site:
    """A home with one published night, its warehouse, the nights after it, and a folder for the storm.

    A file serves every copy of the home by its one URL; of a server each gets a database of its own, by its name.
    """

    begun: Path
    warehouse: str | Callable[[str], str]
    nights: tuple[str, ...]
    folder: Path

    def url(self, name: str) -> str:
        """The warehouse of one copy."""
        return self.warehouse if isinstance(self.warehouse, str) else self.warehouse(name)


@dataclass
class Storm:
    """What came of it: by state, the kills that hit it; what was wrong; what analysts were answered."""

    hit: Counter[str] = field(default_factory=Counter)
    nights: int = 0
    fresh: int = 0
    helpless: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(self.hit.values())


def nights_after(first: str, count: int) -> tuple[str, ...]:
    """So many as-ofs after one."""
    return tuple((date.fromisoformat(first) + timedelta(days=n + 1)).isoformat() for n in range(count))


@dataclass
class Weather:
    """The storm while it lasts: its chances, what must be there after a night, how long runs take, what is found."""

    site: Site
    chance: random.Random
    reference: dict[str, dict[str, object]]
    loading_s: float
    lately_s: deque[float]
    found: Storm = field(default_factory=Storm)

    @property
    def expected(self) -> dict[str, Shown]:
        """What analysts may see of each night."""
        return {night[0]: night for night in self.reference[self.site.nights[-1]]["shown"]}

    def instant_s(self, *, fresh: bool) -> float:
        """When to kill: at any instant of what a whole night took lately, with loading if it starts from nothing."""
        return self.chance.uniform(0, statistics.median(self.lately_s) + self.loading_s * fresh)


def storm(site: Site, kills: int, readers: int, seed: int, limit_s: float) -> Storm:
    """Kill so many nights, while so many analysts ask; ends by itself at the limit."""
    weather = undisturbed(site, random.Random(seed))  # noqa: S311  instants of kills, no secret
    board, stop, asking, rounds = site.folder / "board", fork_server().Event(), [], 0
    began = time.monotonic()
    while weather.found.kills < kills and time.monotonic() - began < limit_s:
        rounds += 1
        (site.folder / f"round-{rounds}").mkdir()
        place = place_in(site.folder / f"round-{rounds}", site.begun, site.url(f"round_{rounds}"))
        _point(board, place)
        asking = asking or _analysts(weather, board, stop, readers, limit_s)
        stormy_nights(weather, place, kills)
        shutil.rmtree(site.folder / f"round-{rounds - 1}", ignore_errors=True)  # nobody asks it any more
    stop.set()
    for each in asking:
        each.join(60)
    weather.found.answers = collected(board)
    weather.found.seconds = time.monotonic() - began
    return weather.found


def undisturbed(site: Site, chance: random.Random) -> Weather:
    """What a home holds after each night when nothing goes wrong, and how long that takes: forked, and from nothing."""
    (site.folder / "reference").mkdir()
    place = place_in(site.folder / "reference", site.begun, site.url("reference"))
    facts, took = {}, []
    for night in site.nights:
        began = time.monotonic()
        place.run("run", "--as-of", night)
        took.append(time.monotonic() - began)
        facts[night] = place.facts()
    began = time.monotonic()
    _fresh(place, site.nights[-1]).wait()
    return Weather(site, chance, facts, time.monotonic() - began, deque(took, maxlen=_LATELY))


def _point(board: Path, place: Place) -> None:
    """Let analysts ask this home from now on."""
    beside = board.with_suffix(".new")
    beside.write_text(json.dumps([str(place.home), place.warehouse]), encoding="utf-8")
    beside.rename(board)


def _analysts(weather: Weather, board: Path, stop: Event, readers: int, limit_s: float) -> list[ForkServerProcess]:
    """Every other one holds its connection open."""
    until = time.time() + limit_s
    return [in_process(ask_on, str(board), weather.expected, stop, until, number % 2 == 1) for number in range(readers)]


def stormy_nights(weather: Weather, place: Place, kills: int) -> None:
    """Go through the nights: kill each, now and then more than once or with the next night, then let it be finished."""
    coming = list(weather.site.nights)
    while coming and weather.found.kills < kills:
        night = coming.pop(0)
        strike(weather, place, night)
        while weather.chance.random() < AGAIN_SHARE and weather.found.kills < kills:
            strike(weather, place, night)
        if coming and weather.chance.random() < MISSED_SHARE:
            night = coming.pop(0)
        finish(weather, place, night)


def strike(weather: Weather, place: Place, night: str) -> None:
    """Kill a run at a random instant of its usual time, and look at what is there; one that had ended is no kill."""
    fresh = weather.chance.random() < FRESH_SHARE
    code = _killed(place, night, weather.instant_s(fresh=fresh), fresh=fresh)
    if code == -signal.SIGKILL:
        weather.found.fresh += fresh
        weather.found.hit[state(place, night)] += 1
    elif code:
        weather.found.helpless.append(f"{night}: {code}, before it was killed")
    if said := complaint(place.look(), weather.expected):
        weather.found.lost.append(f"{night}: {said}")


def _killed(place: Place, night: str, instant_s: float, *, fresh: bool) -> int:
    if not fresh:
        return place.start("run", "--as-of", night).killed_after(instant_s)
    process = _fresh(place, night)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(instant_s)
    process.kill()
    return process.wait()


def _fresh(place: Place, night: str) -> subprocess.Popen[bytes]:
    """The program as cron starts it."""
    command = [sys.executable, "-m", "jobs", "run", "--as-of", night]
    return subprocess.Popen(
        command, env=place.environ(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def state(place: Place, night: str) -> str:
    """How far a night got."""
    if any(shown == night for shown, *_ in place.shown()):
        return "views switched"
    if any(event["kind"] == "published" and event["as_of"] == night for event in place.events()):
        return "event written"
    for kind in ("run", "snapshot"):
        if list(place.home.glob(f"{kind}s/*/{night}/*")):
            return f"{kind} kept"
    return "staged" if list(place.home.glob("staging/*/*")) else "before anything"


def finish(weather: Weather, place: Place, night: str) -> None:
    """The next run, without anybody's help: it must leave what the undisturbed home has after this night."""
    weather.found.nights += 1
    all_to_do, began = state(place, night) in STATES[:2], time.monotonic()
    program = place.start("run", "--as-of", night)
    code = program.ended()
    if all_to_do:
        weather.lately_s.append(time.monotonic() - began)
    if code:
        weather.found.helpless.append(f"{night}: {code}, {program.err}")
        return
    facts, wanted = place.facts(), weather.reference[night]
    if differing := [name for name in wanted if facts[name] != wanted[name]]:
        weather.found.lost.append(f"{night}: other {', '.join(differing)} than the undisturbed home's")
    if left := place.left_over():
        weather.found.lost.append(f"{night}: left over {left}")
