"""Arguments and options that several commands share, each with its parser and its help."""

from __future__ import annotations

import os
import re
from datetime import date, datetime
from typing import Annotated

import typer

_FIRST_YEAR = 1000


def date_of(text: str) -> date:
    """A date such as 2013-09-01; of a year from which the longest lookback still leads to a date."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  a date has no zone
    except ValueError:
        raise typer.BadParameter(f"{text[:40]!r} is no date; write one such as 2013-09-01") from None
    if day.year < _FIRST_YEAR:
        raise typer.BadParameter(f"{text} lies before the year {_FIRST_YEAR}; write a date such as 2013-09-01")
    return day


def span_of(given: str | float) -> float:
    """Seconds, from a text such as 90s, 15m or 2h; a default is seconds already."""
    if not isinstance(given, str):
        return given
    matched = re.fullmatch(r"([0-9]{1,6})([smh])", given)
    if matched is None:
        raise typer.BadParameter(f"{given[:40]!r} is no span; write 90s, 15m or 2h")
    return int(matched[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[matched[2]]


def age_of(given: str | float) -> float:
    """Seconds, from a text such as 7d or 12h; a default is seconds already."""
    if not isinstance(given, str):
        return given
    matched = re.fullmatch(r"([0-9]{1,5})([hd])", given)
    if matched is None:
        raise typer.BadParameter(f"{given[:40]!r} is no age; write 12h or 7d")
    return int(matched[1]) * {"h": 3600.0, "d": 86_400.0}[matched[2]]


def folder_of(text: str) -> str:
    """A folder's path; an empty one, as an unset variable of a shell gives it, is none."""
    if not text.strip():
        raise typer.BadParameter("it names no folder")
    return text


def sentence_of(text: str) -> str:
    """One line that says something."""
    line = " ".join(text.split())
    if not line or not line.isprintable() or len(line) > 1000:  # noqa: PLR2004  lone surrogates are not printable
        raise typer.BadParameter("it must be one line of at most 1,000 characters that says something")
    return line


JobName = Annotated[str | None, typer.Argument(metavar="JOB", help="The job; all of them if left out.")]
JobInUse = Annotated[
    str | None, typer.Argument(metavar="JOB", help="The job; if left out, all that were ever trained here.")
]
OneJob = Annotated[
    str | None, typer.Argument(metavar="JOB", help="The job; may be left out where one was ever trained here.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AsOf = Annotated[date, typer.Option("--as-of", parser=date_of, metavar="DATE", help="The day whose knowledge counts.")]
MaybeAsOf = Annotated[
    date | None, typer.Option("--as-of", parser=date_of, metavar="DATE", help="The day whose knowledge counts.")
]


OnlyAsOf = Annotated[date | None, typer.Option("--as-of", parser=date_of, metavar="DATE", help="Only this night.")]


def threads_of(count: int) -> int:
    """As many threads as were asked for; for 0 as many as this process may use cores."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return count or len(os.sched_getaffinity(0))
    return count or os.cpu_count() or 1


Threads = Annotated[
    int,
    typer.Option(
        envvar="SCORE_THREADS",
        min=0,
        max=1024,
        callback=threads_of,
        help="Threads, 0 for all cores. No result depends on it.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", parser=span_of, metavar="SPAN", show_default=False, help="Wait so long (90s, 15m, 2h) for a busy job."
    ),
]
AcceptRows = Annotated[
    bool,
    typer.Option("--accept-rows", help="Though row counts, or shares of nulls, are not as usual; stays on record."),
]
Reason = Annotated[str, typer.Option("--reason", parser=sentence_of, metavar="TEXT", help="Why; it stays on record.")]
