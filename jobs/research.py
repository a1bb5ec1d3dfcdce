"""Production from Python, for a notebook: the steps that the command line calls, Polars frames in and out.

    night = open_snapshot("flight_delay", "2013-09-05")
    features = build_features(night)
    model = load_model("flight_delay", as_of=night.as_of)
    scores = score(features, model)
    scores_digest(scores)

Like `jobs/cli.py` this is an edge: SCORE_HOME, SCORE_WAREHOUSE, SCORE_PROJECT, SCORE_TODAY, SCORE_THREADS, the current
folder and the clock are read here, at each call; `home=` and `warehouse=` stand in for the first two. Days are dates,
or texts such as 2013-09-05. A failure is the exception whose one line the command line would print.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before anything loads LightGBM, as `jobs.cli.main` does

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, cast

import duckdb
import polars as pl

from features.contract import ColumnsDiffer
from jobs.definition import Job, load_job
from jobs.editions import edition_of, edition_that_took
from jobs.evidence.golden import Ready, ready
from jobs.options import threads_of
from jobs.settings import SettingRefused, Settings, read_project, read_settings
from jobs.steps.begun import require_begun
from jobs.steps.evaluating import NAIVE, naive_scores, quality_of, what_happened
from jobs.steps.inventory import NothingPublished, query_failure, require_published
from jobs.steps.nights import require_no_hindsight, snapshot_to_score
from jobs.steps.scoring import build_night, matching_features, require_same_sql, score_table
from jobs.steps.scoring import scores_digest as digest_of_scores
from jobs.steps.snapshots import read_fresh
from jobs.steps.training import train_version
from jobs.store.digest import rows_digest
from jobs.store.events import read_chain
from jobs.store.home import open_home, read_home
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import ModelVersion, read_version
from jobs.store.snapshots import Snapshot, SnapshotMissing, find_snapshots
from jobs.store.views import open_published
from jobs.warehouse.engine import connect
from models.parameters import change_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jobs.store.home import Home

__all__ = [
    "DayRefused",
    "LoadedModel",
    "NotOneNight",
    "OpenSnapshot",
    "build_features",
    "evaluate",
    "features_digest",
    "labels",
    "load_model",
    "open_snapshot",
    "published",
    "runs",
    "score",
    "scores_digest",
    "train",
]

type Day = date | str

_MOST_THREADS = 1024
_BESIDE_THE_KEY = ("as_of", "score", "raw_score", "rank", "model_version", "run_id", "scored_at")


class DayRefused(Exception):
    """What should be a day is none."""


class NotOneNight(Exception):
    """Rows that should be those of one night, each scored once and by one model, are not."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpenSnapshot:
    """One night's rows of the warehouse, in memory: `tables` are lazy frames by name, in total order.

    Each table has `event_day` and `visible_day` before the columns of its SQL; docs/architecture.md says what they are.
    """

    job: Job
    facts: Snapshot
    tables: Mapping[str, pl.LazyFrame]

    @property
    def as_of(self) -> date:
        """The day whose knowledge the rows are."""
        return self.facts.as_of

    @property
    def digest(self) -> str:
        """SHA-256 over all of them: the snapshot's name."""
        return self.facts.digest

    def sql(self, text: str) -> pl.DataFrame:
        """The rows that a query over the tables gives, as `score sql --snapshot` prints them.

        Example:
            night.sql("SELECT carrier, count(*) AS flights FROM timetable GROUP BY carrier ORDER BY carrier")

        Raises:
            QueryFailed: if DuckDB refuses it.
        """
        try:
            with connect() as con:
                for name, table in self.tables.items():
                    con.register(name, table.collect())
                rows = con.sql(text)
                return cast("pl.DataFrame", rows.pl()) if rows is not None else pl.DataFrame()
        except duckdb.Error as error:
            raise query_failure(error) from None

    def __repr__(self) -> str:
        rows = ", ".join(f"{table.rows:,} {table.name}" for table in self.facts.tables)
        return f"<snapshot {self.digest[:12]} of {self.job.name} as of {self.as_of}: {rows}>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LoadedModel:
    """One model version that may score here: its golden rows gave the same bits as when it was trained."""

    job: Job
    facts: ModelVersion
    ready: Ready

    @property
    def version(self) -> str:
        """Its name, as `score models` prints it."""
        return self.facts.version

    @property
    def as_of(self) -> date:
        """The day that it was trained for: it has seen what was known before that day began."""
        return self.facts.as_of

    @property
    def parameters(self) -> dict[str, object]:
        """What may be tuned, by the names that `train` takes."""
        given = {name: value for name, value in self.facts.parameters.items() if name not in {"lightgbm", "repeatable"}}
        return {**given, **cast("dict[str, object]", self.facts.parameters["lightgbm"])}

    @property
    def metrics(self) -> Mapping[str, object]:
        """How well a model of its kind did on the last nights of its training, without having seen them."""
        return self.facts.metrics

    def __repr__(self) -> str:
        learnt = self.facts.training
        return f"<model {self.version} of {self.job.name}: {learnt['rows']:,} rows of {learnt['nights']} nights>"


def open_snapshot(
    job: str,
    as_of: Day,
    digest: str | None = None,
    *,
    fresh: bool = False,
    home: str | Path | None = None,
    warehouse: str | None = None,
) -> OpenSnapshot:
    """One night's rows: those of the run that analysts see, else the newest kept, else they are taken and kept now.

    With `digest`, or the beginning of one: that kept snapshot of the night. With `fresh`: what the warehouse says
    today; nothing is kept.

    Example:
        night = open_snapshot("flight_delay", "2013-09-05")

    Raises:
        AsOfInFuture: if the night has not begun.
        ObjectDamaged, ObjectMissing: if a stored file is not what was written.
        SnapshotMissing: if no snapshot of the night has that digest.
    """
    found, night, settings = _job(job), _day(as_of), _settings(home, warehouse)
    if fresh:
        return OpenSnapshot(found, *read_fresh(found, settings, open_home(settings.home), night))
    require_begun(found, settings, night)
    at = open_home(settings.home)
    if digest is None:
        snapshot = snapshot_to_score(found, settings, at, read_chain(at, job), night)
    else:
        snapshot = find_snapshots(at, digest, [job])
        if snapshot.as_of != night:
            raise SnapshotMissing(f"snapshot {snapshot.digest[:12]} of {job} is as of {snapshot.as_of}, not {night}")
    took = edition_that_took(found, snapshot.sql_fingerprints)
    return OpenSnapshot(took, snapshot, read_tables(in_store(at), snapshot))


def build_features(
    snapshot: OpenSnapshot, only: pl.DataFrame | None = None, *, model: LoadedModel | None = None
) -> pl.DataFrame:
    """One row per thing to score, in key order: `as_of`, the key, and the job's features as they were known that night.

    `only` has rows of the key, or of some of its columns, and restricts what comes out, never what is looked at: a row
    is the same alone as among all others. Of a frame that has the whole key, such as scores, only the key counts.
    With a `model`: the features that it was trained with, where the job has several editions.

    Example:
        features = build_features(night)
        build_features(night, only=scores.sort("rank").head(10))

    Raises:
        ColumnsDiffer: if a column of `only` is not of the key.
        NotOneNight: if the snapshot was taken to train, and so holds no night to score.
        PopulationEmpty: if there is nothing to score, or nothing of what was asked for.
        SqlOfAnotherVersion: if the model was trained with other SQL than took the snapshot.
    """
    if not snapshot.facts.scoring:
        raise NotOneNight(
            f"snapshot {snapshot.digest[:12]} was taken to train on the nights from {snapshot.facts.first_night} on; "
            f'open one to score: open_snapshot("{snapshot.job.name}", DAY)'
        )
    if model is not None:
        require_same_sql(snapshot.facts, model.facts)
    asked = None if only is None else _keys(only, snapshot)
    return build_night((model or snapshot).job, snapshot.tables, snapshot.as_of, asked)


def load_model(
    job: str, version: str | None = None, *, as_of: Day | None = None, home: str | Path | None = None
) -> LoadedModel:
    """A model version that may score here; by default the champion of a night, by default of today.

    Example:
        model = load_model("flight_delay", as_of="2013-09-05")
        model.parameters["learning_rate"]

    Raises:
        ChampionMissing, ModelMissing: if there is none.
        FeaturesOfAnotherVersion: if the code builds other features than it was trained with.
        GoldenRowsDiffer, GoldenNightDiffers: if it does not give here what it gave when it was trained.
        ObjectDamaged, ObjectMissing: if a file of it is not what was written.
    """
    found, settings = _job(job), _settings(home)
    at = read_home(settings.home)
    night = _day(as_of) if as_of is not None else settings.today(found.calendar)
    return _loaded(found, at, read_version(at, job, version or read_chain(at, job).champion(night)))


def train(
    job: str,
    as_of: Day,
    changes: Mapping[str, object] | None = None,
    *,
    home: str | Path | None = None,
    warehouse: str | None = None,
) -> LoadedModel:
    """Train on what was known before the as-of began, and register the version, as `score train` does.

    `changes` are to the parameters of `models/<job>.toml`: by name, whether it stands at the top of the file or under
    `[lightgbm]`. The same training gives the same version. The first version becomes champion, others are challengers.

    Example:
        challenger = train("flight_delay", "2013-09-01", {"rounds": 20, "learning_rate": 0.3})

    Raises:
        LabelsMissing, NightsMissing: if there is too little to learn from.
        ParametersRefused: if a change names what cannot be tuned, or is out of bounds.
    """
    found, settings = _job(job), _settings(home, warehouse)
    parameters = change_parameters(found.parameters(), changes or {})
    at = open_home(settings.home)
    trained = train_version(found, settings, at, _day(as_of), threads=_threads(), parameters=parameters)
    return _loaded(found, at, trained.version)


def score(
    features: pl.DataFrame, model: LoadedModel, *, snapshot: OpenSnapshot | None = None, hindsight: bool = False
) -> pl.DataFrame:
    """One row per row of one night's features, in key order: the score table as it is published; nothing is written.

    The key, `as_of`, `score`, `raw_score`, `rank` (1 is the highest of these rows; ties in key order), `model_version`.
    The rows may stand in any order. With the `snapshot` that they were built from, a model that was trained with other
    SQL is refused, as the command line does; features alone do not say where they come from.

    Example:
        scores = score(features, model)

    Raises:
        ColumnsDiffer, RowsDiffer: if the features are not those of the job.
        NotOneNight: if they are not of one night, or not of the snapshot's.
        OptionsContradict: if the model was trained after the night, unless `hindsight` allows it.
        SqlOfAnotherVersion: if the model was trained with other SQL than took the snapshot.
    """
    matching_features(model.job, model.facts).conform(features, model.job.key)
    nights = features["as_of"].unique().sort().to_list()
    if len(nights) != 1:
        raise NotOneNight(f"these are features of {len(nights)} nights; score one night at a time")
    if snapshot is not None and (snapshot.job.name, snapshot.as_of) != (model.job.name, nights[0]):
        raise NotOneNight(f"these are features of {model.job.name} as of {nights[0]}, that is another: {snapshot!r}")
    if snapshot is not None:
        require_same_sql(snapshot.facts, model.facts)
    if not hindsight:
        require_no_hindsight(model.facts, nights[0])
    return score_table(model.job, features, model.facts, model.ready.model, _threads())


def features_digest(features: pl.DataFrame) -> str:
    """SHA-256 over one night's features, in the order of `build_features`: that of the run in `runs` and `score show`.

    Example:
        features_digest(features)
    """
    return rows_digest(features)


def scores_digest(scores: pl.DataFrame) -> str:
    """SHA-256 over key and raw score of one night's scores: that of the run in `runs`, `score runs` and `score run`.

    The rows may stand in any order, and may have further columns after those of a score table.

    Example:
        scores_digest(scores)

    Raises:
        ColumnsDiffer: if the scores have no key, or no raw score.
        NotOneNight: if they are of several nights or models, or a key repeats.
    """
    _require_columns(scores, "as_of", "raw_score", "model_version")
    key = tuple(scores.columns[: scores.columns.index("as_of")])
    if not key or {*key} & {*_BESIDE_THE_KEY}:
        raise ColumnsDiffer("a score table begins with the columns of the key, and then has as_of; put them there")
    runs = scores.select("as_of", "model_version").n_unique()
    if runs != 1 or scores.select(key).is_duplicated().any():
        raise NotOneNight("a digest is over the scores of one night by one model, each key once; these are others")
    return digest_of_scores(scores.sort(key), key)


def labels(
    job: str, nights: Day | Iterable[Day], *, home: str | Path | None = None, warehouse: str | None = None
) -> pl.DataFrame:
    """One row per night and thing to score, in that order: `as_of`, the key, `label`, by what the warehouse says now.

    The label is null where it is not known yet.

    Example:
        labels("flight_delay", "2013-09-05")["label"].value_counts()
    """
    found, settings = _job(job), _settings(home, warehouse)
    return what_happened(found, settings, open_home(settings.home), _days(nights))


def evaluate(
    job: str,
    scores: pl.DataFrame,
    features: pl.DataFrame | None = None,
    *,
    home: str | Path | None = None,
    warehouse: str | None = None,
) -> pl.DataFrame:
    """One row per model version, by name: how good its scores were, published or not, by what the warehouse says now.

    `rows` and `positives` count what is known; `base_rate` is the share of positives that the model was trained on, and
    `base_log_loss` and `base_brier` are those of this constant. `auc` is null if there is one class only.
    `calibration` is a list with one entry a tenth of the rows. Of a job that predicts amounts: `mae`, `rmse`,
    `mean_error`, `r2`, `spearman` and others, beside those of the best constants (docs/second_job.md).

    With the features of these rows, and a model that was trained with a `baseline`: what that is worth as a score.

    Example:
        evaluate("flight_delay", scores).select("rows", "auc", "log_loss", "base_log_loss")

    Raises:
        ColumnsDiffer: if they are no scores of the job.
        NotOneNight: if a model scored something twice.
        NothingHappened: if the warehouse knows no outcome yet.
    """
    found, settings = _job(job), _settings(home, warehouse)
    at = open_home(settings.home)
    _require_columns(scores, *found.key, "as_of", "score", "raw_score", "model_version")
    if scores.select("as_of", *found.key, "model_version").is_duplicated().any():
        raise NotOneNight("some rows are scored twice by one model; keep one run of each night and model")
    nights = _days(scores["as_of"].unique())
    rows_of = sorted(scores.drop(NAIVE, strict=False).partition_by("model_version", as_dict=True).items())
    measured = []
    for (version,), rows in rows_of:
        beside = rows if features is None else _with_naive_scores(rows, features, found, at, str(version))
        measured.append({"model_version": version, **asdict(quality_of(beside, found, settings, at, nights))})
    return pl.DataFrame(measured)


def _with_naive_scores(
    scores: pl.DataFrame, features: pl.DataFrame, job: Job, home: Home, version: str
) -> pl.DataFrame:
    """The scores, with what the model's baseline says of the same rows, if it has one."""
    naive = naive_scores(job, read_version(home, job.name, version), features)
    return scores.join(naive, on=["as_of", *job.key], how="left", maintain_order="left")


def published(
    job: str, as_of: Day | None = None, *, history: bool = False, home: str | Path | None = None
) -> pl.DataFrame:
    """One row per night and thing scored, in that order: what analysts see, of every night or of one.

    With `history`: one row per run and thing scored, of everything that was ever published or only recorded.

    Example:
        published("flight_delay", "2013-09-05").sort("rank").head(10)

    Raises:
        NothingPublished: if there is nothing.
    """
    found = _job(job)
    relation = f'"{job}_history"' if history else f'"{job}"'
    night = "WHERE as_of = $as_of" if as_of is not None else ""
    order = ", ".join(f'"{name}"' for name in ("as_of", "scored_at", "run_id", *found.key))
    given = {"as_of": _day(as_of)} if as_of is not None else {}
    return _ask(found, home, f"FROM {relation} {night} ORDER BY {order}", given)


def runs(job: str, *, home: str | Path | None = None) -> pl.DataFrame:
    """One row per run that was ever published or only recorded, by night and then by when: its model and its digests.

    `current` says whether analysts see it.

    Example:
        newest = runs("flight_delay").filter("current").row(-1, named=True)

    Raises:
        NothingPublished: if there is none.
    """
    return _ask(_job(job), home, "FROM runs WHERE job = $job ORDER BY as_of, scored_at, run_id", {"job": job})


def _ask(job: Job, home: str | Path | None, query: str, given: Mapping[str, object]) -> pl.DataFrame:
    """What the published database says to a query of ours."""
    at = read_home(_settings(home).home)
    require_published(at)
    try:
        with open_published(at, [job]) as con:
            return cast("pl.DataFrame", con.sql(query, params=dict(given)).pl())
    except duckdb.CatalogException:
        raise NothingPublished(f"{job.name} has published nothing yet; score a night: score run") from None
    except duckdb.Error as error:
        raise query_failure(error) from None


def _loaded(job: Job, home: Home, facts: ModelVersion) -> LoadedModel:
    """The model as the nightly run takes it: its features are the code's, and its golden rows gave their bits."""
    job = edition_of(job, facts)
    matching_features(job, facts)
    return LoadedModel(job, facts, ready(job, home, facts))


def _keys(only: pl.DataFrame, snapshot: OpenSnapshot) -> pl.DataFrame:
    """The key columns of `only`, in the types of the snapshot's own; what has no place in them is no row."""
    key = ("as_of", *snapshot.job.key)
    whole = set(snapshot.job.key) <= set(only.columns)
    names = [name for name in only.columns if name in key or not whole]
    unknown = [name for name in names if name not in key]
    if unknown or not names:
        raise ColumnsDiffer(f"`only` has {', '.join(unknown) or 'no column'}; its columns are some of {', '.join(key)}")
    types = {"as_of": pl.Date(), **_types_of_key(snapshot)}
    return only.select(pl.col(name).cast(types[name], strict=False) for name in names)


def _types_of_key(snapshot: OpenSnapshot) -> dict[str, pl.DataType]:
    """The type of each key column: in the population, else in the first table that has it."""
    tables = sorted(snapshot.facts.tables, key=lambda table: table.role != "population")
    schemas = [snapshot.tables[table.name].collect_schema() for table in tables]
    found = {name: [schema[name] for schema in schemas if name in schema] for name in snapshot.job.key}
    return {name: types[0] for name, types in found.items() if types}


def _require_columns(scores: pl.DataFrame, *names: str) -> None:
    missing = [name for name in names if name not in scores.columns]
    if missing:
        raise ColumnsDiffer(f"these are no scores: {', '.join(missing)} is missing; take them as `score` gives them")


def _day(day: Day) -> date:
    if isinstance(day, str):
        with suppress(ValueError):
            return date.fromisoformat(day)
    elif isinstance(day, date) and not isinstance(day, datetime):
        return day
    raise DayRefused(f"{str(day)[:40]!r} is no day; give a date, or a text such as 2013-09-01")


def _days(days: Day | Iterable[Day]) -> list[date]:
    """Each day once, in order."""
    found = sorted({_day(day) for day in ([days] if isinstance(days, date | str) else days)})
    if not found:
        raise DayRefused("there is no day to look at; name at least one")
    return found


def _job(name: str) -> Job:
    """The job of that name in the project that SCORE_PROJECT names, or that the current folder lies in."""
    return load_job(name, read_project(os.environ))


def _settings(home: str | Path | None, warehouse: str | None = None) -> Settings:
    """What the environment and the clock say now, but for what the caller says."""
    given = {"SCORE_HOME": home, "SCORE_WAREHOUSE": warehouse}
    environ = {**os.environ, **{name: str(value) for name, value in given.items() if value is not None}}
    return read_settings(environ, lambda: datetime.now(UTC))


def _threads() -> int:
    text = os.environ.get("SCORE_THREADS") or "0"
    if not (text.isascii() and text.isdecimal()) or int(text) > _MOST_THREADS:
        raise SettingRefused(f"SCORE_THREADS must be a whole number from 0 to {_MOST_THREADS}, found {text[:40]!r}")
    return threads_of(int(text))
