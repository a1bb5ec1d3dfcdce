"""The program `score`: parse, call one step, print."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from jobs.authoring.commands import Edge, add_to
from jobs.kill_points import arm
from jobs.options import (
    AcceptRows,
    AsOf,
    JobInUse,
    JobName,
    Json,
    MaybeAsOf,
    OneJob,
    OnlyAsOf,
    Reason,
    Threads,
    Wait,
    age_of,
    date_of,
    folder_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from jobs.definition import Job
    from jobs.exits import Failure
    from jobs.project import Project
    from jobs.screen import Screen, Tell
    from jobs.settings import Settings, Told
    from jobs.steps.nights import Desk, Outcome
    from jobs.store.home import Home
    from jobs.telling.log import Log
    from jobs.telling.teller import Teller

app = typer.Typer(
    name="score",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Score every night, keep what every score was made of, and show any past night again, to the bit.",
    epilog="State lies in SCORE_HOME (default: var/, in a project the one in it), rows come from SCORE_WAREHOUSE (default: duckdb:/// and "
    "warehouse.duckdb in SCORE_HOME). SCORE_TODAY replaces the clock's date. New here? Try: score demo. A table of your own? score new NAME",
)

_SIGNALS: list[int] = []  # those that arrived, oldest first
_NAMED: list[str] = []  # the folder that --project names in this call
_NOTICE: list[str] = []  # what to say once, when this call ends, of what is not wrong
_STDERR = 2


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"score {version('rescore')}")
        raise typer.Exit


@app.callback()
def program(
    *,
    project: Annotated[
        str | None,
        typer.Option(
            parser=folder_of,
            metavar="DIR",
            help="Your own jobs: a folder with jobs/, sql/, features/ and models/. Default: SCORE_PROJECT, else the "
            "project that the current folder lies in, else the program's own jobs.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001  its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Score every night, keep what every score was made of, and show any past night again, to the bit."""
    _NAMED[:] = [project] if project else []


@app.command()
def demo(
    *,
    load_only: Annotated[bool, typer.Option("--load-only", help="Only make the sample warehouse.")] = False,
    warehouse: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Make it there: duckdb:///PATH or postgresql://USER@HOST/DATABASE."),
    ] = None,
    until: Annotated[
        date | None,
        typer.Option(parser=date_of, metavar="DATE", help="Load only what was known before that day began."),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Load real flights of 2013, train, score a week night by night, replay it, and say where everything lies."""
    from jobs.settings import with_warehouse
    from jobs.steps.demo import load_demo, show_demo, show_loaded, whole_demo

    screen, settings = _screen(as_json=json), with_warehouse(_settings(), warehouse)
    from jobs.screen import progress

    with progress() as tell:
        if load_only:
            loaded = load_demo(settings, until, tell)
            screen.show(loaded.to_json(), lambda: show_loaded(loaded))
            return
        done = whole_demo(settings, until, threads, tell)
    screen.show(done.to_json(), lambda: show_demo(done, warehouse))
    raise typer.Exit(done.code)


@app.command()
def snapshot(
    context: typer.Context,
    job: JobInUse = None,
    *,
    as_of: AsOf,
    fresh: Annotated[bool, typer.Option("--fresh", help="Look again, list what changed, keep nothing.")] = False,
    json: Json = False,
) -> None:
    """Take the snapshot of a night, or find the one that is kept."""
    from jobs.steps.reports import show_looks
    from jobs.steps.snapshots import look

    log = _teller(context).begin("snapshot")
    settings, home = _open()
    looks = [look(each, settings, home, as_of, fresh=fresh, log=log) for each in _in_use(job, home)]
    show_looks(_screen(as_json=json), looks)


@app.command()
def train(
    context: typer.Context,
    job: JobName = None,
    *,
    as_of: AsOf,
    like: Annotated[
        str | None,
        typer.Option(
            "--like", metavar="VERSION", help="With the SQL and features of the edition of that model version."
        ),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Train on what was known before the as-of; the first version becomes champion, later ones are challengers."""
    from jobs.editions import in_editions_like
    from jobs.screen import progress
    from jobs.steps.reports import show_trained
    from jobs.steps.trainings import train_jobs

    log = _teller(context).begin("train")
    settings, home = _open()
    with progress() as tell:
        chosen = in_editions_like(_jobs(job), home, like)
        trained, failed = train_jobs(chosen, settings, home, as_of, threads=threads, tell=tell, log=log)
    raise typer.Exit(show_trained(_screen(as_json=json), trained, failed))


@app.command()
def run(
    context: typer.Context,
    job: JobInUse = None,
    *,
    as_of: MaybeAsOf = None,
    accept_rows: AcceptRows = False,
    wait: Wait = 0.0,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """The nightly command: score the missed nights and then today (or the as-of) with the champion, and publish."""
    from jobs.screen import progress
    from jobs.steps.nights import run_jobs

    log = _teller(context).begin_nightly("run", job)
    with progress() as tell:
        outcomes = run_jobs(_desks(job, threads, tell, log), as_of, wait, accept_rows=accept_rows)
    _finish(context, json, outcomes)


@app.command()
def backfill(
    context: typer.Context,
    job: JobInUse = None,
    *,
    as_of: AsOf,
    until: Annotated[
        date | None, typer.Option(parser=date_of, metavar="DATE", help="Every night up to this one.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Score with this version, into the history only.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="With --model: make the run current all the same.")
    ] = False,
    hindsight: Annotated[
        bool, typer.Option("--hindsight", help="Allow a model that was trained after the night.")
    ] = False,
    restate: Annotated[
        bool, typer.Option("--restate", help="Look at the warehouse again, and make that the current run.")
    ] = False,
    accept_rows: AcceptRows = False,
    wait: Wait = 0.0,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Score any night again: from the rows that were kept, with the champion of that day."""
    from jobs.screen import progress
    from jobs.steps.nights import backfill as score_again
    from jobs.steps.nights import span, wish_of

    log = _teller(context).begin("backfill")
    wish = wish_of(model=model, publish=publish, hindsight=hindsight, restate=restate, accept_rows=accept_rows)
    with progress() as tell:
        nights = span(as_of, until)
        outcomes = [each for desk in _desks(job, threads, tell, log) for each in score_again(desk, nights, wish, wait)]
    _finish(context, json, outcomes)


@app.command()
def prove(
    job: OneJob = None,
    *,
    as_of: AsOf,
    model: Annotated[
        str | None, typer.Option(metavar="VERSION", help="This version; default: the champion of that night.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PROOF", help="Only this proof; not recorded.")
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Try to break the promise on your own rows: other orders, another future, threads, hosts, clocks; say what held."""
    from jobs.proofs.proving import prove as try_to_break
    from jobs.proofs.showing import show_proven
    from jobs.screen import progress

    settings, home = _open()
    one = _only_job(job, home)
    with progress() as tell:
        proven = try_to_break(
            one, settings, home, as_of, model=model, only=only or [], threads=threads, environ=os.environ, tell=tell
        )
    raise typer.Exit(show_proven(_screen(as_json=json), proven))


@app.command()
def verify(
    context: typer.Context,
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs, or the beginnings of their ids.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every kept run, and every stored file.")] = False,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Also read every stored file, of runs or not.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train their models again, with --all every version.")
    ] = False,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Replay runs from what they kept, without the warehouse, and compare every stage; by default the newest run."""
    from jobs.evidence.inspecting import inspect_store
    from jobs.evidence.retraining import retrain_versions
    from jobs.evidence.verifying import Choice, verify_runs
    from jobs.screen import progress
    from jobs.steps.reports import show_verdicts

    _teller(context).begin("verify")
    home, jobs, ids = _read(), _jobs(None), run_ids or []
    with progress() as tell:
        choice = Choice(ids, everything=everything, required=not read_data)
        verdicts = verify_runs(jobs, home, choice, threads, os.environ, tell)
        again = (
            retrain_versions(jobs, home, verdicts, everything=everything, threads=threads, tell=tell)
            if retrain
            else None
        )
        tell("reading every stored file")
        damaged = inspect_store(home) if everything or read_data else None
    raise typer.Exit(show_verdicts(_screen(as_json=json), verdicts, again, damaged))


@app.command()
def diff(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="A run, or the beginning of its id.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Another one of the same job.")],
    *,
    top: Annotated[int, typer.Option(min=0, metavar="N", help="List so many of the entities that moved most.")] = 10,
    json: Json = False,
) -> None:
    """Which scores differ between two runs, how far, and how much of it is due to what; needs no warehouse."""
    from jobs.differences.causes import diff_runs
    from jobs.differences.showing import show_difference
    from jobs.screen import progress

    home, jobs = _read(), _jobs(None)
    with progress() as tell:
        found = diff_runs(jobs, home, run_a, run_b, tell)
    show_difference(_screen(as_json=json), found, top)


@app.command()
def mutations(
    job: JobInUse = None,
    *,
    since: Annotated[
        date, typer.Option(parser=date_of, metavar="DATE", help="The first published night to look at again.")
    ],
    until: Annotated[
        date | None, typer.Option(parser=date_of, metavar="DATE", help="The last one; default: the newest.")
    ] = None,
    json: Json = False,
) -> None:
    """Which rows the warehouse rewrote since nights were published, and which of their scores would be different now."""
    from jobs.differences.listing import show_rewriting
    from jobs.differences.rewriting import rewritten_since
    from jobs.screen import progress

    settings, home = _open()
    with progress() as tell:
        found = rewritten_since(_in_use(job, home), settings, home, since, until, tell)
    raise typer.Exit(show_rewriting(_screen(as_json=json), found))


@app.command()
def models(job: JobName = None, *, json: Json = False) -> None:
    """The model versions that there are, and which of them scores from when."""
    from jobs.steps.inventory import show_models

    home = _read()
    show_models(_screen(as_json=json), home, _jobs(job))


@app.command()
def runs(job: JobName = None, *, as_of: OnlyAsOf = None, json: Json = False) -> None:
    """The kept runs, and which of them analysts see."""
    from jobs.steps.inventory import show_runs

    home = _read()
    show_runs(_screen(as_json=json), home, _jobs(job), as_of)


@app.command()
def snapshots(job: JobName = None, *, json: Json = False) -> None:
    """The kept snapshots."""
    from jobs.steps.inventory import show_snapshots

    home = _read()
    show_snapshots(_screen(as_json=json), home, _jobs(job))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN_ID|MODEL|SNAPSHOT", help="A name, or the beginning of an id.")],
    *,
    json: Json = False,
) -> None:
    """Everything on record about one run, model version or snapshot."""
    from jobs.steps.inventory import show_one

    home = _read()
    show_one(_screen(as_json=json), home, _jobs(None), name)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="SQL to run; without it, what there is to ask.")] = None,
    *,
    snapshot: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Ask a kept snapshot instead of the published scores.")
    ] = None,
    json: Json = False,
) -> None:
    """Query the published scores, or the rows of a snapshot as they were kept."""
    from jobs.steps.inventory import show_sql

    home = _read()
    show_sql(_screen(as_json=json), home, _jobs(None), query, snapshot)


@app.command()
def doctor(job: JobInUse = None, *, json: Json = False) -> None:
    """Look at the machine before the night does: what is wrong with it, and what to do; changes nothing."""
    _say_whose(job)
    from jobs.doctor.examining import examine
    from jobs.doctor.telling import show_diagnosis
    from jobs.screen import progress

    with progress() as tell:
        diagnosis = examine(_settings, _project(), job, tell)
    raise typer.Exit(show_diagnosis(_screen(as_json=json), diagnosis))


@app.command()
def gc(
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it; without this, only say what would go.")] = False,
    older_than: Annotated[
        float,
        typer.Option(
            parser=age_of, metavar="AGE", show_default="7d", help="Only what is older than so long (12h, 7d)."
        ),
    ] = 604_800.0,
    more_than_half: Annotated[
        bool, typer.Option("--more-than-half", help="Though more than half of all objects would go.")
    ] = False,
    wait: Wait = 0.0,
    json: Json = False,
) -> None:
    """What nothing refers to any more: superseded snapshots, orphaned objects; says what would go, deletes if asked to."""
    from jobs.collecting.deleting import collect, look_through
    from jobs.collecting.telling import show_collected

    if delete:
        settings, home = _open()
        names = [each.name for each in _jobs(None)]
        plan = collect(home, names, settings.now, older_than, more_than_half=more_than_half, wait_s=wait)
    else:
        plan = look_through(_read(), _settings().now, older_than)
    show_collected(_screen(as_json=json), plan, older_than, deleted=delete)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The model version.")],
    job: OneJob = None,
    *,
    reason: Reason,
    start: Annotated[
        date | None,
        typer.Option("--from", parser=date_of, metavar="DATE", help="First as-of; default: the next unscored."),
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Though its proofs did not hold, or were not tried; stays on record.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a model version the champion; its proofs must have held."""
    from jobs.steps.promotion import promote as make_champion
    from jobs.steps.reports import show_promotion

    settings, home = _open()
    one = _only_job(job, home)
    event = make_champion(one, settings, home, version, reason=reason, effective_from=start, unproven=unproven)
    show_promotion(_screen(as_json=json), one.name, event)


@app.command()
def rollback(job: OneJob = None, *, reason: Reason, json: Json = False) -> None:
    """Make the champion before the present one champion again, from the next unscored as-of on."""
    from jobs.steps.promotion import roll_back
    from jobs.steps.reports import show_promotion

    settings, home = _open()
    one = _only_job(job, home)
    show_promotion(_screen(as_json=json), one.name, roll_back(one, settings, home, reason=reason))


@app.command()
def skip(job: OneJob = None, *, as_of: AsOf, reason: Reason, json: Json = False) -> None:
    """Close a night that has nothing to score, so that catching up does not come back to it."""
    from jobs.steps.promotion import skip as close_night
    from jobs.steps.reports import show_skipped

    settings, home = _open()
    one = _only_job(job, home)
    show_skipped(_screen(as_json=json), one.name, close_night(one, settings, home, as_of, reason=reason))


@app.command()
def release(job: JobName = None, *, json: Json = False) -> None:
    """Check new SQL, put it on the list of what is never edited again, and render it for other engines."""
    from jobs.queries.released import release as put_on_list
    from jobs.queries.rendering import renew_renderings
    from jobs.steps.reports import show_released

    released = {each.name: put_on_list(each.sql_folder) for each in _jobs(job)}
    renewed = {each.name: renew_renderings(each.sql_folder) for each in _jobs(job)}
    show_released(_screen(as_json=json), released, renewed)


_EDGE = Edge(
    environ=lambda: _environ(),  # noqa: PLW0108  they stand below
    clock=lambda: _clock(),  # noqa: PLW0108
    screen=lambda as_json: _screen(as_json=as_json),
    whose=lambda name: _say_whose(name),  # noqa: PLW0108
)
add_to(app, _EDGE)


def main() -> NoReturn:
    """Run the program: one exit code, and one line on stderr if it failed."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads of LightGBM then do not burn the other core
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    _fill_closed_streams()
    code = call(sys.argv[1:])
    _flush()
    # All that is left is to take the libraries down: a quarter of a second that changes nothing, and never to be done
    # under a thread of a driver that still waits for a server.
    os._exit(code)


def _flush() -> None:
    """Write out what was printed; a stream that cannot take it changes nothing."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()


def call(arguments: Sequence[str]) -> int:
    """The exit code of one call; failures are printed, and whoever asked to be told how it went is told."""
    from jobs.telling.teller import Teller

    _NAMED.clear()
    _NOTICE.clear()
    teller = Teller(_told(), _clock, _screen(as_json=False).warn, _project)
    try:
        arm(os.environ)
        code = app(args=list(arguments), prog_name="score", standalone_mode=False, obj=teller) or 0
        for each in _NOTICE:
            _screen(as_json=False).warn(each)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001  the one place that turns all into codes
        code = _failed(arguments, teller, error)
    teller.end(code)
    return code


def _failed(arguments: Sequence[str], teller: Teller, error: BaseException) -> int:
    if isinstance(error, typer.TyperException) and not error.format_message():
        return 2  # help was printed instead
    if isinstance(error, SystemExit) and not _SIGNALS:
        return 1  # whoever read the help went away
    failure = _failure(error)
    _screen(as_json="--json" in arguments).fail(failure, *_NOTICE)
    teller.failed(failure)
    return failure.code


def _failure(error: BaseException) -> Failure:
    from jobs.exits import Failure, failure_of

    if isinstance(error, typer.TyperException):
        return Failure(2, _usage(error))
    if _SIGNALS or isinstance(error, KeyboardInterrupt):
        return _stopped()
    return failure_of(error) or _bug(error)


def _bug(error: BaseException) -> Failure:
    from jobs.exits import Failure
    from jobs.project import place_of

    kind, place, trace = type(error).__name__, place_of(error), _write_trace(error)
    if place:
        return Failure(70, f"a bug in {place}: {kind}; the trace is in {trace}; correct it there")
    return Failure(70, f"a bug: {kind}; the trace is in {trace}; please report it")


def _stopped() -> Failure:
    from jobs.exits import Failure

    number = _SIGNALS[0] if _SIGNALS else signal.SIGINT
    what = "terminated" if number == signal.SIGTERM else "interrupted"
    return Failure(128 + number, f"{what}; nothing half done is kept, run it again")


def _usage(error: typer.TyperException) -> str:
    said = " ".join(error.format_message().split()).rstrip(".")
    if said.endswith("--project"):
        said += "; it stands before the command: score --project DIR COMMAND"
    return f"{said}. See: score --help"


def _write_trace(error: BaseException) -> str:
    """Write the trace into the log file of the home; where that cannot be, to a folder for temporary files."""
    import tempfile
    import traceback
    from pathlib import Path

    from jobs.settings import home_or_var

    text = f"{datetime.now(UTC).isoformat()}\n{''.join(traceback.format_exception(error))}\n"
    for folder in (home_or_var(_environ()) / "log", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "score.log").open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return str((folder / "score.log").absolute())
    return "no file: none could be written"


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind, so that locks are let go and staging is dropped. A library may replace the exception; the list stays."""
    _SIGNALS.append(number)
    raise SystemExit(128 + number)


def _settings() -> Settings:
    from jobs.settings import read_settings

    return read_settings(_environ(), _clock)


def _project() -> Project:
    from jobs.settings import read_project

    return read_project(_environ())


def _environ() -> Mapping[str, str]:
    """The environment, as the options before the command correct it."""
    return {**os.environ, "SCORE_PROJECT": _NAMED[0]} if _NAMED else os.environ


def _clock() -> datetime:
    return datetime.now(UTC)


def _told() -> Told:
    from jobs.settings import read_told

    return read_told(os.environ)


def _teller(context: typer.Context) -> Teller:
    """The one that `call` made, for a command to begin with."""
    return cast("Teller", context.obj)


def _fill_closed_streams() -> None:
    """Open what was closed, on nothing: or the first file of the night gets its number, and what a library prints."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def _open() -> tuple[Settings, Home]:
    from jobs.store.home import open_home

    settings = _settings()
    return settings, open_home(settings.home)


def _read() -> Home:
    """The home for a command that only reads: nothing is made, no lock is touched."""
    from jobs.store.home import read_home

    return read_home(_settings().home)


def _jobs(name: str | None) -> list[Job]:
    from jobs.definition import all_jobs, load_job

    _say_whose(name)
    project = _project()
    return [load_job(name, project)] if name else all_jobs(project)


def _say_whose(name: str | None) -> None:
    """Have it said, once, that these are our own jobs, where nobody asked for them."""
    from pathlib import Path

    from jobs.steps.in_use import whose_jobs

    with suppress(FileNotFoundError):  # the current folder was deleted
        _NOTICE[:] = filter(None, [whose_jobs(name, _environ(), Path.cwd())])


def _in_use(name: str | None, home: Home) -> list[Job]:
    """The job of that name, or those that are in use."""
    from jobs.steps.in_use import jobs_in_use

    return _jobs(name) if name else jobs_in_use(_jobs(None), home)


def _only_job(name: str | None, home: Home) -> Job:
    """The job of that name, or the one that is in use."""
    jobs = _in_use(name, home)
    if len(jobs) != 1:
        raise typer.BadParameter(f"there are several jobs, name one: {', '.join(job.name for job in jobs)}")
    return jobs[0]


def _desks(name: str | None, threads: int, tell: Tell, log: Log) -> list[Desk]:
    from jobs.definition import all_jobs
    from jobs.steps.nights import Desk

    settings, home = _open()
    chosen, every = _in_use(name, home), all_jobs(_project())
    return [Desk(job, settings, home, every, threads, tell, log) for job in chosen]


def _screen(*, as_json: bool) -> Screen:
    from jobs.screen import Screen

    return Screen(as_json)


def _finish(context: typer.Context, as_json: bool, outcomes: Sequence[Outcome]) -> None:
    from jobs.steps.reports import show_outcomes
    from jobs.telling.figures import figures_of, lines_of

    _teller(context).done(figures_of(outcomes, _project()), lines_of(outcomes))
    raise typer.Exit(show_outcomes(_screen(as_json=as_json), outcomes))
