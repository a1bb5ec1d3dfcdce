"""Inspecting: every stored document and file is, bit for bit, what was written, whether a run still needs it or not.

Not looked at are what is built anew (the analysts' views), locks, staging and logs. What lies beside the evidence and
belongs to nothing is no damage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from jobs.evidence.golden import read_golden_night
from jobs.evidence.verifying import INTEGRITY
from jobs.exits import Failure, failure_of, known_failures
from jobs.store.documents import read_document
from jobs.store.events import PROMOTED, read_chain
from jobs.store.home import stored_jobs
from jobs.store.marks import inspect_marks
from jobs.store.objects import broken_files, require_rows
from jobs.store.proofs import read_proofs
from jobs.store.registry import (
    GOLDEN_ROWS,
    read_lock_file,
    read_training_record,
    read_version,
    text_files,
    version_folder,
    version_names,
)
from jobs.store.runs import kept_runs, read_run
from jobs.store.snapshots import kept_snapshot_folders, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date
    from pathlib import Path

    from jobs.store.home import Home
    from jobs.store.objects import FileSeal

_OF_THE_MACHINE = {74, 77}
_OBJECT = re.compile(r"[0-9a-f]{64}")


def inspect_store(home: Home) -> list[Failure]:
    """What is damaged or missing below the home, each with the file's name."""
    seen = _Inspection(home)
    for job in stored_jobs(home):
        _look_at_events(seen, job)
        for as_of, folder in kept_snapshot_folders(home, job):
            _look_at_snapshot(seen, job, as_of, folder)
        for name in version_names(home, job):
            _look_at_version(seen, job, name)
        for folder in kept_runs(home, [job]):
            _look_at_run(seen, folder)
    for broken in broken_files(seen.seals):
        seen.note(broken)
    _look_at_orphans(seen)
    return seen.found


@dataclass(slots=True)
class _Inspection:
    """What was found so far, and which files must be what; a file that several name alike is read once."""

    home: Home
    found: list[Failure] = field(default_factory=list)
    seals: dict[tuple[Path, FileSeal], None] = field(default_factory=dict)

    def read[T](self, read: Callable[[], T]) -> T | None:
        """What was read; null if it cannot be, which is noted."""
        try:
            return read()
        except known_failures() as error:
            self.note(error)
            return None

    def note(self, error: Exception) -> None:
        """Note a failure once; whatever is not there or not whole is damage."""
        failure = failure_of(error)
        if failure is None:
            raise error
        told = failure if failure.code in _OF_THE_MACHINE else Failure(INTEGRITY, failure.message)
        if told not in self.found:
            self.found.append(told)

    def expect(self, seals: Iterable[tuple[Path, FileSeal]]) -> None:
        """Files that must be what was written; they are read later, all at once."""
        self.seals |= dict.fromkeys(seals)


def _look_at_events(seen: _Inspection, job: str) -> None:
    """The chain, and whether what it names is there at all."""
    chain = seen.read(partial(read_chain, seen.home, job))
    for run_id, event in chain.first_shown().items() if chain else ():
        folder = seen.home.runs(job, event.as_of) / run_id
        if not folder.is_dir():
            seen.read(partial(read_run, folder))
    for event in chain.events if chain else ():
        if event.record:
            seen.read(partial(read_proofs, seen.home, job, event.record))
        if event.kind == PROMOTED and event.model_version not in version_names(seen.home, job):
            seen.read(partial(read_version, seen.home, job, str(event.model_version)))


def _look_at_snapshot(seen: _Inspection, job: str, as_of: date, folder: Path) -> None:
    seen.read(partial(read_document, folder / "taken.json", "snapshot taken"))
    seen.read(partial(inspect_marks, folder))
    snapshot = seen.read(partial(read_snapshot, seen.home, job, as_of, folder.name))
    if snapshot:
        seen.expect(snapshot.seals(seen.home).items())


def _look_at_version(seen: _Inspection, job: str, name: str) -> None:
    home = seen.home
    version = seen.read(partial(read_version, home, job, name))
    if version is None:
        return
    for read in (read_lock_file, read_training_record):
        seen.read(partial(read, home, version))
    folder = version_folder(home, version)
    seen.expect((folder / name, seal) for name, seal in text_files(version).items())
    seen.expect([(folder / GOLDEN_ROWS, version.golden.rows_seal)])
    night = seen.read(partial(read_golden_night, home, version))
    if night:
        seen.expect(night.seals(home).items())


def _look_at_run(seen: _Inspection, folder: Path) -> None:
    seen.read(partial(read_document, folder / "execution.json", "execution"))
    run = seen.read(partial(read_run, folder))
    if run:
        seen.expect((folder / name, seal) for name, seal in run.files.items())


def _look_at_orphans(seen: _Inspection) -> None:
    """Objects that no manifest names, as a kill may leave them: the next snapshot may take them for its own."""
    named = {path for path, _ in seen.seals}
    for path in sorted(seen.home.objects.glob("??/*.parquet")):
        if path not in named and _OBJECT.fullmatch(path.stem):
            seen.read(partial(require_rows, path))
