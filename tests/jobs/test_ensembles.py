"""An ensemble with calibrated scores, from its training to its replay: one version, several texts, the same bits."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.fitted import Fitted, apply
from jobs import research
from jobs.cli import call
from jobs.definition import load_job
from jobs.steps.scoring import ScoreNotFinite, load_model, score_table
from jobs.store.documents import write_document
from jobs.store.events import read_chain
from jobs.store.home import Home
from jobs.store.objects import read_rows
from jobs.store.registry import read_version, seal_of_text, version_folder
from jobs.store.runs import FEATURES_FILE, SCORES_FILE, read_run
from models.calibration import calibration_of
from models.curve import Curve
from models.ensemble import Ensemble
from models.kernel.choice import KERNEL
from models.scorer import Model
from tests.jobs.evidence.tampering import flip, one_ulp_more

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from jobs.store.registry import ModelVersion
    from models.booster import Floats
    from tests.conftest import World

JOB = "flight_delay"
TRAINED, NIGHT = "2013-04-10", "2013-04-13"
CHANGES: dict[str, object] = {
    "rounds": 30,
    "validation_nights": 14,
    "members": [
        {"name": "all", "weight": 2},
        {"name": "other_seed", "weight": "0.5", "seed": 5, "rounds": 20},
        {"name": "recent", "nights": 20, "without": ["*_code", "wind*"]},
    ],
    "calibration": {"method": "isotonic", "least_rows": 100},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path, trained: Path) -> Path:
    """A home whose champion is an ensemble, and a night that it has scored; tests work on copies."""
    home = tmp_path_factory.mktemp("ensemble") / "home"
    shutil.copytree(trained, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_HOME", str(home))
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{small_warehouse}")
        name = research.train(JOB, TRAINED, CHANGES).version
        assert call(["promote", name, JOB, "--unproven", "--from", TRAINED, "--reason", "a test"]) == 0
        assert call(["run", JOB, "--as-of", NIGHT]) == 0
    return home


@pytest.fixture
def version(world: World, made: Path) -> ModelVersion:
    """The ensemble, in the world's own home."""
    shutil.rmtree(world.home)
    shutil.copytree(made, world.home)
    home = Home(world.home)
    return read_version(home, JOB, read_chain(home, JOB).champion(date.fromisoformat(NIGHT)))


@pytest.fixture
def night(world: World, version: ModelVersion) -> Path:
    """The folder of the night's run by the ensemble."""
    [folder] = Home(world.home).runs(JOB, date.fromisoformat(NIGHT)).iterdir()
    assert read_run(folder).inputs.model_version == version.version
    return folder


def test_a_version_says_what_its_members_are(world: World, version: ModelVersion) -> None:
    """Weights as whole numbers, the columns that each knows, the nights that each saw; a file a member."""
    first, other, recent = version.members
    columns = tuple(name for name, _ in version.features)

    assert [(each.name, each.weight) for each in version.members] == [("all", 4), ("other_seed", 1), ("recent", 2)]
    assert first.features == columns
    assert recent.features == tuple(
        name for name in columns if not name.endswith("_code") and not name.startswith("wind")
    )
    assert (recent.nights, recent.rows < first.rows == version.training["rows"]) == (20, True)
    folder = version_folder(Home(world.home), version)
    files = sorted(path.name for path in folder.glob("*.txt"))
    assert files == ["member_all.txt", "member_other_seed.txt", "member_recent.txt"]
    assert other.seal != first.seal
    assert version.calibration is not None
    assert version.calibration["last_night"] == version.training["last_night"]


def test_training_and_show_say_what_a_version_is_made_of(world: World, version: ModelVersion) -> None:
    said = world.run("show", version.version).out

    assert "the weighted mean of 3 members: all × 4 (" in said  # noqa: RUF001  times
    assert "recent × 2 (20 nights)" in said  # noqa: RUF001  times
    assert "scores calibrated (isotonic) by the nights 2013-03-2" in said
    shown = world.run("show", version.version, "--json").json
    assert [each["name"] for each in shown["members"]] == ["all", "other_seed", "recent"]


def test_published_scores_are_the_members_added_by_hand_and_calibrated(
    world: World, version: ModelVersion, night: Path
) -> None:
    """From the kept texts and the kept features; `rank` is by raw score, which calibration ties but never inverts."""
    features, scores = read_rows([night / FEATURES_FILE]), read_rows([night / SCORES_FILE])
    applied = apply(features, Fitted.from_json(version.fitted))
    folder = version_folder(Home(world.home), version)
    raw = [
        Model.load((folder / member.file).read_text(), member.features)
        .raw_scores(applied.select(member.features))
        .tolist()
        for member in version.members
    ]
    expected = [(a * 4.0 + b * 1.0 + c * 2.0) / 7.0 for a, b, c in zip(*raw, strict=True)]

    assert scores["raw_score"].to_list() == expected
    assert version.calibration is not None
    calibration = calibration_of(version.calibration["fitted"])
    assert scores["score"].to_list() == calibration.scores(np.array(expected)).tolist()
    by_rank = scores.sort("rank")
    assert by_rank["raw_score"].is_sorted(descending=True)
    assert by_rank["score"].is_sorted(descending=True)
    assert by_rank["score"].n_unique() < by_rank["raw_score"].n_unique()


def test_it_is_replayed_and_trained_again_to_the_bit(world: World, night: Path) -> None:
    """By LightGBM and, on the same features, by the kernel."""
    world.warehouse.unlink()
    done = world.run("verify", "--all", "--retrain", "--json")

    assert done.code == 0, done.err
    assert all(each["identical"] for each in (*done.json["runs"], *done.json["models"]))
    assert len(done.json["models"]) == 2
    record = json.loads((night / "execution.json").read_text())["body"]
    assert record["scored_by"].startswith("lightgbm predict: ")


def test_the_kernel_gives_the_night_the_same_bits(world: World, version: ModelVersion, night: Path) -> None:
    features, scores = read_rows([night / FEATURES_FILE]), read_rows([night / SCORES_FILE])
    applied = apply(features, Fitted.from_json(version.fitted))
    kernel = load_model(Home(world.home), version).only(KERNEL)
    raw = kernel.raw_scores(applied, ("as_of", *load_job(JOB).key), threads=2)

    assert raw.tolist() == scores["raw_score"].to_list()
    assert kernel.probability(raw).tolist() == scores["score"].to_list()


def test_every_proof_holds(world: World, version: ModelVersion) -> None:
    done = world.run("prove", "--as-of", NIGHT, "--model", version.version, "--json")

    assert (done.code, done.err) == (0, "")
    details = {proof["name"]: proof["detail"] for proof in done.json["proofs"] if proof["held"]}
    assert "3 members of 20 and 30 rounds, calibrated" in details["training"]


def test_diff_names_the_model_between_a_single_one_and_an_ensemble(
    world: World, version: ModelVersion, night: Path
) -> None:
    [single] = {path.name for path in (world.home / "models" / JOB).iterdir()} - {version.version}
    again = world.run("backfill", "--as-of", NIGHT, "--model", single, "--json").json["runs"][0]["run_id"]
    found = world.run("diff", again, night.name, "--json")

    assert found.code == 0, found.err
    assert list(found.json["differs"]) == ["model"]
    assert found.json["remainder"] is None


@pytest.mark.parametrize("member", ["member_all.txt", "member_recent.txt"])
def test_a_damaged_member_stops_everything_before_lightgbm_sees_it(
    world: World, version: ModelVersion, night: Path, member: str
) -> None:
    path = version_folder(Home(world.home), version) / member
    flip(path, 1000)

    asked = [
        world.run("backfill", "--as-of", NIGHT), world.run("verify", night.name), world.run("verify", "--all"),
        world.run("doctor"), world.run("run", "--as-of", "2013-04-14"),
    ]  # fmt: skip
    assert [done.code for done in asked] == [80] * 5
    assert all(member in done.err + done.out for done in asked)
    assert "nothing is published" not in world.run("runs").out
    path.unlink()
    assert world.run("backfill", "--as-of", NIGHT).code == 80


def test_another_calibration_than_training_gives_is_found(world: World, version: ModelVersion) -> None:
    """A manifest whole in itself, whose blocks somebody changed: training again finds it."""
    home = Home(world.home)
    body = json.loads(json.dumps(version.calibration))
    body["fitted"]["blocks"][0][2] += 1
    forged = replace(version, calibration=body)
    folder = version_folder(home, version)
    folder.rename(folder.with_name(forged.version))
    write_document(version_folder(home, forged) / "manifest.json", "model version", forged.to_json())
    done = world.run("verify", "--all", "--retrain", "--json")

    told = {each["model_version"]: each["detail"] for each in done.json["models"]}
    assert told[forged.version].startswith("the calibration is another; ")


def test_another_member_than_training_gives_is_named(world: World, version: ModelVersion) -> None:
    home = Home(world.home)
    one, two, three = version.members
    folder = version_folder(home, version)
    text = one_ulp_more((folder / two.file).read_text())
    forged = replace(version, members=(one, replace(two, seal=seal_of_text(text)), three))
    (folder / two.file).write_text(text)
    folder.rename(folder.with_name(forged.version))
    write_document(version_folder(home, forged) / "manifest.json", "model version", forged.to_json())
    done = world.run("verify", "--all", "--retrain", "--json")

    told = {each["model_version"]: each["detail"] for each in done.json["models"]}
    assert "1 lines of member other_seed's text are others" in str(told[forged.version])


def test_what_became_known_at_or_after_the_cutoff_changes_neither_members_nor_calibration(
    world: World, version: ModelVersion
) -> None:
    """The rows to calibrate by are those of matured nights; every later outcome is turned into a long delay."""
    changed = world.sql(
        "UPDATE flight_outcomes SET arr_delay_min = 400 WHERE recorded_at >= ? RETURNING 1",
        f"{TRAINED} 04:00:00+00",
    )
    assert len(changed) > 1000

    again = research.train(JOB, TRAINED, CHANGES, home=world.home.with_name("anew")).version

    assert again == version.version


def test_the_calibrated_scores_of_an_ensemble_are_published_to_analysts(world: World, night: Path) -> None:
    kept = read_rows([night / SCORES_FILE])
    shown = world.published(f"SELECT count(*), count(DISTINCT score) FROM {JOB} WHERE as_of = DATE '{NIGHT}'")

    assert shown == [(kept.height, kept["score"].n_unique())]


def test_a_score_that_is_infinite_is_not_published(world: World, version: ModelVersion) -> None:
    """A logarithm that is finite, whose exponential is not: as a `poisson` model could give it."""
    model = load_model(Home(world.home), version)
    assert isinstance(model, Ensemble)
    beyond = replace(model, curve=Curve("exponential"), parts=tuple(replace(each, weight=1) for each in model.parts))
    [folder] = Home(world.home).runs(JOB, date.fromisoformat(NIGHT)).iterdir()
    frame = read_rows([folder / FEATURES_FILE])
    assert score_table(load_job(JOB), frame, version, beyond).height == frame.height

    with pytest.raises(ScoreNotFinite, match="a score that is infinite; nothing is published"):
        score_table(load_job(JOB), frame, version, Overflowing(beyond))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Overflowing:
    """A scorer with the curve of another, whose raw scores are far beyond what an exponential holds."""

    other: Ensemble

    def raw_scores(self, frame: pl.DataFrame, **_numbers: object) -> Floats:
        """Finite ones."""
        return np.full(frame.height, 1000.0)

    def probability(self, raw: Floats) -> Floats:
        """Infinities."""
        return self.other.probability(raw)
