"""Deleting what may go: alone in the home, and in an order in which a kill at any point leaves it whole."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jobs.collecting.choosing import choose, require_few
from jobs.collecting.stored import read_stored
from jobs.store.documents import sync_folder
from jobs.store.home import nothing_else_staged, staging, stored_jobs
from jobs.store.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from jobs.collecting.choosing import Plan
    from jobs.store.home import Home


def look_through(home: Home, now: datetime, older_than_s: float) -> Plan:
    """What may go, of what is older than so many seconds; nothing is touched, no lock is taken."""
    return choose(read_stored(home), now.timestamp() - older_than_s)


def collect(
    home: Home, jobs: Iterable[str], now: datetime, older_than_s: float, *, more_than_half: bool, wait_s: float = 0.0
) -> Plan:
    """Delete what may go, once nobody scores, trains or takes a snapshot; returns what went.

    Snapshots need no lock, and one in the making may refer to any object that an earlier one refers to. So nobody may
    have anything staged while this decides and deletes.

    Raises:
        Busy: if somebody is at work, after `wait_s` seconds.
        StateIncomplete, MostWouldGo: if the home does not look whole.
    """
    deadline = time.monotonic() + wait_s
    with ExitStack() as alone:
        for job in sorted({*jobs, *stored_jobs(home)}):
            alone.enter_context(locked(home.lock(job), _left(deadline)))
        staged = alone.enter_context(staging(home))
        alone.enter_context(nothing_else_staged(home, staged, _left(deadline)))
        plan = look_through(home, now, older_than_s)
        if not more_than_half:
            require_few(plan)
        _delete(plan, staged)
    return plan


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _delete(plan: Plan, staged: Path) -> None:
    """Manifests before what they refer to, each whole in one rename, durably; staging is dropped by its owner."""
    for each in plan.snapshots:
        each.folder.rename(staged / f"{each.job}-{each.digest}")
    for folder in sorted({each.folder.parent for each in plan.snapshots}):
        _sync_or_drop(folder)
    for file in (*plan.objects, *plan.temporary):
        file.path.unlink(missing_ok=True)
    for folder in sorted({file.path.parent for file in (*plan.objects, *plan.temporary)}):
        sync_folder(folder)


def _sync_or_drop(folder: Path) -> None:
    """Make renames out of a folder durable; one that is empty now goes too."""
    sync_folder(folder)
    if not any(folder.iterdir()):
        folder.rmdir()
        sync_folder(folder.parent)
