"""A project: the folder that jobs come from, a user's own or the one that came with the program.

A project has `jobs/` (a TOML a job), `sql/`, `features/` and `models/` beside each other. It has its own jobs only.
"""

from __future__ import annotations

import os
import pwd
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PRIVATE = "features_of_"  # how the modules of projects begin, which are loaded by path
ROOMS = ("jobs", "sql", "features", "models")
_HERE = Path(__file__).parent
_MEANT = len(ROOMS) - 1


class ProjectMissing(Exception):
    """A folder was named, and it is not there."""


class ProjectRefused(Exception):
    """A folder is no whole project, or nobody said that its code may be run."""


@dataclass(frozen=True, slots=True)
class Project:
    """The folders of one project; `folder` is null for the jobs that came with the program."""

    folder: Path | None = None

    @property
    def jobs(self) -> Path:
        """Where the jobs' TOMLs lie."""
        return self.folder / "jobs" if self.folder else _HERE

    @property
    def sql(self) -> Path:
        """Where the versioned SQL lies, a folder a job."""
        return self.folder / "sql" if self.folder else sql_root()

    @property
    def features(self) -> Path:
        """Where the feature modules lie."""
        return (self.folder or _HERE.parent) / "features"

    @property
    def models(self) -> Path:
        """Where the parameters of the jobs' models lie."""
        return (self.folder or _HERE.parent) / "models"

    def __str__(self) -> str:
        return f"the project {self.folder}" if self.folder else "the program's own jobs"


OURS = Project()


def sql_root() -> Path:
    """The folder of our own versioned SQL: inside the installed package, else beside it in a checkout."""
    inside = _HERE / "sql"
    return inside if inside.is_dir() else _HERE.parent / "sql"


def project_at(folder: Path) -> Project:
    """The project that somebody named by its folder; no job need stand in it yet.

    Raises:
        ProjectMissing: if there is no such folder.
        ProjectRefused: if it lacks one of the rooms, or is another copy of this program's source.
    """
    if not _is_dir(folder):
        raise ProjectMissing(f"there is no folder {folder}; name the folder of a project: score --project DIR")
    folder = folder.resolve()  # the same project however one came to it: its home is absolute
    if _is_source(folder):
        if folder == _HERE.parent.resolve():
            return OURS
        raise ProjectRefused(
            f"{folder} is the source of this program, and another copy of it runs; run that one: "
            f"uv run --project {folder} score"
        )
    missing = [f"{room}/" for room in ROOMS if not _is_dir(folder / room)]
    if missing:
        raise ProjectRefused(
            f"{folder} is no whole project: {' and '.join(missing)} missing; a project has "
            f"{', '.join(f'{room}/' for room in ROOMS)} beside each other: make what is missing, or name another "
            "folder with --project"
        )
    return Project(folder)


def project_around(folder: Path) -> Project:
    """The project that `folder` is, or the nearest above it; ours if there is none, and in our own source.

    A folder is meant as a project if a TOML lies in its `jobs/`; where there is none, if it has three rooms.

    Raises:
        ProjectRefused: if the nearest one is not whole, or belongs to another user.
    """
    folder = folder.resolve()
    for is_meant in (_has_job, _has_rooms):  # in this order: tests, too, may lie in folders that are called like rooms
        for each in (folder, *folder.parents):
            if _is_source(each):
                return OURS
            if is_meant(each):
                _require_trusted(each)
                return project_at(each)
    return OURS


def is_in_source(folder: Path) -> bool:
    """Whether a folder is the source of this program, or lies in it."""
    return any(_is_source(each) for each in (folder, *folder.parents))


def place_of(error: BaseException) -> str:
    """File and line of the innermost code of a project that an exception came through; empty if there is none."""
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith(PRIVATE)
    ]
    return "{}:{}".format(*frames[-1]) if frames else ""


def _is_source(folder: Path) -> bool:
    """Whether it is the source of this program, ours or another copy."""
    return (folder / "jobs" / "definition.py").is_file()


def _has_job(folder: Path) -> bool:
    return any((folder / "jobs").glob("*.toml"))


def _has_rooms(folder: Path) -> bool:
    return sum(1 for room in ROOMS if _is_dir(folder / room)) >= _MEANT


def _require_trusted(folder: Path) -> None:
    """Pass if the code in a folder that nobody named is this user's, or root's."""
    owner = folder.stat().st_uid
    if owner not in {os.geteuid(), 0}:
        raise ProjectRefused(
            f"the project {folder} belongs to {_user(owner)}, and its code would be run; name it if that may be: "
            f"score --project {folder}"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _is_dir(path: Path) -> bool:
    with suppress(OSError):  # a folder that may not be looked into is none for us
        return path.is_dir()
    return False
