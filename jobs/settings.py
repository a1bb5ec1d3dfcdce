"""The edge: what the environment and the clock say, read once and passed on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobs.days import Calendar

_DUCKDB = "duckdb:///"
_ELSEWHERE = re.compile(r"^\w+:|://|[@?]")  # a server's URL, perhaps with a password, where a path should be


class SettingRefused(Exception):
    """An environment variable holds what cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment and the clock said when the program started."""

    home: Path
    warehouse_file: Path
    now: datetime
    clock: Callable[[], datetime]
    pinned_today: date | None
    program: str

    def today(self, calendar: Calendar) -> date:
        """The day that it is in the job's zone: SCORE_TODAY where it is set, else the clock's."""
        return self.pinned_today or calendar.day_of(self.now)


def read_settings(environ: Mapping[str, str], clock: Callable[[], datetime]) -> Settings:
    """The settings that `environ` gives; `now` is read once, so that a run keeps its as-of past midnight.

    Raises:
        SettingRefused: naming the variable, and what it may hold; never a URL, which may hold a password.
    """
    home = Path(environ.get("SCORE_HOME") or "var").absolute()
    if "?" in str(home) or "\\" in str(home):
        raise SettingRefused(
            "SCORE_HOME holds a `?` or a backslash, which DuckDB does not take in the name of a file; choose another"
        )
    for name, path in (("SCORE_HOME", str(home)), ("SCORE_WAREHOUSE", environ.get("SCORE_WAREHOUSE") or "")):
        if not path.isascii() and path.encode(errors="replace").decode() != path:
            raise SettingRefused(f"{name} must be UTF-8; its bytes are of another encoding")
    return Settings(
        home=home,
        warehouse_file=_warehouse_file(environ.get("SCORE_WAREHOUSE") or "", home),
        now=clock().astimezone(UTC),
        clock=clock,
        pinned_today=_today(environ.get("SCORE_TODAY") or ""),
        program="uv run score" if "UV" in environ else "score",  # which uv sets for what it runs
    )


def _warehouse_file(url: str, home: Path) -> Path:
    if not url:
        return home / "warehouse.duckdb"
    path = url.removeprefix(_DUCKDB)
    if url.startswith(_DUCKDB) and path and not _ELSEWHERE.search(path):
        return Path(url.removeprefix(_DUCKDB)).absolute()
    raise SettingRefused(
        "SCORE_WAREHOUSE must look like duckdb:///path/to/warehouse.duckdb (an absolute path has four slashes)"
    )


def _today(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingRefused(f"SCORE_TODAY must be a date such as 2013-09-01, found {text[:40]!r}") from None
