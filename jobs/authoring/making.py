"""`score new`: look at the warehouse, settle what is wanted, write the job, and check what was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.authoring.asking import ask_at_terminal, ask_for_rest
from jobs.authoring.checking import check_job
from jobs.authoring.confirming import require_wanted
from jobs.authoring.planning import plan_of
from jobs.authoring.warehouse import open_looker
from jobs.authoring.wishes import Predict, Wish, WishRefused
from jobs.authoring.writing import require_free, require_name, write_job
from jobs.project import Project, project_around
from jobs.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jobs.authoring.problems import Checked
    from jobs.authoring.writing import Written


class FolderOfTheProgram(Exception):
    """A job of one's own is not written into the source of the program."""


@dataclass(frozen=True, slots=True)
class Said:
    """The arguments and options of `score new`, as they were typed."""

    name: str
    table: str | None
    entity: str | None
    event_time: str | None
    known_time: str | None
    predict: str | None
    amount: str | None
    horizon_days: int | None
    time_zone: str | None
    key: tuple[str, ...]
    outcome: str | None
    outcome_is: str | None
    outcome_known: str | None
    group: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A job that was written, and what a check of it found."""

    written: Written
    checked: Checked
    program: str


def make_job(said: Said, environ: Mapping[str, str], clock: Callable[[], datetime], *, asks: bool) -> Made:
    """Write the job that was asked for into the project of the environment, or make a project of that folder.

    Raises:
        WishIncomplete, WishRefused, KeyNotFound, HistoryTooShort: if it cannot be planned.
        NobodyAnswers, NotWanted: if a person was asked, and it shall not be.
        JobNameRefused, JobExists, FolderOfTheProgram: if it cannot be written there.
    """
    require_name(said.name)
    folder = folder_of(environ)
    require_free(folder, said.name)
    settings = read_settings({"SCORE_HOME": str(folder / "var"), **environ, "SCORE_PROJECT": ""}, clock)
    with open_looker(settings.warehouse) as looker:
        told = _wish(said, asks=asks)
        wish = ask_for_rest(told, looker, ask_at_terminal) if asks else told
        plan = plan_of(wish, looker)
    if wish != told:
        require_wanted(wish, plan, ask_at_terminal)
    written = write_job(folder, plan)
    return Made(written, check_job(Project(folder), said.name, settings, plan.first_as_of), settings.program)


def folder_of(environ: Mapping[str, str]) -> Path:
    """The folder that a new job goes into: the one that is named, else the project around, else the current folder."""
    named = environ.get("SCORE_PROJECT")
    folder = Path(named).absolute() if named else project_around(Path.cwd()).folder or Path.cwd()
    if any((each / "jobs" / "definition.py").is_file() for each in (folder, *folder.parents)):
        raise FolderOfTheProgram(
            f"{folder} lies in the source of the program; go to a folder of your own, or name one: "
            "score --project DIR new NAME"
        )
    return folder


def _wish(said: Said, *, asks: bool) -> Wish:
    if said.predict is not None and said.predict not in set(Predict):
        raise WishRefused(f"--predict: {said.predict[:40]!r} is none of {', '.join(Predict)}")
    return Wish(
        name=said.name,
        table=said.table,
        entity=said.entity,
        event_time=said.event_time,
        known_time=said.known_time,
        predict=Predict(said.predict) if said.predict else None,
        amount=said.amount,
        horizon_days=said.horizon_days,
        time_zone=said.time_zone or ("" if asks else "UTC"),
        key=said.key,
        outcome=said.outcome,
        outcome_is=said.outcome_is,
        outcome_known=said.outcome_known,
        group=said.group,
    )
