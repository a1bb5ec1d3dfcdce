"""Homes with one published night, 2013-04-11, over few days of real flights, each in its own place."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.faults.place import Place, place_in, shorten

if TYPE_CHECKING:
    from pathlib import Path

FIRST, NIGHT = "2013-04-11", "2013-04-12"


@pytest.fixture(scope="session")
def short_warehouse(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> Path:
    """The small warehouse from 2013-04-04 on; nobody changes it."""
    short = tmp_path_factory.mktemp("short") / "warehouse.duckdb"
    shutil.copy(small_warehouse, short)
    shorten(short)
    return short


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory, trained: Path, short_warehouse: Path) -> Path:
    """A home with one published night; tests work on copies."""
    place = place_in(tmp_path_factory.mktemp("begun"), trained, f"duckdb:///{short_warehouse}")
    place.run("run", "--as-of", FIRST)
    return place.home


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, begun: Path, short_warehouse: Path) -> dict[str, object]:
    """What a home holds after one more night in which nothing went wrong."""
    place = place_in(tmp_path_factory.mktemp("undisturbed"), begun, f"duckdb:///{short_warehouse}")
    place.run("run", "--as-of", NIGHT)
    return place.facts()


@pytest.fixture
def place(tmp_path: Path, begun: Path, short_warehouse: Path) -> Place:
    """A home with one published night."""
    return place_in(tmp_path, begun, f"duckdb:///{short_warehouse}")
