"""`score diff`: which scores differ between two runs, and how much of it is due to what, exactly, on real flights.

The waypoints in between are made here by the nightly command itself: a night is restated after the warehouse changed
rows, once more after it got new ones, and scored with another model.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pytest

from features import flight_delay
from features.fitted import Fitted, apply
from jobs import definition, project
from jobs.cli import call
from jobs.differences.swapping import swapped
from jobs.steps.scoring import model_columns
from jobs.store import runs
from jobs.store.documents import write_document
from jobs.store.home import Home
from jobs.store.ledger import compare
from jobs.store.opening import in_store, read_tables, stored_rows
from jobs.store.registry import read_version
from jobs.store.snapshots import read_snapshot
from models.scorer import Model
from tests.jobs.evidence.tampering import flip, forge_features, forge_scores

if TYPE_CHECKING:
    from jobs.store.snapshots import Snapshot
    from tests.conftest import Result, World

NIGHT = "2013-04-20"
KEY = ["flight_date", "carrier", "flight", "origin"]
CAUSES = ["environment", "feature code", "rows that changed", "new rows", "SQL version", "model"]

# Rows of the past that are changed, taken away, and moved in time.
REWRITE = """
UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 90
    WHERE flight_date BETWEEN DATE '2013-04-17' AND DATE '2013-04-19' AND carrier IN ('AS', 'F9', 'FL');
DELETE FROM flight_outcomes WHERE flight_date = DATE '2013-04-18' AND carrier = 'VX';
UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-19 23:00:00+00'
    WHERE flight_date = DATE '2013-04-16' AND carrier = 'YV';
UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-21 12:00:00+00'
    WHERE flight_date = DATE '2013-04-17' AND carrier = 'VX';
UPDATE weather SET precip_in = 0.4, visib_mi = 1 WHERE observed_at >= TIMESTAMPTZ '2013-04-19 20:00:00+00';
UPDATE planes SET seats = seats + 100, year_built = year_built - 10;
DELETE FROM scheduled_flights WHERE flight_date = DATE '2013-04-20' AND carrier = 'HA';
"""
# Rows that pretend to have been known.
INSERT = """
INSERT INTO scheduled_flights SELECT * REPLACE (flight + 7000 AS flight) FROM scheduled_flights
    WHERE flight_date BETWEEN DATE '2013-04-18' AND DATE '2013-04-20' AND carrier IN ('VX', 'YV');
INSERT INTO flight_outcomes SELECT * REPLACE (flight + 7000 AS flight, 200 AS arr_delay_min) FROM flight_outcomes
    WHERE flight_date BETWEEN DATE '2013-04-18' AND DATE '2013-04-19' AND carrier IN ('VX', 'YV');
"""


@dataclass(frozen=True)
class Kept:
    """A home with runs of one night, by name: `a`; `m` after the rewriting, `b` after that and the new rows.

    `a2` and `b2` are of the same rows as `a` and `b`, by another model.
    """

    warehouse: Path
    home: Path
    runs: dict[str, str]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Kept:
    """Made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("kept")
    warehouse, home = folder / "warehouse.duckdb", folder / "home"
    shutil.copy(small_warehouse, warehouse)
    shutil.copytree(trained, home)

    def change(text: str) -> None:
        with duckdb.connect(str(warehouse)) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(text)

    def newest(*arguments: str) -> str:
        before = {path.name for path in home.glob("runs/*/*/*")}
        assert call([*arguments, "--as-of", NIGHT]) == 0
        (new,) = {path.name for path in home.glob("runs/*/*/*")} - before
        return new

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{warehouse}")
        first = {path.name for path in home.glob("models/*/*")}
        assert call(["train", "flight_delay", "--as-of", "2013-04-14"]) == 0
        (second,) = {path.name for path in home.glob("models/*/*")} - first
        found = {"a": newest("backfill"), "a2": newest("backfill", "--model", second)}
        change(REWRITE)
        found["m"] = newest("backfill", "--restate")
        change(INSERT)
        found |= {"b": newest("backfill", "--restate"), "b2": newest("backfill", "--model", second)}
    return Kept(warehouse, home, found)


@pytest.fixture
def night(kept: Kept, world: World) -> Night:
    """The world with these runs in its home; nothing of the warehouse."""
    shutil.rmtree(world.home)
    shutil.copytree(kept.home, world.home)
    world.warehouse.unlink()
    return Night(world, kept.runs)


@dataclass
class Night:
    """The runs of one night, and the program."""

    world: World
    runs: dict[str, str]

    def diff(self, one: str, two: str, *options: str) -> Result:
        """`score diff` of two of the runs, by the beginnings of their ids."""
        return self.world.run("diff", self.runs[one][:10], self.runs[two][:10], *options)

    def folder(self, name: str) -> Path:
        """Where a run lies."""
        return next(self.world.home.glob(f"runs/*/*/{self.runs[name]}"))

    def scores(self, name: str) -> dict[tuple, float]:
        """The kept scores of a run by key, read with nothing of ours."""
        return scores_in(self.folder(name))

    def snapshot(self, name: str) -> Snapshot:
        """What a run was scored from."""
        inputs = runs.read_run(self.folder(name)).inputs
        return read_snapshot(Home(self.world.home), "flight_delay", inputs.as_of, inputs.snapshot_digest)

    def model(self, name: str) -> Path:
        """Where the model of a run lies."""
        version = runs.read_run(self.folder(name)).inputs.model_version
        return self.world.home / "models" / "flight_delay" / version

    def scored(self, frame: pl.DataFrame, by: str) -> dict[tuple, float]:
        """A frame of features, scored with the model of a run."""
        version = read_version(Home(self.world.home), "flight_delay", self.model(by).name)
        model = Model.load((self.model(by) / "model.txt").read_text(), model_columns(version).names)
        raw = model.raw_scores(apply(frame, Fitted.from_json(version.fitted)), order=("as_of", *KEY))
        return dict(zip(frame.select(KEY).iter_rows(), model.probability(raw).tolist(), strict=True))

    def only_of(self, name: str, other: str) -> list[Path]:
        """The objects of one run's snapshot that the other's does not have."""
        one, two = (set(self.snapshot(each).seals(Home(self.world.home))) for each in (name, other))
        return sorted(one - two)


def scores_in(folder: Path) -> dict[tuple, float]:
    rows = duckdb.sql(f"SELECT {', '.join(KEY)}, score FROM '{folder}/scores.parquet'").fetchall()
    return {row[:-1]: row[-1] for row in rows}


def moves(one: dict[tuple, float], two: dict[tuple, float], among: set[tuple]) -> dict[tuple, Fraction]:
    """The exact change of each entity; none is left out that did not move."""
    changes = {key: Fraction(two[key]) - Fraction(one[key]) for key in among}
    return {key: change for key, change in changes.items() if change}


def by_cause(document: dict) -> dict[str, dict[tuple, Fraction]]:
    """The exact changes that a JSON document lists, by cause and key."""
    found: dict[str, dict[tuple, Fraction]] = {each["cause"]: {} for each in document["causes"]}
    for each in document["entities"]:
        for cause, change in each["by_cause"].items():
            found[cause][key_of(each)] = Fraction(change)
    return found


def key_of(entity: dict) -> tuple:
    first, *others = entity["key"].values()
    return (duckdb.sql(f"SELECT DATE '{first}'").fetchall()[0][0], *others)


def require_whole(document: dict, one: dict[tuple, float], two: dict[tuple, float]) -> None:
    """For every entity of both runs, and in sum, the causes of the document are the whole, exactly."""
    causes, both = by_cause(document), one.keys() & two.keys()
    for key in both:
        assert sum((each.get(key, Fraction(0)) for each in causes.values()), Fraction(0)) == Fraction(
            two[key]
        ) - Fraction(one[key])
    sums = {each["cause"]: Fraction(each["exact_sum"]) for each in document["causes"]}
    assert sums == {cause: sum(each.values(), Fraction(0)) for cause, each in causes.items()}
    whole = sum((Fraction(two[key]) - Fraction(one[key]) for key in both), Fraction(0))
    assert sum(sums.values()) == whole == Fraction(document["together"]["exact_sum"])
    assert document["in_both"] == len(both)


def moved(document: dict) -> list[str]:
    """The causes that moved anything."""
    return [each["cause"] for each in document["causes"] if each["moved"]]


def test_each_cause_has_what_the_night_alone_with_it_would_have_changed(night: Night) -> None:
    """Rows changed, rows were inserted, the model is another: each as if the night had been scored in between."""
    a, m, b, b2 = (night.scores(name) for name in ("a", "m", "b", "b2"))
    both = a.keys() & b2.keys()
    result = night.diff("a", "b2", "--json")

    assert result.code == 0
    found = by_cause(result.json)
    assert list(found) == CAUSES
    assert moved(result.json) == ["rows that changed", "new rows", "model"]
    assert found["rows that changed"] == moves(a, m, both)
    assert found["new rows"] == moves(m, b, both)
    assert found["model"] == moves(b, b2, both)
    require_whole(result.json, a, b2)


def test_rows_that_are_swapped_leave_a_table_as_the_warehouse_has_it_now(night: Night) -> None:
    """Every table in total order, with its day columns; nothing was inserted, so that it is the later snapshot's."""
    home = Home(night.world.home)
    a, m = (night.snapshot(name) for name in ("a", "m"))
    mutations = compare(a, m, stored_rows(home), stored_rows(home)).mutations
    later = read_tables(in_store(home), m)

    for name, rows in read_tables(in_store(home), a).items():
        assert swapped(rows, a.table(name), mutations).collect().equals(later[name].collect(), null_equal=True), name


def test_the_document_says_which_runs_and_what_they_differ_in(night: Night) -> None:
    """Everything that the terminal shows, and whole."""
    document = night.diff("a", "b2", "--json").json
    a, b2 = night.scores("a"), night.scores("b2")

    assert (document["a"]["run_id"], document["b"]["run_id"]) == (night.runs["a"], night.runs["b2"])
    assert document["a"]["as_of"] == NIGHT
    assert document["a"]["scored_at"] < document["b"]["scored_at"]
    assert document["same"] == ["night", "SQL", "feature set", "environment"]
    assert list(document["differs"]) == ["snapshot", "feature values", "model"]
    assert document["differs"]["model"]["model_version"] == [night.model("a").name, night.model("b2").name]
    assert {(each["table"], each["kind"]) for each in document["rewritten"]} == {
        ("outcomes", "changed"), ("outcomes", "vanished"), ("outcomes", "moved"), ("outcomes", "inserted"),
        ("timetable", "vanished"), ("timetable", "inserted"), ("weather", "changed"), ("planes", "changed"),
    }  # fmt: skip
    assert document["remainder"] is None
    assert {key_of({"key": each}) for each in document["only_in_a"]} == a.keys() - b2.keys()
    assert {key_of({"key": each}) for each in document["only_in_b"]} == b2.keys() - a.keys()
    assert document["only_in_a"]
    assert document["only_in_b"]
    assert "carrier_flown_3d" in document["other_values"]
    assert "weekday" not in document["other_values"]


def test_the_numbers_of_an_entity_are_those_of_the_two_score_tables(night: Night) -> None:
    """Score, raw score and rank, from and to; the furthest first."""
    document = night.diff("a", "b2", "--json").json
    tables = [
        {row[: len(KEY)]: row[len(KEY) :] for row in duckdb.sql(
            f"SELECT {', '.join(KEY)}, score, raw_score, rank FROM '{night.folder(name)}/scores.parquet'"
        ).fetchall()}
        for name in ("a", "b2")
    ]  # fmt: skip

    for each in document["entities"]:
        assert list(zip(each["score"], each["raw_score"], each["rank"], strict=True)) == [
            table[key_of(each)] for table in tables
        ]
        assert each["change"] == each["score"][1] - each["score"][0]
        assert Fraction(each["exact_change"]) == Fraction(each["score"][1]) - Fraction(each["score"][0])
    changes = [abs(each["change"]) for each in document["entities"]]
    assert changes == sorted(changes, reverse=True)
    assert len(changes) == document["together"]["moved"]


def test_the_figures_of_a_cause_are_of_all_entities_of_both_runs(night: Night) -> None:
    """How many moved, the mean over all, the largest whatever its sign, the share of all movement."""
    document = night.diff("a", "b2", "--json").json
    causes = by_cause(document)
    movement = sum(abs(change) for each in causes.values() for change in each.values())

    for each in document["causes"]:
        changes = causes[each["cause"]].values()
        assert each["moved"] == len(changes)
        assert each["mean"] == float(sum(changes, Fraction(0)) / document["in_both"])
        assert each["share"] == float(sum(map(abs, changes), Fraction(0)) / movement)
        assert abs(each["largest"]) == float(max(map(abs, changes), default=0))
        assert not changes or Fraction(each["largest"]) in {Fraction(float(change)) for change in changes}


def test_another_model_alone_is_all_model(night: Night) -> None:
    """The same rows, the same features: no other cause has moved a bit, and their rows need not be there."""
    for path in night.world.home.glob("objects/*/*.parquet"):
        path.unlink()
    document = night.diff("a", "a2", "--json").json

    assert moved(document) == ["model"]
    assert document["remainder"] is None
    assert by_cause(document)["model"] == moves(night.scores("a"), night.scores("a2"), night.scores("a").keys())
    require_whole(document, night.scores("a"), night.scores("a2"))


def test_backwards_every_cause_that_does_not_depend_on_another_has_the_other_sign(night: Night) -> None:
    """From B to A rows vanish that were new, and come that had vanished."""
    document = night.diff("m", "a", "--json").json

    assert moved(document) == ["rows that changed", "new rows"]
    require_whole(document, night.scores("m"), night.scores("a"))


def test_a_run_does_not_differ_from_itself(night: Night) -> None:
    """Nothing moved, nothing has to be executed, and that is no failure."""
    for path in night.world.home.glob("objects/*/*.parquet"):
        path.unlink()
    result = night.diff("a", "a", "--json")

    assert (result.code, result.err) == (0, "")
    assert (result.json["differs"], result.json["entities"], moved(result.json)) == ({}, [], [])
    assert result.json["in_both"] == len(night.scores("a"))
    assert "every score is the same, to the bit" in night.diff("a", "a").out


def with_other_minutes(frame: pl.DataFrame) -> pl.DataFrame:
    """As if the code built one column otherwise."""
    return frame.with_columns(pl.col("sched_dep_minute") + 180)


def change_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on."""
    built = flight_delay.build_features
    monkeypatch.setattr(
        flight_delay,
        "build_features",
        lambda tables, cutoffs, only=None: with_other_minutes(built(tables, cutoffs, only)),
    )


def test_code_that_builds_another_value_is_the_feature_code(
    night: Night, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A was built by the code of then, B by that of today."""
    shutil.copy(kept.warehouse, night.world.warehouse)
    night.world.sql("UPDATE flight_outcomes SET arr_delay_min = 0 WHERE flight_date = DATE '2013-04-15'")
    change_the_code(monkeypatch)
    new = night.world.run("backfill", "--as-of", NIGHT, "--restate", "--json").json["runs"][0]
    night.runs = {**night.runs, "new": new["run_id"]}
    document = night.diff("b", "new", "--json").json

    then, today = night.scores("b"), night.scores("new")
    built = pl.read_parquet(night.folder("b") / "features.parquet")
    by_hand = night.scored(with_other_minutes(built), "b")
    assert moved(document) == ["feature code", "rows that changed"]
    assert by_cause(document)["feature code"] == moves(then, by_hand, then.keys())
    assert by_cause(document)["rows that changed"] == moves(by_hand, today, then.keys())
    require_whole(document, then, today)


def test_code_that_is_neither_the_one_s_nor_the_other_s_is_swapped_twice(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the code of today and back again: one cause, and what it did to A and to B is added."""
    change_the_code(monkeypatch)
    document = night.diff("a", "m", "--json").json

    a, m = night.scores("a"), night.scores("m")
    both = a.keys() & m.keys()
    one, two = (
        night.scored(with_other_minutes(pl.read_parquet(night.folder(name) / "features.parquet")), "a")
        for name in ("a", "m")
    )
    there, back = moves(a, one, both), moves(two, m, both)
    added = {key: there.get(key, Fraction(0)) + back.get(key, Fraction(0)) for key in both}
    assert by_cause(document)["feature code"] == {key: change for key, change in added.items() if change}
    assert by_cause(document)["rows that changed"] == moves(one, two, both)
    require_whole(document, a, m)


def test_an_entity_that_is_absent_on_the_way_stays_where_it_was(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of today builds nothing for one carrier: its flights move where the kept frame has them again."""
    built = flight_delay.build_features
    monkeypatch.setattr(flight_delay, "build_features", lambda *given: built(*given).filter(pl.col("carrier") != "AS"))
    document = night.diff("a", "m", "--json").json

    a, m = night.scores("a"), night.scores("m")
    absent = {key for key in a.keys() & m.keys() if key[1] == "AS"}
    assert absent
    assert by_cause(document)["feature code"] == moves(a, m, absent)
    assert by_cause(document)["rows that changed"] == moves(a, m, (a.keys() & m.keys()) - absent)
    require_whole(document, a, m)


def test_the_same_frame_from_other_rows_moves_nothing_but_by_the_model(
    night: Night, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows changed that no feature sees: whatever the code of today would make of them, neither moved a score."""
    shutil.copy(kept.warehouse, night.world.warehouse)
    night.world.sql("UPDATE airports SET tzone = 'Mars/Olympus' WHERE faa = 'JFK'")
    new = night.world.run("backfill", "--as-of", NIGHT, "--restate", "--json").json["runs"][0]
    night.runs = {**night.runs, "new": new["run_id"]}
    built = flight_delay.build_features

    def sees_the_zone(tables: dict, cutoffs: list, only: object = None) -> pl.DataFrame:
        frame, zones = built(tables, cutoffs, only), tables["airports"].collect().get_column("tzone").to_list()
        return with_other_minutes(frame) if "Mars/Olympus" in zones else frame

    monkeypatch.setattr(flight_delay, "build_features", sees_the_zone)
    document = night.diff("b2", "new", "--json").json
    assert moved(document) == ["model"]
    assert document["same"] == ["night", "SQL", "feature set", "feature values", "environment"]


def one_ulp_up(scores: pl.DataFrame) -> pl.DataFrame:
    """The raw scores, and the scores with them, one bit higher."""
    return scores.with_columns(
        pl.Series(name, np.nextafter(scores[name].to_numpy(), 1)) for name in ("score", "raw_score")
    )


def test_one_bit_that_this_machine_does_not_give_is_the_environment(night: Night) -> None:
    """The kept scores of B are one bit higher than its kept features and model give here."""
    true = night.scores("a2")
    forge_scores(night.folder("a2"), one_ulp_up)
    document = night.diff("a", "a2", "--json").json

    a, a2 = night.scores("a"), night.scores("a2")
    assert moved(document) == ["environment", "model"]
    assert by_cause(document)["environment"] == moves(true, a2, a.keys())
    assert len(by_cause(document)["environment"]) == len(a)
    assert by_cause(document)["model"] == moves(a, true, a.keys())
    require_whole(document, a, a2)
    assert 0 < document["causes"][0]["largest"] < 1e-15
    assert "e-" in next(line for line in night.diff("a", "a2").out.splitlines() if line.startswith("environment "))


def test_a_scorer_that_gives_another_bit_here_is_the_environment_of_both(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves A on the way here and B on the way back; golden rows would refuse it, and then nothing could be told."""
    scorer = Model.raw_scores
    monkeypatch.setattr(Model, "raw_scores", lambda *given, **named: np.nextafter(scorer(*given, **named), np.inf))
    document = night.diff("a", "a2", "--json").json

    assert document["causes"][0]["moved"]
    assert document["causes"][0]["largest"] < 1e-15
    require_whole(document, night.scores("a"), night.scores("a2"))


def test_an_environment_on_record_that_differs_is_named(night: Night) -> None:
    """Which library, and its version in both."""
    path = night.folder("b") / "execution.json"
    body = json.loads(path.read_text())["body"]
    write_document(path, "execution", {**body, "environment": {**body["environment"], "polars": "1.0.0"}})

    there, here = night.diff("a", "b", "--json").json["differs"]["environment"]["polars"]
    assert (there, here) == (body["environment"]["polars"], "1.0.0")
    assert f"environment: polars {there} → 1.0.0" in night.diff("a", "b").out


def test_a_frame_that_is_gone_is_built_again_where_it_has_the_digest_on_record(night: Night) -> None:
    """Nothing is lost as long as the code is that of then."""
    before = night.diff("a", "b2", "--json").json
    for name in ("a", "b2"):
        (night.folder(name) / "features.parquet").unlink()

    assert night.diff("a", "b2", "--json").json == before


def test_a_run_that_kept_no_frame_is_one_whose_frame_is_gone(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """By policy, so that nothing is missing: it is built again, as long as the code is that of then."""
    before = night.diff("a", "m", "--json").json
    run = runs.read_run(night.folder("a"))
    files = {name: seal for name, seal in run.files.items() if name != "features.parquet"}
    write_document(night.folder("a") / "manifest.json", "run", runs._to_json(replace(run, files=files)))
    (night.folder("a") / "features.parquet").unlink()

    assert night.diff("a", "m", "--json").json == before
    change_the_code(monkeypatch)
    why = night.diff("a", "m", "--json").json["remainder"]["why"]
    assert why == [f"run {night.runs['a'][:12]} kept no feature frame"]


def test_a_frame_that_is_gone_and_other_code_cannot_be_told_apart_from_the_environment(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One named remainder, for A; what comes after it is still told apart."""
    (night.folder("a") / "features.parquet").unlink()
    change_the_code(monkeypatch)
    document = night.diff("a", "m", "--json").json

    remainder = "cannot be told apart: environment and feature code"
    assert moved(document) == ["feature code", "rows that changed", remainder]
    assert document["remainder"]["causes"] == ["environment", "feature code"]
    assert [str(night.folder("a") / "features.parquet") in why for why in document["remainder"]["why"]] == [True]
    require_whole(document, night.scores("a"), night.scores("m"))
    shown = night.diff("a", "m").out
    assert f"{remainder} ({document['remainder']['why'][0]})" in shown


def test_rows_that_are_gone_leave_one_remainder_with_its_reason(night: Night) -> None:
    """Objects of B's snapshot: what changed and what is new can be seen in its features alone, and not told apart."""
    gone = night.only_of("b2", "a")
    for path in gone:
        path.unlink()
    document = night.diff("a", "b2", "--json").json

    remainder = "cannot be told apart: rows that changed and new rows"
    both = night.scores("a").keys() & night.scores("b2").keys()
    assert moved(document) == ["model", remainder]
    assert by_cause(document)[remainder] == moves(night.scores("a"), night.scores("b"), both)
    assert by_cause(document)["model"] == moves(night.scores("b"), night.scores("b2"), both)
    assert document["rewritten"] is None
    assert any(str(path) in why for path in gone for why in document["remainder"]["why"])
    require_whole(document, night.scores("a"), night.scores("b2"))


def test_a_damaged_model_leaves_one_remainder_with_its_reason(night: Night) -> None:
    """Nothing can be scored by A's model: all up to B's model is one."""
    flip(night.model("a") / "model.txt")
    document = night.diff("a", "b2", "--json").json

    remainder = "cannot be told apart: rows that changed, new rows and model"
    assert moved(document) == [remainder]
    assert len(document["remainder"]["why"]) == 1
    assert "model.txt is not what was written" in document["remainder"]["why"][0]
    require_whole(document, night.scores("a"), night.scores("b2"))


def test_a_gap_with_one_cause_in_it_is_that_cause(night: Night) -> None:
    """A's model is damaged, rows and features are the same: what moved was moved by the model."""
    flip(night.model("a") / "model.txt")
    document = night.diff("a", "a2", "--json").json

    assert moved(document) == ["model"]
    assert document["remainder"] is None


@pytest.mark.parametrize("elsewhere", ["a", "a2"])
def test_an_environment_that_may_have_moved_a_score_is_named_in_the_remainder(night: Night, elsewhere: str) -> None:
    """On record one side was scored elsewhere: beside its damaged model, that can be why."""
    flip(night.model(elsewhere) / "model.txt")
    path = night.folder(elsewhere) / "execution.json"
    body = json.loads(path.read_text())["body"]
    write_document(path, "execution", {**body, "environment": {**body["environment"], "polars": "1.0.0"}})

    assert moved(night.diff("a", "a2", "--json").json) == ["cannot be told apart: environment and model"]


def test_several_gaps_are_one_remainder(night: Night) -> None:
    """Everything but the two score tables is gone."""
    for path in [*night.world.home.glob("objects/*/*"), *night.world.home.glob("runs/*/*/*/features.parquet")]:
        path.unlink()
    document = night.diff("a", "b2", "--json").json

    assert moved(document) == ["cannot be told apart: rows that changed, new rows and model"]
    require_whole(document, night.scores("a"), night.scores("b2"))


def test_code_that_fails_on_the_rows_of_then_is_no_failure_of_the_diff(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named by its kind alone: its text may repeat a row. What the frames tell is told."""

    def fails(*_: object) -> pl.DataFrame:
        raise pl.exceptions.ColumnNotFoundError("HA 51 from JFK")

    monkeypatch.setattr(flight_delay, "build_features", fails)
    result = night.diff("a", "b2", "--json")

    assert moved(result.json) == ["model", "cannot be told apart: rows that changed and new rows"]
    assert result.json["remainder"]["why"] == ["the code of today fails on what was kept (ColumnNotFoundError)"]
    assert "HA 51" not in result.out + result.err


def test_a_feature_set_that_the_code_no_longer_builds_is_named(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames are kept, so that only the rows are untold."""
    known = flight_delay.FEATURE_SET
    monkeypatch.setattr(flight_delay, "FEATURE_SET", replace(known, version=2, features=known.features[1:]))
    document = night.diff("a", "b2", "--json").json

    assert moved(document) == ["model", "cannot be told apart: rows that changed and new rows"]
    assert "the code now builds flight_delay version 2" in document["remainder"]["why"][0]
    require_whole(document, night.scores("a"), night.scores("b2"))


def test_a_frame_of_another_feature_set_is_not_scored_by_a_model_that_does_not_know_it(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns have the same names, but another version of the set says that they mean something else."""
    build, known = flight_delay.build_features, flight_delay.FEATURE_SET
    others = [replace(each, dtype=pl.Int64()) if each.name == "weekday" else each for each in known.features]
    monkeypatch.setattr(flight_delay, "FEATURE_SET", replace(known, version=2, features=tuple(others)))

    def newer(tables: dict, cutoffs: list, only: object = None) -> pl.DataFrame:
        monkeypatch.setattr(flight_delay, "FEATURE_SET", known)
        frame = with_other_minutes(build(tables, cutoffs, only)).with_columns(pl.col("weekday").cast(pl.Int64))
        monkeypatch.setattr(flight_delay, "FEATURE_SET", replace(known, version=2, features=tuple(others)))
        return frame

    monkeypatch.setattr(flight_delay, "build_features", newer)
    version = night.world.run("train", "flight_delay", "--as-of", "2013-04-14", "--json").json["model_version"]
    scored = night.world.run("backfill", "--as-of", NIGHT, "--model", version, "--json").json["runs"][0]
    night.runs = {**night.runs, "new": scored["run_id"]}
    document = night.diff("b", "new", "--json").json

    assert moved(document) == ["cannot be told apart: feature code and model"]
    assert "knows another feature set than run" in document["remainder"]["why"][1]
    assert document["same"] == ["night", "snapshot", "SQL", "environment"]
    assert document["other_values"] == dict.fromkeys(["sched_dep_minute", "weekday"], len(night.scores("b")))
    require_whole(document, night.scores("b"), night.scores("new"))


def test_a_frame_whose_columns_are_of_other_types_is_not_scored(night: Night) -> None:
    """Though its seals and digests fit: the model would take it. The rows still tell what there is to tell."""
    for name in ("a", "b2"):
        forge_features(
            night.folder(name), lambda frame: frame.with_columns(pl.col("sched_dep_minute").cast(pl.Int64) + 180)
        )
    document = night.diff("a", "b2", "--json").json

    assert moved(document) == ["rows that changed", "new rows", "model"]
    assert document["remainder"] is None
    require_whole(document, night.scores("a"), night.scores("b2"))


def test_a_score_that_is_no_number_is_no_waypoint(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be added to it."""
    monkeypatch.setattr(Model, "probability", lambda _, raw: raw * np.nan)
    document = night.diff("a", "b2", "--json").json

    assert moved(document) == ["cannot be told apart: rows that changed, new rows and model"]
    assert "NaN or infinite" in document["remainder"]["why"][0]


def test_what_is_wrong_with_the_machine_is_not_taken_for_evidence_that_is_gone(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """77: whoever asks again with the right to read gets an answer."""

    def refuses(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "objects")

    monkeypatch.setattr("jobs.differences.swapping.read_tables", refuses)
    assert night.diff("a", "b2").code == 77


def test_a_bug_of_ours_is_not_taken_for_evidence_that_is_gone(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """70, as any bug."""
    monkeypatch.setattr("jobs.differences.swapping.read_tables", lambda *_: 1 / 0)

    assert night.diff("a", "b2").code == 70


@pytest.mark.parametrize("what", ["manifest.json", "scores.parquet"])
def test_damage_at_an_end_is_an_error(night: Night, what: str) -> None:
    """80 with the file's name: of such a run nothing can be said."""
    flip(night.folder("b") / what)
    result = night.diff("a", "b")

    assert result.code == 80
    assert what in result.err
    (night.folder("b") / what).unlink()
    assert night.diff("a", "b", "--json").json["error"]["code"] == 80


def test_unknown_runs_are_not_there(night: Night) -> None:
    """66: no such run, or several that begin so."""
    assert night.world.run("diff", night.runs["a"], "ffffffff").code == 66
    night.runs = {**night.runs, "all": ""}
    result = night.diff("a", "all", "--json")
    assert (result.code, result.json["error"]["code"]) == (66, 66)


def test_runs_of_two_jobs_are_not_compared(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """2: usage, with both jobs named."""
    run = runs.read_run(night.folder("b"))
    other = replace(run, inputs=replace(run.inputs, job="flight_price"))
    folder = night.world.home / "runs" / "flight_price" / NIGHT / other.run_id
    shutil.copytree(night.folder("b"), folder)
    write_document(folder / "manifest.json", "run", runs._to_json(other))
    load = definition.load_job
    monkeypatch.setattr(definition, "job_names", lambda _: ("flight_delay", "flight_price"))
    monkeypatch.setattr(definition, "load_job", lambda name, *_: replace(load("flight_delay"), name=name))
    result = night.world.run("diff", night.runs["a"], other.run_id)

    assert result.code == 2
    assert "flight_delay" in result.err
    assert "flight_price" in result.err


def test_what_is_wrong_beside_the_ends_does_not_stop_a_diff(night: Night) -> None:
    """Events and execution records are not needed: when and where it was scored is then not on record."""
    flip(next(night.world.home.glob("events/*/00000001.json")))
    (night.folder("a") / "execution.json").unlink()
    result = night.diff("a", "b", "--json")

    assert result.code == 0
    assert result.json["a"]["scored_at"] is None
    assert "environment" in result.json["differs"]
    assert night.diff("a", "b").out.count("not on record") == 2


def test_other_nights_have_other_flights(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entity is in both: they are counted, some are named, nothing is computed."""
    one, two = (
        world.run("run", "--as-of", day, "--json").json["runs"][-1]["run_id"] for day in ("2013-04-12", "2013-04-13")
    )
    monkeypatch.setattr("jobs.differences.swapping.build_night", lambda *_: pytest.fail("nothing is to be built"))
    document = world.run("diff", one, two, "--json").json

    assert (document["in_both"], document["entities"], moved(document)) == (0, [], [])
    assert len(document["only_in_a"]) == len(scores_in(next(world.home.glob(f"runs/*/*/{one}"))))
    assert document["differs"]["night"]["as_of"] == ["2013-04-12", "2013-04-13"]
    shown = world.run("diff", one, two).out
    assert f"{len(document['only_in_a']):,} only in A: 2013-04-12 " in shown
    (listed,) = (line for line in shown.splitlines() if "only in A" in line)
    assert listed.count("2013-04-12 ") == 5
    assert listed.endswith(" ...")


def with_sql(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on the job reads the weather by another, released version of its SQL: worse weather."""
    shutil.copytree(project.sql_root(), folder)
    first = (folder / "flight_delay" / "weather_v1.sql").read_text()
    worse = first.replace("precip_in * 1000", "(precip_in + 0.5) * 1000").replace("visib_mi * 100", "visib_mi * 10")
    worse = worse.replace("humid_pct * 100", "(humid_pct - 50) * 100").replace("temp_f * 100", "(temp_f + 40) * 100")
    (folder / "flight_delay" / "weather_v2.sql").write_text(worse.replace("pressure_mb * 10", "pressure_mb * 9"))
    monkeypatch.setattr(project, "sql_root", lambda: folder)
    load = definition.load_job

    def newer(name: str, *_: object) -> definition.Job:
        job = load(name)
        return replace(job, sql_versions=tuple({**dict(job.sql_versions), "weather": 2}.items()))

    monkeypatch.setattr(definition, "load_job", newer)
    assert call(["release"]) == 0


def test_another_sql_version_is_told_from_the_rows_that_it_did_not_read(
    night: Night, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weather by version 2, with a model that was trained on it; flights are new in tables of the same SQL."""
    shutil.copy(kept.warehouse, night.world.warehouse)
    with_sql(monkeypatch, tmp_path / "sql")
    version = night.world.run("train", "flight_delay", "--as-of", "2013-04-15", "--json").json["model_version"]
    restated = night.world.run("backfill", "--as-of", NIGHT, "--restate", "--model", version, "--json")
    night.runs = {**night.runs, "s": restated.json["runs"][0]["run_id"]}
    document = night.diff("m", "s", "--json").json

    m, b, s = (night.scores(name) for name in ("m", "b", "s"))
    both = m.keys() & s.keys()
    by_old_model = night.scored(pl.read_parquet(night.folder("s") / "features.parquet"), "m")
    assert moved(document) == ["new rows", "SQL version", "model"]
    assert by_cause(document)["new rows"] == moves(m, b, both)
    assert by_cause(document)["SQL version"] == moves(b, by_old_model, both)
    assert by_cause(document)["model"] == moves(by_old_model, s, both)
    assert list(document["differs"]["SQL"]) == ["weather"]
    require_whole(document, m, s)


def by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the job scores flight numbers, which fly again on the next day, and not flights."""
    module = ModuleType("features.flight_number")
    module.__spec__ = ModuleSpec(module.__name__, None)
    module.FEATURE_SET = flight_delay.FEATURE_SET
    module.TRANSFORMS = getattr(flight_delay, "TRANSFORMS", ())
    module.KEY = tuple(KEY[1:])
    module.build_features = lambda *given: (
        flight_delay.build_features(*given).drop("flight_date").sort("as_of", *KEY[1:])
    )
    module.labels = lambda *given: flight_delay.labels(*given).drop("flight_date")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    load = definition.load_job
    monkeypatch.setattr(
        definition, "load_job", lambda name, *_: replace(load(name), key=module.KEY, features_module="flight_number")
    )


def test_another_night_is_told_from_the_rows_that_changed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flight numbers of two nights; one outcome is rewritten, another now says that it was known a day later."""
    by_number(monkeypatch)
    shutil.rmtree(world.home)
    assert world.run("train", "flight_delay", "--as-of", "2013-04-10").code == 0
    ids = {"a": world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]["run_id"]}
    world.sql("""
        UPDATE flight_outcomes SET arr_delay_min = 200 WHERE flight_date = DATE '2013-04-10' AND carrier = 'AS';
        UPDATE flight_outcomes SET recorded_at = TIMESTAMPTZ '2013-04-12 12:00:00+00'
            WHERE flight_date = DATE '2013-04-11' AND carrier IN ('VX', 'F9');
    """)
    ids["b"] = world.run("run", "--as-of", "2013-04-13", "--json").json["runs"][0]["run_id"]
    ids["m"] = world.run("backfill", "--as-of", "2013-04-12", "--restate", "--json").json["runs"][0]["run_id"]
    a, m, b = (numbers_in(next(world.home.glob(f"runs/*/*/{ids[name]}"))) for name in ("a", "m", "b"))
    both = a.keys() & b.keys()
    document = world.run("diff", ids["a"], ids["b"], "--json").json
    found = {
        each["cause"]: {
            tuple(row["key"].values()): Fraction(row["by_cause"][each["cause"]])
            for row in document["entities"]
            if each["cause"] in row["by_cause"]
        }
        for each in document["causes"]
    }

    assert moved(document) == ["rows that changed", "new rows and another night"]
    assert {each["kind"] for each in document["rewritten"]} == {"changed", "moved"}
    assert document["arrivals"]["outcomes"] > 0
    assert found["rows that changed"] == moves(a, m, both)
    assert found["new rows and another night"] == moves(m, b, both)
    assert sum(Fraction(each["exact_sum"]) for each in document["causes"]) == sum(moves(a, b, both).values())
    assert document["in_both"] == len(both) > 0
    back = world.run("diff", ids["b"], ids["a"], "--json").json
    assert sum(Fraction(each["exact_sum"]) for each in back["causes"]) == -sum(moves(a, b, both).values())

    # SQL of another version too: what A's night would be with the days since, by A's SQL, was never looked at.
    with_sql(monkeypatch, tmp_path / "sql")
    version = world.run("train", "flight_delay", "--as-of", "2013-04-11", "--json").json["model_version"]
    restated = world.run("backfill", "--as-of", "2013-04-13", "--model", version, "--restate", "--json")
    document = world.run("diff", ids["a"], restated.json["runs"][0]["run_id"], "--json").json
    assert moved(document) == [
        "rows that changed", "model", "cannot be told apart: new rows and another night and SQL version",
    ]  # fmt: skip
    assert document["remainder"]["why"] == ["weather: other SQL took it, and took it on another night"]


def numbers_in(folder: Path) -> dict[tuple, float]:
    rows = duckdb.sql(f"SELECT {', '.join(KEY[1:])}, score FROM '{folder}/scores.parquet'").fetchall()
    return {row[:-1]: row[-1] for row in rows}


def test_what_the_terminal_shows_fits_and_says_everything_once(night: Night) -> None:
    """Both runs, what differs, the causes down to the whole, the histogram, the furthest; nothing wider than 80."""
    document = night.diff("a", "b2", "--json").json
    lines = night.diff("a", "b2", "--top", "3").out.splitlines()

    assert lines[0] == "flight_delay, from run A to run B"
    assert lines[2].split()[:4] == ["A", night.runs["a"][:12], NIGHT, night.model("a").name]
    assert "the same: night, SQL, feature set and environment" in lines
    assert f"{document['in_both']} entities are in both runs, {document['together']['moved']} of them moved" in lines
    begin = lines.index("cause, in order of swaps  moved       mean    largest        sum   share")
    assert [line[:24].strip() for line in lines[begin + 1 : begin + 8]] == [*CAUSES, "all together"]
    assert lines[begin + 7].endswith(" 100.0%")
    bins = [line for line in lines if (" to " in line[:16] and "█" in line) or "no change" in line]
    assert sum(int(line[16:].split()[0].replace(",", "")) for line in bins) == document["in_both"]
    assert lines[-4].split()[:2] == ["carrier", "flight"]
    assert [line.split()[1] for line in lines[-3:]] == [str(each["key"]["flight"]) for each in document["entities"][:3]]
    assert f"the 3 that moved furthest (all of flight_date {NIGHT})" in lines
    assert max(len(line.rstrip()) for line in lines if "only in" not in line) <= 86
    assert "furthest" not in night.diff("a", "b2", "--top", "0").out


def test_a_screen_without_blocks_gets_ascii(night: Night) -> None:
    """Whatever stdout can encode, it is a page of it."""
    program = ["-c", "from jobs.cli import main; main()", "diff", night.runs["a"], night.runs["b2"]]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, *program], env=environment, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"  ####" in done.stdout
    assert b" -> " in done.stdout
