"""Model versions: each one training result, written once, with all that scoring needs and that an auditor asks for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, cast

from jobs.kill_points import reach
from jobs.store.documents import Json, json_digest, read_document, write_document, write_durably
from jobs.store.home import safe_name, settle
from jobs.store.objects import FileSeal, ObjectDamaged, ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobs.store.home import Home


GOLDEN_ROWS, GOLDEN_NIGHT = "golden_rows.parquet", "golden_night.json"
_NAME = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{12}")


class ModelMissing(Exception):
    """There is no such model version."""


class ModelOfAnotherJob(Exception):
    """A model version's manifest names another job, or another version."""


@dataclass(frozen=True, slots=True)
class Golden:
    """What a model version can be asked again: rows with their raw scores, and one whole night.

    The rows lie in `golden_rows.parquet`, one per (night, entity), before `apply`; the night's snapshot in
    `golden_night.json`, its objects being those of the training snapshot.
    """

    rows: int
    rows_seal: FileSeal
    night: date
    night_snapshot: str
    night_features_digest: str
    night_feature_digests: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Json]:
        """As it stands in the manifest."""
        return {
            "night": self.night.isoformat(),
            "night_feature_digests": [list(each) for each in self.night_feature_digests],
            "night_features_digest": self.night_features_digest,
            "night_snapshot": self.night_snapshot,
            "rows": self.rows,
            "rows_sha256": self.rows_seal.sha256,
            "rows_size": self.rows_seal.size,
        }


@dataclass(frozen=True, slots=True)
class MemberFile:
    """One member of an ensemble: its weight, the model columns that it knows, the nights that it saw, its text's file.

    Raw scores are multiplied by the weight, added in the order of the members, and divided by the sum of the weights.
    """

    name: str
    weight: int
    features: tuple[str, ...]
    first_night: str
    nights: int
    rows: int
    seal: FileSeal

    @property
    def file(self) -> str:
        """The name of the file with its text."""
        return f"member_{self.name}.txt"

    def to_json(self) -> dict[str, Json]:
        """As it stands in the manifest."""
        return {
            "features": list(self.features),
            "first_night": self.first_night,
            "name": self.name,
            "nights": self.nights,
            "rows": self.rows,
            "sha256": self.seal.sha256,
            "size": self.seal.size,
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One training result: the facts of its manifest."""

    job: str
    as_of: date
    features: tuple[tuple[str, str], ...]
    feature_set: str
    feature_fingerprint: str
    sql_fingerprints: dict[str, str]
    snapshot_digest: str
    fitted: str
    parameters: dict[str, Json]
    model_seal: FileSeal | None
    """Of the text of a single model; null for an ensemble, which has members."""
    lock_sha256: str
    environment: dict[str, Json]
    training: dict[str, Json]
    metrics: dict[str, Json]
    golden: Golden
    members: tuple[MemberFile, ...] = ()
    """Of an ensemble, in the order in which their raw scores are added."""
    calibration: dict[str, Json] | None = None
    """How raw scores become scores, and by which nights that was fitted; null where the objective says it."""
    columns: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Its name: the as-of that it was trained for and 12 hex digits of its manifest's digest."""
        return f"{self.as_of.isoformat()}-{json_digest(self.to_json())[:12]}"

    def to_json(self) -> dict[str, Json]:
        """The manifest's body; the same training gives the same, whenever and wherever it ran.

        What versions did not have once is left out where it is empty, so that they are still called what they were.
        """
        more: dict[str, Json] = {"columns": cast("Json", self.columns)} if self.columns else {}
        if self.members:
            more["members"] = [each.to_json() for each in self.members]
        if self.model_seal:
            more |= {"model_sha256": self.model_seal.sha256, "model_size": self.model_seal.size}
        if self.calibration is not None:
            more["calibration"] = self.calibration
        return {
            **more,
            "as_of": self.as_of.isoformat(),
            "environment": self.environment,
            "feature_fingerprint": self.feature_fingerprint,
            "feature_set": self.feature_set,
            "features": [[name, kind] for name, kind in self.features],
            "fitted": self.fitted,
            "golden": self.golden.to_json(),
            "job": self.job,
            "lock_sha256": self.lock_sha256,
            "metrics": self.metrics,
            "parameters": self.parameters,
            "snapshot_digest": self.snapshot_digest,
            "sql_fingerprints": cast("Json", self.sql_fingerprints),
            "training": self.training,
        }


def seal_of_text(text: str) -> FileSeal:
    """What a file that holds this text must be."""
    content = text.encode()
    return FileSeal(hashlib.sha256(content).hexdigest(), len(content))


def text_files(version: ModelVersion) -> dict[str, FileSeal]:
    """The files with the texts of a version, by name, in the order in which raw scores are added."""
    if version.model_seal:
        return {"model.txt": version.model_seal}
    return {member.file: member.seal for member in version.members}


def keep_version(
    home: Home, folder: Path, version: ModelVersion, texts: Sequence[str], lock: bytes, trained: dict[str, Json]
) -> None:
    """Write a version once, into a staged folder that holds its golden files; one that is there already is the same."""
    for name, text in zip(text_files(version), texts, strict=True):
        write_durably(folder / name, text.encode())
    write_durably(folder / "uv.lock", lock)
    write_document(folder / "trained.json", "training", trained)
    reach("version-files-written")
    write_document(folder / "manifest.json", "model version", version.to_json())
    reach("version-beside")
    settle(folder, home.models(version.job) / version.version)


def read_version(home: Home, job: str, version: str) -> ModelVersion:
    """The version's manifest, checked.

    Raises:
        ModelMissing: if there is no such version.
        ModelOfAnotherJob: if the manifest is not of this version.
    """
    folder = home.models(job) / safe_name(version)
    if not folder.is_dir():
        known = ", ".join(version_names(home, job)) or "none"
        raise ModelMissing(f"{job} has no model version {version!r}; there is {known}")
    body = read_document(folder / "manifest.json", "model version")
    if "golden" not in body:
        raise ModelMissing(f"{job} {version} was trained before models carried golden rows; train it again")
    found = _from_json(body)
    if found.job != job or found.version != version:
        raise ModelOfAnotherJob(
            f"{folder / 'manifest.json'} is of {found.job} {found.version}; restore it from a backup"
        )
    return found


def version_folder(home: Home, version: ModelVersion) -> Path:
    """Where a version lies."""
    return home.models(version.job) / version.version


def read_training_record(home: Home, version: ModelVersion) -> dict[str, Json]:
    """When, where and by which code the version was trained; nothing of it is part of the version."""
    return read_document(version_folder(home, version) / "trained.json", "training")


def read_model_texts(home: Home, version: ModelVersion) -> tuple[str, ...]:
    """The text of the model, or of each member, its SHA-256 checked before anybody parses it.

    A damaged one can crash the library: none is given unless all are whole.

    Raises:
        ObjectDamaged, ObjectMissing: if a file is not what was written.
    """
    folder = version_folder(home, version)
    return tuple(_read_sealed(folder / name, seal.sha256).decode() for name, seal in text_files(version).items())


def read_lock_file(home: Home, version: ModelVersion) -> bytes:
    """The lock file that the version was trained under; errors as `read_model_texts`."""
    return _read_sealed(version_folder(home, version) / "uv.lock", version.lock_sha256)


def _read_sealed(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ObjectMissing(f"{path} is missing; restore it from a backup of SCORE_HOME") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ObjectDamaged(f"{path} is not what was written (its SHA-256 differs); restore it from a backup")
    return content


def version_names(home: Home, job: str) -> tuple[str, ...]:
    """The versions of a job, by training as-of; nothing in them is read, and what else lies there is not ours."""
    return tuple(sorted(path.name for path in home.models(job).glob("*/") if _NAME.fullmatch(path.name)))


def _from_json(body: dict[str, Json]) -> ModelVersion:
    return ModelVersion(
        job=cast("str", body["job"]),
        as_of=date.fromisoformat(cast("str", body["as_of"])),
        features=tuple((name, kind) for name, kind in cast("list[list[str]]", body["features"])),
        feature_set=cast("str", body["feature_set"]),
        feature_fingerprint=cast("str", body["feature_fingerprint"]),
        sql_fingerprints=cast("dict[str, str]", body["sql_fingerprints"]),
        snapshot_digest=cast("str", body["snapshot_digest"]),
        fitted=cast("str", body["fitted"]),
        parameters=cast("dict[str, Json]", body["parameters"]),
        model_seal=_seal(body, "model_") if "model_sha256" in body else None,
        lock_sha256=cast("str", body["lock_sha256"]),
        environment=cast("dict[str, Json]", body["environment"]),
        training=cast("dict[str, Json]", body["training"]),
        metrics=cast("dict[str, Json]", body["metrics"]),
        golden=_golden_from_json(cast("dict[str, Json]", body["golden"])),
        members=tuple(map(_member_from_json, cast("list[dict[str, Json]]", body.get("members", [])))),
        calibration=cast("dict[str, Json] | None", body.get("calibration")),
        columns=cast("dict[str, dict[str, Json]]", body.get("columns", {})),
    )


def _member_from_json(body: dict[str, Json]) -> MemberFile:
    return MemberFile(
        name=cast("str", body["name"]),
        weight=cast("int", body["weight"]),
        features=tuple(cast("list[str]", body["features"])),
        first_night=cast("str", body["first_night"]),
        nights=cast("int", body["nights"]),
        rows=cast("int", body["rows"]),
        seal=_seal(body),
    )


def _seal(body: dict[str, Json], before: str = "") -> FileSeal:
    return FileSeal(cast("str", body[f"{before}sha256"]), cast("int", body[f"{before}size"]))


def _golden_from_json(body: dict[str, Json]) -> Golden:
    digests = cast("list[list[str]]", body["night_feature_digests"])
    return Golden(
        rows=cast("int", body["rows"]),
        rows_seal=FileSeal(cast("str", body["rows_sha256"]), cast("int", body["rows_size"])),
        night=date.fromisoformat(cast("str", body["night"])),
        night_snapshot=cast("str", body["night_snapshot"]),
        night_features_digest=cast("str", body["night_features_digest"]),
        night_feature_digests=tuple((name, kind, digest) for name, kind, digest in digests),
    )
