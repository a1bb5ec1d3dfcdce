"""The edge: what the environment and the clock say, read once and passed on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.project import OURS, Project, ProjectMissing, ProjectRefused, project_around, project_at
from jobs.warehouse.addresses import (
    SILENCE_S,
    AddressRefused,
    FileAddress,
    ServerAddress,
    has_password,
    read_server_address,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobs.days import Calendar
    from jobs.warehouse.addresses import Address

_DUCKDB = "duckdb:///"
_SERVER = re.compile(r"[a-z+]+://")
_ELSEWHERE = re.compile(r"^\w+:|://|[@?]")  # a server's URL, perhaps with a password, where a path should be
_SPAN = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>[smh])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


class SettingRefused(Exception):
    """An environment variable holds what cannot be used."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told how a command went, as the environment names them; empty is nobody. The ping URL is a secret."""

    log: str = ""
    metrics: str = ""
    ping: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment and the clock said when the program started."""

    home: Path
    warehouse: Address
    now: datetime
    clock: Callable[[], datetime]
    pinned_today: date | None
    program: str
    told: Told = Told()
    project: Project = OURS

    def today(self, calendar: Calendar) -> date:
        """The day that it is in the job's zone: SCORE_TODAY where it is set, else the clock's."""
        return self.pinned_today or calendar.day_of(self.now)


def read_settings(environ: Mapping[str, str], clock: Callable[[], datetime]) -> Settings:
    """The settings that `environ` gives; `now` is read once, so that a run keeps its as-of past midnight.

    Raises:
        SettingRefused: naming the variable, and what it may hold; never a URL, which may hold a password.
        ProjectMissing, ProjectRefused: as `read_project`.
    """
    project = read_project(environ)
    home = _home(environ, project)
    if "?" in str(home) or "\\" in str(home):
        raise SettingRefused(
            "SCORE_HOME holds a `?` or a backslash, which DuckDB does not take in the name of a file; choose another"
        )
    for name, path in (("SCORE_HOME", str(home)), ("SCORE_WAREHOUSE", environ.get("SCORE_WAREHOUSE") or "")):
        _require_utf8(name, path)
    return Settings(
        home=home,
        warehouse=_warehouse(environ, home),
        now=clock().astimezone(UTC),
        clock=clock,
        pinned_today=_today(environ.get("SCORE_TODAY") or ""),
        program="uv run score" if "UV" in environ else "score",  # which uv sets for what it runs
        told=read_told(environ),
        project=project,
    )


def read_project(environ: Mapping[str, str]) -> Project:
    """The project that SCORE_PROJECT names, else the one that the current folder lies in, else the program's own jobs.

    Raises:
        ProjectMissing: if the folder that is named is not there.
        ProjectRefused: if it is no whole project.
    """
    named = environ.get("SCORE_PROJECT")
    if named:
        _require_utf8("SCORE_PROJECT", named)
        return project_at(Path(named).absolute())
    try:
        return project_around(Path.cwd())
    except FileNotFoundError:  # the current folder was deleted
        return OURS


def home_or_var(environ: Mapping[str, str]) -> Path:
    """The home, and `var/` where no project can be found: for a trace, which is written wherever it can be."""
    try:
        return _home(environ, read_project(environ))
    except (OSError, ProjectMissing, ProjectRefused, SettingRefused):
        return Path("var").absolute()


def _home(environ: Mapping[str, str], project: Project) -> Path:
    return Path(environ.get("SCORE_HOME") or (project.folder or Path()) / "var").absolute()


def _require_utf8(name: str, path: str) -> None:
    if not path.isascii() and path.encode(errors="replace").decode() != path:
        raise SettingRefused(f"{name} must be UTF-8; its bytes are of another encoding")


def read_told(environ: Mapping[str, str]) -> Told:
    """Who is told; what stands there is looked at where it is used, for nothing of it may stop a night."""
    names = ("SCORE_LOG", "SCORE_METRICS", "SCORE_PING")
    return Told(*(environ.get(name) or "" for name in names))


def _warehouse(environ: Mapping[str, str], home: Path) -> Address:
    url, silence_s = environ.get("SCORE_WAREHOUSE") or "", _silence(environ.get("SCORE_WAREHOUSE_TIMEOUT") or "")
    try:
        return read_address(url, silence_s) if url else FileAddress(home / "warehouse.duckdb")
    except AddressRefused as refused:
        raise SettingRefused(f"SCORE_WAREHOUSE cannot be used: {refused}") from None


def read_address(url: str, silence_s: float = SILENCE_S) -> Address:
    """The warehouse that a URL names.

    Raises:
        AddressRefused: if it names none; without repeating it, for it may hold a password.
    """
    if _SERVER.match(url) and not url.startswith("duckdb:"):
        return read_server_address(url, silence_s)
    path = url.removeprefix(_DUCKDB)
    if url.startswith(_DUCKDB) and path and not _ELSEWHERE.search(path):
        return FileAddress(Path(path).absolute(), "" if Path(path).is_absolute() else path)
    raise AddressRefused(
        "it must look like duckdb:///path/to/warehouse.duckdb (an absolute path has four slashes) or like "
        "postgresql://user@host:5432/database"
    )


def with_warehouse(settings: Settings, url: str | None) -> Settings:
    """The settings with the warehouse that a command line names.

    Raises:
        AddressRefused: if it names none, or gives a password, which everybody on the machine could read there.
    """
    if url is None:
        return settings
    address = read_address(url)
    if isinstance(address, ServerAddress) and has_password(address):
        raise AddressRefused(
            "a password on the command line can be read by everybody on this machine; put the URL into "
            "SCORE_WAREHOUSE, or the password into PGPASSWORD or ~/.pgpass"
        )
    return replace(settings, warehouse=address)


def _silence(text: str) -> float:
    if not text:
        return SILENCE_S
    match = _SPAN.fullmatch(text)
    if match is None:
        raise SettingRefused(f"SCORE_WAREHOUSE_TIMEOUT must be a span such as 90s, 3m or 1h, found {text[:40]!r}")
    return float(int(match["count"]) * _UNITS_S[match["unit"]])


def _today(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingRefused(f"SCORE_TODAY must be a date such as 2013-09-01, found {text[:40]!r}") from None
