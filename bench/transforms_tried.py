"""What transforms would do for `flight_delay`: September 2013 scored with each, by models of several seeds.

    python bench/transforms_tried.py [--place FOLDER] [--seeds N] [--write]

Trains as of 1 September with the shipped parameters and other seeds, for one seed is luck, and scores the thirty nights
from then on. `--write` puts the table into docs/fitted_transforms.md.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.fitted_transforms import NIGHTS, rows_of
from bench.page import machine, table, write_section
from features.fitted import (
    MedianImputation,
    MissingIndicator,
    QuantileBins,
    RandomSampleImputation,
    RareLabels,
    TargetEncoding,
    Winsorising,
    apply,
    fit,
)
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.evaluating import what_happened
from jobs.steps.training import training_set
from jobs.store.home import open_home
from models.evaluation import auc, log_loss
from models.training import Learning, train

if TYPE_CHECKING:
    import polars as pl

    from features.fitted.declaring import Transform
    from jobs.definition import Job

ROOT = Path(__file__).resolve().parents[1]
PLANES = ("plane_seats", "plane_age_years")
TRIED: tuple[tuple[str, tuple[Transform, ...]], ...] = (
    ("none", ()),
    ("destinations under 1 in 10,000 grouped", (RareLabels(("dest_code",), "0.0001"),)),
    ("destinations under 2 in 1,000 grouped", (RareLabels(("dest_code",), "0.002"),)),
    ("means of carrier and destination added", (TargetEncoding(("carrier_code", "dest_code"), 500),)),
    ("mean instead of the destination", (TargetEncoding(("dest_code",), 500, suffix=""),)),
    (
        "means of time of day and weekday added",
        (
            QuantileBins(("sched_dep_minute",), 24, suffix="_bin"),
            TargetEncoding(("sched_dep_minute_bin", "weekday"), 500),
        ),
    ),
    ("marks of missing gusts and planes", (MissingIndicator(("wind_gust_mph", "plane_age_years")),)),
    ("planes by the median", (MissingIndicator(PLANES[:1]), MedianImputation(PLANES))),
    ("planes drawn", (RandomSampleImputation(PLANES, 7),)),
    (
        "mean delays winsorised",
        (
            Winsorising(
                tuple(f"{name}_mean_delay_min_28d" for name in ("carrier", "origin", "dest", "route", "number"))
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Data:
    """Rows that are learnt of with their labels, and rows of September with what happened."""

    job: Job
    built: pl.DataFrame
    label: pl.Series
    scored: pl.DataFrame
    happened: pl.Series


def main() -> None:
    """Try each with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, help="a folder to work in, and to find what is made already")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/fitted_transforms.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.place or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        data = _data(place)
    seeds = [data.job.parameters().seed, *range(1, given.seeds)]
    lines = []
    for name, transforms in TRIED:
        found = [_tried(data, transforms, seed) for seed in seeds]
        areas, losses = zip(*found, strict=True)
        mean = math.fsum(areas) / len(areas), math.fsum(losses) / len(losses)
        figures = (areas[0], mean[0], min(areas), max(areas), mean[1])
        lines.append((name, *(f"{figure:.4f}" for figure in figures)))
        print(*lines[-1], flush=True)
    head = ("transforms", "AUC, shipped seed", f"mean of {len(seeds)} seeds", "least", "most", "log loss, mean")
    text = (
        f"{machine()}\n\n    python bench/transforms_tried.py\n\n{table(head, lines)}\n\n"
        "Single models: what seeds do is as much as what transforms do. LightGBM takes nulls and codes as they are, "
        "and what a carrier or a destination did lately is in the features already, by windows that forget; means of "
        "all nights do not."
    )
    if given.write:
        write_section("transforms_tried", "Tried on `flight_delay`", text, ROOT / "docs" / "fitted_transforms.md")


def _data(place: Path) -> Data:
    job = load_job("flight_delay")
    learnt, scored = rows_of(job, place)
    settings = read_settings({"SCORE_HOME": str(place / "home")}, lambda: datetime.now(UTC))
    happened = what_happened(job, settings, open_home(settings.home), NIGHTS)
    order = ["as_of", *job.key]
    both = scored.join(happened, on=order, how="left", maintain_order="left").drop_nulls("label")
    return Data(job, learnt.drop("label"), learnt["label"], both.drop("label"), both["label"])


def _tried(data: Data, transforms: tuple[Transform, ...], seed: int) -> tuple[float, float]:
    """AUC and log loss of September."""
    job = data.job
    feature_set, days = job.features().FEATURE_SET, job.horizon_days + job.label_delay_days
    fitted = fit(data.built, feature_set, transforms, key=job.key, labels=data.label, matures_days=days)
    columns, parameters = fitted.columns(feature_set), replace(job.parameters(), seed=seed)
    codes = tuple(name for name in parameters.categorical if columns.schema[name].is_integer())
    learnt = training_set(job, apply(data.built, fitted).with_columns(data.label))
    threads = len(os.sched_getaffinity(0))
    single = replace(parameters, categorical=codes, members=(), calibration=None)
    model = train(Learning(learnt), single, threads).scorer()
    raw = model.raw_scores(apply(data.scored, fitted), order=("as_of", *job.key), threads=threads)
    label = data.happened.cast(float).to_numpy()
    area = auc(raw, label)
    return 0.0 if area is None else area, log_loss(model.probability(raw).tolist(), label.tolist())


if __name__ == "__main__":
    main()
