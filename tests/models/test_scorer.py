from dataclasses import replace

import lightgbm
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.booster import ModelTextRefused, canonical
from models.matrix import CodesRefused, FeaturesDiffer, NotExact, to_matrix
from models.parameters import Parameters
from models.scorer import Model
from models.training import TrainedModel, train
from tests.models.columns import FEATURES, ORDER
from tests.models.learning import learning

CODES = ("carrier_code", "origin_code")


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return Model.load(trained.text, FEATURES)


@pytest.fixture(scope="module")
def night(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[-3000:].drop("label")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch_rows", [1, 7, 1000, 3000, 65_536])
def test_neither_threads_nor_batches_change_a_bit(
    model: Model, night: pl.DataFrame, threads: int, batch_rows: int
) -> None:
    expected = model.raw_scores(night, ORDER, threads=1, batch_rows=3000)

    assert model.raw_scores(night, ORDER, threads, batch_rows).tobytes() == expected.tobytes()


def test_scores_are_lightgbms_own_to_the_bit(trained: TrainedModel, model: Model, night: pl.DataFrame) -> None:
    """Raw scores and probabilities; numpy's exponential would differ on some rows."""
    theirs, matrix = lightgbm.Booster(model_str=trained.text), to_matrix(night, FEATURES, CODES)
    raw = model.raw_scores(night, ORDER)

    assert raw.dtype == np.float64
    assert raw.tobytes() == theirs.predict(matrix, raw_score=True).tobytes()
    assert model.probability(raw).tobytes() == theirs.predict(matrix).tobytes()
    assert (1 / (1 + np.exp(-raw)) != theirs.predict(matrix)).any()


def test_the_probability_of_dart_is_lightgbms_too(frame: pl.DataFrame, parameters: Parameters) -> None:
    dart = replace(parameters, rounds=15, tunables=(("boosting", "dart"),))
    text = train(learning(frame, dart), dart, 2).text
    theirs = lightgbm.Booster(model_str=text).predict(to_matrix(frame, FEATURES, CODES))
    ours = Model.load(text, FEATURES)

    assert ours.probability(ours.raw_scores(frame.drop("label"), ORDER)).tobytes() == theirs.tobytes()


def test_the_score_of_a_regression_is_its_raw_score(frame: pl.DataFrame, parameters: Parameters) -> None:
    minutes = frame.with_columns(label=pl.col("distance_mi") % 50)
    text = train(learning(minutes, parameters), replace(parameters, objective="regression"), 2).text
    ours = Model.load(text, FEATURES)
    raw = ours.raw_scores(frame.drop("label"), ORDER)

    assert ours.objective == "regression"
    assert ours.probability(raw).tobytes() == raw.tobytes()
    assert raw.tobytes() == lightgbm.Booster(model_str=text).predict(to_matrix(frame, FEATURES, CODES)).tobytes()


@given(st.lists(st.floats(allow_nan=False)))
def test_a_probability_lies_between_0_and_1_and_keeps_the_order(model: Model, raw: list[float]) -> None:
    """Also far beyond where the exponential overflows."""
    found = model.probability(np.array(sorted(raw)))

    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_a_row_scores_the_same_alone_and_in_any_company(model: Model, night: pl.DataFrame) -> None:
    shuffled = night.with_row_index("at").sample(fraction=1, shuffle=True, seed=5)
    expected = model.raw_scores(night, ORDER)[shuffled["at"].to_numpy()]

    assert model.raw_scores(shuffled.drop("at"), ORDER).tobytes() == expected.tobytes()


def test_the_columns_beside_the_features_may_stand_anywhere(model: Model, night: pl.DataFrame) -> None:
    expected = model.raw_scores(night, ORDER).tobytes()

    assert model.raw_scores(night.select(*FEATURES, *ORDER), ORDER).tobytes() == expected
    assert model.raw_scores(night.select(FEATURES)).tobytes() == expected


def test_features_missing_extra_or_elsewhere_are_refused_by_name(model: Model, night: pl.DataFrame) -> None:
    with pytest.raises(FeaturesDiffer, match="missing `wind_mph`"):
        model.raw_scores(night.drop("wind_mph"), ORDER)
    with pytest.raises(FeaturesDiffer, match="extra `tail`"):
        model.raw_scores(night.with_columns(tail=1), ORDER)
    with pytest.raises(FeaturesDiffer, match="missing `hour`; extra `minute`"):
        model.raw_scores(night.rename({"hour": "minute"}), ORDER)
    with pytest.raises(FeaturesDiffer, match="another order from `hour` on"):
        model.raw_scores(night.select(*ORDER, *FEATURES[1:], FEATURES[0]), ORDER)
    with pytest.raises(FeaturesDiffer, match="no `carrier`"):
        model.raw_scores(night.drop("carrier"), ORDER)
    with pytest.raises(FeaturesDiffer, match="extra `as_of`"):
        model.raw_scores(night)


def test_a_model_is_not_loaded_for_other_features(trained: TrainedModel) -> None:
    with pytest.raises(FeaturesDiffer, match="missing `distance_mi`"):
        Model.load(trained.text, FEATURES[:-1])
    with pytest.raises(FeaturesDiffer, match="extra `tail`"):
        Model.load(trained.text, (*FEATURES, "tail"))
    with pytest.raises(FeaturesDiffer, match="another order from `hour` on"):
        Model.load(trained.text, tuple(reversed(FEATURES)))


@pytest.mark.parametrize("text", ["", "tree\n", "[1, 2]", "tree\nversion=v4\nobjective=binary sigmoid:1\n\n"])
def test_what_is_no_model_text_does_not_reach_lightgbm(text: str) -> None:
    with pytest.raises(ModelTextRefused):
        Model.load(text, FEATURES)


def test_another_objective_is_not_loaded(trained: TrainedModel) -> None:
    with pytest.raises(ModelTextRefused, match="cross_entropy"):
        Model.load(trained.text.replace("objective=binary sigmoid:1", "objective=cross_entropy", 1), FEATURES)


def test_a_text_with_two_thread_lines_is_not_made_canonical() -> None:
    assert canonical("a\n[num_threads: 3]\nb") == "a\n[num_threads: 0]\nb"
    with pytest.raises(ModelTextRefused):
        canonical("[num_threads: 3]\n[num_threads: 3]\n")


def test_null_and_nan_are_the_same_missing_value(model: Model, night: pl.DataFrame) -> None:
    null = night.with_columns(wind_mph=pl.lit(None, dtype=pl.Float64))
    nan = night.with_columns(wind_mph=pl.lit(float("nan")))

    assert model.raw_scores(null, ORDER).tobytes() == model.raw_scores(nan, ORDER).tobytes()
    assert model.raw_scores(null, ORDER).tobytes() != model.raw_scores(night, ORDER).tobytes()


@pytest.mark.parametrize(
    ("column", "refused"),
    [
        (pl.lit(2**53 + 1).alias("flown_28d"), NotExact),
        (pl.lit(float("-inf")).alias("wind_mph"), NotExact),
        (pl.lit("UA").alias("origin_code"), FeaturesDiffer),
        (pl.lit(-1).alias("origin_code"), CodesRefused),
        (pl.lit(2**31).alias("origin_code"), CodesRefused),
    ],
)
def test_a_value_that_cannot_be_scored_is_refused(
    model: Model, night: pl.DataFrame, column: pl.Expr, refused: type[Exception]
) -> None:
    with pytest.raises(refused, match=column.meta.output_name()):
        model.raw_scores(night.with_columns(column), ORDER)


def test_an_empty_night_has_no_scores(model: Model, night: pl.DataFrame) -> None:
    assert model.raw_scores(night[:0], ORDER).shape == (0,)
    assert model.probability(np.empty(0)).shape == (0,)


def test_neither_no_batch_nor_no_thread(model: Model, night: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        model.raw_scores(night, ORDER, threads=0)
    with pytest.raises(ValueError, match="at least 1"):
        model.raw_scores(night, ORDER, batch_rows=0)


def test_nothing_is_printed(trained: TrainedModel, night: pl.DataFrame, capfd: pytest.CaptureFixture[str]) -> None:
    Model.load(trained.text, FEATURES).raw_scores(night, ORDER, threads=2)

    assert capfd.readouterr() == ("", "")
