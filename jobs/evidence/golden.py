"""Golden rows and golden nights: what a model version can be asked again, before it is used.

About a thousand of its training rows, with their raw scores, are scored before every use: one other bit stops the run.
They do not pass through feature code. So, wherever libraries, processor or code are not those of the training, a whole
night is also built again from kept rows; only then may another environment score, and it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.contract import ColumnsDiffer, RowsDiffer
from features.fitted import Fitted
from jobs.environment import code, environment, lock_sha256, processor
from jobs.steps.scoring import (
    PopulationEmpty,
    build_night,
    differing_columns,
    load_model,
    raw_scores,
)
from jobs.store.batches import column_digests
from jobs.store.digest import rows_digest
from jobs.store.objects import read_sealed_rows, write_parquet
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import GOLDEN_NIGHT, GOLDEN_ROWS, Golden, read_training_record, version_folder
from jobs.store.snapshots import as_known_on, read_snapshot_at, write_snapshot
from jobs.warehouse.engine import connect
from models.golden import bits_differing, choose_rows
from models.kernel.choice import LIGHTGBM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from jobs.definition import Job
    from jobs.project import Project
    from jobs.store.documents import Json
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot
    from models.ensemble import Scorer

_NIGHT_KIND = "golden night"
_LAST_NIGHTS = 28
_RAW = "raw_score"
_LOTTERY = 20130901  # which rows are drawn; another number would be as good

type Differences = Mapping[str, tuple[Json, Json]]


class GoldenRowsDiffer(Exception):
    """A model gave a golden row another raw score than when it was trained."""


class GoldenNightDiffers(Exception):
    """The features of a model's golden night are not what they were when it was trained."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that may score here: in which ways this environment is another than its own, and what proved it equal."""

    model: Scorer
    differences: Differences
    proven_by: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """As it stands in an execution record."""
        return {
            "differences": {name: [theirs, ours] for name, (theirs, ours) in self.differences.items()},
            "proven_by": list(self.proven_by),
        }


def ready(job: Job, home: Home, version: ModelVersion) -> Ready:
    """The version's model, once its golden rows, and in another environment its golden night, gave the same bits here.

    Raises:
        GoldenRowsDiffer, GoldenNightDiffers: with both environments side by side.
        ObjectDamaged, ObjectMissing: if a file of the version is not what was written.
    """
    model = load_model(home, version)
    differences = other_environment(job.project, home, version)
    require_golden_rows(job, home, version, model.only(LIGHTGBM), differences)
    model = model.proven_by(lambda by_kernel: require_golden_rows(job, home, version, by_kernel, differences))
    proven_by = [f"{version.golden.rows:,} golden rows"]
    if differences:
        require_golden_night(job, home, version, differences)
        proven_by.append(f"the golden night of {version.golden.night}")
    return Ready(model, differences, tuple(proven_by))


def other_environment(project: Project, home: Home, version: ModelVersion) -> Differences:
    """What is another here than where the version was trained: name to what it was there and what it is here."""
    trained = read_training_record(home, version)
    there = {**version.environment, "lock": version.lock_sha256}
    for name in ("processor", "code"):
        part = trained.get(name)
        there |= part if isinstance(part, dict) else {}
    here: dict[str, Json] = {**environment(), "lock": lock_sha256(project), **processor(), **code(project)}
    return {
        name: (there.get(name), here.get(name))
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    }


def side_by_side(differences: Differences) -> str:
    """Both environments in one line: only what differs, digests and long lists cut to what tells them apart."""
    if not differences:
        return "the environment is the one that it was trained in"
    return "; ".join(f"{name}: {_short(theirs, ours)}" for name, (theirs, ours) in differences.items())


def _short(theirs: Json, ours: Json) -> str:
    if isinstance(theirs, str) and isinstance(ours, str) and " " in theirs + ours:  # lists of features
        lost, gained = set(theirs.split()) - set(ours.split()), set(ours.split()) - set(theirs.split())
        return " ".join([*(f"-{name}" for name in sorted(lost)), *(f"+{name}" for name in sorted(gained))])
    return f"{_cut(theirs)} there, {_cut(ours)} here"


def _cut(value: Json) -> str:
    return "nothing" if value is None else str(value)[:12]


def require_golden_rows(job: Job, home: Home, version: ModelVersion, model: Scorer, differences: Differences) -> None:
    """Pass if the model gives every golden row the bits that it gave when it was trained."""
    wrong = golden_rows_differing(job, home, version, model)
    if wrong:
        raise GoldenRowsDiffer(
            f"model {version.version} gives {wrong} of {version.golden.rows} golden rows another raw score than when "
            f"it was trained ({side_by_side(differences)}); nothing is scored here. Restore that environment, or "
            "train again"
        )


def golden_rows_differing(job: Job, home: Home, version: ModelVersion, model: Scorer) -> int:
    """How many golden rows the model gives another raw score than when it was trained; their file is checked first."""
    rows = read_sealed_rows(version_folder(home, version) / GOLDEN_ROWS, version.golden.rows_seal)
    found = raw_scores(job, rows.drop(_RAW), Fitted.from_json(version.fitted), model)
    return bits_differing(np.ascontiguousarray(rows.get_column(_RAW).to_numpy()), found)


def require_golden_night(job: Job, home: Home, version: ModelVersion, differences: Differences) -> None:
    """Pass if the features of the golden night, built again here, have the digests that they had at training."""
    golden = version.golden
    tables = read_tables(in_store(home), read_golden_night(home, version))
    try:
        frame = build_night(job, tables, golden.night)
        wrong = rows_digest(frame) != golden.night_features_digest
        named = differing_columns(golden.night_feature_digests, column_digests(frame)) if wrong else ""
    except (PopulationEmpty, RowsDiffer, ColumnsDiffer) as error:  # they speak of a night's data, and these are proven
        named = str(error)
    if named:
        raise GoldenNightDiffers(
            f"the features of {golden.night}, the golden night of model {version.version}, are not what they were: "
            f"{named} ({side_by_side(differences)}); nothing is scored here. Restore that environment, or train again"
        )


def read_golden_night(home: Home, version: ModelVersion) -> Snapshot:
    """The snapshot of the golden night; its objects are the training snapshot's."""
    return read_snapshot_at(version_folder(home, version) / GOLDEN_NIGHT, _NIGHT_KIND, version.golden.night_snapshot)


def keep_golden(
    job: Job, home: Home, folder: Path, snapshot: Snapshot, built: pl.DataFrame, fitted: Fitted, model: Scorer
) -> Golden:
    """Write golden rows and night into the staged folder of a version, and say what its manifest must hold of them.

    `built` has one row per (night, entity) that was trained on, as features were built and before `apply`.
    """
    rows = choose_rows(built, ("as_of", *job.key), _LOTTERY)
    scored = rows.with_columns(pl.Series(_RAW, raw_scores(job, rows, fitted, model), dtype=pl.Float64))
    night = _small_night(built.get_column("as_of"))
    known = as_known_on(snapshot, night, job.horizon_days)
    frame = build_night(job, read_tables(in_store(home), known), night)
    write_snapshot(folder / GOLDEN_NIGHT, _NIGHT_KIND, known)
    with connect() as con:
        seal = write_parquet(con, scored, folder / GOLDEN_ROWS)
    return Golden(
        rows=rows.height,
        rows_seal=seal,
        night=night,
        night_snapshot=known.digest,
        night_features_digest=rows_digest(frame),
        night_feature_digests=column_digests(frame),
    )


def _small_night(nights: pl.Series) -> date:
    """Of the last nights that were trained on, the one with the fewest rows; of several the earliest."""
    counted = nights.rename("night").value_counts(sort=False).sort("night").tail(_LAST_NIGHTS)
    smallest: date = counted.sort("count", "night").item(0, "night")
    return smallest
