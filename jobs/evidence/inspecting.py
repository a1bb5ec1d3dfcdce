"""Inspecting: every stored document and file is, bit for bit, what was written, whether a run still needs it or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jobs.exits import failure_of, known_failures
from jobs.store.documents import read_document
from jobs.store.events import read_chain
from jobs.store.objects import ObjectDamaged, check_seals, seal_of
from jobs.store.registry import read_model_text, read_version, version_names
from jobs.store.runs import kept_runs, read_run
from jobs.store.snapshots import kept_snapshot_folders, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from jobs.exits import Failure
    from jobs.store.home import Home


def inspect_store(home: Home, jobs: tuple[str, ...]) -> list[Failure]:
    """What is damaged or missing below the home, each with the file's name; views are built anew and not looked at."""
    found: list[Failure] = []
    for job in jobs:
        for look in _looks(home, job):
            try:
                look()
            except known_failures() as error:
                failure = failure_of(error)
                if failure is None:
                    raise
                if failure not in found:
                    found.append(failure)
    return found


def _looks(home: Home, job: str) -> Iterator[Callable[[], object]]:
    yield partial(read_chain, home, job)
    for as_of, folder in kept_snapshot_folders(home, job):
        yield partial(read_document, folder / "taken.json", "snapshot taken")
        yield partial(_look_at_snapshot, home, job, as_of, folder.name)
    for name in version_names(home, job):
        yield partial(_look_at_version, home, job, name)
    for folder in kept_runs(home, [job]):
        yield partial(_look_at_run, folder)


def _look_at_snapshot(home: Home, job: str, as_of: date, digest: str) -> None:
    check_seals(read_snapshot(home, job, as_of, digest).seals(home))


def _look_at_version(home: Home, job: str, name: str) -> None:
    version = read_version(home, job, name)
    read_model_text(home, version)
    folder = home.models(job) / name
    read_document(folder / "trained.json", "training")
    if seal_of(folder / "uv.lock").sha256 != version.lock_sha256:
        raise ObjectDamaged(
            f"{folder / 'uv.lock'} is not what was written (its SHA-256 differs); restore it from a backup"
        )


def _look_at_run(folder: Path) -> None:
    run = read_run(folder)
    read_document(folder / "execution.json", "execution")
    check_seals({folder / name: seal for name, seal in run.files.items()})
