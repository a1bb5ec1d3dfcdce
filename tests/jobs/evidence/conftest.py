"""The small world with one night that is published: 2013-04-12."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

NIGHT = "2013-04-12"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Path:
    """A home with one model version and one published night; tests work on copies."""
    home = tmp_path_factory.mktemp("scored") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        assert call(["run", "--as-of", NIGHT]) == 0
    return home


@pytest.fixture
def run_folder(world: World) -> Path:
    """Where the run of the published night lies."""
    [manifest] = world.home.glob("runs/*/*/*/manifest.json")
    return manifest.parent
