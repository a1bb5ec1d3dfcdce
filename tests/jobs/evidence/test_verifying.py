"""Replays: every file of a run belongs to one stage, and the first stage that differs is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from jobs.evidence import golden, stages
from jobs.evidence.stages import STAGES, Proven, Replay
from jobs.evidence.verifying import verify_run
from jobs.store.documents import json_digest, read_document, write_document
from jobs.store.home import Home
from jobs.store.objects import ObjectDamaged, seal_of
from jobs.store.runs import read_run
from jobs.store.snapshots import read_snapshot
from tests.jobs.evidence.tampering import JOB, flip, forge_features, forge_scores, one_more, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from jobs.store.documents import Json
    from tests.conftest import Result, World

NIGHT = "2013-04-12"
FILES = {
    "runs/*/*/*/manifest.json": "run",
    "runs/*/*/*/execution.json": "run",
    f"snapshots/*/{NIGHT}/*/manifest.json": "snapshot",
    f"snapshots/*/{NIGHT}/*/taken.json": "snapshot",
    f"snapshots/*/{NIGHT}/*/marks.json": "snapshot",
    "object": "objects",
    "models/*/*/manifest.json": "model",
    "models/*/*/model.txt": "model",
    "models/*/*/uv.lock": "model",
    "models/*/*/trained.json": "model",
    "models/*/*/golden_rows.parquet": "golden_rows",
    "models/*/*/golden_night.json": "golden_rows",
    "runs/*/*/*/features.parquet": "features",
    "runs/*/*/*/scores.parquet": "scores",
    "events/*/00000002.json": "published",
}


def file_of(world: World, pattern: str) -> Path:
    """The one file of a kind; of objects the last that the night's snapshot names."""
    if pattern != "object":
        [path] = world.home.glob(pattern)
        return path
    return objects_of(world)[-1]


def snapshot_manifest(world: World) -> Path:
    [path] = world.home.glob(f"snapshots/*/{NIGHT}/*/manifest.json")
    return path


def objects_of(world: World) -> list[Path]:
    """The objects that the night's snapshot names."""
    tables = read_document(snapshot_manifest(world), "snapshot")["tables"]
    digests = [part[4] for table in tables for part in table["partitions"]]
    return [world.home / "objects" / each[:2] / f"{each}.parquet" for each in digests]


def states(stage: str) -> dict[str, str]:
    """What a verdict says of every stage, if the first that differs is this one."""
    names = list(STAGES)
    at = names.index(stage)
    return {name: "identical" if n < at else "differs" if n == at else "not reached" for n, name in enumerate(names)}


def verdict(result: Result, code: int, stage: str) -> dict:
    """The one verdict of a call, which names that stage."""
    assert result.code == code, result.err
    [found] = result.json["runs"]
    assert (found["first_divergence"], found["identical"]) == (stage, False)
    assert found["stages"] == states(stage)
    return found


def test_a_replay_that_is_identical_says_so_of_every_stage(world: World, run_folder: Path) -> None:
    result = world.run("verify", "--json")

    assert result.code == 0
    assert result.json["runs"] == [
        {
            "run_id": run_folder.name,
            "job": "flight_delay",
            "as_of": NIGHT,
            "identical": True,
            "first_divergence": None,
            "detail": None,
            "stages": dict.fromkeys(STAGES, "identical"),
            "model_version": next(world.home.glob("models/*/*")).name,
            "environment": {"same": True, "differs": {}},
        }
    ]


@pytest.mark.parametrize("pattern", FILES)
def test_one_flipped_bit_is_found_and_its_stage_named(world: World, pattern: str) -> None:
    """80; the file is named, the stages before it are identical, those after it were not reached."""
    damaged = file_of(world, pattern)
    flip(damaged)

    assert str(damaged) in verdict(world.run("verify", "--json"), 80, FILES[pattern])["detail"]


@pytest.mark.parametrize(
    "pattern", [pattern for pattern in FILES if not {"events", "marks.json"} & {*pattern.split("/")}]
)
def test_a_missing_file_is_found_and_its_stage_named(world: World, pattern: str) -> None:
    """Of the events, one that is missing in the middle; the last one leaves a whole chain. Marks need not be there."""
    missing = file_of(world, pattern)
    missing.unlink()

    assert str(missing) in verdict(world.run("verify", "--json"), 80, FILES[pattern])["detail"]


@pytest.mark.parametrize(("folder", "stage"), [(f"snapshots/*/{NIGHT}/*", "snapshot"), ("models/*/*", "model")])
def test_a_folder_that_is_gone_is_damage_and_not_a_wrong_question(world: World, folder: str, stage: str) -> None:
    """80, not 66: the run says that it was there."""
    [gone] = world.home.glob(folder)
    shutil.rmtree(gone)

    assert "restore it" in verdict(world.run("verify", "--json"), 80, stage)["detail"]


def test_every_file_of_a_run_belongs_to_a_stage(world: World) -> None:
    """Files of the training snapshot are the business of --read-data and of --retrain."""
    listed = {path for pattern in FILES if pattern != "object" for path in world.home.glob(pattern)}
    ours = {path for path in world.home.rglob("*") if path.is_file()} - listed
    others = {path.relative_to(world.home).as_posix() for path in ours if path.parent.parent.name != "objects"}

    assert {each for each in others if not each.startswith(("locks/", "snapshots/flight_delay/2013-04-10/"))} == {
        "format.json", "scores.duckdb", "events/flight_delay/00000001.json",
    }  # fmt: skip


def test_a_forged_run_is_found_where_its_scores_are_computed(world: World, run_folder: Path) -> None:
    """Other raw scores, and a manifest that was resealed over them: everything stored is whole."""
    forge_scores(run_folder, one_more("raw_score", lambda score: score + 0.25))

    found = verdict(world.run("verify", "--json"), 81, "raw_scores")
    assert "the scores digest is" in found["detail"]
    assert world.run("verify", "--read-data", "--json").json["damaged"] == []


def test_a_forged_table_beside_the_right_digest_is_found_by_its_columns(world: World, run_folder: Path) -> None:
    """The manifest still has the digest of the true raw scores; analysts would see others."""
    forge_scores(run_folder, one_more("score", lambda score: score / 2), raw=False)

    assert "1 columns differ, the first is score" in verdict(world.run("verify", "--json"), 81, "scores")["detail"]


def test_forged_features_are_found_by_their_column(world: World, run_folder: Path) -> None:
    forge_features(run_folder, one_more("weekday", lambda day: day + 1))

    assert "1 columns differ, the first is weekday" in verdict(world.run("verify", "--json"), 81, "features")["detail"]


@pytest.mark.parametrize("name", ["features.parquet", "scores.parquet"])
def test_a_manifest_that_was_resealed_only_over_the_bytes_of_a_file_is_damage(
    world: World, run_folder: Path, name: str
) -> None:
    """The file is what the manifest says, its rows are not."""
    rewrite(run_folder / name, lambda rows: rows.reverse())
    body = read_document(run_folder / "manifest.json", "run")
    seal = seal_of(run_folder / name)
    body["files"][name] = [seal.sha256, seal.size]
    write_document(run_folder / "manifest.json", "run", body)

    verdict(world.run("verify", "--json"), 80, name.removesuffix(".parquet"))


@pytest.mark.parametrize("content", ["other rows", "no rows at all"])
def test_an_object_that_was_replaced_and_resealed_is_found_by_its_rows(world: World, content: str) -> None:
    """The snapshot's digest is of rows, not of files, so its manifest can be made to fit another file."""
    path = objects_of(world)[-1]
    if content == "other rows":
        rewrite(path, lambda rows: rows.head(rows.height - 1))
    else:
        path.write_bytes(b"no rows at all")
    body = read_document(snapshot_manifest(world), "snapshot")
    seal = seal_of(path)
    body["tables"][-1]["partitions"][-1][5:] = [seal.sha256, seal.size]
    write_document(snapshot_manifest(world), "snapshot", body)

    assert str(path) in verdict(world.run("verify", "--json"), 80, "objects")["detail"]


def test_a_run_that_names_other_sql_than_its_snapshot_is_found(world: World, run_folder: Path) -> None:
    """Its id, its folder and its manifest agree with each other."""
    body = read_document(run_folder / "manifest.json", "run")
    inputs: dict[str, Json] = {**body["inputs"], "sql_fingerprints": {**body["inputs"]["sql_fingerprints"], "x": "y"}}
    forged = run_folder.with_name(json_digest(inputs)[:32])
    run_folder.rename(forged)
    write_document(forged / "manifest.json", "run", {**body, "inputs": inputs, "run_id": forged.name})

    verdict(world.run("verify", forged.name, "--json"), 81, "model")


def test_another_raw_score_of_a_golden_row_is_found_before_the_night_is_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit of one row."""
    real = golden.raw_scores

    def another(*arguments: object) -> np.ndarray:
        scores = real(*arguments)
        scores[7] = np.nextafter(scores[7], 0)
        return scores

    monkeypatch.setattr(golden, "raw_scores", another)

    detail = verdict(world.run("verify", "--json"), 81, "golden_rows")["detail"]
    assert "gives 1 of 1000 golden rows another raw score" in detail


def test_features_of_another_code_are_found_by_their_column(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stages.night_batches

    def another(*arguments: object) -> Iterator[pl.DataFrame]:
        return map(one_more("weekday", lambda day: day + 1), real(*arguments))

    monkeypatch.setattr(stages, "night_batches", another)

    assert "the first is weekday" in verdict(world.run("verify", "--json"), 81, "features")["detail"]


def test_another_environment_is_compared_and_told(
    world: World, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused: what is identical is identical; where something differs, the environments stand beside it."""
    real = golden.environment()
    monkeypatch.setattr(golden, "environment", lambda: {**real, "polars": "9.9.9"})
    told = {"same": False, "differs": {"polars": [real["polars"], "9.9.9"]}}
    said = f"polars: {real['polars']} there, 9.9.9 here"

    same = world.run("verify", "--json")
    assert (same.code, same.json["runs"][0]["environment"]) == (0, told)
    assert said in world.run("verify").out

    forge_scores(run_folder, one_more("raw_score", lambda score: score + 0.25))
    found = verdict(world.run("verify", "--json"), 81, "raw_scores")
    assert (found["environment"], said in found["detail"]) == (told, True)


def test_a_run_without_kept_features_is_replayed_all_the_same(world: World, run_folder: Path) -> None:
    """By policy a run may keep none."""
    body = read_document(run_folder / "manifest.json", "run")
    del body["files"]["features.parquet"]
    write_document(run_folder / "manifest.json", "run", body)
    (run_folder / "features.parquet").unlink()

    assert world.run("verify").code == 0


def test_a_run_without_scores_is_damage(world: World, run_folder: Path) -> None:
    body = read_document(run_folder / "manifest.json", "run")
    del body["files"]["scores.parquet"]
    write_document(run_folder / "manifest.json", "run", body)

    verdict(world.run("verify", "--json"), 80, "scores")


def published_copy(world: World, *statements: str) -> None:
    """Change the analysts' database, as somebody who may; it is the one of this home."""
    assert world.run("run", "--as-of", NIGHT).code == 0  # the home is a copy: this builds its views anew
    path = world.home / "scores.duckdb"
    path.chmod(0o644)
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            con.execute(statement)


HALVED = "CREATE OR REPLACE VIEW {0} AS SELECT * REPLACE (score / 2 AS score) FROM ({1})"
SHOWN = {
    "nothing else": ("SELECT 1", 0),
    "another score": ("history", 81),
    "another score tonight": ("flight_delay", 81),
    "another newest score": ("latest", 81),
    "another instant": ("UPDATE publications SET published_at = published_at + INTERVAL 1 DAY", 81),
    "another digest": ("UPDATE runs SET scores_digest = 'x'", 81),
    "a run that never was": ("INSERT INTO publications SELECT * REPLACE (9 AS seq) FROM publications", 81),
    "another database": ("ALTER TABLE built_from RENAME TO something", 81),
}


@pytest.mark.parametrize("what", SHOWN)
def test_what_analysts_see_is_what_the_events_and_the_replay_say(world: World, what: str) -> None:
    statement, code = SHOWN[what]
    relation = {"history": "flight_delay_history", "latest": "flight_delay_latest"}.get(statement, statement)
    if relation.startswith("flight_delay"):
        published_copy(world)
        [(text,)] = world.published(f"SELECT sql FROM duckdb_views() WHERE view_name = '{relation}'")
        statement = HALVED.format(relation, text.partition(" AS ")[2].rstrip(";"))
    published_copy(world, statement)

    result = world.run("verify", "--json")
    if code:
        assert "score run builds it anew" in verdict(result, code, "published")["detail"]
    assert result.code == code, result.err


def test_the_analysts_database_unreadable_or_gone_is_damage(world: World) -> None:
    """80, and what to do; then all is well again."""
    published_copy(world)
    path = world.home / "scores.duckdb"
    path.write_bytes(path.read_bytes()[:5000])
    assert str(path) in verdict(world.run("verify", "--json"), 80, "published")["detail"]

    path.unlink()
    assert "score run builds it anew" in verdict(world.run("verify", "--json"), 80, "published")["detail"]
    assert world.run("run", "--as-of", NIGHT).code == 0
    assert world.run("verify").code == 0


def test_a_run_whose_event_was_taken_away_is_shown_by_nobody_s_decision(world: World, run_folder: Path) -> None:
    """The chain without its last event is whole; that analysts see the run gives it away."""
    published_copy(world)
    next(world.home.glob("events/*/00000002.json")).unlink()

    verdict(world.run("verify", run_folder.name, "--json"), 81, "published")


def test_a_run_that_was_never_shown_is_compared_up_to_there(world: World, run_folder: Path) -> None:
    """A kill between keeping a run and its event leaves one."""
    next(world.home.glob("events/*/00000002.json")).unlink()
    (world.home / "scores.duckdb").unlink()

    assert world.run("verify", run_folder.name).code == 0


def test_a_damaged_object_stops_every_run_that_was_made_of_it(world: World) -> None:
    """What one replay found whole is not read again; what it found damaged is."""
    world.run("run", "--as-of", "2013-04-13")
    flip(objects_of(world)[-1])  # an airport

    found = world.run("verify", "--all", "--json")
    assert found.code == 80
    assert [each["first_divergence"] for each in found.json["runs"]] == ["objects", "objects"]


def test_replays_read_each_object_s_rows_once(world: World, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year of nights shares most of its objects."""
    tables = []
    real = stages._as_named
    monkeypatch.setattr(stages, "_as_named", lambda table, *what: tables.append(table.name) or real(table, *what))
    proven = Proven()

    first = verify_run(JOB, Home(world.home), run_folder, proven)
    read = list(tables)
    second = verify_run(JOB, Home(world.home), run_folder, proven)

    assert (first.identical, second.identical) == (True, True)
    assert len(read) == 5
    assert tables == read
    assert len(proven.objects) == len(objects_of(world))


@pytest.mark.parametrize("seen_before", [False, True])
def test_an_object_of_another_table_is_damage_though_its_rows_are_whole(
    world: World, run_folder: Path, *, seen_before: bool
) -> None:
    """Also where a replay found it whole in its own table: it has other columns than this one."""
    home, proven = Home(world.home), Proven()
    if seen_before:
        assert verify_run(JOB, home, run_folder, proven).identical
    inputs = read_run(run_folder).inputs
    whole = read_snapshot(home, JOB.name, inputs.as_of, inputs.snapshot_digest)
    airports, planes = whole.table("airports"), whole.table("planes")
    mixed = replace(airports, partitions=(*airports.partitions, planes.partitions[0]))

    with pytest.raises(ObjectDamaged, match="airports: its objects do not belong together"):
        stages.replay_objects(Replay(JOB, home, run_folder, proven, taken=replace(whole, tables=(mixed, planes))))


def test_a_table_of_many_runs_has_a_mark_a_stage_and_fits(world: World, run_folder: Path) -> None:
    """Even 80 columns; the whole ids are in the JSON."""
    world.run("run", "--as-of", "2013-04-14")
    flip(run_folder / "features.parquet")

    lines = world.run("verify", "--all").out.splitlines()

    assert [line.split()[3] for line in lines[1:4]] == ["=====x...", "=========", "========="]
    assert lines[1].split()[:3] == ["flight_delay", NIGHT, run_folder.name[:12]]
    assert lines[4:6] == ["stages (= identical, x differs, . not reached):", f"  {' '.join(STAGES)}"]
    assert lines[6] == "2 of 3 replayed identically, every stage"
    assert max(map(len, lines)) <= 80


def test_one_run_has_a_line_a_stage(world: World, run_folder: Path) -> None:
    flip(run_folder / "features.parquet")

    result = world.run("verify")

    assert [tuple(line.split(maxsplit=1)) for line in map(str.rstrip, result.out.splitlines()[2:11])] == list(
        states("features").items()
    )
    assert result.err.startswith(f"score: run {run_folder.name} differs at stage features: ")
