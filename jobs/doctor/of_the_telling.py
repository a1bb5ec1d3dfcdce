"""Checks of those who are told how a night went; none of them is pinged, and nothing is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.doctor.checking import Check
from jobs.telling import metrics as textfile
from jobs.telling import ping as switch
from jobs.telling.log import STDERR

if TYPE_CHECKING:
    from jobs.doctor.checking import Patient


class TellingRefused(Exception):
    """Somebody who should be told would hear nothing; a night goes on without."""


def log(patient: Patient, _job: str) -> str:
    """Log lines can be written where SCORE_LOG says."""
    place = patient.settings.told.log
    if not place:
        return "not asked for (SCORE_LOG)"
    if place == STDERR:
        return "lines go to stderr" if sys.stderr is not None else "stderr is closed here"
    path = Path(place).absolute()
    if path.is_dir():
        raise TellingRefused(f"SCORE_LOG is the folder {path}; name a file in it")
    _require_writable("SCORE_LOG", path if path.exists() else path.parent)
    return f"lines go to {path}"


def metrics(patient: Patient, _job: str) -> str:
    """The textfile can be renamed into place."""
    place = patient.settings.told.metrics
    if not place:
        return "not asked for (SCORE_METRICS)"
    problem = textfile.problem_of(place)
    if problem:
        raise TellingRefused(f"SCORE_METRICS {problem}")
    path = Path(place).absolute()
    if path.is_dir():
        raise TellingRefused(f"SCORE_METRICS is the folder {path}; name a file in it")
    _require_writable("SCORE_METRICS", path.parent)
    return f"figures go to {path}"


def ping(patient: Patient, _job: str) -> str:
    """The ping URL is well formed; it is not repeated."""
    url = patient.settings.told.ping
    if not url:
        return "not asked for (SCORE_PING)"
    problem = switch.problem_of(url)
    if problem:
        raise TellingRefused(f"SCORE_PING {problem}")
    return "the URL is well formed; it was not pinged"


def _require_writable(name: str, place: Path) -> None:
    """Pass if a file can be written to, or files be made in a folder."""
    if not place.exists():
        raise TellingRefused(f"{name}: {place} is not there; make it, or name another place")
    if not os.access(place, os.W_OK | (os.X_OK if place.is_dir() else 0)):
        raise TellingRefused(f"{name}: {place} cannot be written; change its owner or mode, or name another place")


OF_THE_TELLING = (
    Check("log", log, needs=("settings",)),
    Check("metrics", metrics, needs=("settings",)),
    Check("ping", ping, needs=("settings",)),
)
