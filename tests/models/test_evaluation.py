import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import Metrics, auc, brier, calibration, log_loss, quality

SAMPLES = st.lists(st.tuples(st.sampled_from([-1.5, -0.0, 0.0, 0.1, 0.2, 0.3, 7.0]), st.booleans()), max_size=60)


def pairs_won(scores: list[float], label: list[bool]) -> Fraction | None:
    """Every pair of a positive and a negative row, one by one."""
    won = [
        Fraction(1) if a > b else Fraction(1, 2) if a == b else Fraction(0)
        for a, is_one in zip(scores, label, strict=True)
        if is_one
        for b, other in zip(scores, label, strict=True)
        if not other
    ]
    return sum(won) / len(won) if won else None


@given(SAMPLES)
def test_auc_is_the_share_of_pairs_in_order(sample: list[tuple[float, bool]]) -> None:
    """Exactly: the fraction, rounded once; ties count half."""
    scores, label = [score for score, _ in sample], [one for _, one in sample]
    expected = pairs_won(scores, label)

    assert auc(np.array(scores), np.array(label, dtype=np.float64)) == (None if expected is None else float(expected))


@given(SAMPLES, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_rows(sample: list[tuple[float, bool]], random) -> None:  # noqa: ANN001
    shuffled = random.sample(sample, len(sample))

    def figures(rows: list[tuple[float, bool]]) -> tuple[float, float, float | None]:
        chance, label = [1 / (1 + math.exp(-score)) for score, _ in rows], [float(one) for _, one in rows]
        return log_loss(chance, label), brier(chance, label), auc(np.array(chance), np.array(label))

    if sample:
        assert figures(sample) == figures(shuffled)


def test_auc_by_hand() -> None:
    """Of the 4 pairs, 0.4 beats 0.1 and 0.35; 0.35 beats 0.1 and ties with 0.35: 3.5 of 4."""
    assert auc(np.array([0.1, 0.35, 0.35, 0.4]), np.array([0.0, 0.0, 1.0, 1.0])) == 0.875


@pytest.mark.parametrize("label", [[0.0, 0.0], [1.0, 1.0]])
def test_a_sample_of_one_class_has_no_auc(label: list[float]) -> None:
    assert auc(np.array([0.1, 0.2]), np.array(label)) is None


def test_a_score_that_is_no_number_has_no_rank() -> None:
    with pytest.raises(ValueError, match="NaN"):
        auc(np.array([0.1, math.nan]), np.array([0.0, 1.0]))


def test_losses_by_hand() -> None:
    """-(ln 0.8 + ln 0.75 + ln 0.5) / 3 = -ln(0.3) / 3, and (0.04 + 0.0625 + 0.25) / 3."""
    chance, label = [0.8, 0.25, 0.5], [1.0, 0.0, 1.0]

    assert log_loss(chance, label) == pytest.approx(-math.log(0.3) / 3, rel=1e-15)
    assert brier(chance, label) == pytest.approx(0.1175, rel=1e-15)


def test_a_certainty_that_is_wrong_costs_much_but_not_infinity() -> None:
    assert log_loss([0.0, 1.0], [1.0, 0.0]) == pytest.approx(-math.log(1e-15), rel=1e-2)
    assert log_loss([0.0, 1.0], [0.0, 1.0]) == pytest.approx(0.0, abs=2e-15)


def test_calibration_by_hand() -> None:
    """25 rows: deciles of 3 and 2 rows in turn; the label says whether the score is above one half."""
    chance = np.arange(25) / 25
    found = calibration(chance[::-1], (chance[::-1] > 0.5).astype(np.float64))

    assert [row.decile for row in found] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert [row.rows for row in found] == [3, 2, 3, 2, 3, 2, 3, 2, 3, 2]
    assert found[0].mean_score == pytest.approx(0.04)
    assert found[9].mean_score == pytest.approx(0.94)
    assert [row.observed_rate for row in found] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_rows_of_equal_score_fall_into_deciles_by_their_key() -> None:
    """They come in key order: the first tenth is the lowest decile."""
    found = calibration(np.tile([0.25, 0.75], 1000), np.array([1.0] * 400 + [0.0] * 1600))

    assert [row.observed_rate for row in found] == [1.0, 0.0, 0.0, 0.0, 0.0] * 2


def test_fewer_rows_than_deciles_leave_deciles_out() -> None:
    assert [row.rows for row in calibration(np.array([0.1, 0.9]), np.array([0.0, 1.0]))] == [1, 1]


def test_the_base_rate_is_that_of_the_training_nights() -> None:
    """A constant of 0.25, on a sample that is half positive."""
    found = quality(np.array([-1.0, 1.0]), np.array([0.25, 0.75]), np.array([0.0, 1.0]), base_rate=0.25)

    assert (found.rows, found.positives, found.auc, found.base_rate) == (2, 1, 1.0, 0.25)
    assert found.base_log_loss == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2, rel=1e-15)
    assert found.base_brier == (0.0625 + 0.5625) / 2
    assert found.log_loss == pytest.approx(-math.log(0.75), rel=1e-15)
    assert found.brier == 0.0625


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="no row"):
        quality(np.empty(0), np.empty(0), np.empty(0), base_rate=0.5)


def test_metrics_say_in_json_what_was_measured() -> None:
    """Also for a sample of one class, whose AUC is null."""
    one_class = quality(np.array([-1.0, 1.0]), np.array([0.25, 0.75]), np.array([1.0, 1.0]), base_rate=0.25)
    metrics = Metrics("2013-08-25", "2013-08-31", 7, trained_rows=100, trained_nights=30, quality=one_class)

    found = json.loads(json.dumps(metrics.to_json(), allow_nan=False))

    assert found["measured"] == "a model trained on the 30 nights before 2013-08-25, on the nights from then on"
    assert found["quality"]["auc"] is None
    assert found["quality"]["calibration"][0] == {"decile": 1, "rows": 1, "mean_score": 0.25, "observed_rate": 1.0}
