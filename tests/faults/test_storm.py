"""A small storm: twenty nights killed at random instants, two analysts asking all the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import postgres
from tests.faults.conftest import FIRST
from tests.faults.storm import Site, nights_after, storm

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_lost_and_nothing_partial_is_seen_in_a_storm(
    tmp_path: Path, begun: Path, short_warehouse: Path
) -> None:
    """After each kill the next run needs nobody and leaves the bytes of an undisturbed home."""
    site = Site(begun, f"duckdb:///{short_warehouse}", nights_after(FIRST, 8), tmp_path)

    found = storm(site, kills=20, readers=2, seed=4, limit_s=120)

    assert found.kills == 20
    assert found.answers.reads > 40
    assert (found.helpless, found.lost, found.answers.lost, found.answers.partial) == ([], [], [], [])


def test_nothing_is_lost_and_nothing_partial_is_seen_in_a_storm_over_a_server(
    tmp_path: Path, begun: Path, short_warehouse: Path, postgres_server: postgres.Server, worker_id: str
) -> None:
    """The same with the rows on PostgreSQL, and analysts who query its schema `scores`."""
    name = f"storm_{worker_id}"
    postgres.copy_file(short_warehouse, postgres_server.make(name))
    site = Site(begun, lambda each: postgres_server.make(f"{name}_{each}", name), nights_after(FIRST, 8), tmp_path)

    found = storm(site, kills=20, readers=2, seed=4, limit_s=180)

    assert found.kills == 20
    assert found.answers.reads > 40
    assert (found.helpless, found.lost, found.answers.lost, found.answers.partial) == ([], [], [], [])
