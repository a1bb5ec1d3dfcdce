"""Differing: two runs side by side: what they are made of, which entities they share, and how far each moved.

Only what both ends need is read here: manifests and score tables. Why an entity moved is asked in `causes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.environment import code, environment, lock_sha256, processor
from jobs.exits import known_failures
from jobs.store.documents import read_document
from jobs.store.events import read_chain
from jobs.store.objects import read_sealed_rows
from jobs.store.runs import SCORES_FILE, find_by_prefix, run_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from jobs.definition import Job
    from jobs.project import Project
    from jobs.store.documents import Json
    from jobs.store.home import Home
    from jobs.store.runs import Run

    type Unlike = Mapping[str, Mapping[str, tuple[object, object]]]

PARTS = ("night", "snapshot", "SQL", "feature set", "feature values", "model", "environment")


class JobsDiffer(Exception):
    """Two runs are of different jobs."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two runs: its manifest, its scores, when it was scored, and by which environment; null: not on record."""

    run: Run
    folder: Path
    scores: pl.DataFrame
    scored_at: str | None
    environment: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class Entities:
    """One row per entity, in key order: those of both runs with `score`, `raw_score`, `rank` of each, keys of others.

    The columns of the second run end in `_b`.
    """

    both: pl.DataFrame
    only_a: pl.DataFrame
    only_b: pl.DataFrame


def read_sides(jobs: Sequence[Job], home: Home, run_a: str, run_b: str) -> tuple[Job, Side, Side]:
    """Two kept runs of one job, by the beginnings of their ids.

    Raises:
        RunMissing: if there is no such run, or if several begin so.
        JobsDiffer: if they are of different jobs.
        RunDamaged, ObjectDamaged, ObjectMissing: if a manifest or a score table is not what was written.
    """
    by_name = {job.name: job for job in jobs}
    a, b = (find_by_prefix(home, prefix, by_name) for prefix in (run_a, run_b))
    if a.inputs.job != b.inputs.job:
        raise JobsDiffer(
            f"run {a.run_id} is of {a.inputs.job} and run {b.run_id} of {b.inputs.job}; compare two runs of one job"
        )
    return by_name[a.inputs.job], _read_side(home, a), _read_side(home, b)


def read_scores(home: Home, run: Run) -> pl.DataFrame:
    """The kept score table of a run, in key order; its seal is checked."""
    return read_sealed_rows(run_folder(home, run.inputs) / SCORES_FILE, run.files[SCORES_FILE])


def match(a: pl.DataFrame, b: pl.DataFrame, key: Sequence[str]) -> Entities:
    """Pair the rows of two score tables by key."""
    numbers = ("score", "raw_score", "rank")
    of_a, of_b = a.select(*key, *numbers).sort(key), b.select(*key, *numbers).sort(key)
    return Entities(
        both=of_a.join(of_b, on=list(key), how="inner", suffix="_b", maintain_order="left"),
        only_a=of_a.join(of_b, on=list(key), how="anti", maintain_order="left").select(key),
        only_b=of_b.join(of_a, on=list(key), how="anti", maintain_order="left").select(key),
    )


def unlike(a: Side, b: Side) -> Unlike:
    """What two runs are made of and differ in: by part and by name within it, what each has. A part alike is left out.

    Null stands for what a run does not have, or does not have on record.
    """
    one, two = a.run.inputs, b.run.inputs
    values = (a.run.features_digest, b.run.features_digest)
    found: dict[str, dict[str, tuple[object, object]]] = {
        "night": {"as_of": (one.as_of, two.as_of)},
        "snapshot": {"snapshot_digest": (one.snapshot_digest, two.snapshot_digest)},
        "SQL": _side_by_side(one.sql_fingerprints, two.sql_fingerprints),
        "feature set": {"feature_fingerprint": (one.feature_fingerprint, two.feature_fingerprint)},
        "feature values": {"features_digest": values},
        "model": {"model_version": (one.model_version, two.model_version)},
        "environment": _side_by_side(a.environment or {}, b.environment or {}),
    }
    other = {part: {name: pair for name, pair in names.items() if pair[0] != pair[1]} for part, names in found.items()}
    return {part: names for part, names in other.items() if names}


def here(project: Project) -> dict[str, Json]:
    """The environment of this process, under the names that `recorded` uses."""
    return {**environment(), **processor(), **code(project), "lock": lock_sha256(project)}


def recorded(execution: Mapping[str, Json]) -> dict[str, Json]:
    """The environment in an execution record, as one mapping: libraries, processor, our code, the lock file."""
    found: dict[str, Json] = {"lock": execution.get("lock_sha256")}
    for name in ("environment", "processor", "code"):
        part = execution.get(name)
        found |= part if isinstance(part, dict) else {}
    return found


def _read_side(home: Home, run: Run) -> Side:
    folder = run_folder(home, run.inputs)
    return Side(run, folder, read_scores(home, run), _scored_at(home, run), _environment(folder))


def _scored_at(home: Home, run: Run) -> str | None:
    """When analysts first could see it; null where no event says so, or the chain cannot be read."""
    try:
        shown = read_chain(home, run.inputs.job).first_shown().get(run.run_id)
    except known_failures():  # `score verify` says what is wrong with it; a diff needs nothing of it
        return None
    return shown.at if shown else None


def _environment(folder: Path) -> Mapping[str, Json] | None:
    try:
        return recorded(read_document(folder / "execution.json", "execution"))
    except known_failures():  # as above
        return None


def _side_by_side(one: Mapping[str, object], two: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    return {name: (one.get(name), two.get(name)) for name in sorted(one.keys() | two.keys())}
