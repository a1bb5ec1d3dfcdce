"""What a command does not need it does not wait for: imports are most of the time of a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import World

SLOW = frozenset(
    {
        "adbc_driver_manager", "dataframely", "duckdb", "lightgbm", "numba", "numpy", "pandas", "polars", "pyarrow",
        "rich", "scipy", "sqlglot", "time_machine",
    }
)  # fmt: skip
CALL = """
import json, sys
from jobs.cli import call
code = call(sys.argv[2:])
open(sys.argv[1], "w").write(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
NIGHT = "2013-04-12"
OF_TABLES = {"duckdb", "numpy", "polars"}
OF_ROWS = OF_TABLES | {"dataframely", "pyarrow"}


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The slow packages that one successful call of the program imports, in a process of its own."""
    told = folder / "loaded.json"
    program = [sys.executable, "-c", CALL, str(told), *arguments]
    subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, check=True, timeout=120)
    code, names = json.loads(told.read_text(encoding="utf-8"))
    assert code == 0
    return SLOW & set(names)


@pytest.mark.parametrize("arguments", [("--version",), ("run", "--help"), ("--help",)], ids=" ".join)
def test_help_waits_for_nothing_but_what_prints_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(tmp_path, *arguments) <= {"rich"}


def test_a_night_waits_for_no_package_that_only_training_proofs_or_servers_need(world: World) -> None:
    assert loaded(world.home, "run", "--as-of", NIGHT) == OF_ROWS | {"sqlglot"}


def test_a_night_that_is_published_already_is_not_made_ready_for(world: World) -> None:
    world.run("run", "--as-of", NIGHT)

    assert loaded(world.home, "run", "--as-of", NIGHT) <= OF_TABLES | {"dataframely"}


def test_a_replay_parses_no_sql(world: World) -> None:
    world.run("run", "--as-of", NIGHT)

    assert loaded(world.home, "verify") == OF_ROWS | {"rich"}
