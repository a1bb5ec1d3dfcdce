"""The demonstration: real flights, a model, a week scored night by night, replayed, and what to do next."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING

from jobs.definition import load_job
from jobs.evidence.verifying import verify_run
from jobs.project import OURS
from jobs.screen import say, table
from jobs.steps.evaluating import NothingHappened, evaluate, with_labels
from jobs.steps.nights import Desk, exit_code, run_nightly
from jobs.steps.reports import SHORT, outcome_json, quality_lines
from jobs.steps.training import train_version
from jobs.store.events import PROMOTED, read_chain
from jobs.store.home import open_home
from jobs.store.objects import read_rows
from jobs.store.runs import SCORES_FILE, run_folder
from jobs.warehouse.addresses import FileAddress, publishes_tables
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.definition import Job
    from jobs.evidence.verifying import Verdict
    from jobs.project import Project
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.steps.nights import Outcome
    from jobs.store.home import Home
    from jobs.warehouse.addresses import Address
    from models.evaluation import Quality

JOB = "flight_delay"
TRAINED_AS_OF = date(2013, 9, 1)
_DAY = timedelta(days=1)
WEEK = tuple(TRAINED_AS_OF + n * _DAY for n in range(7))
_RISKIEST = 10
_TOLD = 21  # 3 for loading, 3 for training, 7 nights, 7 replays, 1 comparison
_SHOWN = ("rank", "score", "flight_date", "carrier", "flight", "origin", "and then")
_HAPPENED = {1: "late or lost", 0: "in time", None: "not known yet"}


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
class Demonstration:
    """What the demonstration did."""

    home: Home
    loaded: Loaded
    model_version: str
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...]
    quality: Quality | None
    riskiest: tuple[tuple[object, ...], ...]
    seconds: float
    program: str

    @property
    def code(self) -> int:
        """The exit code: of the nights, else of the replays."""
        return exit_code(self.outcomes) or max((verdict.code for verdict in self.verdicts), default=0)

    def to_json(self) -> dict[str, object]:
        """The same as JSON has it."""
        return {
            **self.loaded.to_json(),
            "home": str(self.home.root),
            "scores": str(self.home.published),
            "model_version": self.model_version,
            "runs": [outcome_json(outcome) for outcome in self.outcomes],
            "identical": all(verdict.identical for verdict in self.verdicts),
            "quality": asdict(self.quality) if self.quality else None,
            "seconds": round(self.seconds, 1),
        }


def _require_ours(project: Project) -> None:
    """Pass if no project would be mixed up with the demonstration's job, which is not in it."""
    if project.folder:
        raise DemoElsewhere(
            f"the demonstration scores the program's own job, and this is {project}: call it in a folder of its own; "
            "only the sample warehouse, for a job of yours: score demo --load-only"
        )


def load_demo(settings: Settings, until: date | None, tell: Tell) -> Loaded:
    """Build the sample warehouse where the settings say, or bring it forward to what was known before `until`."""
    job = load_job(JOB, OURS)
    end, address = job.calendar.cutoff(until) if until else None, settings.warehouse
    if isinstance(address, FileAddress):
        address.path.parent.mkdir(parents=True, exist_ok=True)
        done = load_sample(address.path, end, tell)
    else:
        from jobs.warehouse.servers.sample import load_sample_on_server  # noqa: PLC0415  a file needs no driver

        done = load_sample_on_server(address, end, tell)
    return Loaded(address, done.step, until, done.rows, done.added)


def whole_demo(settings: Settings, until: date | None, threads: int, tell: Tell) -> Demonstration:
    """Load, train, score the week night by night, replay every night, compare with what happened; twice is once."""
    _require_ours(settings.project)
    began = time.monotonic()
    tell = _counted(tell)
    home, job = open_home(settings.home), load_job(JOB, OURS)
    loaded = load_demo(settings, until, tell)
    nights = [night for night in WEEK if until is None or night <= until] or [until or TRAINED_AS_OF]
    desk = Desk(job, settings, home, (job,), threads, tell)
    _train_once(desk, min(TRAINED_AS_OF, nights[0]))
    outcomes = tuple(outcome for night in nights for outcome in run_nightly(desk, night))
    verdicts = []
    for outcome in outcomes:
        if outcome.run is not None:
            tell(f"replaying {JOB} as of {outcome.as_of}")
            verdicts.append(verify_run(job, home, run_folder(home, outcome.run.inputs)))
    tell("comparing with what happened")
    quality = _quality(desk, nights)
    champion = read_chain(home, JOB).champion(nights[-1])
    riskiest = _riskiest(desk, outcomes[-1])
    seconds, program = time.monotonic() - began, settings.program
    return Demonstration(home, loaded, champion, outcomes, tuple(verdicts), quality, riskiest, seconds, program)


def _counted(tell: Tell) -> Tell:
    """Tell with the share of the whole demonstration, by the number of things told so far."""
    told = count()
    return lambda text, _share=None, /: tell(text, min(1.0, next(told) / _TOLD))


def _train_once(desk: Desk, as_of: date) -> None:
    """Train, unless the home has a champion already."""
    chain = read_chain(desk.home, desk.job.name)
    if not any(event.kind == PROMOTED for event in chain.events):
        train_version(desk.job, desk.settings, desk.home, as_of, threads=desk.threads, tell=desk.tell)


def _quality(desk: Desk, nights: list[date]) -> Quality | None:
    try:
        return evaluate(desk.job, desk.settings, desk.home, nights)
    except NothingHappened:
        return None


def _riskiest(desk: Desk, outcome: Outcome) -> tuple[tuple[object, ...], ...]:
    """The flights of a night with the highest scores, and what happened to them."""
    if outcome.run is None:
        return ()
    scores = read_rows([run_folder(desk.home, outcome.run.inputs) / SCORES_FILE]).sort("rank").head(_RISKIEST)
    labelled = with_labels(scores, desk.job, desk.settings, desk.home, [outcome.as_of])
    return tuple((*row[:-1], _HAPPENED[row[-1]]) for row in labelled.select(*_SHOWN[:-1], "label").iter_rows())


def show_loaded(loaded: Loaded) -> None:
    """The sample warehouse, for a person."""
    known = f" (what was known before {loaded.until} began in New York)" if loaded.until else ""
    say(f"sample warehouse {loaded.step}: {loaded.warehouse}{known}")
    rows = [(name, count, loaded.added.get(name, 0)) for name, count in loaded.rows.items()]
    table(("table", "rows", "added now"), rows, numbers=("rows", "added now"))


def show_demo(done: Demonstration, warehouse: str | None = None) -> None:
    """The demonstration, for a person: the riskiest flights, the quality, the replays, what to type next.

    `warehouse` is the URL that the command line named, which the next commands need too.
    """
    show_loaded(done.loaded)
    for outcome in done.outcomes:
        if outcome.failure:
            say(f"as of {outcome.as_of}: {outcome.failure.message}")
    _show_riskiest(done)
    say()
    if done.quality:
        first, final = done.outcomes[0].as_of, done.outcomes[-1].as_of
        quality_lines(
            asdict(done.quality),
            f"on {done.quality.rows:,} flights of {first} to {final}, against what really happened",
        )
    else:
        say("what really happened is not known yet")
    say()
    _show_replays(done)
    _show_next(done, load_job(JOB, OURS), warehouse)


def _show_riskiest(done: Demonstration) -> None:
    run = done.outcomes[-1].run
    if run is None:
        return
    say()
    when = f"out of New York on {run.inputs.as_of}, as known at midnight"
    say(f"The {_RISKIEST} riskiest of {run.row_count:,} flights {when}, and what became of them:")
    table(_SHOWN, done.riskiest, numbers=("rank", "score"))


def _show_replays(done: Demonstration) -> None:
    for verdict in done.verdicts:
        differs = f"DIFFERS at stage {verdict.first_divergence}: {verdict.detail}"
        found = "identical to the bit" if verdict.identical else differs
        say(f"replayed {verdict.as_of}, run {verdict.run_id[:SHORT]}, from what it kept: {found}")


def _show_next(done: Demonstration, job: Job, warehouse: str | None) -> None:
    home = done.home.root
    say()
    say(f"model      {home}/models/{job.name}/{done.model_version}")
    say(f"snapshots  {home}/snapshots/{job.name}, rows in {home}/objects")
    say(f"runs       {home}/runs/{job.name}")
    say(f"scores     {done.home.published}")
    if publishes_tables(done.loaded.warehouse):
        say(f"           and schema scores of {done.loaded.warehouse}")
    say()
    say("Next:")
    if warehouse is not None:
        say(f"  export SCORE_WAREHOUSE='{warehouse}'")
    say(f'  {done.program} sql "FROM {job.name}_latest ORDER BY rank LIMIT 5"')
    say(f"  SCORE_TODAY={done.outcomes[-1].as_of + _DAY} {done.program} run     # the next night, as cron does it")
    say(f"  {done.program} backfill --as-of {done.outcomes[0].as_of}        # a night again, from what it kept")
    say(f"  {done.program} verify --all                       # replay everything, stage by stage")
    say(f"(done in {done.seconds:.0f} s)")
