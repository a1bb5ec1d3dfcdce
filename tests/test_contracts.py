"""Contracts end to end: whatever changes between the warehouse and the model is refused by name, or proven harmless.

First every source column that the job's SQL reads, then every feature, then the labels of the text features.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from features.contract import ColumnsDiffer
from features.fitted import Fitted, apply, unseen
from features.flight_delay import FEATURE_SET, KEY
from jobs.definition import Job, Scoring, load_job
from jobs.exits import failure_of
from jobs.settings import Settings, read_settings
from jobs.steps.scoring import LabelsUnseen, build_night, load_model, raw_scores, require_seen_labels
from jobs.steps.snapshots import look_again, take_snapshot
from jobs.store.home import Home, open_home
from jobs.store.opening import in_store, read_tables
from jobs.store.registry import read_version, version_names
from jobs.store.runs import RunInputs
from jobs.store.snapshots import kept_snapshots
from jobs.warehouse.addresses import FileAddress
from jobs.warehouse.bounds import bounds_of
from jobs.warehouse.duckdb_file import open_duckdb_file
from jobs.warehouse.extraction import SourceDiffers
from models.matrix import CodesRefused, FeaturesDiffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from models.scorer import Model
    from tests.conftest import World

AS_OF, FIRST_NIGHT = date(2013, 4, 12), date(2013, 4, 10)
JOB = load_job("flight_delay")
QUERIES = {query.table: query for query in JOB.queries()}
READ = [
    (table, source.name, column)
    for table, query in QUERIES.items()
    for source in query.reads
    for column in source.columns
]
COLUMN = pytest.mark.parametrize(("table", "source", "column"), READ, ids=[".".join(each) for each in READ])

TABLE = pytest.mark.parametrize("table", QUERIES)

REDUCE = """
CREATE TABLE scheduled_flights AS FROM whole.scheduled_flights
    WHERE carrier IN ('F9', 'HA', 'YV') AND flight_date BETWEEN DATE '2013-04-08' AND DATE '2013-04-12';
CREATE TABLE flight_outcomes AS FROM whole.flight_outcomes
    WHERE carrier IN ('F9', 'HA', 'YV') AND flight_date BETWEEN DATE '2013-04-08' AND DATE '2013-04-12';
CREATE TABLE weather AS FROM whole.weather
    WHERE observed_at BETWEEN '2013-04-09 00:00:00+00' AND '2013-04-12 00:00:00+00';
CREATE TABLE planes AS FROM whole.planes WHERE tailnum IN (SELECT tailnum FROM flight_outcomes);
CREATE TABLE airports AS FROM whole.airports WHERE faa IN (SELECT dest FROM scheduled_flights);
"""

# For each type of a source column: what still casts, and what holds every value exactly.
STILL_CASTS = {
    "DATE": ("TIMESTAMP", "VARCHAR"),
    "VARCHAR": ("BLOB",),
    "INTEGER": ("VARCHAR", "DOUBLE", "DECIMAL(9,0)"),
    "DOUBLE": ("FLOAT", "DECIMAL(9,4)"),
    "BOOLEAN": ("VARCHAR", "TINYINT"),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP",),
}
AS_EXACT = {"VARCHAR": ("ENUM",), "INTEGER": ("SMALLINT", "HUGEINT")}


@dataclass(frozen=True)
class Place:
    """A few flights in a warehouse that is changed in copies, and a home in which each table's snapshot is kept."""

    folder: Path
    home: Home
    settings: Settings
    types: dict[tuple[str, str], str]
    digests: dict[str, str]
    numbers: Iterator[int]

    @contextmanager
    def changed(self, *changes: str) -> Iterator[Settings]:
        """The settings of a job whose warehouse is a copy that was changed by some SQL."""
        path = self.folder / f"changed-{next(self.numbers)}.duckdb"
        shutil.copy(self.settings.warehouse.path, path)
        with duckdb.connect(str(path)) as con:
            con.execute("SET TimeZone = 'UTC'")
            for change in changes:
                con.execute(change)
        yield replace(self.settings, warehouse=FileAddress(path))
        path.unlink()

    def look(self, settings: Settings, table: str) -> str:
        """Look at one table, to train, as of the night; the digest of the snapshot that is kept."""
        return take_snapshot(only(table), settings, self.home, AS_OF, first_night=FIRST_NIGHT).snapshot.digest


def only(table: str) -> Job:
    """The job with that table alone."""
    return replace(JOB, sql_versions=tuple(each for each in JOB.sql_versions if each[0] == table))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> Place:
    folder = tmp_path_factory.mktemp("contracts")
    path = folder / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(f"ATTACH '{small_warehouse}' AS whole (READ_ONLY)")
        con.execute("SET TimeZone = 'UTC'")
        con.execute(REDUCE)
        described = con.execute("SELECT table_name, column_name, data_type FROM duckdb_columns()").fetchall()
    named = {"SCORE_HOME": str(folder / "home"), "SCORE_WAREHOUSE": f"duckdb:///{path}"}
    settings, home = read_settings(named, lambda: datetime.now(UTC)), open_home(folder / "home")
    types = {(table, column): kind for table, column, kind in described}
    place = Place(folder, home, settings, types, {}, count())
    for table in QUERIES:
        place.digests[table] = place.look(settings, table)
    return place


def retyped(source: str, column: str, kind: str) -> Iterator[str]:
    """The SQL that gives a column another type, with the values that it has."""
    if kind == "ENUM":
        labels = f'SELECT DISTINCT "{column}" FROM {source} WHERE "{column}" IS NOT NULL'
        yield f'CREATE TYPE "{source}_{column}" AS ENUM ({labels})'
        kind = f'"{source}_{column}"'
    yield f'ALTER TABLE {source} ALTER "{column}" TYPE {kind}'


def others(place: Place, table: str, kinds: dict[str, tuple[str, ...]], turn: int) -> dict[tuple[str, str], str]:
    """For each source column of a table, that one of the other types whose turn it is; without those that have none."""
    columns = [(source, column) for name, source, column in READ if name == table]
    others = {each: kinds.get(place.types[each], ()) for each in columns}
    return {each: kinds[turn % len(kinds)] for each, kinds in others.items() if kinds}


def refused(place: Place, settings: Settings, table: str) -> str:
    """The one line of a look that is refused with 65, and that keeps nothing."""
    before = kept_snapshots(place.home, JOB.name)
    with pytest.raises(SourceDiffers) as refusal:
        place.look(settings, table)
    assert kept_snapshots(place.home, JOB.name) == before
    failure = failure_of(refusal.value)
    assert failure is not None
    assert failure.code == 65
    return failure.message


def test_the_table_covers_every_column() -> None:
    """45 columns of five source tables, in 60 places of the SQL."""
    assert len(READ) == 60
    assert len({(source, column) for _, source, column in READ}) == 45


@COLUMN
def test_a_source_column_that_was_dropped_is_named_with_the_file(
    place: Place, table: str, source: str, column: str
) -> None:
    with place.changed(f'ALTER TABLE {source} DROP "{column}"') as settings:
        said = refused(place, settings, table)

    assert f"{QUERIES[table].path.name}: the source table {source} has no column {column};" in said


@COLUMN
def test_a_source_column_that_was_renamed_is_named_with_the_file(
    place: Place, table: str, source: str, column: str
) -> None:
    with place.changed(f'ALTER TABLE {source} RENAME "{column}" TO "{column}_new"') as settings:
        said = refused(place, settings, table)

    assert f"{QUERIES[table].path.name}: the source table {source} has no column {column};" in said


@pytest.fixture(scope="module")
def retypings(place: Place) -> dict[tuple[str, int], str]:
    """By table and turn: what is said when every source column has another type; all rows would come, all keys."""
    said = {}
    for table in QUERIES:
        for turn in range(3):
            types = others(place, table, STILL_CASTS, turn)
            with place.changed(*(sql for each, kind in types.items() for sql in retyped(*each, kind))) as settings:
                assert casts(settings, table) == casts(place.settings, table) > 0
                said[table, turn] = refused(place, settings, table)
    return said


def casts(settings: Settings, table: str) -> int:
    """How many rows the SQL gives, cast to its own types."""
    query = QUERIES[table]
    bounds = bounds_of(query, AS_OF, FIRST_NIGHT, JOB.horizon_days)
    assert bounds is not None
    with open_duckdb_file(settings.warehouse.path, JOB.calendar, JOB.horizon_days, settings.home) as extraction:
        return sum(batch.height for batch in extraction.rows(query, bounds))


@COLUMN
def test_a_source_column_of_another_type_that_still_casts_is_named_with_both_types(
    place: Place, retypings: dict[tuple[str, int], str], table: str, source: str, column: str
) -> None:
    kind = place.types[source, column]
    for turn in range(3):
        other = STILL_CASTS[kind][turn % len(STILL_CASTS[kind])]
        assert f"{QUERIES[table].path.name}: the source column " in retypings[table, turn]
        assert f" {source}.{column} is {other} and was {kind}" in retypings[table, turn]


def test_one_source_column_of_another_type_is_enough(place: Place) -> None:
    with place.changed(*retyped("weather", "wind_dir_deg", "VARCHAR")) as settings:
        said = refused(place, settings, "weather")

    assert "weather_v1.sql: the source column weather.wind_dir_deg is VARCHAR and was INTEGER in snapshot" in said


@pytest.mark.parametrize("turn", [0, 1])
@TABLE
def test_source_columns_of_a_type_that_is_as_exact_give_the_same_snapshot(place: Place, table: str, turn: int) -> None:
    """Every one for which there is such a type; dates, instants, booleans and doubles have none."""
    types = others(place, table, AS_EXACT, turn)
    with place.changed(*(sql for each, kind in types.items() for sql in retyped(*each, kind))) as settings:
        assert place.look(settings, table) == place.digests[table]

    assert types


@TABLE
def test_columns_in_another_order_and_more_of_them_give_the_same_snapshot(place: Place, table: str) -> None:
    """As a table, and as a view over one with other names."""
    names = [source.name for source in QUERIES[table].reads]
    columns = {name: [column for _, source, column in READ if source == name] for name in names}
    turned = {name: ", ".join(f'"{each}"' for each in dict.fromkeys(reversed(columns[name]))) for name in names}
    tables = [f"CREATE OR REPLACE TABLE {name} AS SELECT 'x' AS added, {turned[name]} FROM {name}" for name in names]
    views = [f"ALTER TABLE {name} RENAME TO kept_{name}" for name in names]
    views += [f"CREATE VIEW {name} AS SELECT {turned[name]}, 1 AS added FROM kept_{name}" for name in names]

    for changes in (tables, views):
        with place.changed(*changes) as settings:
            assert place.look(settings, table) == place.digests[table]


def test_a_look_that_keeps_nothing_refuses_too_and_against_training_as_well(place: Place) -> None:
    """`--fresh`, and the first night after a training."""
    for change in (*retyped("planes", "seats", "VARCHAR"), "ALTER TABLE planes DROP seats"):
        with place.changed(change) as settings, pytest.raises(SourceDiffers, match=r"planes_v1\.sql: .*seats"):
            look_again(JOB, settings, place.home, AS_OF)


def test_labels_are_held_against_the_last_training_whatever_was_looked_at_since(place: Place, tmp_path: Path) -> None:
    """Training reads labels, nights do not."""
    home = open_home(tmp_path / "home")
    take_snapshot(JOB, place.settings, home, date(2013, 4, 11), first_night=date(2013, 4, 9))
    for night in (date(2013, 4, 10), AS_OF):
        take_snapshot(only("timetable"), place.settings, home, night)
    with (
        place.changed(*retyped("flight_outcomes", "cancelled", "VARCHAR")) as settings,
        pytest.raises(
            SourceDiffers, match=r"labels_v1\.sql: .*cancelled is VARCHAR and was BOOLEAN in .* of 2013-04-11"
        ),
    ):
        take_snapshot(only("labels"), settings, home, AS_OF, first_night=FIRST_NIGHT)


def test_a_type_is_held_against_the_last_look_and_not_against_the_last_night(place: Place, tmp_path: Path) -> None:
    """Singles became doubles, which is harmless; when an older night is looked at, they have become singles again."""
    home = open_home(tmp_path / "home")
    with place.changed(*retyped("weather", "temp_f", "FLOAT")) as singles:
        take_snapshot(only("weather"), singles, home, AS_OF)
        take_snapshot(only("weather"), place.settings, home, date(2013, 4, 10))
        with pytest.raises(SourceDiffers, match=r"temp_f is FLOAT and was DOUBLE in .* of 2013-04-10"):
            take_snapshot(only("weather"), singles, home, AS_OF)


def test_a_further_version_of_the_sql_takes_what_the_first_refused(place: Place, tmp_path: Path) -> None:
    """It says how to read the type that there is; nothing is held against what other SQL took."""
    folder = tmp_path / "sql"
    shutil.copytree(JOB.sql_folder, folder)
    text = (folder / "planes_v1.sql").read_text() + "-- seats became a text\n"
    (folder / "planes_v2.sql").write_text(text)
    with (folder / "released.txt").open("a") as released:
        released.write(f"{sha256(text.encode()).hexdigest()}  planes_v2.sql\n")
    second = replace(JOB, sql_folder=folder, sql_versions=(("planes", 2),))

    with place.changed(*retyped("planes", "seats", "VARCHAR")) as settings:
        refused(place, settings, "planes")
        assert take_snapshot(second, settings, place.home, AS_OF).snapshot.table("planes").rows > 0


# From here on a trained model, and the command line.

EVERYWHERE = [
    f'ALTER TABLE {source} ALTER "{column}" TYPE BIGINT'
    for source, column in sorted({(source, column) for _, source, column in READ})
    if column in {"flight", "distance_mi", "dep_delay_min", "arr_delay_min", "air_time_min", "wind_dir_deg", "seats"}
]


def test_harmless_changes_of_the_source_change_no_score(world: World) -> None:
    """Wider integers, other orders, further columns, a view: the same snapshot, the same run, nothing rewritten."""
    before = world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]
    for change in EVERYWHERE:
        world.sql(change)
    world.sql("ALTER TABLE weather ADD COLUMN cloud_pct DOUBLE DEFAULT 1")
    world.sql("CREATE OR REPLACE TABLE airports AS SELECT tzone, name, lon, lat, alt_ft, faa FROM airports")
    world.sql("ALTER TABLE planes RENAME TO aircraft")
    world.sql("CREATE VIEW planes AS SELECT * REPLACE (engine::VARCHAR AS engine) FROM aircraft")

    fresh = world.run("snapshot", "--as-of", "2013-04-12", "--fresh", "--json").json
    again = world.run("backfill", "--as-of", "2013-04-12", "--restate", "--json").json["runs"][0]

    assert len(EVERYWHERE) == 8
    assert (fresh["digest"], fresh["changed"]) == (before["snapshot_digest"], [])
    assert again == {**before, "status": "already_published"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE weather ALTER wind_dir_deg TYPE VARCHAR",
            "weather_v1.sql: the source column weather.wind_dir_deg",
        ),
        ("ALTER TABLE airports DROP lat", "airports_v1.sql: the source table airports has no column lat"),
    ],
)
def test_a_refused_source_leaves_the_old_scores(world: World, change: str, said: str) -> None:
    """65, in one line; the night after as well as a second look at the same night."""
    world.run("run", "--as-of", "2013-04-12")
    shown = world.published("FROM flight_delay ORDER BY ALL")
    world.sql(change)

    for arguments in (["run", "--as-of", "2013-04-13"], ["snapshot", "--as-of", "2013-04-12", "--fresh"]):
        result = world.run(*arguments)
        assert (result.code, result.err.count("\n")) == (65, 1)
        assert said in result.err
    assert world.published("FROM flight_delay ORDER BY ALL") == shown


@dataclass(frozen=True)
class Night:
    """One real night's features, text and applied, with the model and what training learnt."""

    job: Job
    frame: pl.DataFrame
    applied: pl.DataFrame
    fitted: Fitted
    model: Model

    def raw(self, applied: pl.DataFrame) -> list[float]:
        """The raw scores of an applied frame."""
        return self.model.raw_scores(applied, order=("as_of", *KEY)).tolist()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Night:
    root = tmp_path_factory.mktemp("night") / "home"
    shutil.copytree(trained, root)
    named = {"SCORE_HOME": str(root), "SCORE_WAREHOUSE": f"duckdb:///{small_warehouse}"}
    home = open_home(root)
    snapshot = take_snapshot(JOB, read_settings(named, lambda: datetime.now(UTC)), home, AS_OF).snapshot
    version = read_version(home, JOB.name, *version_names(home, JOB.name))
    fitted = Fitted.from_json(version.fitted)
    frame = build_night(JOB, read_tables(in_store(home), snapshot), AS_OF)
    return Night(JOB, frame, apply(frame, fitted), fitted, load_model(home, version))


FEATURE = pytest.mark.parametrize("name", FEATURE_SET.names)
OTHER_TYPE = {pl.Int32(): pl.Int64(), pl.Int64(): pl.Int32(), pl.Float64(): pl.Float32(), pl.String(): pl.Categorical()}


def neighbour(name: str) -> str:
    """The feature beside it."""
    names = FEATURE_SET.names
    return names[(names.index(name) + 1) % len(names)]


def swapped(frame: pl.DataFrame, name: str, other: str) -> pl.DataFrame:
    """The frame with two columns in each other's place."""
    places = {name: other, other: name}
    return frame.select(places.get(column, column) for column in frame.columns)


def test_there_are_as_many_features_as_that() -> None:
    """The tests below would pass on none."""
    assert len(FEATURE_SET.names) == 180


@FEATURE
def test_a_feature_that_is_missing_reordered_or_retyped_is_refused_by_name(night: Night, name: str) -> None:
    """Where features are built, before they are kept."""
    frame, first, second = night.frame, *sorted([name, neighbour(name)], key=FEATURE_SET.names.index)
    other = OTHER_TYPE[FEATURE_SET.schema[name]]

    with pytest.raises(ColumnsDiffer, match=rf": missing {name}\."):
        FEATURE_SET.conform(frame.drop(name), KEY)
    with pytest.raises(ColumnsDiffer, match=rf": reordered {second}, {first}\."):
        FEATURE_SET.conform(swapped(frame, name, neighbour(name)), KEY)
    with pytest.raises(ColumnsDiffer, match=rf": retyped {name} \(.*, not .*\)\."):
        FEATURE_SET.conform(frame.cast({name: other}), KEY)


@FEATURE
def test_a_feature_that_is_lost_swapped_or_retyped_before_the_model_is_refused_by_name(night: Night, name: str) -> None:
    """The model refuses what has other names or another order, and text; exact numbers of another width it takes."""
    applied = night.applied
    first = min(name, neighbour(name), key=FEATURE_SET.names.index)
    widened = pl.Int64() if applied.schema[name].is_integer() else pl.Float64()

    with pytest.raises(FeaturesDiffer, match=f"missing `{name}`"):
        night.raw(applied.drop(name))
    with pytest.raises(FeaturesDiffer, match=f"another order from `{first}` on"):
        night.raw(swapped(applied, name, neighbour(name)))
    with pytest.raises((FeaturesDiffer, CodesRefused), match=f"`{name}` is .*String"):
        night.raw(applied.cast({name: pl.String()}))
    assert night.raw(applied.cast({name: widened})) == night.raw(applied)


@FEATURE
def test_a_feature_that_a_transform_narrows_is_refused_by_name(
    night: Night, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model would take the narrower number, and score otherwise."""
    narrow = pl.Float32() if night.applied.schema[name].is_float() else pl.Int16()
    applied = night.applied.cast({name: narrow}, strict=False)
    monkeypatch.setattr("jobs.steps.scoring.apply", lambda *_: applied)

    with pytest.raises(ColumnsDiffer, match=rf": retyped {name} \(.*, not .*\)\."):
        raw_scores(night.job, night.frame, night.fitted, night.model)


TEXT = pytest.mark.parametrize("name", FEATURE_SET.texts)


def test_there_are_three_text_features() -> None:
    assert FEATURE_SET.texts == ("carrier_code", "origin_code", "dest_code")


@TEXT
def test_a_label_that_training_did_not_see_is_missing_to_the_model_and_counted(night: Night, name: str) -> None:
    """Mapped by the stored dictionary: as a null, which is counted as none."""
    odd = night.frame.with_columns(pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("new")).otherwise(name).alias(name))
    null = night.frame.with_columns(pl.when(pl.int_range(pl.len()) >= 3).then(name).alias(name))

    assert unseen(odd, night.fitted) == {each: 3 if each == name else 0 for each in FEATURE_SET.texts}
    assert unseen(null, night.fitted) == dict.fromkeys(FEATURE_SET.texts, 0)
    scores = [raw_scores(night.job, frame, night.fitted, night.model).tolist() for frame in (odd, null)]
    assert scores[0] == scores[1]


@TEXT
@pytest.mark.parametrize("code", [-1, 2**31 - 1, 2**31, 2**40, -(2**40)])
def test_a_code_that_is_negative_or_beyond_int32_is_refused_by_name(night: Night, name: str, code: int) -> None:
    """LightGBM would take it for missing, or for another one."""
    with pytest.raises(CodesRefused, match=f"`{name}` has codes that are negative or beyond int32"):
        night.raw(night.applied.with_columns(pl.lit(code, pl.Int64).alias(name)))


INPUTS = RunInputs("flight_delay", AS_OF, "0" * 64, {}, "0" * 64, "2013-04-10-0123456789ab")


def test_the_declared_share_may_be_unseen_in_each_text_feature_and_no_more() -> None:
    job = replace(JOB, scoring=Scoring(0.1))

    require_seen_labels(job, INPUTS, 20, {"carrier_code": 2, "dest_code": 2})
    with pytest.raises(LabelsUnseen) as refusal:
        require_seen_labels(job, INPUTS, 20, {"carrier_code": 3, "origin_code": 2, "dest_code": 20})

    assert str(refusal.value) == (
        "flight_delay as of 2013-04-12 has labels that model 2013-04-10-0123456789ab did not see at training: "
        "`carrier_code` in 3 of 20 rows (15.0%); `dest_code` in 20 of 20 rows (100.0%); at most 10.0% may be so "
        "(`scoring.unseen_max`). Look at the source, or train again"
    )
    require_seen_labels(replace(JOB, scoring=Scoring(1.0)), INPUTS, 20, {"carrier_code": 20})
    with pytest.raises(LabelsUnseen):
        require_seen_labels(replace(JOB, scoring=Scoring(0.0)), INPUTS, 1000, {"carrier_code": 1})


NEW = """
UPDATE scheduled_flights SET {column} = 'QQ' WHERE (flight_date, carrier, flight, origin) IN (
    SELECT (flight_date, carrier, flight, origin) FROM scheduled_flights WHERE flight_date = DATE '{day}'
    ORDER BY ALL LIMIT {rows})
"""


def test_new_categories_are_scored_and_counted_and_many_rows_of_one_are_refused(world: World) -> None:
    """65 past the threshold: nothing is published, the old scores stay, and the label is in no message."""
    columns = ("carrier", "origin", "dest")
    for column, day in zip(columns, ("2013-04-14", "2013-04-15", "2013-04-16"), strict=True):
        world.sql(NEW.format(column=column, day="2013-04-13", rows=1))
        world.sql(NEW.format(column=column, day=day, rows=30))
    run = world.run("run", "--as-of", "2013-04-13", "--json").json["runs"][0]
    record = world.run("show", run["run_id"], "--json").json
    shown = world.published("FROM flight_delay_latest ORDER BY ALL")

    result = world.run("backfill", "--as-of", "2013-04-14", "--until", "2013-04-16")

    assert run["status"] == "published"
    assert record["execution"]["unseen_labels"] == dict.fromkeys(FEATURE_SET.texts, 1)
    assert (result.code, result.out) == (65, "")
    for column, line in zip(columns, result.err.splitlines(), strict=True):
        assert f"did not see at training: `{column}_code` in 30 of " in line
    assert "QQ" not in result.err
    assert world.published("FROM flight_delay_latest ORDER BY ALL") == shown
    assert world.run("verify", "--all").code == 0


def test_what_was_kept_is_replayed_whatever_the_threshold_is_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold that was lowered since refuses new runs; it takes none back."""
    world.sql(NEW.format(column="carrier", day="2013-04-13", rows=1))
    world.sql(NEW.format(column="carrier", day="2013-04-14", rows=1))
    world.run("run", "--as-of", "2013-04-13")
    strict: Callable[..., Job] = lambda name, *_: replace(load_job(name), scoring=Scoring(0.0))  # noqa: E731
    monkeypatch.setattr("jobs.definition.load_job", strict)

    assert world.run("verify", "--all").code == 0
    assert world.run("backfill", "--as-of", "2013-04-13", "--json").json["runs"][0]["status"] == "already_published"
    assert world.run("run", "--as-of", "2013-04-14").code == 65
