"""The small world with one night that is published, 2013-04-12, which is also today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.evidence.conftest import NIGHT, trained

if TYPE_CHECKING:
    from tests.conftest import World

__all__ = ["trained"]


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """With the analysts' views of where the home lies."""
    monkeypatch.setenv("SCORE_TODAY", NIGHT)
    assert world.run("run").code == 0
    return world
