"""A home with all that can be needed: two nights, one of them restated, a history run, proofs, one only looked at."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.cli import call
from jobs.store.events import PROVED, append, read_chain
from jobs.store.home import Home
from jobs.store.proofs import keep_proofs
from jobs.store.registry import version_names
from tests.jobs.collecting.litter import JOB, LOOKED_AT, NIGHT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Path:
    """The home, every file of which is ten days old; tests work on copies."""
    folder = tmp_path_factory.mktemp("needed")
    root, warehouse = folder / "home", folder / "warehouse.duckdb"
    shutil.copytree(trained, root)
    shutil.copy(small_warehouse, warehouse)
    home = Home(root)
    [version] = version_names(home, JOB)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(root))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{warehouse}")
        assert call(["snapshot", "--as-of", LOOKED_AT]) == 0
        assert call(["run", "--as-of", NIGHT]) == 0
        with duckdb.connect(str(warehouse)) as con:
            con.execute("UPDATE flight_outcomes SET arr_delay_min = 500 WHERE flight_date = DATE '2013-04-09'")
        assert call(["backfill", "--restate", "--as-of", NIGHT]) == 0
        assert call(["backfill", "--as-of", "2013-04-10", "--model", version]) == 0
        assert call(["run", "--as-of", "2013-04-13"]) == 0
    record = keep_proofs(home, JOB, {"findings": []})
    at = datetime.now(UTC)
    chain = read_chain(home, JOB)
    append(
        home, chain, PROVED, at=at, reason="0 proofs held", as_of=at.date(), model_version=version, record=record
    )  # fmt: skip
    for path in root.rglob("*"):
        os.utime(path, (at.timestamp() - 864_000,) * 2)
    return root
