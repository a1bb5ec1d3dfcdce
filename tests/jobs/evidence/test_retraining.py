"""Training again from the kept snapshot: the same text to the byte, or what differs and where."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from features.fitted import Codes, Fitted, State
from jobs.evidence import golden, retraining
from jobs.evidence.retraining import retrain_version
from jobs.steps.training import nights_of, trained_nights
from jobs.store.home import Home
from jobs.store.registry import version_names
from tests.jobs.evidence.tampering import JOB, flip, forge_version, one_ulp_more

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.steps.training import TrainingRows
    from tests.conftest import World


def version_of(world: World) -> str:
    [name] = version_names(Home(world.home), "flight_delay")
    return name


def test_each_version_of_the_verified_runs_is_trained_again_once_without_a_warehouse(world: World) -> None:
    world.run("run", "--as-of", "2013-04-13")
    world.warehouse.unlink()

    result = world.run("verify", "--all", "--retrain", "--json")

    assert result.code == 0
    assert len(result.json["runs"]) == 2
    assert result.json["models"] == [
        {
            "model_version": version_of(world),
            "job": "flight_delay",
            "identical": True,
            "detail": None,
            "environment": {"same": True, "differs": {}},
        }
    ]
    assert (
        f"model {version_of(world)} of flight_delay, trained again: the same text, byte for byte"
        in world.run("verify", "--retrain").out
    )


def test_a_version_whose_text_was_forged_is_found_among_all_that_are_kept(world: World) -> None:
    """One leaf, one bit; its manifest is whole, and no run was made by it."""
    genuine, forged = version_of(world), forge_version(world.home, one_ulp_more)

    assert [each["model_version"] for each in world.run("verify", "--retrain", "--json").json["models"]] == [genuine]
    result = world.run("verify", "--all", "--retrain", "--json")
    told = {each["model_version"]: each for each in result.json["models"]}

    assert result.code == 81
    assert {name: each["identical"] for name, each in told.items()} == {genuine: True, forged.version: False}
    assert "1 lines of the model's text are others" in told[forged.version]["detail"]
    assert "the environment is the one that it was trained in" in told[forged.version]["detail"]
    assert f"model {forged.version} of flight_delay: " in result.err


def test_another_text_in_another_environment_says_what_lightgbm_promises(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both environments, side by side."""
    real = golden.environment()
    monkeypatch.setattr(golden, "environment", lambda: {**real, "lightgbm": "9.9.9"})
    forged = forge_version(world.home, one_ulp_more)

    found = retrain_version(JOB, Home(world.home), forged.version, 1)

    assert (found.identical, found.code) == (False, 81)
    assert "LightGBM promises the same trees only inside one environment, and this is another" in found.detail
    assert f"lightgbm: {real['lightgbm']} there, 9.9.9 here" in found.detail


def other_fitted(rows: TrainingRows) -> TrainingRows:
    return replace(rows, fitted=Fitted((*rows.fitted.states, State(Codes(("x",)), ("text",), (("y",),)))))


def other_rows(rows: TrainingRows) -> TrainingRows:
    return replace(rows, frame=rows.frame.head(rows.frame.height - 1))


@pytest.mark.parametrize(
    ("change", "said"), [(other_fitted, "the fitted state is another"), (other_rows, "rows is 1778, was 1779")]
)
def test_other_training_rows_and_another_fitted_state_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[TrainingRows], TrainingRows], said: str
) -> None:
    real = retraining.training_rows
    monkeypatch.setattr(retraining, "training_rows", lambda *given: change(real(*given)))

    found = retrain_version(JOB, Home(world.home), version_of(world), 1)

    assert (found.identical, found.code) == (False, 81)
    assert said in found.detail


def test_the_nights_are_those_that_the_version_was_trained_on(world: World) -> None:
    """What a job's TOML says of nights today does not matter."""
    other = replace(JOB, label_delay_days=5, training=replace(JOB.training, warm_up_days=40))

    assert retrain_version(other, Home(world.home), version_of(world), 1).identical


def test_a_training_snapshot_that_is_no_longer_kept_is_named(world: World) -> None:
    """66: nothing is damaged, it is only not there any more."""
    [snapshot] = world.home.glob("snapshots/*/2013-04-10/*")
    shutil.rmtree(snapshot)

    result = world.run("verify", "--retrain", "--json")

    assert result.code == 66
    assert result.json["runs"][0]["identical"]
    [told] = result.json["models"]
    assert not told["identical"]
    assert f"snapshot {snapshot.name[:12]} of flight_delay as of 2013-04-10 is not kept" in told["detail"]


def test_a_damaged_training_snapshot_is_damage(world: World) -> None:
    [manifest] = world.home.glob("snapshots/*/2013-04-10/*/manifest.json")
    flip(manifest)

    result = world.run("verify", "--retrain")
    assert result.code == 80
    assert str(manifest) in result.err


@pytest.mark.parametrize(("every", "expected"), [(1, 12), (5, 3), (11, 2), (12, 1)])
def test_of_every_so_many_nights_the_last_is_trained_on(every: int, expected: int) -> None:
    """Counted back from the last that matured; a manifest says enough to find them again."""
    nights = nights_of(date(2013, 8, 13), date(2013, 8, 24), every)
    kept = {"first_night": str(nights.first), "last_night": str(nights.last), "every_nights": every}

    assert len(nights.each()) == expected
    assert (nights.each()[0], nights.each()[-1]) == (nights.first, date(2013, 8, 24))
    assert {(b - a).days for a, b in pairwise(nights.each())} <= {every}
    assert trained_nights(kept) == nights
