"""What a small night costs as a whole process: 1,000 flights on a year of history, most of it start and end.

    python bench/small_night.py [--nights 7] [--write]

Loads the whole sample into a temporary home, trains as of 2013-12-01 and scores the nights from there on, one process a
night. In turn with each night: `score run` with nothing to do, `score --help`, `score verify` of the night, and, as the
floor, a Python that imports what a careful script would import: duckdb, polars, lightgbm. Prints medians of wall time
and of processor time with their least and most, as ratios to that floor, and where the last night's time went. Modules
are compiled before, into the temporary folder. `--write` puts it into its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.page import machine, write_section

FIRST = date(2013, 12, 1)
ROOT = Path(__file__).resolve().parents[1]
FLOOR = "import"
IMPORTS = "import duckdb, polars, lightgbm"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="into the section of docs/benchmarks.md")
    asked = parser.parse_args()
    nights = [FIRST + timedelta(days=n) for n in range(asked.nights + 1)]
    with tempfile.TemporaryDirectory() as folder:
        environ = environ_of(Path(folder))
        call(environ, "demo", "--load-only")
        call(environ, "train", "flight_delay", "--as-of", str(FIRST))
        turn(environ, nights[0])  # compiles what it imports, and brings the files into memory
        took: dict[str, list[tuple[float, float]]] = {}
        for night in nights[1:]:
            for name, seconds in turn(environ, night).items():
                took.setdefault(name, []).append(seconds)
        told = f"{table_of(took)}\n{phases_of(Path(environ['SCORE_LOG']))}"
    print(told)
    if asked.write:
        write_section("small_night", "A small night", f"{machine()}\n\n```text\n{told}\n```")


def environ_of(folder: Path) -> dict[str, str]:
    """An environment of its own: home, log, and compiled modules, whatever this process was told of these."""
    own = {"SCORE_HOME": str(folder / "home"), "SCORE_LOG": str(folder / "log"), "PYTHONPATH": str(ROOT)}
    left = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**left, **own, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "OMP_WAIT_POLICY": "passive"}


def turn(environ: dict[str, str], night: date) -> dict[str, tuple[float, float]]:
    """Seconds of wall and processor of each process, once."""
    scored, today = ("run", "--as-of", str(night)), str(night)
    return {
        FLOOR: timed([sys.executable, "-c", IMPORTS], environ),
        "score --help": call(environ, "--help"),
        "score run": call({**environ, "SCORE_TODAY": today}, *scored),
        "score run, nothing to do": call({**environ, "SCORE_TODAY": today}, *scored),
        "score verify": call(environ, "verify"),
    }


def call(environ: dict[str, str], *arguments: str) -> tuple[float, float]:
    """One call of the program, its seconds."""
    return timed([sys.executable, "-m", "jobs", *arguments], environ)


def timed(program: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """Seconds of wall and of processor that a process takes, from its start to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(program, env=environ, cwd=environ["PYTHONPATH"], stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table_of(took: dict[str, list[tuple[float, float]]]) -> str:
    """A line a process."""
    floor = [statistics.median(each[n] for each in took[FLOOR]) for n in range(2)]
    headings = "".join(f"{clock:>8}{'least':>7}{'most':>7}{'ratio':>7}" for clock in ("wall s", "cpu s"))
    lines = [f"{'process':<26}{headings}"]
    for name, seconds in took.items():
        cells = []
        for n in range(2):
            of = [each[n] for each in seconds]
            middle = statistics.median(of)
            cells.append(f"{middle:>8.2f}{min(of):>7.2f}{max(of):>7.2f}{middle / floor[n]:>7.2f}")
        lines.append(f"{name:<26}{''.join(cells)}")
    return "\n".join(lines)


def phases_of(log: Path) -> str:
    """Milliseconds by phase of the last night that was scored."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    last = max(line["process"] for line in lines if line["phase"] == "publish")
    spent = {line["phase"]: line["ms"] for line in lines if line["process"] == last and line["event"] == "phase"}
    return "the last night's phases, ms: " + ", ".join(f"{name} {ms}" for name, ms in spent.items())


if __name__ == "__main__":
    main()
