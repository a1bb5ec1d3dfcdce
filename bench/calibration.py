"""How reliable the scores of September 2013 are, as they come and calibrated: ten bins, log loss, Brier, their error.

    python bench/calibration.py            prints the section of docs/calibration.md
    python bench/calibration.py --write    writes it there

Trains the model of models/flight_delay.toml as of 1 September on the sample warehouse, in an empty home: without
calibration, with isotonic (both ways to read between blocks) and with Platt's. All are fitted on the 28 nights of
August that the validation model had not seen. Raw scores must be the same bits for all; then each score of the thirty
nights, from features as they were known each night, is compared with what happened. "Error" is the expected calibration
error: over the ten bins, the mean distance of a bin's mean score from its share, weighted by rows. A bin is a tenth of
the flights, by score.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before LightGBM is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import polars as pl

from bench.page import machine, table, write_section
from features.fitted import Fitted
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.evaluating import what_happened
from jobs.steps.nights import Desk, run_nightly
from jobs.steps.scoring import load_model, raw_scores
from jobs.steps.training import train_version
from jobs.store.events import read_chain
from jobs.store.home import open_home
from jobs.store.objects import read_rows
from jobs.store.runs import FEATURES_FILE
from jobs.warehouse.sample import load_sample
from models.evaluation import Quality, quality
from models.parameters import change_parameters

if TYPE_CHECKING:
    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from models.booster import Floats

PAGE = Path(__file__).resolve().parents[1] / "docs" / "calibration.md"
FIRST = date(2013, 9, 1)
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(30))
WAYS: dict[str, dict[str, object]] = {
    "as they come": {},
    "isotonic, line": {"method": "isotonic", "between": "line"},
    "isotonic, step": {"method": "isotonic", "between": "step"},
    "Platt": {"method": "platt"},
}


def main() -> None:
    """Train, score, compare; print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write the section of {PAGE.name}")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = section(Path(folder))
    if told.write:
        write_section("calibration", "September 2013", text, PAGE)
    print(text)


def section(folder: Path) -> str:
    """What was found, as it stands in the document."""
    settings = read_settings({"SCORE_HOME": str(folder / "home")}, lambda: datetime.now(UTC))
    home, job = open_home(settings.home), load_job("flight_delay")
    load_sample(settings.home / "warehouse.duckdb")
    versions = {name: _trained(job, settings, home, asked) for name, asked in WAYS.items()}
    desk = Desk(job, settings, home, (job,), len(os.sched_getaffinity(0)))
    for night in NIGHTS:
        run_nightly(desk, night)
    features = _features(job, home)
    labels = what_happened(job, settings, home, NIGHTS)
    label = features.join(labels, on=["as_of", *job.key], how="left", maintain_order="left").get_column("label")
    known = label.is_not_null()
    happened = label.filter(known).cast(pl.Float64).to_numpy()
    raw = {name: _raw(job, home, version, features.filter(known)) for name, version in versions.items()}
    if len({each.tobytes() for each in raw.values()}) != 1:
        raise SystemExit("calibration changed raw scores")
    measured = {
        name: quality(raw[name], load_model(home, version).probability(raw[name]), happened, _base_rate(version))
        for name, version in versions.items()
    }
    return "\n\n".join([_words(versions, measured), _losses(measured), _bins(measured), machine()])


def _trained(job: Job, settings: Settings, home: Home, asked: dict[str, object]) -> ModelVersion:
    parameters = change_parameters(job.parameters(), {"calibration": asked})
    threads = len(os.sched_getaffinity(0))
    return train_version(job, settings, home, FIRST, threads=threads, parameters=parameters).version


def _features(job: Job, home: Home) -> pl.DataFrame:
    current = read_chain(home, job.name).current()
    folders = [home.runs(job.name, night) / str(current[night].run_id) for night in NIGHTS]
    return read_rows([folder / FEATURES_FILE for folder in folders]).sort("as_of", *job.key)


def _raw(job: Job, home: Home, version: ModelVersion, features: pl.DataFrame) -> Floats:
    return raw_scores(job, features, Fitted.from_json(version.fitted), load_model(home, version))


def _base_rate(version: ModelVersion) -> float:
    found = version.metrics["quality"]
    rate = found["base_rate"] if isinstance(found, dict) else None
    return float(str(rate))


def _error(found: Quality) -> float:
    """Expected calibration error over the ten bins."""
    return sum(each.rows * abs(each.mean_score - each.observed_rate) for each in found.calibration) / found.rows


def _words(versions: dict[str, ModelVersion], measured: dict[str, Quality]) -> str:
    found = measured["as they come"]
    fitted = versions["Platt"].calibration or {}
    validated = versions["Platt"].metrics["quality"]
    august = validated if isinstance(validated, dict) else {}
    share = float(str(august["positives"])) / float(str(august["rows"]))
    line = fitted["fitted"]
    slope, offset = (float(str(line[name])) for name in ("slope", "offset")) if isinstance(line, dict) else (0, 0)
    blocks = versions["isotonic, line"].calibration or {}
    pooled = blocks["fitted"]
    count = len(pooled["blocks"]) if isinstance(pooled, dict) and isinstance(pooled["blocks"], list) else 0
    return (
        f"{found.rows:,} flights, {found.positives / found.rows:.1%} of them late or cancelled; of the "
        f"{fitted['rows']:,} flights of {fitted['first_night']} to {fitted['last_night']}, by which was calibrated, "
        f"{share:.1%}, and of those before {found.base_rate:.1%}. Isotonic found {count} blocks; Platt's line is "
        f"{slope:.3f} * raw {'+' if offset >= 0 else '-'} {abs(offset):.3f}."
    )


def _losses(measured: dict[str, Quality]) -> str:
    head = ("scores", "mean", "log loss", "Brier", "error", "AUC of raw", "distinct bins")
    rows = [
        (
            name, f"{np.mean([each.mean_score for each in found.calibration]):.4f}", f"{found.log_loss:.4f}",
            f"{found.brier:.4f}", f"{_error(found):.4f}", f"{found.auc:.4f}",
            str(len({each.mean_score for each in found.calibration})),
        )
        for name, found in measured.items()
    ]  # fmt: skip
    return table(head, rows)


def _bins(measured: dict[str, Quality]) -> str:
    head = ("bin", "rows", *(f"{name}: {what}" for name in measured for what in ("score", "share")))
    lines = []
    for each in zip(*(found.calibration for found in measured.values()), strict=True):
        cells = [f"{value:.3f}" for one in each for value in (one.mean_score, one.observed_rate)]
        lines.append((str(each[0].decile), f"{each[0].rows:,}", *cells))
    return table(head, lines)


if __name__ == "__main__":
    main()
