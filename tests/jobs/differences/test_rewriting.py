"""`score mutations`: what the warehouse rewrote of published nights, and which of their scores would be different now.

What a night would be scored now is known from the nightly command itself: the night is restated, in a copy of the home.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest

from features import flight_delay
from jobs import definition, project
from jobs.cli import call
from jobs.differences.listing import values
from jobs.store.ledger import Kind, Mutation
from tests.jobs.evidence.tampering import flip

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from tests.conftest import Result, World

NIGHTS = ["2013-04-12", "2013-04-13", "2013-04-14"]
KEY = ["flight_date", "carrier", "flight", "origin"]

# What can be done to rows of the past. Of the outcome that is moved, the 12th and the 13th know nothing any more.
REWRITE = """
UPDATE flight_outcomes SET arr_delay_min = 300 WHERE flight_date = DATE '2013-04-10' AND carrier = 'AS';
DELETE FROM flight_outcomes WHERE flight_date = DATE '2013-04-10' AND carrier = 'VX';
INSERT INTO flight_outcomes SELECT * REPLACE (flight + 7000 AS flight) FROM flight_outcomes
    WHERE flight_date = DATE '2013-04-12' AND carrier = 'FL';
UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-13 12:00:00+00'
    WHERE flight_date = DATE '2013-04-10' AND carrier = 'F9';
"""
# A flight of a published night that is no longer scheduled, and one that pretends to have been.
RESCHEDULE = """
DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13' AND carrier = 'HA';
INSERT INTO scheduled_flights SELECT * REPLACE (9001 AS flight) FROM scheduled_flights
    WHERE flight_date = DATE '2013-04-13' AND carrier = 'VX' ORDER BY ALL LIMIT 1;
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Path:
    """A home with three published nights, made once; tests work on copies."""
    home = tmp_path_factory.mktemp("published") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        for night in NIGHTS:
            assert call(["run", "--as-of", night]) == 0
    return home


@pytest.fixture
def nights(world: World, published: Path) -> World:
    """The world with these nights in its home."""
    shutil.rmtree(world.home)
    shutil.copytree(published, world.home)
    return world


def mutations(world: World, *options: str) -> Result:
    """`score mutations` since the first night."""
    return world.run("mutations", "--since", NIGHTS[0], *options)


def of(document: dict, night: str) -> dict:
    """What a document says of one night."""
    (found,) = (each for each in document["nights"] if each["as_of"] == night)
    return found


def numbers(world: World, run_id: str) -> dict[tuple, tuple[float, float, int]]:
    """The kept scores, raw scores and ranks of a run by key, read with nothing of ours."""
    path = next(world.home.glob(f"runs/*/*/{run_id}/scores.parquet"))
    rows = duckdb.sql(f"SELECT {', '.join(KEY)}, score, raw_score, rank FROM '{path}'").fetchall()
    return {(str(row[0]), *row[1:4]): row[4:] for row in rows}


def restated(world: World, night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the night is when it is scored now: key to score, raw score and rank."""
    copy = tmp_path / f"restated-{night}"
    shutil.copytree(world.home, copy)
    with monkeypatch.context() as patch:
        patch.setenv("SCORE_HOME", str(copy))
        run = world.run("backfill", "--as-of", night, "--restate", "--json").json["runs"][0]
    return numbers(replace(world, home=copy), run["run_id"])


def stored(home: Path) -> dict[str, bytes]:
    """Every file of a home but its locks, and what is in it."""
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and path.parent.name != "locks")
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


def test_the_scores_are_those_that_a_restated_night_would_have(
    nights: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each night, entity by entity, to the bit; whatever does not change is not listed."""
    nights.sql(REWRITE + RESCHEDULE)
    document = mutations(nights, "--json").json

    assert [each["as_of"] for each in document["nights"]] == NIGHTS
    for night in NIGHTS:
        found = of(document, night)
        was, now = numbers(nights, found["run_id"]), restated(nights, night, tmp_path, monkeypatch)
        other = {key for key in was.keys() & now.keys() if was[key][:2] != now[key][:2]}
        assert other
        assert {tuple(each["key"].values()) for each in found["scores"]} == other
        for each in found["scores"]:
            key = tuple(each["key"].values())
            pairs = zip(each["score"], each["raw_score"], each["rank"], strict=True)
            assert list(pairs) == [was[key], now[key]]
            assert each["change"] == now[key][0] - was[key][0]
        assert {tuple(each.values()) for each in found["would_appear"]} == now.keys() - was.keys()
        assert {tuple(each.values()) for each in found["would_vanish"]} == was.keys() - now.keys()
    assert [each["flight"] for each in of(document, "2013-04-13")["would_appear"]] == [9001]
    assert [each["carrier"] for each in of(document, "2013-04-13")["would_vanish"]] == ["HA"]


def test_each_row_is_listed_once_with_the_nights_that_it_touches(nights: World) -> None:
    """As the latest night sees it; a row that was moved past a night has vanished from that one."""
    asked = "SELECT flight FROM flight_outcomes WHERE flight_date = ? AND carrier = ? ORDER BY flight"
    changed, vanished, inserted, moved = (
        [flight for (flight,) in nights.sql(asked, day, carrier)]
        for day, carrier in (("2013-04-10", "AS"), ("2013-04-10", "VX"), ("2013-04-12", "FL"), ("2013-04-10", "F9"))
    )
    nights.sql(REWRITE)
    nights.sql(RESCHEDULE)
    document = mutations(nights, "--json").json
    rows = [
        (each["table"], each["kind"], each["key"]["carrier"], each["key"]["flight"], each["nights"])
        for each in document["rows"]
    ]

    all_three = dict.fromkeys(NIGHTS, "vanished")
    by_two = {"2013-04-13": "inserted", "2013-04-14": "inserted"}
    by_moves = {"2013-04-12": "vanished", "2013-04-13": "vanished", "2013-04-14": "moved"}
    assert sorted(rows, key=str) == sorted(
        [
            *(("outcomes", "changed", "AS", each, dict.fromkeys(NIGHTS, "changed")) for each in changed),
            *(("outcomes", "vanished", "VX", each, all_three) for each in vanished),
            *(("outcomes", "inserted", "FL", each + 7000, by_two) for each in inserted),
            *(("outcomes", "moved", "F9", each, by_moves) for each in moved),
            ("outcomes", "changed", "HA", 51, {"2013-04-14": "changed"}),  # its timetable row is gone
            ("timetable", "vanished", "HA", 51, {"2013-04-13": "vanished"}),
            ("timetable", "inserted", "VX", 9001, {"2013-04-13": "inserted"}),
        ],
        key=str,
    )
    counted = {kind: sum(1 for row in rows if row[4].get("2013-04-12") == kind) for kind in ("changed", "vanished")}
    assert of(document, "2013-04-12")["rewritten"] == counted


def test_a_row_says_what_it_was_and_what_it_is(nights: World) -> None:
    """Of a changed one what differs, of others the whole row."""
    key = "flight_date = DATE '2013-04-11' AND carrier = 'AS' AND flight = 7"
    (was,) = nights.sql(f"SELECT arr_delay_min, tailnum FROM flight_outcomes WHERE {key}")
    nights.sql(f"UPDATE flight_outcomes SET arr_delay_min = 300, tailnum = NULL WHERE {key}")
    (row,) = mutations(nights, "--json").json["rows"]

    assert row["key"] == {"flight_date": "2013-04-11", "carrier": "AS", "flight": 7, "origin": "EWR"}
    assert row["before"] == {"tailnum": was[1], "arr_delay_min": was[0]}
    assert row["after"] == {"tailnum": None, "arr_delay_min": 300}
    nights.sql(f"DELETE FROM flight_outcomes WHERE {key}")
    (row,) = mutations(nights, "--json").json["rows"]
    assert (row["before"]["arr_delay_min"], row["after"]) == (was[0], None)


def test_nothing_of_the_look_is_kept(nights: World) -> None:
    """No object, no snapshot, no run; analysts see what they saw."""
    before = stored(nights.home)
    nights.sql(REWRITE)
    assert mutations(nights).code == 0

    assert stored(nights.home) == before
    assert list((nights.home / "staging").iterdir()) == []


def test_a_warehouse_that_changed_nothing_is_said_to_have_changed_nothing(
    nights: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0, and nothing is built or scored again; what became known since is no mutation."""
    nights.sql("""
        INSERT INTO flight_outcomes
        SELECT * REPLACE (9001 AS flight, TIMESTAMPTZ '2013-04-20 12:00:00+00' AS recorded_at)
        FROM flight_outcomes WHERE flight_date = DATE '2013-04-10' ORDER BY ALL LIMIT 1
    """)
    monkeypatch.setattr(flight_delay, "build_features", lambda *_: 1 / 0)
    result = mutations(nights, "--json")

    assert (result.code, result.err) == (0, "")
    assert result.json["rows"] == []
    assert [each["scores"] for each in result.json["nights"]] == [[], [], []]
    assert "nothing was rewritten; every score would be the same" in mutations(nights).out


def test_rows_may_be_rewritten_without_any_score_being_different(nights: World) -> None:
    """No feature sees the zone of an airport."""
    nights.sql("UPDATE airports SET tzone = 'Mars/Olympus' WHERE faa = 'JFK'")
    document = mutations(nights, "--json").json

    assert [(each["table"], each["kind"]) for each in document["rows"]] == [("airports", "changed")]
    assert [(each["scored_again"], each["scores"]) for each in document["nights"]] == [(True, [])] * 3
    assert "1 row(s) were rewritten; every score would be the same" in mutations(nights).out


def test_a_night_is_compared_with_what_its_own_run_saw(nights: World) -> None:
    """Not with a later look that was kept: of a challenger's run, or after a restatement."""
    nights.sql(
        "UPDATE flight_outcomes SET arr_delay_min = 300 WHERE flight_date = DATE '2013-04-10' AND carrier = 'AS'"
    )
    version = nights.run("train", "flight_delay", "--as-of", "2013-04-11", "--json").json["model_version"]
    assert nights.run("backfill", "--as-of", NIGHTS[0], "--restate", "--model", version).code == 0
    document = mutations(nights, "--json").json
    assert of(document, NIGHTS[0])["rewritten"] == of(document, NIGHTS[1])["rewritten"] != {}

    assert nights.run("backfill", "--as-of", NIGHTS[0], "--restate").code == 0
    document = mutations(nights, "--json").json
    assert (of(document, NIGHTS[0])["rewritten"], of(document, NIGHTS[0])["scores"]) == ({}, [])
    assert of(document, NIGHTS[1])["rewritten"]


def test_the_model_is_that_of_the_run(nights: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A champion since then changes nothing of what a night would have been."""
    version = nights.run("train", "flight_delay", "--as-of", "2013-04-11", "--json").json["model_version"]
    assert nights.run("promote", version, "--reason", "newer", "--from", NIGHTS[2], "--unproven").code == 0
    expected = restated(nights, NIGHTS[2], tmp_path, monkeypatch)
    document = mutations(nights, "--json").json

    assert [each["scores"] for each in document["nights"]] == [[], [], []]
    assert expected != numbers(nights, of(document, NIGHTS[2])["run_id"])  # the champion would have scored otherwise


def other_sql(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on the job reads the weather by another version."""
    shutil.copytree(project.sql_root(), folder)
    first = (folder / "flight_delay" / "weather_v1.sql").read_text()
    (folder / "flight_delay" / "weather_v2.sql").write_text(first.replace("temp_f * 100", "(temp_f + 1) * 100"))
    monkeypatch.setattr(project, "sql_root", lambda: folder)
    load = definition.load_job
    monkeypatch.setattr(
        definition, "load_job",
        lambda name, *_: replace(load(name), sql_versions=(*{**dict(load(name).sql_versions), "weather": 2}.items(),)),
    )  # fmt: skip
    assert call(["release"]) == 0


def test_rows_are_listed_where_other_sql_reads_another_table(
    nights: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night cannot be scored again, and says why; what the same SQL reads can be compared."""
    nights.sql(REWRITE)
    listed = mutations(nights, "--json").json["rows"]
    nights.sql("UPDATE weather SET temp_f = 0 WHERE observed_at > TIMESTAMPTZ '2013-04-11 00:00:00+00'")
    other_sql(monkeypatch, tmp_path / "sql")
    result = mutations(nights, "--json")

    assert result.code == 0
    assert result.json["rows"] == listed
    for each in result.json["nights"]:
        assert (each["scored_again"], each["not_compared"], each["scores"]) == (False, ["weather"], [])
        assert "other SQL of weather" in each["unscored"]
    shown = mutations(nights).out
    assert shown.count(": cannot be scored again: model ") == 3
    assert f"\n{', '.join(NIGHTS)}: other SQL reads weather now" in shown
    assert f"{len(listed)} row(s) were rewritten; what the scores would be now cannot be said" in shown


def test_features_of_another_version_are_named(nights: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are listed, scores are not: the code builds what the model does not know."""
    nights.sql(REWRITE)
    monkeypatch.setattr(flight_delay, "FEATURE_SET", replace(flight_delay.FEATURE_SET, version=2))
    result = mutations(nights, "--json")

    assert result.code == 0
    assert result.json["rows"]
    assert "the code now builds flight_delay version 2" in of(result.json, NIGHTS[0])["unscored"]


def test_a_model_that_gives_other_bits_here_is_not_used(nights: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """81: its golden rows are asked first. The rows are listed all the same."""
    nights.sql(REWRITE)
    monkeypatch.setattr("jobs.evidence.golden.bits_differing", lambda *_: 1)
    result = mutations(nights, "--json")

    assert result.code == 81
    assert result.json["rows"]
    assert "golden rows" in of(result.json, NIGHTS[0])["error"]
    assert [each["scores"] for each in result.json["nights"]] == [[], [], []]
    assert result.err.startswith(f"score: flight_delay as of {', '.join(NIGHTS)}: model ")
    assert result.err.count("golden rows") == 1


@pytest.mark.parametrize("pattern", ["models/*/*/model.txt", "runs/*/2013-04-12/*/scores.parquet"])
def test_damaged_evidence_ends_it(nights: World, pattern: str) -> None:
    """80, with the file's name."""
    nights.sql(REWRITE)
    path = next(nights.home.glob(pattern))
    flip(path)
    result = mutations(nights)

    assert result.code == 80
    assert path.name in result.err


def test_a_night_that_cannot_be_looked_at_leaves_the_others(nights: World) -> None:
    """3: the warehouse has nothing of that night any more; if of none, the code of the first."""
    nights.sql("DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13'")
    result = mutations(nights, "--json")
    assert result.code == 3
    assert "timetable_v1.sql" in of(result.json, "2013-04-13")["error"]
    assert of(result.json, "2013-04-12")["error"] is None
    assert "flight_delay as of 2013-04-13: timetable_v1.sql" in result.err
    shown = mutations(nights).out
    assert "2013-04-13: cannot be looked at again: timetable_v1.sql" in shown
    assert "(of 1 night(s) it cannot be said)" in shown

    assert nights.run("mutations", "--since", "2013-04-13", "--until", "2013-04-13").code == 65
    nights.warehouse.unlink()
    assert mutations(nights).code == 66


def test_a_night_that_has_nothing_to_score_any_more_is_a_failure_of_the_night(
    nights: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """65 for it, 3 for the command: its rows are listed, the other nights are scored."""
    nights.sql(REWRITE)
    built = flight_delay.build_features

    def nothing_on_the_12th(tables: object, cutoffs: list, only: object = None) -> pl.DataFrame:
        frame = built(tables, cutoffs, only)
        return frame.clear() if cutoffs[0].as_of.day == 12 else frame

    monkeypatch.setattr(flight_delay, "build_features", nothing_on_the_12th)
    result = mutations(nights, "--json")

    first = of(result.json, NIGHTS[0])
    assert result.code == 3
    assert "nothing to score as of 2013-04-12" in first["error"]
    assert (first["unscored"], first["rewritten"]["changed"]) == (first["error"], 2)
    assert [each["scored_again"] for each in result.json["nights"]] == [False, True, True]


def test_only_published_nights_since_then_are_looked_at(nights: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first to the last that was asked for; a night of the future, as the clock has it, is absent."""
    assert [
        each["as_of"] for each in nights.run("mutations", "--since", "2013-04-13", "--json").json["nights"]
    ] == NIGHTS[1:]
    assert [each["as_of"] for each in mutations(nights, "--until", NIGHTS[1], "--json").json["nights"]] == NIGHTS[:2]
    monkeypatch.setenv("SCORE_TODAY", NIGHTS[1])
    assert [each["as_of"] for each in mutations(nights, "--json").json["nights"]] == NIGHTS[:2]

    result = nights.run("mutations", "--since", NIGHTS[2], "--json")
    assert (result.code, result.json["error"]["code"]) == (66, 66)
    assert "no night since 2013-04-14 is published" in result.err
    assert mutations(nights, "--until", "2013-04-11").code == 2


def test_the_screen_shows_nights_rows_and_the_scores_that_would_change_most(nights: World) -> None:
    """At most forty rows, the furthest score first, nothing wider than a narrow terminal."""
    nights.sql("UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 200 WHERE flight_date >= DATE '2013-04-09'")
    document = mutations(nights, "--json").json
    lines = [line.rstrip() for line in mutations(nights).out.splitlines()]

    scores = sorted((abs(score["change"]) for each in document["nights"] for score in each["scores"]), reverse=True)
    assert lines[0] == "flight_delay, what was published since 2013-04-12, looked at again today"
    assert lines[1] == (
        f"{len(document['rows'])} row(s) were rewritten; {len(scores)} score(s) would be different now, "
        f"by up to {scores[0]:.4f}"
    )
    assert len([line for line in lines if line.startswith("outcomes ")]) == 40
    assert f"... and {len(document['rows']) - 40} more; all of them, and whole, with --json" in lines
    furthest = lines.index("the 10 published scores that would change most") + 2
    assert f"{scores[0]:.4f}" in lines[furthest]
    assert len(lines) == furthest + 10
    assert max(map(len, lines)) <= 80


def test_a_row_that_moved_is_listed_with_both_instants(nights: World) -> None:
    """In UTC, as everything that is kept."""
    key = "flight_date = DATE '2013-04-10' AND carrier = 'F9' AND flight = 419"
    ((was,),) = nights.sql(f"SELECT recorded_at FROM flight_outcomes WHERE {key}")
    nights.sql(f"UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-11 23:00:00+00' WHERE {key}")
    (row,) = mutations(nights, "--json").json["rows"]

    assert row["kind"] == "moved"
    assert datetime.fromisoformat(row["before"]["known_at"]) == was.astimezone(UTC)
    assert datetime.fromisoformat(row["after"]["known_at"]) == datetime(2013, 4, 11, 23, tzinfo=UTC)


def test_values_are_shown_short_and_without_the_key() -> None:
    """Instants in UTC, to the minute where that is all there is."""
    noon, later = datetime(2013, 4, 11, 12, tzinfo=UTC), datetime(2013, 4, 11, 12, 0, 30, tzinfo=UTC)
    key = {"flight": 7}
    moved = Mutation("outcomes", Kind.MOVED, key, {"at": noon, "late": None}, {"at": later, "late": True}, {}, {})
    gone = Mutation("outcomes", Kind.VANISHED, key, {"flight": 7, "at": noon, "dest": "SEA"}, None, {}, None)

    assert values(moved) == "at 2013-04-11 12:00Z → 2013-04-11 12:00:30Z, late null → True"
    assert values(gone) == "at 2013-04-11 12:00Z, dest SEA"
