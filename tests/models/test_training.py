from dataclasses import replace

import lightgbm
import polars as pl
import pytest

from models.amounts import AmountQuality
from models.matrix import CodesRefused, FeaturesDiffer, LabelsRefused, NotExact
from models.parameters import Parameters
from models.scorer import Model
from models.training import Learning, NotSorted, TooFewNights, TrainedModel, TrainingSet, held_out_from, train
from tests.models.columns import FEATURES, ORDER
from tests.models.learning import learning, whole


@pytest.fixture
def quick(parameters: Parameters) -> Parameters:
    return replace(parameters, rounds=3, validation_nights=3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_byte(
    frame: pl.DataFrame, parameters: Parameters, trained: TrainedModel, threads: int
) -> None:
    """Trained with 2 first; training again with 2 is the proof that twice is once."""
    again = train(learning(frame, parameters), parameters, threads)

    assert again.text == trained.text
    assert again == trained


@pytest.mark.parametrize("option", [("boosting", "dart"), ("extra_trees", True), ("max_bin", 15)])
def test_what_may_be_tuned_does_not_depend_on_threads(
    frame: pl.DataFrame, parameters: Parameters, option: tuple[str, str | int]
) -> None:
    tuned = replace(parameters, rounds=15, tunables=tuple(sorted((*parameters.tunables, option))))

    assert train(learning(frame, tuned), tuned, 1) == train(learning(frame, tuned), tuned, 3)


def test_a_regression_does_not_depend_on_threads(frame: pl.DataFrame, parameters: Parameters) -> None:
    """Its labels are added up as floats inside LightGBM; deterministic mode fixes the order."""
    minutes = frame.with_columns(label=pl.col("wind_mph").fill_null(0.0) * 1.1 + pl.col("hour"))
    objective = replace(parameters, objective="regression", rounds=15)

    one, three = (train(learning(minutes, objective), objective, threads) for threads in (1, 3))

    assert one == three
    assert isinstance(one.metrics.quality, AmountQuality)
    assert one.metrics.quality.mae < one.metrics.quality.base_mae


def test_the_text_of_a_model_is_canonical(trained: TrainedModel) -> None:
    """It holds no number of threads, loads, and comes back unchanged."""
    assert trained.text.count("[num_threads: 0]\n") == 1
    assert "[deterministic: 1]" in trained.text
    assert "[verbosity: -1]" in trained.text
    assert "[categorical_feature: 1,2]" in trained.text
    assert "[data: ]" in trained.text
    assert lightgbm.Booster(model_str=trained.text).model_to_string() == trained.text


def test_a_model_may_do_without_categorical_features(small: pl.DataFrame, quick: Parameters) -> None:
    """As the shipped parameters do; codes are then numbers like any other."""
    found = train(learning(small, quick), replace(quick, categorical=()), 1)

    assert "[categorical_feature: ]" in found.text
    assert Model.load(found.text, FEATURES).categorical == ()
    assert Model.load(train(learning(small, quick), quick, 1).text, FEATURES).categorical == (
        "carrier_code",
        "origin_code",
    )


def test_every_seed_derives_from_the_one(small: pl.DataFrame, quick: Parameters) -> None:
    seeds = ("data_random", "feature_fraction", "bagging", "drop", "extra", "objective")
    texts = [train(learning(small, quick), replace(quick, seed=seed), 1).text for seed in (1, 2)]
    lines = [
        [line for line in text.splitlines() if line.startswith(tuple(f"[{s}_seed" for s in seeds))] for text in texts
    ]

    assert [len(found) for found in lines] == [6, 6]
    assert not set(lines[0]) & set(lines[1])


def test_nothing_is_printed(small: pl.DataFrame, quick: Parameters, capfd: pytest.CaptureFixture[str]) -> None:
    """Not even where LightGBM warns: a constant feature, and leaves that cannot be split."""
    constant = small.with_columns(hour=pl.lit(1, dtype=pl.Int16))

    train(learning(constant, quick), replace(quick, tunables=(("min_data_in_leaf", 100_000),)), 1)

    lightgbm.basic._log_info("and what it says natively")
    lightgbm.basic._log_warning("what LightGBM's Python side says goes to the logger too")
    assert capfd.readouterr() == ("", "")


def test_metrics_are_those_of_a_model_that_has_not_seen_the_nights(
    frame: pl.DataFrame, parameters: Parameters, trained: TrainedModel
) -> None:
    """Changing the labels of the last nights changes what is measured, but not what the measured model learnt."""
    metrics = trained.metrics
    assert metrics is not None
    assert (metrics.first_night, metrics.last_night, metrics.nights) == ("2013-06-03", "2013-06-09", 7)
    assert (metrics.trained_rows, metrics.trained_nights) == (33 * 500, 33)
    assert (trained.rows, trained.nights) == (20_000, 40)
    assert metrics.quality.auc is not None
    assert 0.68 < metrics.quality.auc < 0.9
    assert metrics.quality.log_loss < metrics.quality.base_log_loss
    assert metrics.quality.brier < metrics.quality.base_brier
    assert "a model trained on the 33 nights before 2013-06-03" in str(metrics.to_json()["measured"])

    late = pl.col("as_of") >= pl.date(2013, 6, 3)
    flipped = frame.with_columns(label=pl.when(late).then(1 - pl.col("label")).otherwise(pl.col("label")))
    other = train(learning(flipped, parameters), parameters, 2)
    assert other.metrics is not None
    assert other.text != trained.text
    assert other.metrics.quality.auc == pytest.approx(1 - metrics.quality.auc)
    assert other.metrics.quality.base_rate == metrics.quality.base_rate


@pytest.mark.parametrize("swap", [(0, 1), (17, 18), (59, 60), (598, 599)])
def test_a_training_set_out_of_order_is_refused(small: pl.DataFrame, swap: tuple[int, int]) -> None:
    """Another order would be another model; two rows are enough."""
    rows = list(range(small.height))
    rows[swap[0]], rows[swap[1]] = rows[swap[1]], rows[swap[0]]

    with pytest.raises(NotSorted, match=rf"row {swap[1] + 1} of 600 .*as_of, carrier, flight"):
        whole(small[rows])


def test_a_shuffled_double_or_keyless_training_set_is_refused(small: pl.DataFrame) -> None:
    doubled = pl.concat([small[:5], small[4:]])
    keyless = small.with_columns(carrier=pl.when(pl.col("flight") != 7).then("carrier"))

    for frame in (small.sample(fraction=1, shuffle=True, seed=1), small.reverse(), doubled, keyless):
        with pytest.raises(NotSorted):
            whole(frame)


def test_columns_missing_extra_or_elsewhere_are_refused_by_name(small: pl.DataFrame) -> None:
    with pytest.raises(FeaturesDiffer, match="missing `hour`"):
        whole(small.drop("hour"))
    with pytest.raises(FeaturesDiffer, match="extra `tail`"):
        whole(small.with_columns(tail=1))
    with pytest.raises(FeaturesDiffer, match="another order from `hour` on"):
        whole(small.select(*ORDER, *reversed(FEATURES), "label"))
    with pytest.raises(FeaturesDiffer, match="label"):
        whole(small.drop("label"))


@pytest.mark.parametrize(
    ("column", "refused"),
    [
        (pl.lit(2**53 + 1).alias("flown_28d"), NotExact),
        (pl.lit(-(2**53) - 1).alias("flown_28d"), NotExact),
        (pl.lit(2**63, dtype=pl.UInt64).alias("flown_28d"), NotExact),
        (pl.lit(2**100, dtype=pl.Int128).alias("flown_28d"), NotExact),
        (pl.lit("1.5").cast(pl.Decimal(10, 2)).alias("flown_28d"), NotExact),
        (pl.lit(float("inf")).alias("wind_mph"), NotExact),
        (pl.lit("UA").alias("carrier_code"), FeaturesDiffer),
        (pl.lit(None).alias("hour"), FeaturesDiffer),
        (pl.lit(-1).alias("carrier_code"), CodesRefused),
        (pl.lit(2**31 - 1).alias("carrier_code"), CodesRefused),
        (pl.lit(1.0).alias("carrier_code"), CodesRefused),
        (pl.lit(2, dtype=pl.Int8).alias("label"), LabelsRefused),
        (pl.lit(None, dtype=pl.Int8).alias("label"), LabelsRefused),
        (pl.lit(float("nan")).alias("label"), LabelsRefused),
        (pl.lit("1").alias("label"), LabelsRefused),
        (pl.lit(0).alias("label"), LabelsRefused),
    ],
)
def test_a_value_that_cannot_be_learnt_from_is_refused(
    small: pl.DataFrame, quick: Parameters, column: pl.Expr, refused: type[Exception]
) -> None:
    name = column.meta.output_name()

    with pytest.raises(refused, match=name):
        train(learning(small.with_columns(column), quick), quick, 1)


def test_the_largest_exact_integer_and_code_are_learnt_from(small: pl.DataFrame, quick: Parameters) -> None:
    edge = small.with_columns(
        flown_28d=pl.when(pl.col("flight") % 2 == 0).then(2**53).otherwise(-(2**53)),
        carrier_code=pl.lit(2**31 - 2),
    )

    assert train(learning(edge, quick), quick, 1).text


def test_names_that_lightgbm_would_rewrite_are_refused(small: pl.DataFrame, quick: Parameters) -> None:
    spaced = TrainingSet(small.rename({"hour": "the hour"}), ORDER, ("the hour", *FEATURES[1:]), "label")

    with pytest.raises(FeaturesDiffer, match="`the hour`"):
        train(Learning(spaced), quick, 1)
    with pytest.raises(FeaturesDiffer, match="categorical but no feature `tail`"):
        train(learning(small, quick), replace(quick, categorical=("tail",)), 1)


def test_too_few_nights_to_measure_on_are_refused(small: pl.DataFrame, quick: Parameters) -> None:
    with pytest.raises(TooFewNights, match="10 nights are too few: the last 10 are for validation"):
        held_out_from(small["as_of"].unique().sort().to_list(), 10)
    assert train(Learning(whole(small)), quick, 1).metrics is None


def test_no_thread_is_no_number_of_threads(small: pl.DataFrame, quick: Parameters) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        train(learning(small, quick), quick, 0)
