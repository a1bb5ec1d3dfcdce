"""Calibration: exact whatever the order of rows, never inverting two scores, and back from JSON to the bit."""

import json
import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.booster import Floats
from models.calibrating import Asked
from models.calibration import (
    Block,
    Calibration,
    CalibrationFailed,
    CalibrationUnknown,
    Isotonic,
    Platt,
    calibration_of,
    fit_calibration,
)
from models.curve import Curve
from models.evaluation import log_loss
from models.kernel.choice import KERNEL
from models.parameters import Parameters, change_parameters
from models.scorer import Model
from models.training import Learning, train, train_again
from tests.models.columns import FEATURES, ORDER
from tests.models.learning import learning

WAYS = [Asked("isotonic", "line", 1), Asked("isotonic", "step", 1), Asked("isotonic", "line", 20), Asked("platt")]
RAW = st.one_of(st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0]), st.floats(-40, 40))
ROWS = st.lists(st.tuples(RAW, st.booleans()), min_size=2, max_size=80)


def arrays(rows: list[tuple[float, bool]]) -> tuple[Floats, Floats]:
    return np.array([raw for raw, _ in rows]), np.array([float(label) for _, label in rows])


def fitted(asked: Asked, rows: list[tuple[float, bool]]) -> Calibration:
    """Rows that say how, or another example."""
    raw, label = arrays(rows)
    assume(0 < label.sum() < len(label))
    try:
        return fit_calibration(asked, raw, label)
    except CalibrationFailed:
        assume(condition=False)
        raise


def scores(calibration: Calibration, raw: Floats) -> Floats:
    return Curve("logistic", 1.0, calibration).scores(raw, compiled=False)


@pytest.mark.parametrize("asked", WAYS, ids=str)
@given(rows=ROWS, data=st.data())
def test_the_order_of_rows_does_not_matter(asked: Asked, rows: list[tuple[float, bool]], data: st.DataObject) -> None:
    found = fitted(asked, rows)

    other = fit_calibration(asked, *arrays(data.draw(st.permutations(rows))))
    assert json.dumps(other.to_json()) == json.dumps(found.to_json())  # -0.0 is not 0.0 there


@pytest.mark.parametrize("asked", WAYS, ids=str)
@given(rows=ROWS, others=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_the_order_of_two_scores_is_never_inverted(
    asked: Asked, rows: list[tuple[float, bool]], others: list[float]
) -> None:
    """At the scores themselves, one bit beside each, and anywhere else."""
    raw, _ = arrays(rows)
    asks = np.array([*raw, *np.nextafter(raw, np.inf), *np.nextafter(raw, -np.inf), *others])
    found = scores(fitted(asked, rows), np.sort(asks))

    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("asked", WAYS, ids=str)
@given(rows=ROWS)
def test_it_comes_back_from_json_to_the_bit(asked: Asked, rows: list[tuple[float, bool]]) -> None:
    found = fitted(asked, rows)

    assert calibration_of(json.loads(json.dumps(found.to_json()))) == found


@given(ROWS)
def test_blocks_are_those_of_the_greatest_convex_minorant(rows: list[tuple[float, bool]]) -> None:
    """Another way to the same: the slopes of the lower hull of the running counts, in exact fractions."""
    raw, label = arrays(rows)
    assume(0 < label.sum() < len(label))
    found = fit_calibration(Asked("isotonic", "step", 1), raw, label)
    assert isinstance(found, Isotonic)
    shares = {one: _hull_share(rows, one) for one in {raw + 0.0 for raw, _ in rows}}
    by_block = [
        ({shares[one] for one in shares if each.lowest <= one <= each.highest}, Fraction(each.happened, each.rows))
        for each in found.blocks
    ]

    for inside, share in by_block:  # a block with one outcome only was pooled with its neighbour
        assert inside == {share} or len(inside) > 1 or inside & {Fraction(0), Fraction(1)}
    assert sum(each.rows for each in found.blocks) == len(rows)
    assert sum(each.happened for each in found.blocks) == label.sum()


def _hull_share(rows: list[tuple[float, bool]], one: float) -> Fraction:
    """Maximum over starts below of min over ends above of the shares between: the isotonic fit by its definition."""
    distinct = sorted({raw + 0.0 for raw, _ in rows})

    def share(low: float, high: float) -> Fraction:
        labels = [label for raw, label in rows if low <= raw <= high]
        return Fraction(sum(labels), len(labels))

    lows, highs = [each for each in distinct if each <= one], [each for each in distinct if each >= one]
    return max(min(share(low, high) for high in highs) for low in lows)


@given(st.lists(st.tuples(RAW, st.booleans()), min_size=60, max_size=200), st.integers(1, 30))
def test_every_block_has_rows_enough_and_both_outcomes(rows: list[tuple[float, bool]], least: int) -> None:
    raw, label = arrays(rows)
    assume(0 < label.sum() < len(label))
    found = fit_calibration(Asked("isotonic", "line", least), raw, label)

    assert isinstance(found, Isotonic)
    assert all(each.rows >= least and 0 < each.happened < each.rows for each in found.blocks)
    assert all(a.highest < b.lowest for a, b in zip(found.blocks, found.blocks[1:], strict=False))


def test_a_score_between_two_blocks_is_on_the_step_or_on_the_line() -> None:
    blocks = (Block(-2.0, -1.0, 1, 4), Block(1.0, 1.0, 1, 2), Block(3.0, 5.0, 3, 4))
    raw = np.array([-9.0, -2.0, -1.0, -0.5, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0])

    step, line = (Isotonic(between, blocks).scores(raw).tolist() for between in ("step", "line"))  # type: ignore[arg-type]

    assert step == [0.25, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75]
    assert line == [0.25, 0.25, 0.25, 0.3125, 0.375, 0.5, 0.625, 0.75, 0.75, 0.75]


def test_platt_finds_the_line_that_made_the_labels() -> None:
    draw = np.random.default_rng(5)
    raw = draw.normal(size=40_000) * 2
    label = (draw.random(40_000) < 1 / (1 + np.exp(-(0.7 * raw - 1.1)))).astype(float)

    found = fit_calibration(Asked("platt"), raw, label)

    assert isinstance(found, Platt)
    assert found.slope == pytest.approx(0.7, abs=0.02)
    assert found.offset == pytest.approx(-1.1, abs=0.03)


@given(ROWS)
def test_no_line_near_platts_is_better(rows: list[tuple[float, bool]]) -> None:
    found = fitted(Asked("platt"), rows)
    raw, label = arrays(rows)
    ones = int(label.sum())
    target = np.where(label == 1, (ones + 1) / (ones + 2), 1 / (len(label) - ones + 2))

    def loss(slope: float, offset: float) -> float:
        line = slope * raw + offset
        return math.fsum((np.logaddexp(0, line) - target * line).tolist())

    assert isinstance(found, Platt)
    best = loss(found.slope, found.offset)
    for towards in ((1, 0), (0, 1), (1, 1), (1, -1)):
        for sign in (1e-3, -1e-3):
            slope = found.slope + towards[0] * sign * max(1.0, abs(found.slope))
            offset = found.offset + towards[1] * sign * max(1.0, abs(found.offset))
            assert loss(slope, offset) >= best - 1e-7


@pytest.mark.parametrize("asked", WAYS, ids=str)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_that_all_had_the_same_outcome_say_nothing(asked: Asked, label: float) -> None:
    with pytest.raises(CalibrationFailed, match="all 9 rows to calibrate by have the same outcome"):
        fit_calibration(asked, np.arange(9.0), np.full(9, label))


@pytest.mark.parametrize("raw", [[3.0, 2.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
def test_scores_that_say_nothing_or_the_contrary_are_not_calibrated_by_a_line(raw: list[float]) -> None:
    with pytest.raises(CalibrationFailed, match="it happened no more often"):
        fit_calibration(Asked("platt"), np.array(raw), np.array([0.0, 0.0, 1.0, 1.0]))


def test_scores_that_are_no_scores_are_not_calibrated() -> None:
    for odd in (1e300, float("inf"), float("nan")):
        with pytest.raises(CalibrationFailed, match="not within 1e\\+100 of 0"):
            fit_calibration(WAYS[0], np.array([0.0, odd]), np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    "content", [{}, {"method": "beta"}, {"method": "platt", "slope": 1.0}, {"method": "isotonic", "blocks": []}]
)
def test_a_kept_calibration_of_another_kind_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(CalibrationUnknown, match="is not known to this code"):
        calibration_of(content)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_it_is_fitted_on_late_nights_scored_by_a_model_of_the_early_ones(
    frame: pl.DataFrame, parameters: Parameters, method: str
) -> None:
    """Labels of late nights change it; of early nights only through the model; the raw scores stay."""
    told = change_parameters(parameters, {"calibration": {"method": method}})
    nights = learning(frame, told)
    found, plain = train(nights, told, 2), train(nights, parameters, 2)
    raw = found.scorer().raw_scores(frame.drop("label"), ORDER)
    assert found.calibration is not None
    assert nights.early is not None
    assert nights.late is not None

    early = train_again(Learning(nights.early), parameters, 1)
    model = Model.load(early.texts[0], FEATURES)
    late = nights.late.frame
    expected = fit_calibration(told.calibration or WAYS[0], model.raw_scores(late.drop("label"), ORDER),
                               late["label"].cast(pl.Float64).to_numpy())  # fmt: skip

    assert found.calibration.fitted == expected
    assert (found.calibration.first_night, found.calibration.last_night) == ("2013-06-03", "2013-06-09")
    assert (found.texts, found.metrics) == (plain.texts, plain.metrics)
    assert raw.tobytes() == plain.scorer().raw_scores(frame.drop("label"), ORDER).tobytes()
    assert found.scorer().probability(raw).tolist() != plain.scorer().probability(raw).tolist()
    again = train_again(nights, told, 3)
    assert (again.texts, again.calibration) == (found.texts, found.calibration)


def test_it_mends_scores_that_promise_too_much(frame: pl.DataFrame, parameters: Parameters) -> None:
    """A weight on positive rows raises every score; what happened in other nights says so."""
    heavy = change_parameters(parameters, {"scale_pos_weight": 4.0})
    losses = {}
    for method in ({}, {"method": "isotonic"}, {"method": "platt"}):
        told = change_parameters(heavy, {"calibration": method})
        model = train(learning(frame[:15_000], told), told, 2).scorer()
        rest = frame[15_000:]
        found = model.probability(model.raw_scores(rest.drop("label"), ORDER))
        losses[method.get("method")] = log_loss(found.tolist(), rest["label"].to_list())

    assert losses["isotonic"] < losses[None] - 0.05
    assert losses["platt"] < losses[None] - 0.05


def test_the_compiled_logistic_serves_platt_with_the_same_bits() -> None:
    curve = Curve("logistic", 1.0, Platt(0.7, -1.3))
    raw = np.concatenate([np.random.default_rng(6).normal(size=50_000) * 5, [1e308, -1e308, 0.0]])

    assert curve.scores(raw, compiled=True).tobytes() == curve.scores(raw, compiled=False).tobytes()
    assert KERNEL
