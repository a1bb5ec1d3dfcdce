"""A job: one thing that is scored nightly, put together from its own files in jobs/, sql/, features/ and models/."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

from features.clock import Cutoff, ZoneUnknown, zone
from jobs.availability import Columns, PolicyRefused, read_policy
from jobs.days import Calendar
from jobs.project import OURS
from jobs.queries.released import find_queries, require_unedited
from jobs.store.home import safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import polars as pl

    from features.contract import FeatureSet
    from jobs.project import Project
    from jobs.queries.check import Query
    from models.parameters import Parameters

_MOST_DAYS = 36_500
_LABELS = 2
_ROWS_LEAST, _ROWS_MOST = 0.6, 1.6
_RESERVED = frozenset({"built_from", "publications", "runs", "scores", "staging", "views"})


class JobRefused(Exception):
    """A job's TOML is not what a job needs; `entries` are the dotted names of those that are refused, if it is some."""

    def __init__(self, message: str, *entries: str) -> None:
        super().__init__(message)
        self.entries = entries


class JobMissing(Exception):
    """There is no job of that name."""


class FeatureModule(Protocol):
    """What a module in features/ offers for its job; no engine file knows one by name.

    One that may have millions of rows a night also has `feature_batches(tables, cutoffs, only=None)`: the frame that
    `build_features` returns, piece by piece, in order. The two give the same rows.
    `TRANSFORMS`, a tuple of `features.fitted`, says what is learnt of training rows; without it text becomes codes.
    """

    FEATURE_SET: FeatureSet
    KEY: tuple[str, ...]

    def build_features(
        self, tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """One row per (night, entity)."""

    def labels(self, tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
        """One row per (night, entity): what happened, null where it is not known."""


@dataclass(frozen=True, slots=True)
class Training:
    """Which nights a job trains on; of each `every_nights` only the last, for labels that overlap say little more."""

    nights: int
    warm_up_days: int
    missing_labels_max: float
    every_nights: int = 1


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a night may hold and still be scored.

    `unseen_max` is the share of its rows, in any one text feature; `rows_least` and `rows_most` are shares of the rows
    that a table usually has (0 and `inf` let all through).
    """

    unseen_max: float
    rows_least: float = _ROWS_LEAST
    rows_most: float = _ROWS_MOST


@dataclass(frozen=True, slots=True)
class Words:
    """How a person calls what is scored, and what became of it: by the two labels, or by the unit of an amount."""

    things: str = "rows"
    happened: tuple[str, ...] = ()
    unit: str = ""

    def said(self, label: object) -> str:
        """What happened, where it is known."""
        if label is None:
            return "not known yet"
        return self.happened[int(str(label))] if self.happened else f"{label} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Edition:
    """A feature module and the SQL versions that it is written for."""

    features_module: str
    sql_versions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a project, as its files declare it; SQL, features and parameters are read when a step needs them.

    `features_module` and `sql_versions` are those of the edition that it stands in, at first the current one, which
    leads `editions`.
    """

    name: str
    title: str
    score_meaning: str
    calendar: Calendar
    key: tuple[str, ...]
    horizon_days: int
    label_delay_days: int
    features_module: str
    sql_versions: tuple[tuple[str, int], ...]
    editions: tuple[Edition, ...]
    columns: Columns
    training: Training
    scoring: Scoring
    sql_folder: Path
    models_folder: Path
    words: Words = Words()
    project: Project = OURS

    def cutoff(self, as_of: date) -> Cutoff:
        """The as-of and the instant that it begins in."""
        return Cutoff(as_of=as_of, at=self.calendar.cutoff(as_of))

    def queries(self) -> tuple[Query, ...]:
        """The job's versioned SQL, checked, in the order of the TOML."""
        versions = dict(self.sql_versions)
        require_unedited(self.sql_folder, versions)
        return tuple(find_queries(self.sql_folder, versions).values())

    def features(self) -> FeatureModule:
        """The job's feature module."""
        from jobs.modules import load_features  # noqa: PLC0415  what only reads job files need not load features

        found = load_features(self.project, self.features_module)
        if found is None:
            raise JobRefused(
                f"job `{self.name}`: `features` names features.{self.features_module}, and there is no such module"
            )
        return cast("FeatureModule", found)

    def parameters(self) -> Parameters:
        """The job's model parameters."""
        from models.parameters import parse_parameters  # noqa: PLC0415  what only training needs is loaded there

        path = self.models_folder / f"{self.name}.toml"
        if not path.is_file():
            raise JobRefused(f"job `{self.name}` has no {path}; its model's parameters stand there")
        return parse_parameters(path.read_text(encoding="utf-8"), str(path))

    def matured(self, as_of: date) -> date:
        """The last night whose labels had been given time to become known before `as_of` began."""
        return as_of - timedelta(days=self.horizon_days + self.label_delay_days)


def job_names(project: Project = OURS) -> tuple[str, ...]:
    """The jobs that a project has, by name."""
    return tuple(sorted(path.stem for path in project.jobs.glob("*.toml")))


def all_jobs(project: Project) -> list[Job]:
    """Every job of a project, by name.

    Raises:
        JobMissing: if it has none; else as `load_job`.
    """
    names = job_names(project)
    if not names:
        raise JobMissing(f"{project} has no job: there is no TOML in {project.jobs}")
    return [load_job(name, project) for name in names]


def load_job(name: str, project: Project = OURS) -> Job:
    """The job of that name in a project.

    Raises:
        JobMissing: if there is none.
        JobRefused: if its TOML lacks something, has something unknown, or has it in another type.
    """
    path = project.jobs / f"{safe_name(name)}.toml"
    if not path.is_file():
        there = ", ".join(job_names(project)) or "none"
        raise JobMissing(f"there is no job `{name}`{f' in {project}' if project.folder else ''}; there is {there}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise JobRefused(f"{path}: not UTF-8") from None
    return parse_job(name, text, str(path), project)


def parse_job(name: str, text: str, path: str, project: Project = OURS) -> Job:
    """The job that a TOML text declares; errors as `load_job`."""
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobRefused(f"{path}: not TOML: {error}") from None
    return job_of(name, entries, path, project)


def is_reserved(name: str) -> bool:
    """Whether a relation or a lock of ours has that name."""
    return name in _RESERVED or name.endswith(("_latest", "_history"))


def job_of(name: str, entries: dict[str, Any], path: str, project: Project = OURS) -> Job:
    """The job that the entries of a TOML declare; errors as `load_job`."""
    if is_reserved(name):
        raise JobRefused(f"{path}: no job can be called {name}: a relation or a lock of that name is ours; rename it")
    top = _Entries(entries, path, "")
    editions = (_edition(top), *_earlier(top, path))
    training = _Entries(top.table("training"), path, "training.")
    scoring = _Entries(top.table("scoring"), path, "scoring.")
    words = _Entries(top.table("words", {}), path, "words.")
    job = Job(
        name=name,
        title=top.text("title"),
        score_meaning=top.text("score"),
        calendar=Calendar(top.text("time_zone")),
        key=top.texts("key"),
        horizon_days=top.whole("horizon_days", least=1),
        label_delay_days=top.whole("label_delay_days", least=0),
        features_module=editions[0].features_module,
        sql_versions=editions[0].sql_versions,
        editions=editions,
        columns=_columns(top, path),
        training=Training(
            nights=training.whole("nights", least=2),
            warm_up_days=training.whole("warm_up_days", least=0),
            missing_labels_max=training.share("missing_labels_max"),
            every_nights=training.whole("every_nights", least=1, default=1),
        ),
        scoring=Scoring(
            unseen_max=scoring.share("unseen_max"),
            rows_least=scoring.share("rows_least", _ROWS_LEAST),
            rows_most=scoring.multiple("rows_most", _ROWS_MOST),
        ),
        sql_folder=project.sql / name,
        models_folder=project.models,
        words=Words(
            things=words.text("things", "rows"),
            happened=words.texts("happened", ()),
            unit=words.text("unit", ""),
        ),
        project=project,
    )
    training.nothing_else()
    scoring.nothing_else()
    words.nothing_else()
    top.nothing_else()
    if job.words.happened and len(job.words.happened) != _LABELS:
        raise JobRefused(
            f"{path}: `words.happened` must be two texts: what the label 0 means, and what 1 does", "words.happened"
        )
    try:
        zone(job.calendar.zone_name)
    except ZoneUnknown as error:
        raise JobRefused(f"{path}: `time_zone`: {error}", "time_zone") from None
    return job


def _earlier(top: _Entries, path: str) -> Iterator[Edition]:
    """The editions that models were trained with before, in the order of the file."""
    for number, entries in enumerate(top.tables("earlier"), start=1):
        edition = _Entries(entries, path, f"earlier.{number}.")
        yield _edition(edition)
        edition.nothing_else()


def _columns(top: _Entries, path: str) -> Columns:
    """What the job says of its columns in production; whether it says it of all is looked at when it trains."""
    declared = {}
    for table, entries in top.table("columns", {}).items():
        if not isinstance(entries, dict):
            raise top.refusal(f"columns.{table}", "a table", entries)
        declared[table] = entries
        for name, said in entries.items():
            try:
                read_policy(said)
            except PolicyRefused as refused:
                entry = f"columns.{table}.{name}"
                raise JobRefused(f"{path}: `{entry}` {refused}", entry) from None
    return Columns(declared)


def _edition(entries: _Entries) -> Edition:
    features, sql = entries.text("features"), entries.table("sql")
    if not features.isidentifier():
        raise entries.refusal("features", "the name of a module", features)
    if not sql:
        raise entries.refusal("sql", "a table that names at least one SQL file's version", sql)
    return Edition(features, tuple((table, _version(entries, table, version)) for table, version in sql.items()))


def _version(entries: _Entries, table: str, version: object) -> int:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise entries.refusal(f"sql.{table}", "a version number from 1", version)
    return version


class _Entries:
    """The entries of one TOML table: each is taken once, by type; what nobody took is refused."""

    def __init__(self, entries: dict[str, object], path: str, prefix: str) -> None:
        self._left = dict(entries)
        self._path = path
        self._prefix = prefix

    def text(self, name: str, default: str | None = None) -> str:
        value = self._take(name, default)
        if not isinstance(value, str) or not (value.strip() or value == default):
            raise self.refusal(name, "a text", value)
        return value

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._take(name, default)
        if value is default and default is not None:
            return default
        texts = isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value)
        if not isinstance(value, list) or not value or not texts or len(set(value)) != len(value):
            raise self.refusal(name, "a list of different texts", value)
        return tuple(value)

    def whole(self, name: str, least: int, default: int | None = None) -> int:
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST_DAYS:
            raise self.refusal(name, f"a whole number from {least} to {_MOST_DAYS}", value)
        return value

    def share(self, name: str, default: float | None = None) -> float:
        value = self._take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise self.refusal(name, "a share from 0 to 1", value)
        return float(value)

    def multiple(self, name: str, default: float) -> float:
        value = self._take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 1:
            raise self.refusal(name, "a number from 1", value)
        return float(value)

    def table(self, name: str, default: dict[str, object] | None = None) -> dict[str, Any]:
        value = self._take(name, default)
        if not isinstance(value, dict):
            raise self.refusal(name, "a table", value)
        return value

    def tables(self, name: str) -> list[dict[str, object]]:
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.refusal(name, f"tables, each under a line [[{name}]]", value)
        return value

    def nothing_else(self) -> None:
        if self._left:
            unknown = [self._prefix + name for name in sorted(self._left)]
            raise JobRefused(f"{self._path}: unknown: {', '.join(unknown)}", *unknown)

    def _take(self, name: str, default: object = None) -> object:
        if name not in self._left and default is not None:
            return default
        if name not in self._left:
            raise JobRefused(f"{self._path}: `{self._prefix}{name}` is missing", self._prefix + name)
        return self._left.pop(name)

    def refusal(self, name: str, wanted: str, found: object) -> JobRefused:
        entry = self._prefix + name
        return JobRefused(f"{self._path}: `{entry}` must be {wanted}, found {found!r}", entry)
