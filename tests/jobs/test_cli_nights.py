"""The nightly command and backfills, on a copy of real flights: what is scored, what is kept, what analysts see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from jobs.steps.scoring import score_snapshot

if TYPE_CHECKING:
    import pytest

    from jobs.definition import Job
    from jobs.steps.scoring import Scored
    from jobs.store.home import Home
    from jobs.store.snapshots import Snapshot
    from tests.conftest import World

RUN_FIELDS = [
    "run_id", "job", "as_of", "model_version", "snapshot_digest", "scores_digest", "row_count", "status",
    "environment",
]  # fmt: skip


def nights(world: World, *arguments: str) -> list[tuple[str, str]]:
    """As-of and status of each night that a call reports."""
    return [(run["as_of"], run["status"]) for run in world.run(*arguments, "--json").json["runs"]]


def test_the_first_run_scores_one_night_and_the_second_has_nothing_to_do(world: World) -> None:
    """Twice is once (law 8): same run, one publication."""
    first = world.run("run", "--as-of", "2013-04-12", "--json")
    again = world.run("run", "--as-of", "2013-04-12", "--json")

    assert (first.code, again.code) == (0, 0)
    assert list(first.json["runs"][0]) == RUN_FIELDS
    assert first.json["runs"][0]["status"] == "published"
    proven = {"same": True, "differs": {}, "proven_by": ["1,000 golden rows"]}
    assert first.json["runs"][0]["environment"] == proven
    nothing_scored = {"status": "already_published", "environment": None}
    assert again.json["runs"][0] == {**first.json["runs"][0], **nothing_scored}
    assert world.published("SELECT count(*) FROM publications") == [(1,)]


def test_missed_nights_are_caught_up_in_order_each_with_its_own_as_of(world: World) -> None:
    """After three nights without cron, the next run does all of them, oldest first."""
    world.run("run", "--as-of", "2013-04-12")

    assert nights(world, "run", "--as-of", "2013-04-15") == [
        ("2013-04-13", "published"),
        ("2013-04-14", "published"),
        ("2013-04-15", "published"),
    ]
    assert world.published("SELECT as_of::VARCHAR FROM publications ORDER BY seq") == [
        ("2013-04-12",), ("2013-04-13",), ("2013-04-14",), ("2013-04-15",),
    ]  # fmt: skip


def test_a_night_is_visible_before_the_next_one_is_scored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops a long catching-up loses nothing that it has done."""
    world.run("run", "--as-of", "2013-04-12")

    def interrupted(job: Job, home: Home, snapshot: Snapshot, *others: object, **named: object) -> Scored:
        if snapshot.as_of.day == 14:
            raise KeyboardInterrupt
        return score_snapshot(job, home, snapshot, *others, **named)

    monkeypatch.setattr("jobs.steps.nights.score_snapshot", interrupted)
    assert world.run("run", "--as-of", "2013-04-15").code == 130
    assert world.published("SELECT max(as_of)::VARCHAR FROM flight_delay") == [("2013-04-13",)]


def test_more_than_forty_missed_nights_are_not_done_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are done, the exit code is 3, and the message says how many wait."""
    monkeypatch.setattr("jobs.steps.nights.MOST_NIGHTS", 2)
    world.run("run", "--as-of", "2013-04-12")

    result = world.run("run", "--as-of", "2013-04-16", "--json")

    assert result.code == 3
    assert [run["as_of"] for run in result.json["runs"] if run["status"] == "published"] == ["2013-04-13", "2013-04-14"]
    assert "2 more nights from 2013-04-15 to 2013-04-16 wait" in result.err


def test_score_today_replaces_the_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --as-of, the night is that of SCORE_TODAY; a later as-of lies in the future."""
    monkeypatch.setenv("SCORE_TODAY", "2013-04-12")

    assert nights(world, "run") == [("2013-04-12", "published")]
    assert world.run("run", "--as-of", "2013-04-13").code == 2


def test_an_empty_night_fails_until_it_is_skipped_and_does_not_stop_the_others(world: World) -> None:
    """No flight on the 13th: 65 for that night, 3 for the command, nothing after a skip."""
    world.sql("DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-13'")
    world.run("run", "--as-of", "2013-04-12")

    result = world.run("run", "--as-of", "2013-04-14", "--json")
    assert result.code == 3
    assert [(run["as_of"], run["status"]) for run in result.json["runs"]] == [
        ("2013-04-13", "failed"),
        ("2013-04-14", "published"),
    ]
    assert result.json["runs"][0]["error"]["code"] == 65
    assert "2013-04-13" in result.err

    assert nights(world, "run", "--as-of", "2013-04-14")[0] == ("2013-04-13", "failed")
    assert world.run("skip", "--as-of", "2013-04-13", "--reason", "no flights: storm").code == 0
    assert nights(world, "run", "--as-of", "2013-04-14") == [("2013-04-14", "already_published")]


def test_a_backfill_repeats_the_night_from_what_was_kept(world: World) -> None:
    """The warehouse is overwritten, and then gone: the run is the same."""
    before = world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 999 WHERE flight_date < DATE '2013-04-12'")

    after = world.run("backfill", "--as-of", "2013-04-12", "--json").json["runs"][0]
    assert after == {**before, "status": "already_published"}

    world.warehouse.unlink()
    gone = world.run("backfill", "--as-of", "2013-04-12", "--json").json["runs"][0]
    assert gone == {**before, "status": "already_published"}


def test_overwritten_rows_are_listed_row_by_row_and_nothing_is_kept(world: World) -> None:
    """`--fresh` looks again: exactly the two changed rows, with key, before and after."""
    kept = world.run("snapshot", "--as-of", "2013-04-12", "--json").json
    first, second = world.sql(
        "SELECT flight_date, carrier, flight, origin, arr_delay_min FROM flight_outcomes "
        "WHERE flight_date = DATE '2013-04-09' AND arr_delay_min IS NOT NULL ORDER BY ALL LIMIT 2"
    )
    for row in (first, second):
        world.sql(
            "UPDATE flight_outcomes SET arr_delay_min = 500 "
            "WHERE flight_date = ? AND carrier = ? AND flight = ? AND origin = ?",
            *row[:4],
        )

    fresh = world.run("snapshot", "--as-of", "2013-04-12", "--fresh", "--json").json

    assert [(each["table"], each["kind"], each["before"], each["after"]) for each in fresh["changed"]] == [
        ("outcomes", "changed", {"arr_delay_min": row[4]}, {"arr_delay_min": 500}) for row in (first, second)
    ]
    assert [each["key"]["flight"] for each in fresh["changed"]] == [first[2], second[2]]
    assert fresh["digest"] != kept["digest"]
    assert world.run("snapshot", "--as-of", "2013-04-12", "--json").json["digest"] == kept["digest"]


def test_a_late_row_is_an_arrival_and_a_backdated_one_a_mutation(world: World) -> None:
    """What became known after the cutoff is not seen as of the night; what pretends to have been known is listed."""
    world.run("run", "--as-of", "2013-04-12")
    world.sql("""
        INSERT INTO flight_outcomes
        SELECT * REPLACE (9001 AS flight, TIMESTAMPTZ '2013-04-13 12:00:00+00' AS recorded_at)
        FROM flight_outcomes WHERE flight_date = DATE '2013-04-09' ORDER BY ALL LIMIT 1;
        INSERT INTO scheduled_flights
        SELECT * REPLACE (9001 AS flight, TIMESTAMPTZ '2013-04-13 12:00:00+00' AS recorded_at)
        FROM scheduled_flights WHERE flight_date = DATE '2013-04-09' ORDER BY ALL LIMIT 1;
    """)
    assert world.run("snapshot", "--as-of", "2013-04-12", "--fresh", "--json").json["changed"] == []

    world.sql("UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-10 12:00:00+00' WHERE flight = 9001")
    world.sql("UPDATE scheduled_flights SET recorded_at = TIMESTAMPTZ '2013-04-01 12:00:00+00' WHERE flight = 9001")
    changed = world.run("snapshot", "--as-of", "2013-04-12", "--fresh", "--json").json["changed"]
    assert [(each["table"], each["kind"], each["key"]["flight"]) for each in changed] == [
        ("outcomes", "inserted", 9001)
    ]


def test_restating_makes_a_new_run_current_and_keeps_the_old_one(world: World) -> None:
    """Analysts see the new scores; the history and the publications have both."""
    old = world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 400 WHERE flight_date = DATE '2013-04-10'")

    new = world.run("backfill", "--as-of", "2013-04-12", "--restate", "--json").json["runs"][0]

    assert new["snapshot_digest"] != old["snapshot_digest"]
    assert new["scores_digest"] != old["scores_digest"]
    assert world.published("SELECT DISTINCT run_id FROM flight_delay") == [(new["run_id"],)]
    assert world.published("SELECT run_id, reason FROM publications ORDER BY seq") == [
        (old["run_id"], "nightly"),
        (new["run_id"], "restate"),
    ]
    assert world.published("SELECT count(DISTINCT run_id) FROM flight_delay_history") == [(2,)]
    assert world.run("verify", "--all").code == 0


def test_a_backfill_of_several_nights_does_not_move_the_nightly_start(world: World) -> None:
    """Backfilled nights are published; catching up still begins with the first nightly as-of."""
    assert nights(world, "backfill", "--as-of", "2013-04-11", "--until", "2013-04-12") == [
        ("2013-04-11", "published"),
        ("2013-04-12", "published"),
    ]
    assert nights(world, "run", "--as-of", "2013-04-15") == [("2013-04-15", "published")]
    assert nights(world, "run", "--as-of", "2013-04-16") == [("2013-04-16", "published")]


def test_another_model_goes_to_the_history_only_unless_published(world: World) -> None:
    """A challenger's run is kept beside the champion's; analysts go on seeing the champion's."""
    champion = world.run("run", "--as-of", "2013-04-20", "--json").json["runs"][0]
    challenger = world.run("train", "flight_delay", "--as-of", "2013-04-15", "--json").json["model_version"]

    beside = world.run("backfill", "--as-of", "2013-04-20", "--model", challenger, "--json").json["runs"][0]
    assert beside["model_version"] == challenger
    assert world.published("SELECT DISTINCT model_version FROM flight_delay") == [(champion["model_version"],)]
    assert world.published("SELECT count(DISTINCT model_version) FROM flight_delay_history") == [(2,)]

    world.run("backfill", "--as-of", "2013-04-20", "--model", challenger, "--publish")
    assert world.published("SELECT DISTINCT model_version FROM flight_delay") == [(challenger,)]


def test_a_model_of_the_future_needs_hindsight_and_never_becomes_current(world: World) -> None:
    """It has seen what came after the night."""
    world.run("run", "--as-of", "2013-04-12")
    later = world.run("train", "flight_delay", "--as-of", "2013-04-20", "--json").json["model_version"]

    refused = world.run("backfill", "--as-of", "2013-04-12", "--model", later)
    assert refused.code == 2
    assert "--hindsight" in refused.err
    assert world.run("backfill", "--as-of", "2013-04-12", "--model", later, "--hindsight", "--publish").code == 2
    assert world.run("backfill", "--as-of", "2013-04-12", "--model", later, "--hindsight").code == 0
    assert world.published("SELECT count(DISTINCT model_version) FROM flight_delay") == [(1,)]


def test_a_promotion_scores_from_the_next_unscored_night_and_a_rollback_undoes_it(world: World) -> None:
    """The champion of a past night stays what it was."""
    first = world.run("run", "--as-of", "2013-04-20", "--json").json["runs"][0]["model_version"]
    second = world.run("train", "flight_delay", "--as-of", "2013-04-15", "--json").json["model_version"]

    promoted = world.run("promote", second, "--unproven", "--reason", "better in April", "--json").json
    assert (promoted["model_version"], promoted["effective_from"]) == (second, "2013-04-21")
    assert world.run("run", "--as-of", "2013-04-21", "--json").json["runs"][0]["model_version"] == second
    assert world.run("backfill", "--as-of", "2013-04-20", "--json").json["runs"][0]["model_version"] == first

    assert world.run("rollback", "--reason", "worse on Sundays").code == 0
    assert world.run("run", "--as-of", "2013-04-22", "--json").json["runs"][0]["model_version"] == first
    assert world.run("rollback", "--reason", "again").code == 66
    champions = {each["model_version"]: each["champion"] for each in world.run("models", "--json").json["models"]}
    assert champions == {first: True, second: False}


def test_a_published_night_needs_no_skip(world: World) -> None:
    """2: analysts see it, and go on seeing it."""
    world.run("run", "--as-of", "2013-04-12")

    assert world.run("skip", "--as-of", "2013-04-12", "--reason", "x").code == 2


def test_the_future_is_not_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that was taken before its day began would stand for what was known when it began."""
    monkeypatch.setenv("SCORE_TODAY", "2013-04-12")

    assert world.run("snapshot", "--as-of", "2013-04-13").code == 2
    assert world.run("snapshot", "--as-of", "2013-04-13", "--fresh").code == 2
    assert world.run("train", "flight_delay", "--as-of", "2013-04-13").code == 2


def test_a_night_before_the_first_model_names_the_earliest_as_of(world: World) -> None:
    """No champion: 66, with the as-of from which there is one."""
    result = world.run("backfill", "--as-of", "2013-04-01")

    assert result.code == 66
    assert "2013-04-10" in result.err


def test_analysts_read_while_nights_are_published(world: World) -> None:
    """A reader keeps the version that it opened; a new one sees the new night; nobody waits."""
    world.run("run", "--as-of", "2013-04-12")
    with duckdb.connect(str(world.home / "scores.duckdb"), read_only=True) as reader:
        before = reader.execute("SELECT count(*), max(as_of)::VARCHAR FROM flight_delay").fetchone()
        assert world.run("run", "--as-of", "2013-04-13").code == 0
        assert reader.execute("SELECT count(*), max(as_of)::VARCHAR FROM flight_delay").fetchone() == before
    assert world.published("SELECT max(as_of)::VARCHAR FROM flight_delay_latest") == [("2013-04-13",)]


def test_the_score_tables_have_the_promised_columns(world: World) -> None:
    """The key, then what DESIGN promises, in every relation of the job; comments say units and meaning."""
    world.run("run", "--as-of", "2013-04-12")
    promised = [
        ("flight_date", "DATE"), ("carrier", "VARCHAR"), ("flight", "INTEGER"), ("origin", "VARCHAR"),
        ("as_of", "DATE"), ("score", "DOUBLE"), ("raw_score", "DOUBLE"), ("rank", "BIGINT"),
        ("model_version", "VARCHAR"), ("run_id", "VARCHAR"), ("scored_at", "TIMESTAMP WITH TIME ZONE"),
    ]  # fmt: skip

    for relation in ("flight_delay", "flight_delay_latest", "flight_delay_history"):
        assert [row[:2] for row in world.published(f"DESCRIBE {relation}")] == promised
    assert world.published(
        "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'flight_delay' AND comment IS NOT NULL"
    ) == [(7,)]
    ranks = world.published("SELECT rank, score FROM flight_delay ORDER BY rank")
    assert [rank for rank, _ in ranks] == list(range(1, len(ranks) + 1))
    assert [score for _, score in ranks] == sorted((score for _, score in ranks), reverse=True)


def test_a_moved_home_shows_its_scores_again_after_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The views have absolute paths; they are built anew where the home lies now."""
    world.run("run", "--as-of", "2013-04-12")
    moved = world.home.with_name("moved")
    world.home.rename(moved)
    world.home = moved
    monkeypatch.setenv("SCORE_HOME", str(moved))

    assert world.run("run", "--as-of", "2013-04-12").code == 0
    assert world.published("SELECT count(*) > 0 FROM flight_delay") == [(True,)]


def test_clients_older_than_the_job_can_open_the_scores(world: World) -> None:
    """The file's header has the storage version that DuckDB 1.0 reads: 64, eight bytes after the magic word."""
    world.run("run", "--as-of", "2013-04-12")
    header = (world.home / "scores.duckdb").read_bytes()[:20]

    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64
