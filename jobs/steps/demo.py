"""The demonstration: real flights, a model a job, a week scored night by night, replayed, and what to do next."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING

from jobs.days import Calendar
from jobs.definition import job_names, load_job
from jobs.evidence.verifying import verify_run
from jobs.project import OURS
from jobs.screen import say, table
from jobs.steps.evaluating import NothingHappened, evaluate, with_labels
from jobs.steps.nights import Desk, exit_code, run_nightly
from jobs.steps.qualities import quality_lines
from jobs.steps.reports import SHORT, outcome_json
from jobs.steps.training import train_version
from jobs.store.events import PROMOTED, read_chain
from jobs.store.home import open_home
from jobs.store.objects import read_rows
from jobs.store.runs import SCORES_FILE, run_folder
from jobs.warehouse.addresses import FileAddress, publishes_tables
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobs.definition import Job
    from jobs.evidence.verifying import Verdict
    from jobs.project import Project
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.steps.nights import Outcome
    from jobs.store.home import Home
    from jobs.warehouse.addresses import Address
    from models.amounts import AmountQuality
    from models.evaluation import Quality

TRAINED_AS_OF = date(2013, 9, 1)
_DAY = timedelta(days=1)
WEEK = tuple(TRAINED_AS_OF + n * _DAY for n in range(7))
_SAMPLE = Calendar("America/New_York")
_HIGHEST = 10
_OF_LOADING, _OF_A_JOB = 3, 18  # things told: of each job 3 for training, 7 nights, 7 replays, 1 comparison


class DemoElsewhere(Exception):
    """The demonstration was called in a user's project."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The sample warehouse as it is now: rows by table, and what the load did."""

    warehouse: Address
    step: str
    until: date | None
    rows: Mapping[str, int]
    added: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """The same as JSON has it."""
        return {"warehouse": str(self.warehouse), "step": self.step, "until": self.until, "rows": dict(self.rows)}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demonstration did with one job; `highest` are the rows of its last night with the highest scores."""

    job: Job
    model_version: str
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...]
    quality: Quality | AmountQuality | None
    highest: tuple[tuple[object, ...], ...]

    def to_json(self) -> dict[str, object]:
        """The same as JSON has it."""
        return {
            "model_version": self.model_version,
            "runs": [outcome_json(outcome) for outcome in self.outcomes],
            "identical": all(verdict.identical for verdict in self.verdicts),
            "quality": asdict(self.quality) if self.quality else None,
        }


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What the demonstration did."""

    home: Home
    loaded: Loaded
    jobs: tuple[Shown, ...]
    seconds: float
    program: str

    @property
    def code(self) -> int:
        """The exit code: of the nights, else of the replays."""
        nights = exit_code([outcome for shown in self.jobs for outcome in shown.outcomes])
        return nights or max((verdict.code for shown in self.jobs for verdict in shown.verdicts), default=0)

    def to_json(self) -> dict[str, object]:
        """The same as JSON has it."""
        return {
            **self.loaded.to_json(),
            "home": str(self.home.root),
            "scores": str(self.home.published),
            "jobs": {shown.job.name: shown.to_json() for shown in self.jobs},
            "identical": all(verdict.identical for shown in self.jobs for verdict in shown.verdicts),
            "seconds": round(self.seconds, 1),
        }


def _require_ours(project: Project) -> None:
    """Pass if no project would be mixed up with the demonstration's job, which is not in it."""
    if project.folder:
        raise DemoElsewhere(
            f"the demonstration scores the program's own jobs, and this is {project}: call it in a folder of its own; "
            "only the sample warehouse, for a job of yours: score demo --load-only"
        )


def load_demo(settings: Settings, until: date | None, tell: Tell) -> Loaded:
    """Build the sample warehouse where the settings say, or bring it forward to what was known before `until`."""
    end, address = _SAMPLE.cutoff(until) if until else None, settings.warehouse
    if isinstance(address, FileAddress):
        address.path.parent.mkdir(parents=True, exist_ok=True)
        done = load_sample(address.path, end, tell)
    else:
        from jobs.warehouse.servers.sample import load_sample_on_server  # noqa: PLC0415  a file needs no driver

        done = load_sample_on_server(address, end, tell)
    return Loaded(address, done.step, until, done.rows, done.added)


def whole_demo(settings: Settings, until: date | None, threads: int, tell: Tell) -> Demonstration:
    """Load; train every job, score the week night by night, all jobs each night, replay, compare with what happened.

    Twice is once.
    """
    _require_ours(settings.project)
    began = time.monotonic()
    jobs = [load_job(name, OURS) for name in job_names(OURS)]
    tell, home = _counted(tell, _OF_LOADING + _OF_A_JOB * len(jobs)), open_home(settings.home)
    loaded = load_demo(settings, until, tell)
    nights = [night for night in WEEK if until is None or night <= until] or [until or TRAINED_AS_OF]
    desks = [Desk(job, settings, home, jobs, threads, tell) for job in jobs]
    for desk in desks:
        _train_once(desk, min(TRAINED_AS_OF, nights[0]))
    outcomes = [outcome for night in nights for desk in desks for outcome in run_nightly(desk, night)]
    shown = tuple(_shown(desk, nights, [each for each in outcomes if each.job == desk.job.name]) for desk in desks)
    return Demonstration(home, loaded, shown, time.monotonic() - began, settings.program)


def _counted(tell: Tell, things: int) -> Tell:
    """Tell with the share of the whole demonstration, by the number of things told so far."""
    told = count()
    return lambda text, _share=None, /: tell(text, min(1.0, next(told) / things))


def _train_once(desk: Desk, as_of: date) -> None:
    """Train, unless the home has a champion already."""
    chain = read_chain(desk.home, desk.job.name)
    if not any(event.kind == PROMOTED for event in chain.events):
        desk.tell(f"training {desk.job.name}")
        train_version(desk.job, desk.settings, desk.home, as_of, threads=desk.threads, tell=desk.tell)


def _shown(desk: Desk, nights: Sequence[date], outcomes: Sequence[Outcome]) -> Shown:
    """The nights of one job, replayed and compared with what happened."""
    job, home = desk.job, desk.home
    verdicts = []
    for outcome in outcomes:
        if outcome.run is not None:
            desk.tell(f"replaying {job.name} as of {outcome.as_of}")
            verdicts.append(verify_run(job, home, run_folder(home, outcome.run.inputs)))
    desk.tell(f"comparing {job.name} with what happened")
    champion = read_chain(home, job.name).champion(nights[-1])
    quality, highest = _quality(desk, nights), tuple(_highest(desk, outcomes[-1]))
    return Shown(job, champion, tuple(outcomes), tuple(verdicts), quality, highest)


def _quality(desk: Desk, nights: Sequence[date]) -> Quality | AmountQuality | None:
    try:
        return evaluate(desk.job, desk.settings, desk.home, nights)
    except NothingHappened:
        return None


def _highest(desk: Desk, outcome: Outcome) -> Iterator[tuple[object, ...]]:
    """The rows of a night with the highest scores, and what happened to them."""
    if outcome.run is None:
        return
    job = desk.job
    scores = read_rows([run_folder(desk.home, outcome.run.inputs) / SCORES_FILE]).sort("rank").head(_HIGHEST)
    labelled = with_labels(scores, job, desk.settings, desk.home, [outcome.as_of])
    for *row, label in labelled.select("rank", "score", *job.key, "label").iter_rows():
        yield (*row, job.words.said(label))


def show_loaded(loaded: Loaded) -> None:
    """The sample warehouse, for a person."""
    known = f" (what was known before {loaded.until} began in New York)" if loaded.until else ""
    say(f"sample warehouse {loaded.step}: {loaded.warehouse}{known}")
    rows = [(name, count, loaded.added.get(name, 0)) for name, count in loaded.rows.items()]
    table(("table", "rows", "added now"), rows, numbers=("rows", "added now"))


def show_demo(done: Demonstration, warehouse: str | None = None) -> None:
    """The demonstration, for a person: job by job the highest scores and how good they are; replays; what to type next.

    `warehouse` is the URL that the command line named, which the next commands need too.
    """
    show_loaded(done.loaded)
    for shown in done.jobs:
        _show_job(shown)
    say()
    _show_replays(done)
    _show_next(done, warehouse)


def _show_job(shown: Shown) -> None:
    say()
    say(f"{shown.job.name}: {shown.job.score_meaning}")
    for outcome in shown.outcomes:
        if outcome.failure:
            say(f"as of {outcome.as_of}: {outcome.failure.message}")
    _show_highest(shown)
    say()
    if shown.quality is None:
        say("what really happened is not known yet")
        return
    first, final = shown.outcomes[0].as_of, shown.outcomes[-1].as_of
    rows = f"{shown.quality.rows:,} {shown.job.words.things}"
    quality_lines(asdict(shown.quality), f"on {rows} of {first} to {final}, against what really happened")


def _show_highest(shown: Shown) -> None:
    run = shown.outcomes[-1].run
    if run is None:
        return
    say()
    say(
        f"The {_HIGHEST} highest scores of {run.row_count:,} {shown.job.words.things} as of {run.inputs.as_of}, as "
        "known at midnight, and what became of them:"
    )
    headings = ("rank", "score", *shown.job.key, "and then")
    table(headings, shown.highest, numbers=("rank", "score"))


def _show_replays(done: Demonstration) -> None:
    for shown in done.jobs:
        for verdict in shown.verdicts:
            differs = f"DIFFERS at stage {verdict.first_divergence}: {verdict.detail}"
            found = "identical to the bit" if verdict.identical else differs
            run = f"{shown.job.name} run {verdict.run_id[:SHORT]}"
            say(f"replayed {verdict.as_of}, {run}, from what it kept: {found}")


def _show_next(done: Demonstration, warehouse: str | None) -> None:
    home, last = done.home.root, done.jobs[-1]
    say()
    for shown in done.jobs:
        say(f"model      {home}/models/{shown.job.name}/{shown.model_version}")
    say(f"snapshots  {home}/snapshots, rows in {home}/objects")
    say(f"runs       {home}/runs")
    say(f"scores     {done.home.published}")
    if publishes_tables(done.loaded.warehouse):
        say(f"           and schema scores of {done.loaded.warehouse}")
    say()
    say("Next:")
    if warehouse is not None:
        say(f"  export SCORE_WAREHOUSE='{warehouse}'")
    first, final = last.outcomes[0].as_of, last.outcomes[-1].as_of
    say(f'  {done.program} sql "FROM {last.job.name}_latest ORDER BY rank LIMIT 5"')
    say(f"  SCORE_TODAY={final + _DAY} {done.program} run     # the next night of every job, as cron does it")
    say(f"  {done.program} backfill --as-of {first}        # a night again, from what it kept")
    say(f"  {done.program} verify --all                       # replay everything, stage by stage")
    say(f"(done in {done.seconds:.0f} s)")
