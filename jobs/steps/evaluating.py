"""What really happened: published scores against the labels that became known since."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.fitted import Fitted, apply
from jobs.queries.declaration import Role
from jobs.store.events import read_chain
from jobs.store.home import staging
from jobs.store.objects import read_rows
from jobs.store.registry import read_version
from jobs.store.runs import FEATURES_FILE, SCORES_FILE
from jobs.warehouse.bounds import bounded
from jobs.warehouse.opening import open_warehouse
from models.evaluation import Constants, Sample, measure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from jobs.definition import Job
    from jobs.queries.check import Query
    from jobs.settings import Settings
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from models.amounts import AmountQuality
    from models.booster import Floats
    from models.evaluation import Quality

NAIVE = "naive_score"


class NothingHappened(Exception):
    """No label is known for what was scored."""


def evaluate(job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> Quality | AmountQuality:
    """How good the current runs of some nights were, by the labels that the warehouse knows now; keeps nothing.

    Raises:
        NothingHappened: if it knows none.
    """
    return quality_of(_published(job, home, nights), job, settings, home, nights)


def quality_of(
    scores: pl.DataFrame, job: Job, settings: Settings, home: Home, nights: Sequence[date]
) -> Quality | AmountQuality:
    """How good the scores of some nights are, published or not, by the labels that the warehouse knows now.

    `scores` has the key, `as_of`, `score`, `raw_score` and `model_version`; and `naive_score` if the naive score that
    the model was trained to be compared with is known. Errors as `evaluate`.
    """
    scores = scores.sort("as_of", *job.key)
    happened = with_labels(scores, job, settings, home, nights)
    known = happened.filter(pl.col("label").is_not_null())
    if known.height == 0:
        raise NothingHappened(f"the warehouse knows no outcome of the nights {min(nights)} to {max(nights)} yet")
    version = read_version(home, job.name, min(set(scores["model_version"])))
    sample = Sample(
        raw=known["raw_score"].to_numpy(),
        score=known["score"].to_numpy(),
        label=known["label"].cast(pl.Float64).to_numpy(),
        binary=version.parameters["objective"] == "binary",
        baseline=_baseline(known, version),
    )
    return measure(sample, _constants(version))


def with_labels(scores: pl.DataFrame, job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    """The scores of some nights, in their order, with `label`: null if it is not known yet."""
    labels = what_happened(job, settings, home, nights)
    return scores.join(labels, on=["as_of", *job.key], how="left", maintain_order="left")


def what_happened(job: Job, settings: Settings, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    """One row per (night, entity): its label, null if it is not known, by what the warehouse says a while after."""
    first = min(nights)
    as_of = max(nights) + timedelta(days=job.horizon_days + job.label_delay_days)
    asks = bounded(_of_labels(job.queries()), as_of, first, job.horizon_days)
    with staging(home) as spill, open_warehouse(settings.warehouse, job, asks, spill) as now:
        tables = {query.table: pl.concat(now.rows(query, bounds)).lazy() for query, bounds in asks}
    return job.features().labels(job.columns.filled(tables), [job.cutoff(night) for night in nights])


def _of_labels(queries: Sequence[Query]) -> list[Query]:
    """What labels are made of: what happened, and the tables that say what was to be scored.

    That is the population; where a job has none, the histories that its entities come from.
    """
    roles = {query.declaration.role for query in queries}
    entities = Role.POPULATION if Role.POPULATION in roles else Role.HISTORY
    return [query for query in queries if query.declaration.role in {entities, Role.LABELS}]


def naive_scores(job: Job, version: ModelVersion, features: pl.DataFrame) -> pl.DataFrame:
    """One row per row of a feature frame, in its order: `as_of`, the key, `naive_score` (Float64).

    Without the last, if the version was trained without a baseline.
    """
    baseline, keys = version.parameters.get("baseline"), features.select("as_of", *job.key)
    if not isinstance(baseline, str):
        return keys
    seen = apply(features, Fitted.from_json(version.fitted))
    return keys.with_columns(seen[baseline].cast(pl.Float64).alias(NAIVE))


def _published(job: Job, home: Home, nights: Sequence[date]) -> pl.DataFrame:
    current = read_chain(home, job.name).current()
    events = [current[night] for night in nights if night in current and current[night].run_id]
    if not events:
        raise NothingHappened(f"{job.name} published nothing for the nights {min(nights)} to {max(nights)}")
    return pl.concat(
        [_run_scores(job, home, home.runs(job.name, each.as_of) / str(each.run_id)) for each in events], how="diagonal"
    )


def _run_scores(job: Job, home: Home, folder: Path) -> pl.DataFrame:
    """The scores of one run, with the naive ones where its features are kept."""
    scores = read_rows([folder / SCORES_FILE])
    version = read_version(home, job.name, scores["model_version"][0])
    if "baseline" not in version.parameters or not (folder / FEATURES_FILE).is_file():
        return scores
    naive = naive_scores(job, version, read_rows([folder / FEATURES_FILE]))
    return scores.join(naive, on=["as_of", *job.key], how="left", maintain_order="left")


def _baseline(known: pl.DataFrame, version: ModelVersion) -> tuple[str, Floats] | None:
    if NAIVE not in known.columns:
        return None
    return str(version.parameters["baseline"]), known[NAIVE].fill_null(float("nan")).to_numpy()


def _constants(version: ModelVersion) -> Constants:
    """Those of the nights that the version was measured by a model of, to compare with."""
    found = version.metrics.get("quality")
    kept = found if isinstance(found, dict) else {}
    mean, median = (kept.get(name) for name in ("base_mean", "base_median"))
    if isinstance(mean, float) and isinstance(median, float):
        return Constants(mean, median)
    rate = kept.get("base_rate")
    return Constants(rate, round(rate)) if isinstance(rate, float) else Constants(0.5, 0.0)
