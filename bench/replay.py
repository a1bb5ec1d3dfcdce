"""What replaying costs: `score verify` of a night against its run, and many nights by one process and by two.

    python bench/replay.py [--nights 60] [--write]

Loads the whole sample into a temporary home, trains as of 2013-04-01 and scores so many nights (at most 270, a year but
for the months before the first model). Then, as whole processes in turn, three times: the run of one more night, the
verification of that night, and of all nights by one process and by two (without `--all`'s reading of what belongs to no
run). Prints medians of wall and processor seconds, with their least and most, and the ratios; `--write` puts them into
their section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.page import machine, write_section
from bench.small_night import call, environ_of

JOB, TRAINED, LAST = "flight_delay", date(2013, 4, 1), date(2013, 12, 28)
REPEATS = 3
RUN, VERIFY, ONE, TWO = (
    "score run of a night",
    "score verify of it",
    "verify all, --threads 1",
    "verify all, --threads 2",
)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="into the section of docs/benchmarks.md")
    asked = parser.parse_args()
    count = asked.nights
    with tempfile.TemporaryDirectory() as folder:
        environ = environ_of(Path(folder))
        call(environ, "demo", "--load-only")
        call(environ, "train", JOB, "--as-of", str(TRAINED))
        call(environ, "backfill", JOB, "--as-of", str(LAST - timedelta(days=count - 1)), "--until", str(LAST))
        nights = run_ids(environ)
        took: dict[str, list[tuple[float, float]]] = {RUN: [], VERIFY: [], ONE: [], TWO: []}
        for n in range(REPEATS):
            took[RUN].append(call(environ, "backfill", JOB, "--as-of", str(LAST + timedelta(days=n + 1))))
            took[VERIFY].append(call(environ, "verify", run_ids(environ)[-1]))
            took[ONE].append(call(environ, "verify", *nights, "--threads", "1"))
            took[TWO].append(call(environ, "verify", *nights, "--threads", "2"))
    told = table_of(took, count)
    print(told)
    if asked.write:
        write_section("replay", "Replaying nights", f"{machine()}\n\n```text\n{told}\n```")


def run_ids(environ: dict[str, str]) -> list[str]:
    """The runs that are kept, by as-of."""
    listed = [sys.executable, "-m", "jobs", "runs", JOB, "--json"]
    done = subprocess.run(listed, env=environ, cwd=environ["PYTHONPATH"], capture_output=True, check=True)
    return [run["run_id"] for run in sorted(json.loads(done.stdout)["runs"], key=lambda run: run["as_of"])]


def table_of(took: dict[str, list[tuple[float, float]]], nights: int) -> str:
    """A line a process, and the ratios."""
    lines = [f"{'process':<26}{'wall s':>9}{'least':>8}{'most':>8}{'cpu s':>9}{'least':>8}{'most':>8}"]
    middle: dict[str, list[float]] = {}
    for name, seconds in took.items():
        columns = [[each[n] for each in seconds] for n in range(2)]
        middle[name] = [statistics.median(column) for column in columns]
        cells = (f"{statistics.median(c):>9.2f}{min(c):>8.2f}{max(c):>8.2f}" for c in columns)
        lines.append(f"{name:<26}{''.join(cells)}")
    for what, above, below in ((f"{VERIFY} / {RUN}", VERIFY, RUN), (f"{TWO} / {ONE}", TWO, ONE)):
        ratios = [above / below for above, below in zip(middle[above], middle[below], strict=True)]
        lines.append(f"{what}: wall {ratios[0]:.2f}, cpu {ratios[1]:.2f}")
    lines.append(f"a night of {nights}: {middle[ONE][0] / nights:.2f} s by one, {middle[TWO][0] / nights:.2f} s by two")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
