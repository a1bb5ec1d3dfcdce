"""SCORE_HOME: where everything that the job keeps lies, and which format it has.

format.json                               the version of this layout
objects/ab/abcd….parquet                  rows of snapshots, written once, named by their digest
snapshots/JOB/AS_OF/DIGEST/               manifest.json, taken.json, marks.json
models/JOB/VERSION/                       manifest.json, model.txt (or member_NAME.txt each), trained.json
runs/JOB/AS_OF/RUN_ID/                    manifest.json, scores.parquet, features.parquet, execution.json
events/JOB/00000001.json …                publications, promotions, skips, proofs: one chain a job
proofs/JOB/DIGEST.json                    what `score prove` found
locks/                                    lock files, never deleted
staging/                                  what is being written; dropped at the next start if its writer died
scores.duckdb                             what analysts open: views over published runs
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from jobs.store.documents import (
    DocumentMissing,
    make_folder,
    read_document,
    sync_file,
    sync_folder,
    write_document,
)
from jobs.store.locks import Busy, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUT = 1
OWNER = ".owner"
_STATE = {"objects", "snapshots", "models", "runs", "events", "proofs"}
_BRIEFLY_S = 30.0
_POLL_S = 0.2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class HomeUnknown(Exception):
    """The folder is a SCORE_HOME of a layout that this version does not know."""


class NameRefused(Exception):
    """A name that would become part of a path, and is not one."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one SCORE_HOME; holds no open file."""

    root: Path

    @property
    def objects(self) -> Path:
        """Where objects lie."""
        return self.root / "objects"

    @property
    def published(self) -> Path:
        """The database that analysts open."""
        return self.root / "scores.duckdb"

    def snapshots(self, job: str, as_of: date | None = None) -> Path:
        """The folder of a job's snapshots, or of those of one as-of."""
        return self._of("snapshots", job, as_of)

    def runs(self, job: str, as_of: date | None = None) -> Path:
        """The folder of a job's runs, or of those of one as-of."""
        return self._of("runs", job, as_of)

    def models(self, job: str) -> Path:
        """The folder of a job's model versions."""
        return self._of("models", job, None)

    def events(self, job: str) -> Path:
        """The folder of a job's chain of events."""
        return self._of("events", job, None)

    def proofs(self, job: str) -> Path:
        """The folder of what `score prove` found about a job's model versions."""
        return self._of("proofs", job, None)

    def lock(self, name: str) -> Path:
        """A lock file."""
        return self.root / "locks" / f"{safe_name(name)}.lock"

    def _of(self, kind: str, job: str, as_of: date | None) -> Path:
        folder = self.root / kind / safe_name(job)
        return folder / as_of.isoformat() if as_of else folder


def safe_name(name: str) -> str:
    """`name`, which may become one component of a path.

    Raises:
        NameRefused: if it holds anything but letters, digits, `_` and `-`, or more than 100 of them.
    """
    if not is_name(name):
        raise NameRefused(f"{name[:40]!r} is no name: use letters, digits, `_` and `-`, at most 100")
    return name


def is_name(name: str) -> bool:
    """Whether a name may become one component of a path."""
    return _NAME.fullmatch(name) is not None


def stored_jobs(home: Home) -> tuple[str, ...]:
    """The jobs of which a home keeps anything, by name, whether there is a definition of them or not."""
    kinds = ("events", "snapshots", "models", "runs")
    return tuple(sorted({path.name for kind in kinds for path in (home.root / kind).glob("*/") if is_name(path.name)}))


def dated_folders(place: Path, digits: int, as_of: date | None = None) -> list[tuple[date, Path]]:
    """The folders AS_OF/NAME of a place, NAME being so many hex digits, in order; what else lies there is not ours."""
    found = sorted(place.glob(f"{as_of or '????-??-??'}/{'[0-9a-f]' * digits}/"))
    return [(day, folder) for folder in found if (day := _day(folder.parent.name))]


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def open_home(root: Path) -> Home:
    """The home at `root`, made if it is not there, its abandoned staging dropped: for whoever writes.

    Raises:
        HomeUnknown: if there is stored state without a format, or a layout of another version.
    """
    home = read_home(root)
    if not (home.root / "format.json").exists():
        _make(home.root)
    for name in ("objects", "locks", "staging"):
        (home.root / name).mkdir(exist_ok=True)
    _drop_abandoned(home)
    return home


def read_home(root: Path) -> Home:
    """The home at `root`, which may not be made yet: for whoever only reads; errors as `open_home`."""
    root = root.absolute()
    try:
        body = read_document(root / "format.json", "home")
    except DocumentMissing:
        stored = root.is_dir() and _STATE & {entry.name for entry in root.iterdir()}
        if stored and not (root / "format.json").exists():
            raise HomeUnknown(f"{root}/format.json is missing beside stored state; restore it from a backup") from None
        return Home(root)
    if body.get("layout") != LAYOUT:
        raise HomeUnknown(f"{root} has layout {body.get('layout')}; this version knows {LAYOUT}")
    return Home(root)


def _make(root: Path) -> None:
    """Write the format before anything else is there, so that a kill in between, or a second process, does no harm."""
    try:
        write_document(root / "format.json", "home", {"layout": LAYOUT})
    except (FileNotFoundError, NotADirectoryError):
        raise HomeUnknown(f"{root} cannot be made; set SCORE_HOME to a folder") from None


@contextmanager
def staging(home: Home) -> Iterator[Path]:
    """A folder of this process on the home's file system, gone afterwards; a lock says that its owner lives."""
    folder = home.root / "staging" / f"{os.getpid()}-{os.urandom(4).hex()}"
    with locked(home.lock("staging"), _BRIEFLY_S):
        folder.mkdir(parents=True)
        owner = os.open(folder / OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


@contextmanager
def nothing_else_staged(home: Home, own: Path, wait_s: float) -> Iterator[None]:
    """Keep staging to oneself: nobody else has anything there, and whoever comes waits until this ends.

    Raises:
        Busy: if somebody has something there still, after `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while True:
        with locked(home.lock("staging"), _BRIEFLY_S):
            others = _in_use(home, own)
            if not others:
                yield
                return
        if time.monotonic() >= deadline:
            process = others[0].name.partition("-")[0]
            raise Busy(f"process {process} is taking a snapshot, training or proving; wait for it, or use --wait")
        time.sleep(_POLL_S)


def _in_use(home: Home, own: Path) -> list[Path]:
    """The staging folders of other writers that live; those of others are dropped."""
    for each in _left(home):
        if each != own:
            _drop_if_abandoned(each)
    return [each for each in _left(home) if each != own and (each / OWNER).exists()]


def _left(home: Home) -> list[Path]:
    folder = home.root / "staging"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def settle(staged: Path, place: Path) -> None:
    """Make a staged folder durable, file by file, and rename it to its place; one that is there already stays."""
    for path in sorted(staged.rglob("*")):
        sync_file(path)
    sync_file(staged)
    make_folder(place.parent)
    try:
        staged.rename(place)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    sync_folder(place.parent)


def _drop_abandoned(home: Home) -> None:
    left = _left(home)
    if left:
        with locked(home.lock("staging"), _BRIEFLY_S):
            for each in left:
                _drop_if_abandoned(each)


def _drop_if_abandoned(left: Path) -> None:
    """Remove a staging folder whose writer died: the lock on its owner's file is free."""
    try:
        owner = os.open(left / OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(owner)
