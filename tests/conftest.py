"""Real flights, few enough to score many nights in seconds: seven small carriers, from January to May."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pytest

os.environ["OMP_WAIT_POLICY"] = "passive"  # before anything loads LightGBM: its idle threads would burn the other core

from jobs.cli import call
from jobs.warehouse.sample import load_sample
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CARRIERS = ("AS", "F9", "FL", "HA", "OO", "VX", "YV")
TRAINED_AS_OF = "2013-04-10"

_REDUCE = """
DELETE FROM flight_outcomes WHERE carrier NOT IN {carriers} OR flight_date >= DATE '2013-05-15';
DELETE FROM scheduled_flights WHERE carrier NOT IN {carriers} OR flight_date >= DATE '2013-05-15';
DELETE FROM weather WHERE observed_at >= TIMESTAMPTZ '2013-05-15 00:00:00+00';
"""


@dataclass(frozen=True)
class Result:
    """What one call of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@dataclass
class World:
    """A warehouse, a home, and the program in between."""

    warehouse: Path
    home: Path
    run: Callable[..., Result]

    def sql(self, text: str, *parameters: object) -> list[tuple]:
        """Change or ask the warehouse, as its owner."""
        with duckdb.connect(str(self.warehouse)) as con:
            con.execute("SET TimeZone = 'UTC'")
            return con.execute(text, list(parameters)).fetchall()

    def published(self, text: str) -> list[tuple]:
        """Ask the published scores, as an analyst with a plain DuckDB."""
        with duckdb.connect(str(self.home / "scores.duckdb"), read_only=True) as con:
            return con.execute(text).fetchall()


def reduce_to_small(con: duckdb.DuckDBPyConnection) -> None:
    """Leave only the few flights of the small warehouse in a sample."""
    con.execute(_REDUCE.format(carriers=CARRIERS))
    con.execute("CHECKPOINT")


@pytest.fixture(scope="session")
def small_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small warehouse, made once; tests work on copies."""
    path = tmp_path_factory.mktemp("sample") / "warehouse.duckdb"
    load_sample(path)
    with duckdb.connect(str(path)) as con:
        reduce_to_small(con)
    small = path.with_name("small.duckdb")
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS whole (READ_ONLY)")
        con.execute(f"ATTACH '{small}' AS small")
        con.execute("COPY FROM DATABASE whole TO small")
    path.unlink()
    return small


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> Path:
    """A home with one model version, trained as of 2013-04-10; tests work on copies."""
    home = tmp_path_factory.mktemp("trained") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        assert call(["train", "flight_delay", "--as-of", TRAINED_AS_OF]) == 0
    return home


@pytest.fixture
def world(
    tmp_path: Path,
    small_warehouse: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> World:
    """A copy of the small warehouse and of the trained home, and the program in this process."""
    warehouse, home = tmp_path / "warehouse.duckdb", tmp_path / "home"
    shutil.copy(small_warehouse, warehouse)
    shutil.copytree(trained, home)
    monkeypatch.setenv("SCORE_HOME", str(home))
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{warehouse}")
    monkeypatch.delenv("SCORE_TODAY", raising=False)

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = call(arguments)
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return World(warehouse, home, run)


@dataclass
class ServerWorld:
    """As `World`, with a PostgreSQL database of the same rows; `url` is its owner's."""

    server: postgres.Server
    database: str
    url: str
    home: Path
    run: Callable[..., Result]

    def sql(self, text: str) -> list[tuple]:
        """Change or ask the warehouse, as its owner."""
        return postgres.run(self.url, text)


@pytest.fixture(scope="session")
def postgres_server() -> postgres.Server:
    """A real PostgreSQL, which is stopped when this process ends."""
    return postgres.start()


@pytest.fixture(scope="session")
def small_database(postgres_server: postgres.Server, small_warehouse: Path, worker_id: str) -> str:
    """The name of a database with the rows of the small warehouse, made once; tests work on copies."""
    name = f"small_{worker_id}"
    postgres.copy_file(small_warehouse, postgres_server.make(name))
    return name


@pytest.fixture
def server_world(
    world: World, postgres_server: postgres.Server, small_database: str, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> ServerWorld:
    """A copy of the small database and of the trained home, and the program in this process."""
    name = f"world_{worker_id}"
    url = postgres_server.make(name, small_database)
    monkeypatch.setenv("SCORE_WAREHOUSE", url)
    return ServerWorld(postgres_server, name, url, world.home, world.run)
