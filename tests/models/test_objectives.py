"""Every objective that is allowed: the same trees on any number of threads, and LightGBM's own scores to the bit."""

from dataclasses import replace

import lightgbm
import polars as pl
import pytest

from models.matrix import LabelsRefused, to_matrix
from models.objectives import OBJECTIVES, Objective
from models.parameters import Parameters
from models.scorer import Model
from models.training import Learning, TrainingSet, train_again
from tests.models.columns import FEATURES, ORDER

CODES = ("carrier_code", "origin_code")
OTHERS: tuple[Objective, ...] = tuple(name for name in OBJECTIVES if name != "binary")  # type: ignore[assignment]


def amounts(frame: pl.DataFrame) -> Learning:
    """A positive, skewed amount with a part that can be learnt."""
    amount = (pl.col("hour") * 3 + pl.col("distance_mi") % 97 + pl.col("wind_mph").fill_null(0).abs() ** 2).round(1)
    return Learning(TrainingSet(frame.with_columns(label=amount + 1), ORDER, FEATURES, "label"))


def told(parameters: Parameters, objective: Objective) -> Parameters:
    return replace(parameters, objective=objective, rounds=25)


@pytest.mark.parametrize("objective", OTHERS)
@pytest.mark.parametrize("options", [(), (("boosting", "dart"),), (("extra_trees", True),)])
def test_trees_do_not_depend_on_threads(
    frame: pl.DataFrame, parameters: Parameters, objective: Objective, options: tuple[tuple[str, str | bool], ...]
) -> None:
    chosen = told(replace(parameters, tunables=tuple(sorted((*parameters.tunables, *options)))), objective)
    one, two, three = (train_again(amounts(frame), chosen, threads).texts for threads in (1, 2, 3))

    assert one == two == three
    assert f"[objective: {objective}]" in one[0]


@pytest.mark.parametrize("objective", OTHERS)
def test_the_score_is_lightgbms_own_to_the_bit(
    frame: pl.DataFrame, parameters: Parameters, objective: Objective
) -> None:
    """Whatever the link: what LightGBM predicts, computed with the C library's exponential."""
    [text] = train_again(amounts(frame), told(parameters, objective), 2).texts
    ours, theirs = Model.load(text, FEATURES), lightgbm.Booster(model_str=text)
    matrix = to_matrix(frame, FEATURES, CODES)
    raw = ours.raw_scores(frame.drop("label"), ORDER)

    assert ours.objective == objective
    assert raw.tobytes() == theirs.predict(matrix, raw_score=True).tobytes()
    assert ours.probability(raw).tobytes() == theirs.predict(matrix).tobytes()


@pytest.mark.parametrize(
    ("objective", "label", "said"),
    [("poisson", -1, "0 or more"), ("tweedie", -1, "0 or more"), ("gamma", 0, "positive")],
)
def test_labels_without_a_logarithm_are_refused(
    small: pl.DataFrame, parameters: Parameters, objective: Objective, label: int, said: str
) -> None:
    """LightGBM would end the training with an error of its own, or learn nonsense."""
    one = pl.when(pl.col("flight") == 7).then(label).otherwise(3)
    learning = Learning(TrainingSet(small.with_columns(label=one), ORDER, FEATURES, "label"))

    with pytest.raises(LabelsRefused, match=f"for `{objective}` every label is {said}"):
        train_again(learning, told(parameters, objective), 1)
