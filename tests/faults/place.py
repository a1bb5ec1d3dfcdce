"""A home that is being scored, night after night, by processes of its own; and what it must hold in the end."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import duckdb

from jobs.kill_points import VARIABLE
from tests.faults.analysts import Seen, scores
from tests.processes import Program, start

if TYPE_CHECKING:
    from pathlib import Path

# The rows since then are enough to score, and a night of them takes half a second.
SHORTEN = """
DELETE FROM flight_outcomes WHERE flight_date < DATE '2013-04-04';
DELETE FROM scheduled_flights WHERE flight_date < DATE '2013-04-04';
DELETE FROM weather WHERE observed_at < TIMESTAMPTZ '2013-04-09 00:00:00+00';
"""


@dataclass(frozen=True)
class Place:
    """A home, the URL of its warehouse, and a folder for what is printed."""

    home: Path
    warehouse: str
    folder: Path

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a process that works here."""
        ours = {"SCORE_HOME": str(self.home), "SCORE_WAREHOUSE": self.warehouse, "OMP_WAIT_POLICY": "passive"}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("SCORE_")}, **ours, **more}

    def start(self, *arguments: str, **more: str) -> Program:
        """Start the program here."""
        return start(arguments, self.environ(**more), self.folder / "printed")

    def ends_at(self, point: str, *arguments: str) -> tuple[int, Program]:
        """The exit code of a call that dies at a kill point."""
        program = self.start(*arguments, **{VARIABLE: point})
        return program.ended(), program

    def run(self, *arguments: str) -> str:
        """Call the program, which must succeed; returns what it printed."""
        program = self.start(*arguments)
        code = program.ended()
        if code:
            raise AssertionError(f"{arguments} ended with {code}: {program.err}")
        return program.out

    def shown(self) -> list[tuple[str, str, int, int]]:
        """What an analyst sees now: as-of, run, rows, and a checksum of them."""
        return list(self.look().shown)

    def look(self) -> Seen:
        """What an analyst sees now, with a plain client."""
        with scores(self.home, self.warehouse) as look:
            return look()

    def facts(self) -> dict[str, object]:
        """All that may not depend on what happened on the way: every kept file that holds no clock or host."""
        files = {
            str(path.relative_to(self.home)): sha256(path.read_bytes()).hexdigest()
            for pattern in ("objects/*/*", "snapshots/*/*/*/manifest.json", "models/*/*/*", "runs/*/*/*/*")
            for path in self.home.glob(pattern)
            if path.name not in {"execution.json", "trained.json"}
        }
        told = [{name: body[name] for name in sorted(body) if name not in {"at", "previous"}} for body in self.events()]
        return {"files": files, "events": told, "shown": self.shown() if (self.home / "scores.duckdb").exists() else []}

    def events(self) -> list[dict[str, object]]:
        """What was decided and published, oldest first."""
        return [json.loads(path.read_text())["body"] for path in sorted(self.home.glob("events/*/[0-9]*.json"))]

    def left_over(self) -> list[Path]:
        """What no one will ever read: in staging, or half-written."""
        return [*(self.home / "staging").glob("*"), *self.home.rglob("*.tmp")]


def place_in(folder: Path, home: Path, warehouse: str) -> Place:
    """A copy of a home, whose views are those of the copy."""
    shutil.copytree(home, folder / "home")
    place = Place(folder / "home", warehouse, folder)
    nights = [path.parent.name for path in home.glob("runs/*/*/*")]
    if nights:
        place.run("run", "--as-of", max(nights))
    return place


def shorten(warehouse: Path) -> None:
    """Take from a warehouse what makes a night of it slow."""
    with duckdb.connect(str(warehouse)) as con:
        con.execute(SHORTEN)
        con.execute("CHECKPOINT")
