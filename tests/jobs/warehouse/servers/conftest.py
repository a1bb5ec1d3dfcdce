"""A warehouse on a server whose job does not pause between its tries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobs.warehouse.servers import watch

if TYPE_CHECKING:
    from tests import postgres


_LOST: list[object] = []  # what lost threads use must outlive their test


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once; threads that a test lost count only in that test."""
    lost: dict[int, object] = {}
    _LOST.append(lost)
    monkeypatch.setattr("jobs.warehouse.servers.reading.PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(watch, "_LEFT_BEHIND", lost)


@pytest.fixture
def own_database(postgres_server: postgres.Server, small_database: str, worker_id: str) -> str:
    """The name of a copy of the small database, for a test that changes it."""
    name = f"own_{worker_id}"
    postgres_server.make(name, small_database)
    return name
