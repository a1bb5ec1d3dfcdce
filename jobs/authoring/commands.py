"""The commands `score new` and `score check`: parse, call one step, print."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.options import JobName, Json, date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jobs.screen import Screen


@dataclass(frozen=True, slots=True)
class Edge:
    """What the program knows of the outside: its environment, clock and screen; `whose` has it said whose jobs these are."""

    environ: Callable[[], Mapping[str, str]]
    clock: Callable[[], datetime]
    screen: Callable[[bool], Screen]
    whose: Callable[[str | None], None]


_EDGE: list[Edge] = []


def add_to(app: typer.Typer, edge: Edge) -> None:
    """Add the two commands to the program."""
    _EDGE[:] = [edge]
    app.command()(new)
    app.command()(check)


def new(
    name: Annotated[str, typer.Argument(help="What the job is called: it names files, a module and a score table.")],
    *,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="The table whose rows say what happened.")] = None,
    entity: Annotated[str | None, typer.Option(metavar="COLUMN", help="What is scored: what its rows are of.")] = None,
    event_time: Annotated[str | None, typer.Option(metavar="COLUMN", help="When a row happened.")] = None,
    known_time: Annotated[
        str | None, typer.Option(metavar="COLUMN|none", help="When the warehouse knew of it; none: it does not say.")
    ] = None,
    predict: Annotated[
        str | None,
        typer.Option(
            metavar="any|count|sum|outcome",
            help="Of each entity: whether rows come, how many, what --amount adds up to; or of each row ahead: its --outcome.",
        ),
    ] = None,
    amount: Annotated[str | None, typer.Option(metavar="COLUMN", help="A number that features sum.")] = None,
    horizon_days: Annotated[int | None, typer.Option(metavar="N", help="So many days ahead.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Whose midnight ends a day.", show_default="UTC")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="What tells its rows apart, if it is not found; may be repeated."),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What became of a row: with --predict outcome.")
    ] = None,
    outcome_is: Annotated[
        str | None, typer.Option(metavar="VALUE", help="The outcome that counts.", show_default="true")
    ] = None,
    outcome_known: Annotated[
        str | None, typer.Option(metavar="COLUMN|none", help="When an outcome became known.", show_default="none")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="What rows ahead have in common with past ones; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a job that runs at once, for a table of your warehouse: asks for what is not said by options."""
    from jobs.authoring.making import Said, make_job
    from jobs.authoring.showing import show_written

    edge = _EDGE[0]
    said = Said(
        name, table, entity, event_time, known_time, predict, amount, horizon_days, time_zone, tuple(key or ()),
        outcome, outcome_is, outcome_known, tuple(group or ()),
    )  # fmt: skip
    asks = not json and sys.stdin is not None and sys.stdin.isatty()
    made = make_job(said, edge.environ(), edge.clock, asks=asks)
    raise typer.Exit(show_written(edge.screen(json), made))


def check(
    job: JobName = None,
    *,
    as_of: Annotated[
        date | None,
        typer.Option(
            parser=date_of, metavar="DATE", help="Look at the warehouse's rows as of that day; default: today."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say everything that is wrong with a job before it runs, with file and line; changes nothing."""
    from jobs.authoring.checking import check_jobs
    from jobs.authoring.showing import show_checked

    edge = _EDGE[0]
    edge.whose(job)
    raise typer.Exit(show_checked(edge.screen(json), check_jobs(job, edge.environ(), edge.clock, as_of)))
