"""Research equals production: what a notebook gets is, to the bit, what the command line makes of the same night."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features import flight_delay
from features.contract import ColumnsDiffer, RowsDiffer
from jobs import research
from jobs.cli import call
from jobs.definition import JobMissing, job_names, load_job
from jobs.evidence.golden import GoldenRowsDiffer
from jobs.research import (
    DayRefused,
    NotOneNight,
    build_features,
    evaluate,
    features_digest,
    labels,
    load_model,
    open_snapshot,
    published,
    runs,
    score,
    scores_digest,
    train,
)
from jobs.settings import SettingRefused, read_settings
from jobs.steps import evaluating
from jobs.steps.begun import AsOfInFuture
from jobs.steps.evaluating import NothingHappened
from jobs.steps.inventory import NothingPublished, QueryFailed
from jobs.steps.nights import OptionsContradict
from jobs.steps.scoring import FeaturesOfAnotherVersion, PopulationEmpty, SqlOfAnotherVersion
from jobs.steps.snapshots import take_snapshot
from jobs.store.digest import rows_digest
from jobs.store.events import ChampionMissing
from jobs.store.home import open_home
from jobs.store.objects import ObjectDamaged, ObjectMissing
from jobs.store.registry import ModelMissing
from jobs.store.snapshots import SnapshotMissing, kept_snapshots
from jobs.warehouse.extraction import WarehouseMissing
from models.parameters import ParametersRefused
from tests.conftest import TRAINED_AS_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobs.research import LoadedModel, OpenSnapshot
    from tests.conftest import World

ROOT = Path(__file__).resolve().parents[2]
JOB = "flight_delay"
KEY = ["flight_date", "carrier", "flight", "origin"]
NIGHTS = ["2013-04-12", "2013-04-13"]
NIGHT = NIGHTS[0]
QUICK = {"rounds": 5, "learning_rate": 0.3}


@pytest.fixture(scope="module", autouse=True)
def scored(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Iterator[Path]:
    """A home with two published nights, for tests that only read; it is where the environment says that it is."""
    home = tmp_path_factory.mktemp("scored") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        patch.delenv("SCORE_TODAY", raising=False)
        assert call(["run", "--as-of", NIGHTS[0]]) == 0
        assert call(["run", "--as-of", NIGHTS[1]]) == 0
        yield home


@pytest.fixture(scope="module")
def night(scored: Path) -> OpenSnapshot:
    return open_snapshot(JOB, NIGHT, home=scored)


@pytest.fixture(scope="module")
def features(night: OpenSnapshot) -> pl.DataFrame:
    return build_features(night)


@pytest.fixture(scope="module")
def model(scored: Path) -> LoadedModel:
    return load_model(JOB, as_of=NIGHT, home=scored)


@pytest.fixture(scope="module")
def scores(features: pl.DataFrame, model: LoadedModel) -> pl.DataFrame:
    return score(features, model)


@pytest.fixture(scope="module")
def kept(scored: Path) -> dict:
    """What the nightly run of the first night has on record."""
    return runs(JOB, home=scored).filter(as_of=date.fromisoformat(NIGHT)).row(0, named=True)


def files(home: Path) -> set[str]:
    """What a home holds, but for its locks."""
    return {str(path.relative_to(home)) for path in home.rglob("*") if "locks" not in path.parts and path.is_file()}


def test_snapshot_features_and_scores_have_the_digests_of_the_published_run(
    kept: dict, night: OpenSnapshot, features: pl.DataFrame, scores: pl.DataFrame
) -> None:
    """Research equals production."""
    assert night.digest == kept["snapshot_digest"]
    assert features_digest(features) == kept["features_digest"]
    assert scores_digest(scores) == kept["scores_digest"]


def test_the_score_table_is_the_published_one_row_by_row(scores: pl.DataFrame) -> None:
    """Score, rank and all; analysts see the run's id and its instant beside them."""
    seen = published(JOB, NIGHT)

    assert seen.columns == [*scores.columns, "run_id", "scored_at"]
    assert rows_digest(seen.select(scores.columns)) == rows_digest(scores)
    assert scores_digest(seen) == scores_digest(scores)


def test_the_order_of_the_rows_and_the_number_of_threads_change_no_score(
    features: pl.DataFrame, model: LoadedModel, scores: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for threads in ("1", "3"):
        monkeypatch.setenv("SCORE_THREADS", threads)
        assert score(features.sample(fraction=1, shuffle=True, seed=3), model).equals(scores)
    assert scores_digest(scores.sort("rank").with_columns(more=1)) == scores_digest(scores)


def test_a_part_of_the_night_is_the_same_part_of_the_whole(
    night: OpenSnapshot, features: pl.DataFrame, scores: pl.DataFrame
) -> None:
    """`only` restricts what comes out: by some rows of scores, a single one, one column of the key, another width."""
    few = scores.sort("rank").head(7)
    for only in (
        few,
        few.head(1),
        few.select(KEY),
        few.select("as_of", "carrier"),
        pl.DataFrame({"carrier": ["VX", "HA"]}),
        few.select(pl.col("flight").cast(pl.Int64)),
    ):
        on = [name for name in ("as_of", *KEY) if name in only.columns]
        expected = features.join(
            only.cast({"flight": pl.Int32}, strict=True) if "flight" in on else only, on=on, how="semi"
        )
        assert expected.height > 0
        assert rows_digest(build_features(night, only=only)) == rows_digest(expected)


def test_a_part_of_the_night_is_scored_as_in_the_whole(
    night: OpenSnapshot, model: LoadedModel, scores: pl.DataFrame
) -> None:
    """All but the rank, which is the rank within the part."""
    few = scores.sort("rank", descending=True).head(5)

    found = score(build_features(night, only=few), model)

    assert found.drop("rank").equals(few.sort(KEY).drop("rank"))
    assert sorted(found["rank"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("only", "kind", "said"),
    [
        (
            pl.DataFrame({"carier": ["VX"]}),
            ColumnsDiffer,
            "`only` has carier; its columns are some of as_of, flight_date",
        ),
        (pl.DataFrame({"carrier": ["VX"], "score": [1.0]}), ColumnsDiffer, "`only` has score"),
        (pl.DataFrame(), ColumnsDiffer, "`only` has no column"),
        (pl.DataFrame({"carrier": ["ZZ"]}), PopulationEmpty, "has none of the rows that were asked for"),
        (pl.DataFrame({"flight": [10**12]}), PopulationEmpty, "has none of the rows that were asked for"),
        (pl.DataFrame({"flight": ["abc"]}), PopulationEmpty, "has none of the rows that were asked for"),
    ],
    ids=str,
)
def test_only_names_rows_of_the_key_that_are_there(
    night: OpenSnapshot, only: pl.DataFrame, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        build_features(night, only=only)


def test_sql_on_a_snapshot_gives_what_the_command_line_prints(world: World) -> None:
    """Same tables, same types, same order; a statement that gives no rows gives none."""
    night = open_snapshot(JOB, NIGHT)
    query = "SELECT carrier, count(*) AS n, sum(distance_mi) AS miles FROM timetable GROUP BY carrier ORDER BY carrier"

    for text in (query, "SELECT * FROM outcomes LIMIT 3", "SELECT 1 AS one WHERE false"):
        printed = world.run("sql", text, "--snapshot", night.digest[:12], "--json").json
        found = night.sql(text)
        shown = [[str(each) for each in row] for row in printed["rows"]]
        assert found.columns == printed["columns"]
        assert [
            [str(each.isoformat() if isinstance(each, date) else each) for each in row] for row in found.rows()
        ] == shown
    assert night.sql("SET threads = 1").is_empty()
    for refused in ("SELECT nothing FROM timetable", "SELEC 1", "SELECT 1; SELEC 2", "FROM read_parquet('nothing')"):
        with pytest.raises((QueryFailed, ObjectMissing)):
            night.sql(refused)


def test_the_tables_of_a_snapshot_are_its_rows_in_their_order(night: OpenSnapshot) -> None:
    assert set(night.tables) == {"timetable", "outcomes", "weather", "planes", "airports"}
    assert night.tables["timetable"].collect().equals(night.sql("FROM timetable"))
    assert all(night.tables[table.name].collect().height == table.rows for table in night.facts.tables)
    assert f"{night.digest[:12]} of flight_delay as of 2013-04-12" in repr(night)


def test_a_night_that_nobody_looked_at_is_taken_and_kept(world: World) -> None:
    """As `score backfill` does; the second time it is found."""
    taken = open_snapshot(JOB, date(2013, 4, 20))

    assert world.run("snapshot", "--as-of", "2013-04-20", "--json").json["digest"] == taken.digest
    world.warehouse.unlink()
    assert open_snapshot(JOB, "2013-04-20").digest == taken.digest


def test_the_snapshot_is_that_of_the_run_that_analysts_see(world: World) -> None:
    """Not the newest kept: the warehouse changed its mind twice, and was looked at in between."""
    first = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]["snapshot_digest"]
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 400 WHERE flight_date = DATE '2013-04-10'")
    second = world.run("backfill", "--as-of", NIGHT, "--restate", "--json").json["runs"][0]["snapshot_digest"]
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 500 WHERE flight_date = DATE '2013-04-10'")
    settings = read_settings(os.environ, lambda: datetime.now(UTC))
    newest = take_snapshot(load_job(JOB), settings, open_home(world.home), date.fromisoformat(NIGHT)).snapshot.digest

    assert len({first, second, newest}) == 3
    assert open_snapshot(JOB, NIGHT).digest == second
    for digest, delay in ((first, 400), (second, 400), (newest, 500)):
        found = open_snapshot(JOB, NIGHT, digest=digest[:12])
        late = found.sql(
            f"SELECT count(*) FROM outcomes WHERE event_day = DATE '2013-04-10' AND arr_delay_min = {delay}"
        )
        assert found.digest == digest
        assert (late.item() > 0) == (digest != first)


def test_a_fresh_look_is_of_the_warehouse_of_today_and_keeps_nothing(world: World) -> None:
    world.run("run", "--as-of", NIGHT)
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 400 WHERE flight_date = DATE '2013-04-10'")
    before = files(world.home)

    fresh = open_snapshot(JOB, NIGHT, fresh=True)
    delayed = fresh.sql("SELECT DISTINCT arr_delay_min FROM outcomes WHERE event_day = DATE '2013-04-10'")

    assert world.run("snapshot", "--as-of", NIGHT, "--fresh", "--json").json["digest"] == fresh.digest
    assert fresh.digest != open_snapshot(JOB, NIGHT).digest
    assert delayed.rows() == [(400,)]
    assert build_features(fresh).height == build_features(open_snapshot(JOB, NIGHT)).height
    assert files(world.home) == before


def test_a_snapshot_that_was_taken_to_train_can_be_asked_but_holds_no_night(model: LoadedModel) -> None:
    learnt = open_snapshot(JOB, model.as_of, digest=model.facts.snapshot_digest)

    assert learnt.sql("SELECT count(*) FROM labels").item() > 1000
    with pytest.raises(NotOneNight, match="was taken to train"):
        build_features(learnt)


def test_a_snapshot_that_is_not_there_is_refused(night: OpenSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SnapshotMissing, match="no kept snapshot's digest begins with 'ffffffff'"):
        open_snapshot(JOB, NIGHT, digest="ffffffff")
    with pytest.raises(SnapshotMissing, match="is as of 2013-04-12, not 2013-04-13"):
        open_snapshot(JOB, NIGHTS[1], digest=night.digest)
    monkeypatch.setenv("SCORE_TODAY", NIGHT)
    for fresh in (False, True):
        with pytest.raises(AsOfInFuture):
            open_snapshot(JOB, NIGHTS[1], fresh=fresh)


def test_a_damaged_object_is_not_read(world: World) -> None:
    """Neither DuckDB nor Polars would notice."""
    snapshot = open_snapshot(JOB, NIGHT).facts
    path = next(iter(snapshot.seals(open_home(world.home))))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ObjectDamaged):
        open_snapshot(JOB, NIGHT)


def test_the_model_is_the_champion_of_the_night_or_the_one_that_is_named(world: World) -> None:
    champion = load_model(JOB)
    challenger = world.run("train", "flight_delay", "--as-of", "2013-04-15", "--json").json["model_version"]
    world.run("run", "--as-of", NIGHT)
    world.run("promote", challenger, "--unproven", "--from", "2013-04-20", "--reason", "a test")

    assert load_model(JOB, as_of="2013-04-19").version == champion.version
    assert load_model(JOB, as_of="2013-04-20").version == challenger
    assert load_model(JOB).version == challenger
    assert load_model(JOB, champion.version).version == champion.version
    assert champion.as_of == date.fromisoformat(TRAINED_AS_OF)
    assert f"<model {champion.version} of flight_delay: " in repr(champion)
    with pytest.raises(ModelMissing, match="no model version '2013-04-10-nothing'"):
        load_model(JOB, "2013-04-10-nothing")


def test_without_a_champion_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ChampionMissing, match="has no model yet"):
        load_model(JOB, home=tmp_path / "new")
    with pytest.raises(ChampionMissing, match="the earliest is in effect from 2013-04-10"):
        load_model(JOB, as_of="2013-04-09")
    assert not (tmp_path / "new").exists()


def test_a_model_answers_for_its_golden_rows_and_its_file_before_it_is_handed_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same gate as that of the nightly run."""
    with monkeypatch.context() as patch:
        patch.setattr("jobs.evidence.golden.bits_differing", lambda _kept, _found: 1)
        with pytest.raises(GoldenRowsDiffer):
            load_model(JOB)
    text = next((world.home / "models" / JOB).iterdir()) / "model.txt"
    text.write_bytes(text.read_bytes().replace(b"leaf_value=0", b"leaf_value=1", 1))
    with pytest.raises(ObjectDamaged, match=r"model\.txt is not what was written"):
        load_model(JOB)


def test_a_model_of_other_features_is_refused(
    features: pl.DataFrame, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 6, when it is loaded and again when it scores: the code may have been changed in between."""
    other = replace(flight_delay.FEATURE_SET, version=2)
    monkeypatch.setattr(flight_delay, "FEATURE_SET", other)

    with pytest.raises(FeaturesOfAnotherVersion, match="the code now builds flight_delay version 2"):
        load_model(JOB, model.version)
    with pytest.raises(FeaturesOfAnotherVersion):
        score(features, model)


def test_a_frame_that_is_not_the_features_is_refused(features: pl.DataFrame, model: LoadedModel) -> None:
    with pytest.raises(ColumnsDiffer, match="extra score"):
        score(features.with_columns(score=1.0), model)
    with pytest.raises(ColumnsDiffer, match="missing weekday"):
        score(features.drop("weekday"), model)
    with pytest.raises(RowsDiffer, match="primary_key"):
        score(pl.concat([features, features.head(1)]), model)


def test_one_night_is_scored_at_a_time(features: pl.DataFrame, model: LoadedModel, night: OpenSnapshot) -> None:
    other = build_features(open_snapshot(JOB, NIGHTS[1]))

    with pytest.raises(NotOneNight, match="features of 2 nights"):
        score(pl.concat([features, other]), model)
    with pytest.raises(NotOneNight, match="features of 0 nights"):
        score(features.clear(), model)
    with pytest.raises(NotOneNight, match="as of 2013-04-13, that is another: <snapshot "):
        score(other, model, snapshot=night)


def test_a_model_of_other_sql_is_refused_where_the_snapshot_is_given(
    features: pl.DataFrame, model: LoadedModel, night: OpenSnapshot, scores: pl.DataFrame
) -> None:
    weather = replace(night.facts.table("weather"), sql_fingerprint="0" * 64)
    tables = tuple(weather if table.name == "weather" else table for table in night.facts.tables)

    assert score(features, model, snapshot=night).equals(scores)
    with pytest.raises(SqlOfAnotherVersion, match="other SQL of weather"):
        score(features, model, snapshot=replace(night, facts=replace(night.facts, tables=tables)))


def test_a_model_of_the_future_scores_only_with_hindsight(world: World, features: pl.DataFrame) -> None:
    """It has seen what came later; the command line gives the same digest with --hindsight."""
    later = train(JOB, "2013-04-15", QUICK)

    with pytest.raises(OptionsContradict, match="from Python: hindsight=True"):
        score(features, later)
    ran = world.run("backfill", "--as-of", NIGHT, "--model", later.version, "--hindsight", "--json").json["runs"][0]
    assert scores_digest(score(features, later, hindsight=True)) == ran["scores_digest"]


def test_scoring_writes_nothing(scored: Path, features: pl.DataFrame) -> None:
    before = files(scored)

    found = score(features, load_model(JOB, as_of=NIGHT))
    evaluate(JOB, found)
    labels(JOB, NIGHTS)
    published(JOB, history=True)

    assert files(scored) == before


def test_training_without_changes_is_that_of_the_command_line(world: World) -> None:
    """The same version, though it is trained again; its champion stays champion."""
    there = {path.name for path in (world.home / "models" / JOB).iterdir()}

    assert {train(JOB, TRAINED_AS_OF).version} == there


def test_a_challenger_scores_what_the_command_line_scores_with_it(
    world: World, features: pl.DataFrame, model: LoadedModel
) -> None:
    """It is registered as a challenger, with its parameters on record; only its run in the history is new."""
    world.run("run", "--as-of", NIGHT)
    challenger = train(JOB, TRAINED_AS_OF, QUICK)
    here = score(features, challenger)

    known = {each["model_version"]: each["champion"] for each in world.run("models", "--json").json["models"]}
    assert known == {model.version: True, challenger.version: False}
    assert challenger.parameters == {**model.parameters, **QUICK}
    assert challenger.metrics["quality"]["rows"] == model.metrics["quality"]["rows"]
    ran = world.run("backfill", "--as-of", NIGHT, "--model", challenger.version, "--json").json["runs"][0]
    assert scores_digest(here) == ran["scores_digest"]
    assert published(JOB)["model_version"].unique().to_list() == [model.version]
    history = published(JOB, NIGHT, history=True)
    assert history.height == 2 * features.height
    assert scores_digest(history.filter(model_version=challenger.version)) == ran["scores_digest"]
    assert runs(JOB)["current"].to_list() == [True, False]


def test_the_first_version_of_a_home_becomes_champion(
    tmp_path: Path, small_warehouse: Path, model: LoadedModel
) -> None:
    """In an empty home, with a warehouse that is named: the version is that of the other home."""
    home, warehouse = tmp_path / "home", f"duckdb:///{small_warehouse}"

    first = train(JOB, TRAINED_AS_OF, home=home, warehouse=warehouse)

    assert first.version == model.version
    assert load_model(JOB, home=home).version == first.version


def test_what_cannot_be_tuned_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ParametersRefused, match="changed parameters: `num_threads` is refused"):
        train(JOB, TRAINED_AS_OF, {"num_threads": 8}, home=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda rows: rows.drop("raw_score"), ColumnsDiffer),
        (lambda rows: rows.drop("as_of"), ColumnsDiffer),
        (lambda rows: rows.select("as_of", pl.all().exclude("as_of")), ColumnsDiffer),
        (lambda rows: rows.select("rank", pl.all().exclude("rank")), ColumnsDiffer),
        (lambda rows: rows.clear(), NotOneNight),
        (lambda rows: pl.concat([rows, rows.with_columns(as_of=date(2013, 4, 13))]), NotOneNight),
        (lambda rows: pl.concat([rows, rows.with_columns(model_version=pl.lit("another"))]), NotOneNight),
        (lambda rows: pl.concat([rows, rows.head(1)]), NotOneNight),
    ],
)
def test_a_digest_is_over_one_night_scored_once(
    scores: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        scores_digest(change(scores))


def test_labels_are_what_the_warehouse_says_of_each_night_once() -> None:
    both = labels(JOB, [date(2013, 4, 13), NIGHT, NIGHT])

    assert both.columns == ["as_of", *KEY, "label"]
    assert both.select("as_of", *KEY).equals(published(JOB).select("as_of", *KEY))
    assert both["label"].null_count() == 0
    assert labels(JOB, NIGHT).equals(both.filter(as_of=date.fromisoformat(NIGHT)))


def test_evaluating_published_scores_gives_the_quality_that_the_command_line_shows(scored: Path) -> None:
    """Of one model that of `score demo`; of several each its own, whatever their order."""
    settings = read_settings(os.environ, lambda: datetime.now(UTC))
    days = [date.fromisoformat(each) for each in NIGHTS]
    expected = evaluating.evaluate(load_job(JOB), settings, open_home(scored), days)

    seen = published(JOB)
    found = evaluate(JOB, seen.sample(fraction=1, shuffle=True, seed=5)).row(0, named=True)
    assert found["rows"] == expected.rows == seen.height
    assert (found["auc"], found["log_loss"], found["brier"], found["base_rate"]) == (
        expected.auc, expected.log_loss, expected.brier, expected.base_rate,
    )  # fmt: skip
    assert [tenth["rows"] for tenth in found["calibration"]] == [tenth.rows for tenth in expected.calibration]
    tied = seen.with_columns(score=0.5, raw_score=0.0)
    assert evaluate(JOB, tied.reverse()).equals(evaluate(JOB, tied))


def test_each_model_is_evaluated_by_itself(features: pl.DataFrame, scores: pl.DataFrame) -> None:
    challenger = train(JOB, TRAINED_AS_OF, QUICK)
    other = score(features, challenger)

    both = evaluate(JOB, pl.concat([other, scores]))

    assert both["model_version"].to_list() == sorted([challenger.version, scores["model_version"][0]])
    assert both.filter(model_version=challenger.version).equals(evaluate(JOB, other))


def test_what_is_scored_twice_by_one_model_is_not_evaluated(scores: pl.DataFrame) -> None:
    """Two runs of one night, as the history may have them."""
    with pytest.raises(NotOneNight, match="scored twice"):
        evaluate(JOB, pl.concat([scores, scores]))
    with pytest.raises(ColumnsDiffer, match="these are no scores: origin, score is missing"):
        evaluate(JOB, scores.drop("origin", "score"))


def test_published_is_what_analysts_see_in_the_order_of_night_and_key(scored: Path) -> None:
    whole, one = published(JOB), published(JOB, NIGHTS[1])

    assert whole.filter(as_of=date.fromisoformat(NIGHTS[1])).equals(one)
    assert whole.equals(whole.sort("as_of", *KEY))
    assert published(JOB, "2013-04-14").is_empty()
    told = runs(JOB, home=scored)
    assert told["as_of"].cast(pl.String).to_list() == NIGHTS
    assert told["row_count"].sum() == whole.height


def test_a_home_that_published_nothing_says_so(trained: Path, tmp_path: Path, world: World) -> None:
    """Empty, trained only, or with runs in the history alone."""
    for home in (tmp_path / "new", trained):
        for ask in (published, runs):
            with pytest.raises(NothingPublished, match="nothing was published in"):
                ask(JOB, home=home)
    only = load_model(JOB).version
    assert world.run("backfill", "--as-of", NIGHT, "--model", only).code == 0
    with pytest.raises(NothingPublished, match="flight_delay has published nothing yet"):
        published(JOB)
    assert published(JOB, history=True)["model_version"].unique().to_list() == [only]


def test_a_copied_home_is_read_where_it_lies(scored: Path, tmp_path: Path) -> None:
    """The views hold the paths of the home that they were built in."""
    copy = shutil.copytree(scored, tmp_path / "copy")

    assert published(JOB, home=copy).equals(published(JOB))
    assert open_snapshot(JOB, NIGHT, home=str(copy)).digest == open_snapshot(JOB, NIGHT).digest


def test_a_home_and_a_warehouse_can_be_named(tmp_path: Path, small_warehouse: Path, night: OpenSnapshot) -> None:
    home = tmp_path / "other"

    with pytest.raises(WarehouseMissing):
        open_snapshot(JOB, NIGHT, home=home, warehouse=f"duckdb:///{tmp_path / 'none.duckdb'}")
    with pytest.raises(SettingRefused, match="SCORE_WAREHOUSE cannot be used"):
        open_snapshot(JOB, NIGHT, home=home, warehouse="mysql://somebody:secret@somewhere/flights")
    taken = open_snapshot(JOB, NIGHT, home=home, warehouse=f"duckdb:///{small_warehouse}")
    assert taken.digest == night.digest
    assert [each.digest for each in kept_snapshots(open_home(home), JOB)] == [night.digest]


@pytest.mark.parametrize("threads", ["-1", "two", "1025", "\u0663"])
def test_a_number_of_threads_that_is_none_is_refused(
    threads: str, features: pl.DataFrame, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_THREADS", threads)

    with pytest.raises(SettingRefused, match="SCORE_THREADS must be a whole number from 0 to 1024"):
        score(features, model)


@pytest.mark.parametrize("day", ["yesterday", "2013-02-30", "", datetime(2013, 4, 12, tzinfo=UTC), 20130412, None])
def test_a_night_is_a_day(day: object) -> None:
    with pytest.raises(DayRefused, match="is no day; give a date"):
        open_snapshot(JOB, day)
    with pytest.raises(DayRefused):
        labels(JOB, [day])


def test_a_night_whose_outcomes_are_not_known_yet_has_labels_that_are_null(world: World, scores: pl.DataFrame) -> None:
    """As of the morning after; the warehouse knows the timetable, and nothing of what came of it."""
    world.sql("DELETE FROM flight_outcomes WHERE flight_date >= DATE '2013-04-12'")

    assert labels(JOB, NIGHT)["label"].to_list() == [None] * scores.height
    with pytest.raises(NothingHappened, match="knows no outcome of the nights 2013-04-12 to 2013-04-12 yet"):
        evaluate(JOB, scores)


def test_labels_are_of_some_night() -> None:
    with pytest.raises(DayRefused, match="name at least one"):
        labels(JOB, [])


def test_every_function_names_the_jobs_that_there_are(scores: pl.DataFrame) -> None:
    for ask in (
        lambda: open_snapshot("nothing", NIGHT),
        lambda: load_model("nothing"),
        lambda: train("nothing", NIGHT),
        lambda: labels("nothing", NIGHT),
        lambda: evaluate("nothing", scores),
        lambda: published("nothing"),
        lambda: runs("nothing"),
    ):
        with pytest.raises(JobMissing, match=f"there is no job `nothing`; there is {', '.join(job_names())}"):
            ask()


def python_of(path: str) -> str:
    """The Python of a page: of its fenced blocks, or of the indented one that imports jobs.research."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fenced = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^    .*\n|^\n)+", text, re.MULTILINE)
    return "\n".join(fenced) or "\n".join(each for each in indented if "from jobs.research import" in each)


def of_april(text: str) -> str:
    """The text about nights of the small world, instead of those of the demonstration."""
    assert "2013-09-05" in text
    return text.replace("2013-09-05", NIGHT).replace("2013-09-01", TRAINED_AS_OF)


@pytest.mark.parametrize("path", ["docs/research.md", "README.md"])
def test_the_examples_of_the_documents_run(path: str, world: World) -> None:
    """In order, in one process, as a reader would type them; what they assert holds."""
    world.run("run", "--as-of", NIGHT)
    known: dict[str, object] = {}

    exec(of_april(textwrap.dedent(python_of(path))), known)  # noqa: S102  these are our own pages

    ran = world.run("runs", "--as-of", NIGHT, "--json").json["runs"][0]
    assert scores_digest(known["scores"]) == ran["scores_digest"]


def public() -> dict[str, object]:
    return {name: getattr(research, name) for name in research.__all__}


def test_the_page_has_a_row_for_every_function() -> None:
    text = (ROOT / "docs" / "research.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `"))

    functions = {name for name, each in public().items() if not isinstance(each, type)}
    assert functions == set(re.findall(r"`(\w+)\(", table))


def examples(of: object) -> str:
    """What stands under `Example:` in a docstring."""
    found = re.search(r"Example:\n((?: {4}.*\n?)+)", textwrap.dedent("    " + (of.__doc__ or "")))
    return textwrap.dedent(found[1]) if found else ""


@pytest.mark.parametrize(
    "name", [*sorted(name for name, each in public().items() if not isinstance(each, type)), "sql"]
)
def test_every_docstring_gives_an_example_that_runs(
    name: str, world: World, night: OpenSnapshot, features: pl.DataFrame, model: LoadedModel, scores: pl.DataFrame
) -> None:
    world.run("run", "--as-of", NIGHT)
    given = examples(research.OpenSnapshot.sql if name == "sql" else public()[name])
    assert f"{name}(" in given

    known = {**public(), "night": night, "features": features, "model": model, "scores": scores}
    exec(given.replace("2013-09-05", NIGHT).replace("2013-09-01", TRAINED_AS_OF), known)  # noqa: S102  our own

    assert json.dumps(sorted(set(known) - {"__builtins__"}))
