"""What lies in a home, and what each part of it needs of the others; read whole, or not at all.

Whoever removes things must know of everything that refers to them. So a manifest, an event or a document that cannot be
read, or one that names what is not there, ends the reading: a copy that was not finished, or a damaged disk, loses
nothing more here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from jobs.evidence.golden import read_golden_night
from jobs.store.events import PROMOTED, read_chain
from jobs.store.home import stored_jobs
from jobs.store.objects import ObjectMissing, check_lengths
from jobs.store.proofs import read_proofs
from jobs.store.registry import GOLDEN_ROWS, ModelMissing, read_version, text_files, version_folder, version_names
from jobs.store.runs import kept_runs, read_run
from jobs.store.snapshots import kept_snapshots, read_snapshot, snapshot_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jobs.store.home import Home
    from jobs.store.objects import FileSeal
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot, Taken

_OBJECT = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.tmp")  # as jobs.store.documents.write_durably names what it writes

type Name = tuple[str, date, str]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file: its length, and when it was written, in seconds since 1970, as the file system says."""

    path: Path
    size: int
    written_at: float


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A kept snapshot: where it lies, when it was taken and written, by which SQL, and which objects it refers to."""

    job: str
    as_of: date
    first_night: date
    digest: str
    taken_at: str
    folder: Path
    written_at: float
    read_by: frozenset[tuple[str, str]]
    objects: frozenset[Path]

    @property
    def name(self) -> Name:
        """What runs and model versions call it by."""
        return self.job, self.as_of, self.digest


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that counts in a home.

    `on_record` are the jobs that have events; `used` the snapshots that runs and model versions were made of; `golden`
    the objects of golden nights; `temporary` what a kill left of a document that was being written.
    """

    on_record: frozenset[str]
    used: frozenset[Name]
    golden: frozenset[Path]
    snapshots: tuple[StoredSnapshot, ...]
    objects: tuple[StoredFile, ...]
    temporary: tuple[StoredFile, ...]


def read_stored(home: Home) -> Stored:
    """Read who refers to what: those that refer first, so that what they name is there even beside a run at work.

    Raises:
        ObjectMissing, ObjectDamaged, DocumentDamaged, ...: naming what is not there, or not what was written.
    """
    jobs = stored_jobs(home)
    on_record = frozenset(job for job in jobs if _events(home, job))
    used: set[Name] = set()
    golden: dict[Path, FileSeal] = {}
    for job in jobs:
        used.update(_of_runs(home, job))
        for version in version_names(home, job):
            used.add(_of_version(home, job, version, golden))
    snapshots: list[StoredSnapshot] = []
    for job in jobs:
        for taken in kept_snapshots(home, job):
            snapshot = read_snapshot(home, job, taken.as_of, taken.digest)
            check_lengths(snapshot.seals(home))
            snapshots.append(_stored(home, snapshot, taken))
    check_lengths(golden)
    _require_used(used, snapshots)
    return Stored(
        on_record=on_record,
        used=frozenset(used),
        golden=frozenset(golden),
        snapshots=tuple(snapshots),
        objects=tuple(_objects(home)),
        temporary=tuple(_temporary(home)),
    )


def _events(home: Home, job: str) -> bool:
    """Whether the job has events; what they name is there."""
    chain = read_chain(home, job)
    for run_id, event in chain.first_shown().items():
        read_run(home.runs(job, event.as_of) / run_id)
    for event in chain.events:
        if event.kind == PROMOTED:
            _version(home, job, str(event.model_version))
        if event.record:
            read_proofs(home, job, event.record)
    return bool(chain.events)


def _of_runs(home: Home, job: str) -> Iterator[Name]:
    """The snapshots that runs were made of, in events or not: a kill may have come between a run and its event."""
    for folder in kept_runs(home, [job]):
        run = read_run(folder)
        check_lengths({folder / name: seal for name, seal in run.files.items()})
        yield job, run.inputs.as_of, run.inputs.snapshot_digest


def _of_version(home: Home, job: str, name: str, golden: dict[Path, FileSeal]) -> Name:
    """The snapshot that a model version was trained on; the objects of its golden night are added."""
    version = _version(home, job, name)
    folder = version_folder(home, version)
    texts = {folder / name: seal for name, seal in text_files(version).items()}
    check_lengths({**texts, folder / GOLDEN_ROWS: version.golden.rows_seal})
    golden |= read_golden_night(home, version).seals(home)
    return job, version.as_of, version.snapshot_digest


def _version(home: Home, job: str, name: str) -> ModelVersion:
    try:
        return read_version(home, job, name)
    except ModelMissing as gone:
        raise ObjectMissing(f"{gone}; restore it from a backup") from None


def _stored(home: Home, snapshot: Snapshot, taken: Taken) -> StoredSnapshot:
    folder = snapshot_folder(home, snapshot.job, snapshot.as_of, taken.digest)
    return StoredSnapshot(
        job=snapshot.job,
        as_of=snapshot.as_of,
        first_night=snapshot.first_night,
        digest=taken.digest,
        taken_at=taken.taken_at,
        folder=folder,
        written_at=(folder / "manifest.json").stat().st_mtime,
        read_by=frozenset((table.name, table.sql_fingerprint) for table in snapshot.tables if table.source_types),
        objects=frozenset(snapshot.seals(home)),
    )


def _require_used(used: set[Name], snapshots: list[StoredSnapshot]) -> None:
    for job, as_of, digest in sorted(used - {each.name for each in snapshots}):
        raise ObjectMissing(
            f"snapshot {digest[:12]} of {job} as of {as_of}, which a run or a model was made of, is missing; restore "
            "it from a backup of SCORE_HOME"
        )


def _objects(home: Home) -> Iterator[StoredFile]:
    found = sorted(home.objects.glob("??/*.parquet"))
    return _files(path for path in found if _OBJECT.fullmatch(path.stem) and path.stem.startswith(path.parent.name))


def _temporary(home: Home) -> Iterator[StoredFile]:
    """What is left where documents are written in place; anything else is written into staging."""
    folders = (home.root, *home.root.glob("events/*/"), *home.root.glob("proofs/*/"))
    found = sorted(path for folder in folders for path in folder.glob(".*.tmp"))
    return _files(path for path in found if _TEMPORARY.fullmatch(path.name) and path.is_file())


def _files(paths: Iterable[Path]) -> Iterator[StoredFile]:
    """Each file that is still there: who writes beside this takes away what it wrote for a moment."""
    for path in paths:
        with suppress(FileNotFoundError):
            stat = path.stat()
            yield StoredFile(path, stat.st_size, stat.st_mtime)
