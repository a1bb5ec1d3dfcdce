"""What an ensemble is worth, out of time: May to September 2013, each month by members trained on the nights before it.

    python bench/ensembles.py            prints the section of docs/ensembles.md
    python bench/ensembles.py --write    writes it there

Members are those of models/flight_delay.toml with other seeds, a window of history, a subset of the features, or fewer
rounds; each is trained once a month of the year, and the ensembles are made of them. AUC and log loss are of the whole
month. The rows are those of a training as of 1 September, features as they were known each night; transforms learn of
the nights before the month; September's features come from a snapshot of each night. CPU seconds are of the trainings
for September, by one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before LightGBM is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from bench.page import machine, table, write_section
from features.fitted import apply
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.evaluating import what_happened
from jobs.steps.scoring import build_night
from jobs.steps.snapshots import take_snapshot
from jobs.steps.training import LABEL, TrainingRows, learning, training_rows, training_set
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.warehouse.sample import load_sample
from models.ensemble import Ensemble, Part
from models.evaluation import auc, log_loss
from models.parameters import change_parameters
from models.scorer import Model
from models.training import Learning, TrainingSet, train_again

if TYPE_CHECKING:
    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.store.home import Home
    from models.booster import Floats

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ensembles.md"
FIRST = date(2013, 9, 1)
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(30))
MEMBERS: dict[str, dict[str, object]] = {
    "shipped": {},
    "seed 1": {"seed": 1},
    "seed 2": {"seed": 2},
    "120 nights": {"seed": 1, "nights": 120},
    "slow features": {"seed": 2, "without": ["*_1d", "*_3d"]},
    "70 rounds, seed 1": {"seed": 1, "rounds": 70},
    "70 rounds, seed 2": {"seed": 2, "rounds": 70},
    "70 rounds, seed 3": {"seed": 3, "rounds": 70},
}
ENSEMBLES: dict[str, tuple[str, ...]] = {
    "three seeds": ("shipped", "seed 1", "seed 2"),
    "shipped and 120 nights": ("shipped", "120 nights"),
    "shipped and slow features": ("shipped", "slow features"),
    "three seeds of 70 rounds": ("70 rounds, seed 1", "70 rounds, seed 2", "70 rounds, seed 3"),
}


def main() -> None:
    """Train, score, compare; print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write the section of {PAGE.name}")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = section(Path(folder))
    if told.write:
        write_section("ensembles", "May to September 2013", text, PAGE)
    print(text)


def section(folder: Path) -> str:
    """What was found, as it stands in the document."""
    settings = read_settings({"SCORE_HOME": str(folder / "home")}, lambda: datetime.now(UTC))
    home, job = open_home(settings.home), load_job("flight_delay")
    load_sample(settings.home / "warehouse.duckdb")
    first_night = FIRST - timedelta(days=job.training.nights)
    rows = training_rows(job, home, take_snapshot(job, settings, home, FIRST, first_night=first_night).snapshot)
    months = {f"{date(2013, month, 1):%B}": _month(job, rows, month) for month in range(5, 9)}
    months["September"] = Learning(training_set(job, rows.frame), None, _september(job, settings, home, rows))
    columns, seconds = [], {}
    for name, nights in months.items():
        models, seconds = _members(job, nights)
        columns.append(_column(models, nights.late))
        print(f"{name} is done", file=sys.stderr, flush=True)
    cost = {name: seconds[name] for name in MEMBERS}
    cost |= {name: sum(seconds[each] for each in members) for name, members in ENSEMBLES.items()}
    lines = [(name, *(column[name] for column in columns), f"{cost[name]:.0f}") for name in cost]
    return table(("AUC / log loss", *months, "CPU s"), lines) + f"\n\n{machine()}"


def _month(job: Job, rows: TrainingRows, month: int) -> Learning:
    """The nights before a month whose labels had matured, and those of the month."""
    until = rows.built.get_column("as_of") < date(2013, month + 1, 1)
    cut = replace(rows, frame=rows.frame.filter(until), built=rows.built.filter(until), label=rows.label.filter(until))
    split = learning(job, cut, (date(2013, month + 1, 1) - date(2013, month, 1)).days)
    return Learning(split.early or split.whole, None, split.late)


def _september(job: Job, settings: Settings, home: Home, rows: TrainingRows) -> TrainingSet:
    """Features of each night as it was known, with the labels that the warehouse knows afterwards."""
    frames = []
    for night in NIGHTS:
        snapshot = take_snapshot(job, settings, home, night).snapshot
        frames.append(apply(build_night(job, read_tables(in_store(home), snapshot), night), rows.fitted))
    labels = what_happened(job, settings, home, NIGHTS)
    every = pl.concat(frames).join(labels, on=["as_of", *job.key], how="left", maintain_order="left")
    return training_set(job, every.filter(pl.col(LABEL).is_not_null()))


def _members(job: Job, nights: Learning) -> tuple[dict[str, Part], dict[str, float]]:
    """Each member, trained, and the CPU seconds that it took."""
    parts, seconds = {}, {}
    for name, declared in MEMBERS.items():
        parameters = change_parameters(job.parameters(), {"members": [{"name": "one", **declared}], "calibration": {}})
        began = time.process_time()
        [text] = train_again(Learning(nights.whole), parameters, 1).texts
        seconds[name] = time.process_time() - began
        features = parameters.members[0].choose(nights.whole.features)
        parts[name] = Part(name, 1, Model.load(text, features))
    return parts, seconds


def _column(parts: dict[str, Part], late: TrainingSet | None) -> dict[str, str]:
    """What each member, and each ensemble of them, is worth on the rows of a month."""
    if late is None:
        raise TypeError("a month has nights")
    label = late.frame[late.label].cast(pl.Float64).to_numpy()
    told = {**{name: (name,) for name in MEMBERS}, **ENSEMBLES}
    return {name: _worth([parts[each] for each in members], late, label) for name, members in told.items()}


def _worth(parts: list[Part], late: TrainingSet, label: Floats) -> str:
    model = Ensemble.of(parts, late.features)
    raw = model.raw_scores(late.frame.drop(late.label), late.order)
    return f"{auc(raw, label):.4f} / {log_loss(model.probability(raw).tolist(), label.tolist()):.4f}"


if __name__ == "__main__":
    main()
