"""Writing a new job into a project folder: every file new, or none; its SQL released, so that it runs at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING

from jobs.authoring import ahead_text
from jobs.authoring.ahead import AheadPlan
from jobs.authoring.example_text import example_file
from jobs.authoring.feature_text import feature_file
from jobs.authoring.settings_text import job_file, model_file, project_files
from jobs.authoring.sql_text import sql_files
from jobs.definition import is_reserved
from jobs.project import ROOMS
from jobs.queries.released import release
from jobs.queries.rendering import renew_renderings
from jobs.queries.words import KEYWORDS_OF_POSTGRES
from jobs.store.documents import write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobs.authoring.entities import Plan

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class JobNameRefused(Exception):
    """A name that no job can have, as it names files, relations and a module."""


class JobExists(Exception):
    """Files of a job of that name are there already, and nothing is overwritten."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, by paths in the folder: the files of the job, and those that made the folder a project."""

    plan: Plan | AheadPlan
    folder: Path
    files: tuple[str, ...]
    project_files: tuple[str, ...]


def require_name(name: str) -> None:
    """Pass if a job, its module and its score table can be called so.

    Raises:
        JobNameRefused: if not.
    """
    if not _NAME.fullmatch(name) or iskeyword(name) or name in KEYWORDS_OF_POSTGRES or is_reserved(name):
        raise JobNameRefused(
            f"{name[:60]!r} cannot name a job: it names files, a Python module and a table of scores; "
            "use lower-case letters, digits and _, such as repeat_orders"
        )


def job_paths(name: str) -> tuple[str, ...]:
    """The files and the folder that are of one job alone, by paths in the project."""
    return (f"jobs/{name}.toml", f"models/{name}.toml", f"features/{name}.py", f"tests/test_{name}.py", f"sql/{name}")


def require_free(folder: Path, name: str) -> None:
    """Pass if no file of a job of that name is there.

    Raises:
        JobExists: naming those that are.
    """
    there = [path for path in job_paths(name) if (folder / path).exists()]
    if there:
        raise JobExists(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already in {folder}, and nothing is "
            "overwritten; choose another name, or take them away first"
        )


def write_job(folder: Path, plan: Plan | AheadPlan) -> Written:
    """Write the files of a job, release its SQL, and make the folder a project where it is none.

    The job's TOML is written last: until then there is no such job.

    Raises:
        JobNameRefused, JobExists: if it cannot be called so.
    """
    require_name(plan.name)
    require_free(folder, plan.name)
    made = _make_project(folder)
    files = job_files(plan)
    for path, text in files.items():
        _write(folder / path, text)
    release(folder / "sql" / plan.name)
    renew_renderings(folder / "sql" / plan.name)
    _write(folder / "jobs" / f"{plan.name}.toml", job_file(plan))
    return Written(plan, folder, (f"jobs/{plan.name}.toml", *files), made)


def job_files(plan: Plan | AheadPlan) -> Mapping[str, str]:
    """Path to text of everything of a job but its TOML."""
    if isinstance(plan, AheadPlan):
        sql, features, example = (
            ahead_text.sql_files(plan),
            ahead_text.feature_file(plan),
            ahead_text.example_file(plan),
        )
    else:
        sql, features, example = sql_files(plan), feature_file(plan), example_file(plan)
    return {
        **{f"sql/{plan.name}/{name}": text for name, text in sql.items()},
        f"features/{plan.name}.py": features,
        f"models/{plan.name}.toml": model_file(plan),
        f"tests/test_{plan.name}.py": example,
    }


def _make_project(folder: Path) -> tuple[str, ...]:
    """Make the rooms that are not there; where it was no project, also what a project has beside them."""
    rooms = [room for room in ROOMS if not (folder / room).is_dir()]
    for room in (*ROOMS, "tests"):
        (folder / room).mkdir(parents=True, exist_ok=True)
    if not rooms:
        return ()
    beside = {path: text for path, text in project_files(folder.name).items() if not (folder / path).exists()}
    for path, text in beside.items():
        _write(folder / path, text)
    return tuple(beside)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode())
