"""A process of its own that makes one night from the warehouse, and says which digests came out.

`score prove` starts it under other numbers of threads, time zones, locales, hash seeds and folders; some of these are
read only once, when a process begins. One JSON document on stdin says what to do; one on stdout is the answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from features.fitted import Fitted
from jobs.definition import load_job
from jobs.editions import edition_of
from jobs.exits import failure_of
from jobs.project import Project, place_of
from jobs.settings import Settings
from jobs.steps.scoring import build_night, load_model, raw_scores, scores_digest
from jobs.steps.snapshots import take_snapshot
from jobs.store.digest import rows_digest
from jobs.store.home import Home, open_home
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import read_version
from jobs.warehouse.addresses import FileAddress, read_server_address
from jobs.warehouse.engine import use_threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.booster import Floats

_PACKAGES = Path(__file__).parents[2]


class WitnessFailed(Exception):
    """The other process ended without an answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a witness is asked: whose night, from where, with how many threads; `scratch` is a home of its own.

    `project` is the folder of the job's project, or empty for the program's own jobs.
    `warehouse` is a path, or a server's URL with its password: it goes through a pipe, and nowhere else.
    """

    project: str
    job: str
    as_of: str
    model_version: str
    home: str
    warehouse: str
    on_server: bool
    scratch: str
    duckdb_threads: int
    lightgbm_threads: int


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a night gave: digests of its rows, of its features and of key and raw score."""

    snapshot: str
    features: str
    scores: str


def ask(task: Task, environ: Mapping[str, str], folder: Path, umask: int = 0o022) -> Testimony:
    """The answer of a new process with this environment, working in this folder.

    Raises:
        WitnessFailed: with the last line of what it said instead.
    """
    packages = os.pathsep.join([str(_PACKAGES), *filter(None, [environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "jobs.proofs.witness"],
        input=json.dumps(asdict(task)),
        env={**environ, "PYTHONPATH": packages},
        cwd=folder,
        umask=umask,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise WitnessFailed(f"another process gave no night: {said[-1][:300]}")
    return Testimony(**json.loads(done.stdout))


def testify(task: Task) -> Testimony:
    """Make the night in this process."""
    as_of = date.fromisoformat(task.as_of)
    use_threads(task.duckdb_threads)
    project = Project(Path(task.project) if task.project else None)
    clock = partial(datetime.now, UTC)
    address = read_server_address(task.warehouse) if task.on_server else FileAddress(Path(task.warehouse))
    settings = Settings(Path(task.home), address, clock(), clock, as_of, "score", project=project)
    version = read_version(Home(settings.home), task.job, task.model_version)
    job = edition_of(load_job(task.job, project), version)
    scratch = open_home(Path(task.scratch))
    snapshot = take_snapshot(job, settings, scratch, as_of).snapshot
    frame = build_night(job, read_tables(in_store(scratch), snapshot), as_of)
    model = load_model(Home(settings.home), version)
    raw = raw_scores(job, frame, Fitted.from_json(version.fitted), model, task.lightgbm_threads)
    return Testimony(snapshot.digest, rows_digest(frame), testimony_of_scores(job.key, frame, raw))


def testimony_of_scores(key: tuple[str, ...], frame: pl.DataFrame, raw: Floats) -> str:
    """The digest over key and raw score, in the frame's order."""
    return scores_digest(frame.select(key).with_columns(raw_score=pl.Series(raw, dtype=pl.Float64)), key)


def unexpected(error: BaseException) -> str:
    """Kind and innermost place of an exception that no failure stands for; what it says may repeat a row's values."""
    theirs = place_of(error)
    if theirs:
        return f"{type(error).__name__} in {theirs}"
    innermost = traceback.extract_tb(error.__traceback__)[-1:]
    ours = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_PACKAGES)
    ]
    place = (ours or list(innermost))[-1]
    return f"{type(error).__name__} in {Path(place.filename).parent.name}/{Path(place.filename).name}:{place.lineno}"


def main() -> None:
    """Read a task from stdin, print the testimony."""
    try:
        testimony = testify(Task(**json.load(sys.stdin)))
    except Exception as error:  # noqa: BLE001  this process ends here; who asked gets one line
        failure = failure_of(error)
        sys.exit(failure.message if failure else unexpected(error))
    print(json.dumps(asdict(testimony)))  # noqa: T201  the answer


if __name__ == "__main__":
    main()
