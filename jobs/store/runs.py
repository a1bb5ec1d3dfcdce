"""Runs: each one scoring, written once, known by the digest of what it was computed from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, cast

from jobs.kill_points import reach
from jobs.store.documents import Json, json_digest, read_document, write_document
from jobs.store.home import dated_folders, settle
from jobs.store.objects import FileSeal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jobs.store.home import Home

SCORES_FILE, FEATURES_FILE = "scores.parquet", "features.parquet"
_ID_DIGITS = 32


class RunMissing(Exception):
    """There is no such run."""


class RunDamaged(Exception):
    """A run's manifest is not of the run that its name says."""


class ScoresDiffer(Exception):
    """The same run gave other scores than before: an alarm, and nothing is published."""


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run is computed from; the same inputs are the same run."""

    job: str
    as_of: date
    snapshot_digest: str
    sql_fingerprints: dict[str, str]
    feature_fingerprint: str
    model_version: str

    @property
    def run_id(self) -> str:
        """The first 32 hex digits of SHA-256 over the canonical JSON of the inputs."""
        return json_digest(self.to_json())[:_ID_DIGITS]

    def to_json(self) -> dict[str, Json]:
        """The inputs as the run id is computed over them."""
        return {
            "as_of": self.as_of.isoformat(),
            "feature_fingerprint": self.feature_fingerprint,
            "job": self.job,
            "model_version": self.model_version,
            "snapshot_digest": self.snapshot_digest,
            "sql_fingerprints": cast("Json", self.sql_fingerprints),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One kept run: its inputs, the digests of what came out at each stage, and the files that hold it."""

    inputs: RunInputs
    row_count: int
    feature_digests: tuple[tuple[str, str, str], ...]
    features_digest: str
    scores_digest: str
    published_digest: str
    files: dict[str, FileSeal]

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.inputs.run_id

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(seal.size for seal in self.files.values())


def run_folder(home: Home, inputs: RunInputs) -> Path:
    """Where a run lies."""
    return home.runs(inputs.job, inputs.as_of) / inputs.run_id


def keep_run(home: Home, run: Run, folder: Path, execution: dict[str, Json]) -> None:
    """Write manifest and execution record into a staged folder that holds the run's files, and put it in place."""
    write_document(folder / "execution.json", "execution", execution)
    write_document(folder / "manifest.json", "run", _to_json(run))
    reach("run-beside")
    settle(folder, run_folder(home, run.inputs))


def find_run(home: Home, inputs: RunInputs) -> Run | None:
    """The kept run with these inputs, or null."""
    folder = run_folder(home, inputs)
    return read_run(folder) if folder.is_dir() else None


def read_run(folder: Path) -> Run:
    """The run that lies in a folder, its manifest checked.

    Raises:
        RunDamaged: if the manifest is of another run than the folder's name says.
    """
    run = _from_json(read_document(folder / "manifest.json", "run"))
    named = (run.inputs.job, run.inputs.as_of.isoformat(), run.run_id)
    if named != (folder.parent.parent.name, folder.parent.name, folder.name):
        raise RunDamaged(f"{folder / 'manifest.json'} is of another run than its folder's name says; restore it")
    return run


def kept_runs(home: Home, jobs: Iterable[str]) -> tuple[Path, ...]:
    """The folders of all kept runs of some jobs, by job, as-of and run id; nothing in them is read."""
    return tuple(folder for job in jobs for _, folder in dated_folders(home.runs(job), _ID_DIGITS))


def find_by_prefix(home: Home, prefix: str, jobs: Iterable[str]) -> Run:
    """The one run whose id begins so; errors as `find_folder` and `read_run`."""
    return read_run(find_folder(home, prefix, jobs))


def find_folder(home: Home, prefix: str, jobs: Iterable[str]) -> Path:
    """The folder of the one run whose id begins so.

    Raises:
        RunMissing: if there is none, or more than one.
    """
    found = [folder for folder in kept_runs(home, jobs) if prefix and folder.name.startswith(prefix)]
    if len(found) != 1:
        said = "no kept run's id begins" if not found else f"{len(found)} kept runs' ids begin"
        raise RunMissing(f"{said} with {prefix[:64]!r}; see: score runs")
    return found[0]


def _to_json(run: Run) -> dict[str, Json]:
    return {
        "feature_digests": [list(each) for each in run.feature_digests],
        "features_digest": run.features_digest,
        "files": {name: [seal.sha256, seal.size] for name, seal in run.files.items()},
        "inputs": run.inputs.to_json(),
        "published_digest": run.published_digest,
        "row_count": run.row_count,
        "run_id": run.run_id,
        "scores_digest": run.scores_digest,
    }


def _from_json(body: dict[str, Json]) -> Run:
    inputs = cast("dict[str, Json]", body["inputs"])
    files = cast("dict[str, list[Json]]", body["files"])
    return Run(
        inputs=RunInputs(
            job=cast("str", inputs["job"]),
            as_of=date.fromisoformat(cast("str", inputs["as_of"])),
            snapshot_digest=cast("str", inputs["snapshot_digest"]),
            sql_fingerprints=cast("dict[str, str]", inputs["sql_fingerprints"]),
            feature_fingerprint=cast("str", inputs["feature_fingerprint"]),
            model_version=cast("str", inputs["model_version"]),
        ),
        row_count=cast("int", body["row_count"]),
        feature_digests=tuple(
            (name, kind, digest) for name, kind, digest in cast("list[list[str]]", body["feature_digests"])
        ),
        features_digest=cast("str", body["features_digest"]),
        scores_digest=cast("str", body["scores_digest"]),
        published_digest=cast("str", body["published_digest"]),
        files={name: FileSeal(cast("str", sha256), cast("int", size)) for name, (sha256, size) in files.items()},
    )
