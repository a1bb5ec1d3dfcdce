"""Checks of the place: the settings, the folder of the home, the disk below it, who may read."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
from typing import TYPE_CHECKING

from jobs.definition import job_names
from jobs.doctor.checking import Check, NotYet
from jobs.exits import failure_of
from jobs.store.documents import sync_file, sync_folder
from jobs.store.home import OWNER, HomeUnknown, read_home
from jobs.store.runs import kept_runs, read_run
from jobs.store.snapshots import kept_snapshot_folders, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobs.doctor.checking import Patient
    from jobs.project import Project
    from jobs.store.home import Home

_MB = 1_000_000
_LEAST_FREE_MB = 500
_NIGHTS_FREE = 3
_LEAST_FREE_FILES = 10_000
_OTHERS_READ, _OTHERS_ENTER = 0o044, 0o011


class DiskTooSmall(Exception):
    """There is too little room for a few nights."""


class FileSystemRefused(Exception):
    """The file system of the home does not do what publishing needs."""


class OwnerWrong(Exception):
    """Files would belong to, or be readable by, the wrong people."""


def settings(patient: Patient, _job: str) -> str:
    """The environment variables can be used."""
    found = patient.said = patient.read_settings()
    pinned = f", SCORE_TODAY {found.pinned_today}" if found.pinned_today else ""
    project = f", {found.project}" if found.project.folder else ""
    return f"SCORE_HOME {found.home}, warehouse {found.warehouse}{project}{pinned}"


def home(patient: Patient, _job: str) -> str:
    """The home is one of ours and can be written, or can be made."""
    root = patient.settings.home
    there = _existing(root)
    if not there.is_dir():
        raise HomeUnknown(f"{there} is no folder; set SCORE_HOME to one")
    found = read_home(root)
    for folder in [there, *_folders(found)]:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                raise FileSystemRefused(
                    f"{folder} lies on a file system that is read-only; look at the disk, mount it again"
                )
            raise OwnerWrong(f"{folder} cannot be written by {_user(os.geteuid())}; it belongs to {_owner(folder)}")
    patient.place = found
    if not (root / "format.json").exists():
        return f"{root} is not made yet; the first command that writes makes it{_ignored(patient)}"
    return f"{root} is of a known layout and can be written{_ignored(patient)}"


def _ignored(patient: Patient) -> str:
    """What to do where git would keep a home that lies in its project."""
    root, project = patient.settings.home, patient.project.folder
    if (
        project is None
        or root.parent != project
        or not any((each / ".git").exists() for each in (project, *project.parents))
    ):
        return ""
    path = project / ".gitignore"
    lines = path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []
    known = {f"{root.name}", f"{root.name}/", f"/{root.name}", f"/{root.name}/"}
    return "" if known & set(lines) else f"; git would keep it: add {root.name}/ to {path}"


def _existing(path: Path) -> Path:
    """The path, or the nearest one above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def _folders(found: Home) -> Iterator[Path]:
    """What commands write into, as far as it is there."""
    for name in ("objects", "snapshots", "models", "runs", "events", "locks", "staging"):
        folder = found.root / name
        if folder.is_dir():
            yield folder
            yield from (
                each for each in sorted(folder.iterdir()) if each.is_dir() and name not in {"objects", "staging"}
            )


def disk(patient: Patient, _job: str) -> str:
    """There is room for a few nights."""
    found = patient.home
    there = _existing(found.root)
    free_mb = shutil.disk_usage(there).free // _MB
    night_mb = -(-sum(_newest_bytes(found, name) for name in job_names(patient.project)) // _MB)
    least_mb = max(_LEAST_FREE_MB, _NIGHTS_FREE * night_mb)
    if free_mb < least_mb:
        raise DiskTooSmall(
            f"{free_mb:,} MB are free below {there}, and {least_mb:,} should be: a night takes up to {night_mb:,} MB; "
            "free space"
        )
    system = os.statvfs(there)
    if system.f_files and system.f_favail < _LEAST_FREE_FILES:
        raise DiskTooSmall(f"{system.f_favail:,} more files can be made below {there}; free inodes, see: df -i {there}")
    return f"{free_mb:,} MB free, a night takes up to {night_mb:,} MB"


def _newest_bytes(found: Home, job: str) -> int:
    """What the newest snapshot and the newest run of a job take."""
    snapshots = [read_snapshot(found, job, day, folder.name) for day, folder in kept_snapshot_folders(found, job)[-1:]]
    runs = [read_run(folder) for folder in kept_runs(found, [job])[-1:]]
    seals = [
        *(seal for each in snapshots for seal in each.seals(found).values()),
        *(s for r in runs for s in r.files.values()),
    ]
    return sum(seal.size for seal in seals)


def file_system(patient: Patient, _job: str) -> str | NotYet:
    """It takes what publishing needs, tried with a file in staging: fsync, a lock that excludes, rename."""
    folder = patient.home.root / "staging"
    if not folder.is_dir():
        return NotYet("there is no staging folder yet")
    probe = folder / f"doctor-{os.getpid()}-{os.urandom(4).hex()}"
    moved = probe.with_suffix(".renamed")
    try:
        _try(probe, moved)
    except OSError as error:
        if failure_of(error):
            raise
        raise FileSystemRefused(
            f"{folder}: {error.strerror}; SCORE_HOME needs a file system with fsync, flock and rename, choose another"
        ) from None
    finally:
        probe.unlink(missing_ok=True)
        moved.unlink(missing_ok=True)
    return "takes fsync, flock and rename"


def _try(probe: Path, moved: Path) -> None:
    with probe.open("xb") as file:
        file.write(b"tried by score doctor\n")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with probe.open("rb") as second:
            if _free(second.fileno()):
                raise FileSystemRefused(
                    f"{probe.parent}: a lock does not keep others out; SCORE_HOME needs a file system with flock"
                )
    sync_file(probe)
    probe.rename(moved)
    sync_folder(moved.parent)


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock at `path`; it is held shared for an instant to see that, and not written to."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _free(descriptor)
    finally:
        os.close(descriptor)


def staging(patient: Patient, _job: str) -> str:
    """What writers that died left behind is dropped by the next one."""
    folder = patient.home.root / "staging"
    left = sorted(folder.iterdir()) if folder.is_dir() else []
    abandoned = [each for each in left if each.is_dir() and is_free(each / OWNER)]
    for each in abandoned:
        if not os.access(each, os.W_OK | os.X_OK):
            raise OwnerWrong(f"{each} was abandoned and cannot be dropped by {_user(os.geteuid())}: {_owner(each)} can")
    if abandoned:
        size_mb = sum(path.stat().st_size for each in abandoned for path in each.rglob("*") if path.is_file()) / _MB
        return f"{len(abandoned)} abandoned, {size_mb:,.1f} MB; the next command that writes drops them"
    return f"nothing abandoned{f', {len(left)} in use' if left else ''}"


def readers(patient: Patient, _job: str) -> str:
    """What this process writes belongs to the home's owner, and analysts can read it."""
    found = patient.home
    there = _existing(found.root)
    if there == found.root and there.stat().st_uid != os.geteuid():
        raise OwnerWrong(
            f"this is {_user(os.geteuid())}, and {found.root} belongs to {_owner(there)}, who could not write what is "
            f"made here; run as {_owner(there)}"
        )
    umask = _umask()
    if umask & _OTHERS_READ == _OTHERS_READ:
        raise OwnerWrong(f"with the umask {umask:04o} nobody else can read what this process writes; set it to 0022")
    for path in _newest_published(found, patient.project):
        if not path.stat().st_mode & (_OTHERS_ENTER if path.is_dir() else _OTHERS_READ):
            raise OwnerWrong(f"{path} can be read by its owner only, and analysts' views read it; chmod go+rX {path}")
    who = "others" if not umask & 0o004 else f"its group ({_group(os.getegid())}) only"
    return f"written by {_user(os.geteuid())}, to be read by {who}"


def _newest_published(found: Home, project: Project) -> Iterator[Path]:
    """The newest run's scores of each job, and the folders above them."""
    for folder in (folder for name in job_names(project) for folder in kept_runs(found, [name])[-1:]):
        yield from (each for each in reversed(folder.parents) if each.is_relative_to(found.root))
        yield from (folder, *folder.glob("scores.parquet"))


def _umask() -> int:
    umask = os.umask(0o077)  # it cannot be read without being set
    os.umask(umask)
    return umask


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _owner(path: Path) -> str:
    return _user(path.stat().st_uid)


OF_THE_PLACE = (
    Check("settings", settings),
    Check("home", home, needs=("settings",)),
    Check("disk", disk, needs=("home",)),
    Check("file system", file_system, needs=("home",)),
    Check("staging", staging, needs=("home",)),
    Check("readers", readers, needs=("home",)),
)
