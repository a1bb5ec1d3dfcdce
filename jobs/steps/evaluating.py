"""What really happened: published scores against the labels that became known since."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from jobs.queries.declaration import Role
from jobs.store.events import read_chain
from jobs.store.home import staging
from jobs.store.objects import read_rows
from jobs.store.registry import read_version
from jobs.store.runs import SCORES_FILE
from jobs.warehouse.bounds import bounded
from jobs.warehouse.opening import open_warehouse
from models.evaluation import quality

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.store.home import Home
    from models.evaluation import Quality


class NothingHappened(Exception):
    """No label is known for what was scored."""


def evaluate(job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> Quality:
    """How good the current runs of some nights were, by the labels that the warehouse knows now; keeps nothing.

    Raises:
        NothingHappened: if it knows none.
    """
    return quality_of(_published(job, home, nights), job, settings, home, nights)


def quality_of(scores: pl.DataFrame, job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> Quality:
    """How good the scores of some nights are, published or not, by the labels that the warehouse knows now.

    `scores` has the key, `as_of`, `score`, `raw_score` and `model_version`. Errors as `evaluate`.
    """
    scores = scores.sort("as_of", *job.key)
    happened = with_labels(scores, job, settings, home, nights)
    known = happened.filter(pl.col("label").is_not_null())
    if known.height == 0:
        raise NothingHappened(f"the warehouse knows no outcome of the nights {min(nights)} to {max(nights)} yet")
    return quality(
        known["raw_score"].to_numpy(), known["score"].to_numpy(), known["label"].cast(pl.Float64).to_numpy(),
        _base_rate(job, home, set(scores["model_version"])),
    )  # fmt: skip


def with_labels(scores: pl.DataFrame, job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    """The scores of some nights, in their order, with `label`: 1 or 0, null if it is not known yet."""
    labels = what_happened(job, settings, home, nights)
    return scores.join(labels, on=["as_of", *job.key], how="left", maintain_order="left")


def what_happened(job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    """One row per (night, entity): its label, null if it is not known, by what the warehouse says a while after."""
    first = min(nights)
    as_of = max(nights) + timedelta(days=job.horizon_days + job.label_delay_days)
    of_labels = [query for query in job.queries() if query.declaration.role in {Role.POPULATION, Role.LABELS}]
    asks = bounded(of_labels, as_of, first, job.horizon_days)
    with staging(home) as spill, open_warehouse(settings.warehouse, job, asks, spill) as now:
        tables = {query.table: pl.concat(now.rows(query, bounds)).lazy() for query, bounds in asks}
    return job.features().labels(tables, [job.cutoff(night) for night in nights])


def _published(job: Job, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    current = read_chain(home, job.name).current()
    events = [current[night] for night in nights if night in current]
    if not events:
        raise NothingHappened(f"{job.name} published nothing for the nights {min(nights)} to {max(nights)}")
    files = [home.runs(job.name, event.as_of) / str(event.run_id) / SCORES_FILE for event in events]
    return read_rows(files)


def _base_rate(job: Job, home: Home, models: set[str]) -> float:
    """The base rate of the training nights of the first of the models, as a constant to compare with."""
    metrics = read_version(home, job.name, min(models)).metrics
    found = metrics.get("quality")
    rate = found.get("base_rate") if isinstance(found, dict) else None
    return rate if isinstance(rate, float) else 0.5
