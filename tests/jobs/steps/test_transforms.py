"""Fitted transforms on the whole way: trained with, scored, replayed, trained again, measured, and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features import flight_delay
from features.fitted import (
    Codes,
    Fitted,
    MedianImputation,
    MissingIndicator,
    QuantileBins,
    RandomSampleImputation,
    RareLabels,
    TargetEncoding,
    Winsorising,
    apply,
)
from jobs.definition import load_job
from jobs.evidence.retraining import retrain_version
from jobs.steps.scoring import model_columns
from jobs.steps.training import fit_rows, learning, training_rows
from jobs.store.home import Home
from jobs.store.registry import read_version, version_names
from jobs.store.snapshots import read_snapshot
from models.training import TooFewNights

if TYPE_CHECKING:
    from features.fitted.declaring import Transform
    from tests.conftest import World

JOB = load_job("flight_delay")
MANY = (
    MissingIndicator(("wind_gust_mph",)),
    RandomSampleImputation(("wind_gust_mph", "plane_age_years"), seed=7),
    MedianImputation(("plane_seats",)),
    Winsorising(("number_mean_delay_min_28d",)),
    QuantileBins(("sched_dep_minute",), bins=6, suffix="_bin"),
    TargetEncoding(("dest_code", "sched_dep_minute_bin"), weight=50),
    RareLabels(("dest_code",), "0.02"),
    Codes(("dest_code",), unseen="own"),
)
ADDED = ("wind_gust_mph_missing", "sched_dep_minute_bin", "dest_code_target", "sched_dep_minute_bin_target")


def declare(monkeypatch: pytest.MonkeyPatch, *transforms: Transform) -> None:
    """The job of the small world, with other transforms than it has."""
    monkeypatch.setattr(flight_delay, "TRANSFORMS", transforms)


def trained_as_of(world: World, as_of: str) -> str:
    """The name of a version trained then, which is the challenger."""
    return world.run("train", "flight_delay", "--as-of", as_of, "--json").json["model_version"]


def test_a_version_with_many_transforms_scores_is_replayed_and_trained_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All after the job has come to declare none: what counts is what the version keeps of them."""
    declare(monkeypatch, *MANY)
    name = trained_as_of(world, "2013-04-14")
    declare(monkeypatch)
    version = read_version(Home(world.home), "flight_delay", name)

    assert "target encoding of dest_code, sched_dep_minute_bin; rare labels of dest_code" in world.run("show", name).out
    assert model_columns(version).names == (*flight_delay.FEATURE_SET.names, *ADDED)
    assert [feature for feature, _ in version.features] == list(flight_delay.FEATURE_SET.names)
    assert version.feature_fingerprint == flight_delay.FEATURE_SET.fingerprint
    assert Fitted.from_json(version.fitted).transforms[:-1] == MANY
    run = world.run("backfill", "--as-of", "2013-04-15", "--model", name, "--json").json["runs"][0]
    assert run["status"] == "published"
    assert world.run("verify", run["run_id"], "--retrain").code == 0
    champion = world.run("backfill", "--as-of", "2013-04-15", "--json").json["runs"][0]
    assert world.run("diff", champion["run_id"], run["run_id"]).code == 0


def test_a_version_is_trained_again_by_what_it_was_trained_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one from before transforms were declared, and when labels are said to take longer by now."""
    declare(monkeypatch)
    plain = trained_as_of(world, "2013-04-14")
    declare(monkeypatch, TargetEncoding(("carrier_code",)))
    encoded = trained_as_of(world, "2013-04-15")
    [first] = set(version_names(Home(world.home), "flight_delay")) - {plain, encoded}

    assert json.loads(read_version(Home(world.home), "flight_delay", plain).fitted).keys() == {"labels"}
    for name in (first, plain, encoded):
        assert retrain_version(replace(JOB, label_delay_days=5), Home(world.home), name, 1).identical, name


def test_what_is_measured_is_learnt_of_nights_that_had_matured_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By transforms too: those of a training on that day. The night before has not matured, and is left out."""
    home = Home(world.home)
    version = read_version(home, "flight_delay", *version_names(home, "flight_delay"))
    snapshot = read_snapshot(home, "flight_delay", version.as_of, version.snapshot_digest)
    declare(monkeypatch, *MANY)
    rows = training_rows(JOB, home, snapshot)
    parts = learning(JOB, rows, 28)
    assert parts.early is not None
    assert parts.late is not None
    early, late = parts.early.frame, parts.late.frame

    first_late, last_early = late["as_of"].min(), early["as_of"].max()
    assert first_late == date.fromisoformat(str(version.metrics["first_night"]))
    assert last_early == first_late - timedelta(days=2)
    assert version.metrics["trained_rows"] == early.height
    on_that_day = rows.built["as_of"] <= last_early
    then = fit_rows(JOB, rows.built.filter(on_that_day), rows.label.filter(on_that_day), None)
    assert then.to_json() != rows.fitted.to_json()
    assert apply(rows.built.filter(on_that_day), then).equals(early.drop("label"))
    assert then.columns(flight_delay.FEATURE_SET).names == parts.early.features == parts.late.features
    with pytest.raises(TooFewNights, match="had matured by then, and the last"):
        learning(JOB, rows, rows.nights - 1)


@pytest.mark.parametrize(
    ("transform", "code", "said"),
    [
        (MedianImputation(("plane_speed",)), 78, "median imputation is declared for plane_speed, which flight_delay"),
        (MedianImputation(("carrier_code",)), 78, "median imputation is for float64, int16, int32, int64, int8"),
        (RareLabels(("carrier_code",), "0.9999"), 0, ""),
        (Winsorising(("empty",)), 65, "`empty` is null in all 1779 training rows, so winsorising learns nothing of it"),
    ],
)
def test_what_cannot_be_learnt_is_one_line_and_its_code(
    world: World, monkeypatch: pytest.MonkeyPatch, transform: Transform, code: int, said: str
) -> None:
    """A declaration is refused before anything is read, be there a warehouse or not."""
    if code == 65:
        build, known = flight_delay.build_features, flight_delay.FEATURE_SET
        features = (*known.features, replace(known.features[-1], name="empty"))
        monkeypatch.setattr(flight_delay, "FEATURE_SET", replace(known, features=features))
        monkeypatch.setattr(flight_delay, "build_features", lambda *given: build_without(build, known, given))
    declare(monkeypatch, transform)
    if code == 78:
        world.warehouse.unlink()
    done = world.run("train", "flight_delay", "--as-of", "2013-04-10")

    assert (done.code, said in done.err) == (code, True), done.err
    assert done.err.count("\n") == (1 if code else 0)


def build_without(build: object, known: object, given: tuple) -> pl.DataFrame:
    """The features of the job, and one that is never known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flight_delay, "FEATURE_SET", known)
        return build(*given).with_columns(empty=pl.lit(None, pl.Float64))  # type: ignore[operator]


def test_a_night_with_one_unseen_label_is_refused_where_none_may_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """65, whatever share of its rows may be so elsewhere; the label is not named."""
    declare(monkeypatch, Codes(("carrier_code",), unseen="refuse"))
    name = trained_as_of(world, "2013-04-11")
    world.sql(
        "UPDATE scheduled_flights SET carrier = 'QQ' WHERE (flight_date, carrier, flight, origin) IN "
        "(SELECT (flight_date, carrier, flight, origin) FROM scheduled_flights "
        "WHERE flight_date = DATE '2013-04-13' ORDER BY ALL LIMIT 1)"
    )

    done = world.run("backfill", "--as-of", "2013-04-13", "--model", name)

    assert done.code == 65
    assert "`carrier_code` in 1 of " in done.err
    assert 'none may be so (`unseen="refuse"`)' in done.err
    assert "QQ" not in done.err
