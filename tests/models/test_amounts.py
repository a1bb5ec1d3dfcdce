"""Measures of predicted amounts: by hand, in any order of rows, and against scipy."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from models.amounts import AmountQuality, amount_quality, mean_and_median, spearman, tenths, top_tenth_share
from models.evaluation import Constants, Metrics, Quality, Sample, measure
from models.matrix import FeaturesDiffer
from models.parameters import Parameters, ParametersRefused, change_parameters, parse_parameters
from models.training import train
from tests.models.learning import learning

if TYPE_CHECKING:
    from models.booster import Floats

SCORE, LABEL = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.0, 30.0, 30.0, 100.0])
LAST_WEEK = np.array([0.0, 60.0, math.nan, 80.0])
AMOUNTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=2, max_size=40)


def measured(score: Floats, label: Floats, baseline: Floats | None = None) -> AmountQuality:
    return amount_quality(score, label, (25.0, 15.0), None if baseline is None else ("last_week", baseline))


def test_errors_by_hand() -> None:
    """Errors of 10, -10, 0 and -60; the constants are off by 25, -5, -5, -75 and by 15, -15, -15, -85."""
    found = measured(SCORE, LABEL)

    assert (found.rows, found.mae, found.mean_error, found.mean_observed) == (4, 20.0, -15.0, 40.0)
    assert found.rmse == math.sqrt(3800 / 4)
    assert (found.base_mae, found.base_rmse) == (32.5, math.sqrt((625 + 25 + 25 + 5625) / 4))
    assert found.r2 == 1 - 3800 / 6300
    assert found.spearman == pytest.approx(3 / math.sqrt(10), rel=1e-15)
    assert found.top_tenth_share == 100 / 160
    assert found.baseline is None


def test_a_naive_score_is_measured_beside_it_and_has_the_mean_where_it_is_null() -> None:
    """Errors of 0, 30, 25 - 30 and -20; the model is spared a share of its squared error, which may be negative."""
    found = measured(SCORE, LABEL, LAST_WEEK).baseline

    assert found is not None
    assert (found.feature, found.mae, found.mean_error) == ("last_week", 55 / 4, 5 / 4)
    assert found.rmse == math.sqrt(1325 / 4)
    assert found.r2_over == 1 - 3800 / 1325 < 0


def test_what_cannot_be_said_is_null() -> None:
    """No ranks where all are the same, no share of nothing, nothing to be spared where no error is made."""
    flat = measured(np.array([5.0, 5.0]), np.array([0.0, 0.0]), np.array([0.0, 0.0]))

    assert (flat.spearman, flat.top_tenth_share) == (None, None)
    assert flat.baseline is not None
    assert flat.baseline.r2_over is None
    assert measured(np.array([1.0]), np.array([25.0])).r2 is None


def test_the_median_is_a_value_that_occurred_and_the_mean_is_of_the_training_labels() -> None:
    assert mean_and_median(np.array([9.0, 1.0, 2.0, 4.0])) == (4.0, 2.0)
    assert mean_and_median(np.array([9.0, 1.0, 2.0])) == (4.0, 2.0)


@given(AMOUNTS)
def test_ranks_agree_with_scipy_ties_and_all(rows: list[tuple[int, int]]) -> None:
    score, label = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found = spearman(score, label)

    if len(set(score)) == 1 or len(set(label)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(score, label).statistic, abs=1e-12)


@given(AMOUNTS, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_rows_changes_no_bit(rows: list[tuple[int, int]], chance: object) -> None:
    """But for tenths and the top one, where equal scores are told apart by their place, which is key order."""
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        measured(*(np.array(column, dtype=np.float64) / 7 for column in zip(*each, strict=True)))
        for each in (rows, shuffled)
    )

    assert replace(one, calibration=(), top_tenth_share=None) == replace(other, calibration=(), top_tenth_share=None)


@given(AMOUNTS)
def test_the_mean_error_is_the_exact_one_rounded_once(rows: list[tuple[int, int]]) -> None:
    score, label = (np.array(column, dtype=np.float64) / 7 for column in zip(*rows, strict=True))
    exact = sum(Fraction(float(a - b)) for a, b in zip(score, label, strict=True))

    assert measured(score, label).mean_error == float(exact) / len(rows)


def test_tenths_and_the_highest_of_them_by_hand() -> None:
    """25 rows, of which three have the highest scores; and what they had of all."""
    score, label = np.arange(25.0), np.where(np.arange(25) >= 23, 50.0, 1.0)

    assert [each.rows for each in tenths(score, label)] == [3, 2, 3, 2, 3, 2, 3, 2, 3, 2]
    assert (tenths(score, label)[-1].mean_score, tenths(score, label)[-1].mean_observed) == (23.5, 50.0)
    assert top_tenth_share(score, label) == 101 / 123


def test_each_kind_of_score_has_its_own_measures() -> None:
    sample = Sample(SCORE / 50, SCORE / 50, np.array([0.0, 1.0, 0.0, 1.0]), binary=True)

    assert isinstance(measure(sample, Constants(0.5, 0.0)), Quality)
    assert isinstance(measure(replace(sample, binary=False), Constants(0.5, 0.0)), AmountQuality)
    with pytest.raises(ValueError, match="no row"):
        measure(Sample(np.empty(0), np.empty(0), np.empty(0), binary=False), Constants(0.5, 0.0))


def test_a_probability_has_a_naive_score_too() -> None:
    """Held between 0 and 1, the base rate where it is null: 1, 0.25, 0 of what happened, did not, and happened."""
    sample = Sample(
        np.zeros(3), np.full(3, 0.5), np.array([1.0, 0.0, 1.0]), binary=True,
        baseline=("share", np.array([7.0, math.nan, -1.0])),
    )  # fmt: skip
    found = measure(sample, Constants(0.25, 0.0))

    assert isinstance(found, Quality)
    assert found.baseline is not None
    assert (found.baseline.feature, found.baseline.auc, found.baseline.brier) == ("share", 0.5, (0.0625 + 1) / 3)


def test_metrics_without_a_baseline_say_nothing_of_one() -> None:
    """So that the versions of a job that declares none are named as they were."""
    found = measured(SCORE, LABEL)
    without = Metrics("2013-08-25", "2013-08-31", 7, trained_rows=1, trained_nights=1, quality=found).to_json()
    beside = Metrics("2013-08-25", "2013-08-31", 7, 1, 1, measured(SCORE, LABEL, LAST_WEEK)).to_json()

    assert "baseline" not in json.loads(json.dumps(without, allow_nan=False))["quality"]
    assert json.loads(json.dumps(beside, allow_nan=False))["quality"]["baseline"]["feature"] == "last_week"


def test_training_measures_the_declared_baseline_on_the_late_nights(
    frame: pl.DataFrame, parameters: Parameters
) -> None:
    """By the very values of the feature, for both kinds of objective; the model itself is not another."""
    learnt = learning(frame, parameters)
    plain, beside = (train(learnt, each, 1) for each in (parameters, replace(parameters, baseline="wind_mph")))

    assert learnt.late is not None
    assert plain.metrics is not None
    assert beside.metrics is not None
    assert beside.texts == plain.texts
    assert beside.metrics.quality.baseline is not None
    assert asdict(replace(beside.metrics.quality, baseline=None)) == asdict(plain.metrics.quality)
    wind = learnt.late.frame["wind_mph"].cast(pl.Float64).fill_null(beside.metrics.quality.base_rate).clip(0, 1)
    brier = math.fsum((wind - learnt.late.frame["label"]).to_numpy() ** 2) / wind.len()
    assert beside.metrics.quality.baseline.brier == pytest.approx(brier, rel=1e-12)


def test_a_baseline_that_is_no_feature_is_refused_before_training(frame: pl.DataFrame, parameters: Parameters) -> None:
    with pytest.raises(FeaturesDiffer, match="the baseline but no feature `luck`"):
        train(learning(frame, parameters), replace(parameters, baseline="luck"), 1)


def test_parameters_carry_the_baseline_there_and_back(parameters: Parameters) -> None:
    """Where there is none, nothing is written of it: old manifests stay as they are."""
    changed = change_parameters(parameters, {"baseline": "wind_mph"})

    assert "baseline" not in parameters.to_json()
    assert Parameters.from_json(changed.to_json()) == changed
    assert Parameters.from_json(parameters.to_json()).baseline == ""


@pytest.mark.parametrize(("line", "said"), [("baseline = 3", "the name of one feature"), ('baseline = "a"', "codes")])
def test_a_baseline_that_is_no_name_or_a_code_is_refused_with_its_line(line: str, said: str) -> None:
    text = f'objective = "binary"\nrounds = 3\nseed = 7\nvalidation_nights = 2\ncategorical = ["a"]\n{line}\n'

    with pytest.raises(ParametersRefused, match=rf"late.toml:6: .*{said}"):
        parse_parameters(text, "late.toml")
