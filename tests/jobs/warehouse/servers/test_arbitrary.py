"""Random queries are answered by PostgreSQL as by DuckDB, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.warehouse.addresses import read_server_address
from jobs.warehouse.servers.session import open_session
from tests.jobs.warehouse.servers.arbitrary import compare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server


def test_random_queries_are_equal_or_refused_or_errors_and_never_different(
    postgres_server: Server, worker_id: str, tmp_path: Path
) -> None:
    """A few; `bench/dialects.py` asks thousands."""
    url = postgres_server.make(f"arbitrary_{worker_id}")
    with open_session(read_server_address(url)) as session:
        found = compare(session, tmp_path, 250, seed=7)

    assert found.different == []
    assert found.outcomes["equal"] > 20
