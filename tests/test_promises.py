"""The promise, sentence by sentence, on real flights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

AS_OF = "2013-04-10"
CUTOFF = "2013-04-10 04:00:00+00"  # midnight in New York

ONE_CORE = {
    "TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "SCORE_THREADS": "1", "POLARS_MAX_THREADS": "1",
}  # fmt: skip
ANOTHER_HOST = {
    "TZ": "Asia/Kolkata", "LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "77",
    "SCORE_THREADS": "3", "POLARS_MAX_THREADS": "3", "OMP_NUM_THREADS": "3",
}  # fmt: skip

POISON_HAPPENED = f"""
UPDATE flight_outcomes SET tailnum = 'NONSENSE', dep_delay_min = 30000, arr_delay_min = 30000, air_time_min = -30000,
    cancelled = NOT cancelled WHERE sched_dep_at >= TIMESTAMPTZ '{CUTOFF}';
UPDATE weather SET temp_f = 1e6, precip_in = 1e6, visib_mi = -1e6, pressure_mb = 1e6
    WHERE observed_at >= TIMESTAMPTZ '{CUTOFF}';
UPDATE scheduled_flights SET dest = 'ZZZ', distance_mi = 1000000
    WHERE sched_dep_at >= TIMESTAMPTZ '{CUTOFF}' + INTERVAL 24 HOURS;
"""
POISON_KNOWN = f"""
UPDATE flight_outcomes SET tailnum = 'NONSENSE', dep_delay_min = 30000, arr_delay_min = 30000, air_time_min = -30000,
    cancelled = NOT cancelled WHERE recorded_at >= TIMESTAMPTZ '{CUTOFF}';
INSERT INTO flight_outcomes SELECT * REPLACE (30000 AS arr_delay_min, NOT cancelled AS cancelled,
    TIMESTAMPTZ '{CUTOFF}' AS recorded_at) FROM flight_outcomes WHERE recorded_at < TIMESTAMPTZ '{CUTOFF}';
INSERT INTO scheduled_flights SELECT * REPLACE (flight + 5000 AS flight, TIMESTAMPTZ '{CUTOFF}' AS recorded_at)
    FROM scheduled_flights WHERE flight_date = DATE '{AS_OF}';
"""


def facts(home: Path, warehouse: Path, environment: dict[str, str] | None = None, *, cores: int = 2) -> dict:
    """What a new home has after training and scoring one night, in a process of its own."""
    settings = {"SCORE_HOME": str(home), "SCORE_WAREHOUSE": f"duckdb:///{warehouse}", **(environment or {})}
    home.parent.mkdir(exist_ok=True)

    def score(*arguments: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-c", "from jobs.cli import main; main()", *arguments, "--json"],
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **settings},
            cwd=home.parent,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    model = score("train", "flight_delay", "--as-of", AS_OF)
    night = score("run", "--as-of", AS_OF)["runs"][0]
    return {
        "training snapshot": model["snapshot_digest"],
        "model version": model["model_version"],
        **{name: night[name] for name in ("snapshot_digest", "run_id", "scores_digest", "row_count")},
    }


def changed_copy(small_warehouse: Path, folder: Path, text: str) -> Path:
    """A copy of the warehouse after some SQL."""
    copy = folder / "changed.duckdb"
    shutil.copy(small_warehouse, copy)
    with duckdb.connect(str(copy)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(text)
    return copy


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> dict:
    """Of the warehouse as it is, on one core."""
    return facts(tmp_path_factory.mktemp("one") / "home", small_warehouse, ONE_CORE, cores=1)


def test_two_fresh_homes_agree_whatever_the_host(tmp_path: Path, small_warehouse: Path, expected: dict) -> None:
    """Other threads, cores, time zone, locale, hash seed, folder: the same snapshot, model, run and scores."""
    assert facts(tmp_path / "elsewhere" / "home", small_warehouse, ANOTHER_HOST) == expected


def test_the_order_of_the_rows_in_the_warehouse_changes_nothing(
    tmp_path: Path, small_warehouse: Path, expected: dict
) -> None:
    """Every table is written again in a random order."""
    tables = ("scheduled_flights", "flight_outcomes", "weather", "planes", "airports", "airlines")
    shuffled = "SELECT setseed(0.5);" + "".join(
        f"CREATE TABLE other AS FROM {name} ORDER BY random(); DELETE FROM {name}; INSERT INTO {name} FROM other; "
        "DROP TABLE other;"
        for name in tables
    )

    assert facts(tmp_path / "home", changed_copy(small_warehouse, tmp_path, shuffled)) == expected


@pytest.mark.parametrize("poison", [POISON_HAPPENED, POISON_KNOWN], ids=["happened", "became known"])
def test_nothing_from_the_future_changes_a_score(
    tmp_path: Path, small_warehouse: Path, expected: dict, poison: str
) -> None:
    """What happened, or became known, at or after the cutoff is nonsense; the day's timetable, known before, stays."""
    assert facts(tmp_path / "home", changed_copy(small_warehouse, tmp_path, poison)) == expected


def test_the_same_nonsense_just_before_the_cutoff_is_seen(
    tmp_path: Path, small_warehouse: Path, expected: dict
) -> None:
    """The tests above can fail: one hour earlier, the poison reaches snapshot, model and scores."""
    earlier = CUTOFF.replace(" 04:", " 03:")
    poison = f"""
        UPDATE flight_outcomes SET arr_delay_min = 300
        WHERE recorded_at >= TIMESTAMPTZ '{earlier}' AND recorded_at < TIMESTAMPTZ '{CUTOFF}';
    """

    found = facts(tmp_path / "home", changed_copy(small_warehouse, tmp_path, poison))

    assert [name for name in expected if found[name] == expected[name]] == ["row_count"]
