"""Several models as one: what is added, in which order, by which engine, and that nothing else decides a bit."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.booster import Floats, ModelTextRefused
from models.ensemble import Ensemble, Part
from models.kernel import choice
from models.kernel.choice import KERNEL, LIGHTGBM, Kernel
from models.matrix import FeaturesDiffer
from models.members import Member
from models.parameters import Parameters, change_parameters
from models.scorer import EnginesDiffer, Model
from models.training import Learning, TrainedModel, TrainingSet, train, train_again
from tests.models.columns import FEATURES, ORDER
from tests.models.learning import learning, whole

MEMBERS = [
    {"name": "one", "weight": 3},
    {"name": "other_seed", "weight": "1.5", "seed": 5, "rounds": 30},
    {"name": "calendar", "weight": 2, "features": ["hour", "is_*", "origin_code"]},
    {"name": "recent", "weight": 1, "nights": 12, "without": ["wind_mph"], "lightgbm": {"num_leaves": 7}},
]
WEIGHTS = (6.0, 3.0, 4.0, 2.0)


@pytest.fixture(scope="module")
def told(parameters: Parameters) -> Parameters:
    return change_parameters(parameters, {"members": MEMBERS})


@pytest.fixture(scope="module")
def several(frame: pl.DataFrame, told: Parameters) -> TrainedModel:
    return train(learning(frame, told), told, 2)


@pytest.fixture(scope="module")
def ensemble(several: TrainedModel) -> Ensemble:
    found = several.scorer()
    assert isinstance(found, Ensemble)
    return found


@pytest.fixture(scope="module")
def night(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[-6000:].drop("label")


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM takes a second a tree."""
    monkeypatch.setattr(choice, "_PREDICT_NS", 1e9)


def test_the_raw_score_is_the_weighted_mean_added_in_the_declared_order(
    several: TrainedModel, ensemble: Ensemble, night: pl.DataFrame
) -> None:
    """With numbers of Python, one row after the other, from each member's own text and columns."""
    columns = [
        Model.load(member.text, member.features).raw_scores(night.select(member.features)).tolist()
        for member in several.members
    ]
    expected = []
    for a, b, c, d in zip(*columns, strict=True):
        total = a * WEIGHTS[0]
        total += b * WEIGHTS[1]
        total += c * WEIGHTS[2]
        total += d * WEIGHTS[3]
        expected.append(total / 15.0)
    backwards = [(((d * 2.0 + c * 4.0) + b * 3.0) + a * 6.0) / 15.0 for a, b, c, d in zip(*columns, strict=True)]

    assert ensemble.raw_scores(night, ORDER).tolist() == expected
    assert backwards != expected  # so the order is looked at


def test_one_member_of_weight_1_is_the_model_alone(
    frame: pl.DataFrame, parameters: Parameters, trained: TrainedModel, night: pl.DataFrame
) -> None:
    one = change_parameters(parameters, {"members": [{"name": "one", "weight": 9}]})
    found = train(learning(frame, one), one, 2)

    assert found.texts == trained.texts
    assert found.metrics == trained.metrics
    alone = trained.scorer().raw_scores(night, ORDER)
    assert found.scorer().raw_scores(night, ORDER).tobytes() == alone.tobytes()
    assert found.scorer().probability(alone).tobytes() == trained.scorer().probability(alone).tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_an_ensemble_is_trained_the_same_on_any_number_of_threads(
    frame: pl.DataFrame, told: Parameters, several: TrainedModel, threads: int
) -> None:
    assert train(learning(frame, told), told, threads) == several


def test_each_member_learns_what_it_declares(
    frame: pl.DataFrame, parameters: Parameters, several: TrainedModel
) -> None:
    one, other, calendar, recent = several.members

    assert one.text != other.text
    assert (one.features, one.nights, one.first_night) == (FEATURES, 40, "2013-05-01")
    assert calendar.features == ("hour", "origin_code", "is_weekend")
    assert "[categorical_feature: 1]" in calendar.text
    assert recent.features == tuple(name for name in FEATURES if name != "wind_mph")
    assert (recent.nights, recent.first_night, recent.rows) == (12, "2013-05-29", 6000)

    late = frame.filter(pl.col("as_of") >= pl.date(2013, 5, 29)).drop("wind_mph")
    told = replace(parameters, tunables=tuple(sorted({**dict(parameters.tunables), "num_leaves": 7}.items())))
    only = Learning(TrainingSet(late, ORDER, recent.features, "label"))
    assert train_again(only, told, 1).texts == (recent.text,)


def test_what_is_measured_is_the_ensemble_of_the_early_nights(
    frame: pl.DataFrame, told: Parameters, several: TrainedModel
) -> None:
    """All members are trained on them; their mean is measured on the late ones."""
    early = frame.filter(pl.col("as_of") < pl.date(2013, 6, 3))
    late = frame.filter(pl.col("as_of") >= pl.date(2013, 6, 3))
    fitted = train(Learning(whole(early)), told, 2).scorer()
    raw = fitted.raw_scores(late.drop("label"), ORDER)

    assert several.metrics is not None
    from models.evaluation import auc  # noqa: PLC0415

    assert several.metrics.quality.auc == auc(raw, late["label"].to_numpy())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_rows", [1000, 65_536])
def test_neither_threads_batches_nor_engines_change_a_bit(
    ensemble: Ensemble, night: pl.DataFrame, threads: int, batch_rows: int
) -> None:
    expected = ensemble.only(LIGHTGBM).raw_scores(night, ORDER).tobytes()

    for engine in (LIGHTGBM, KERNEL):
        assert ensemble.only(engine).raw_scores(night, ORDER, threads, batch_rows).tobytes() == expected
    assert ensemble.raw_scores(night, ORDER, threads, batch_rows).tobytes() == expected


def test_a_matrix_scores_as_its_frame(ensemble: Ensemble, night: pl.DataFrame) -> None:
    matrix = night.select(pl.col(FEATURES).cast(pl.Float64).fill_null(float("nan"))).to_numpy()

    assert ensemble.raw_of(np.ascontiguousarray(matrix), 2).tobytes() == ensemble.raw_scores(night, ORDER).tobytes()


def test_a_row_scores_the_same_alone_and_in_any_company(ensemble: Ensemble, night: pl.DataFrame) -> None:
    shuffled = night.with_row_index("at").sample(fraction=1, shuffle=True, seed=5)
    expected = ensemble.raw_scores(night, ORDER)

    assert ensemble.raw_scores(shuffled.drop("at"), ORDER).tobytes() == expected[shuffled["at"].to_numpy()].tobytes()
    assert ensemble.raw_scores(night[77:78], ORDER).tolist() == [expected[77]]
    assert ensemble.raw_scores(night[:0], ORDER).shape == (0,)


def test_the_frame_must_have_exactly_the_models_columns(ensemble: Ensemble, night: pl.DataFrame) -> None:
    """Although no member alone knows them all."""
    with pytest.raises(FeaturesDiffer, match="missing `wind_mph`"):
        ensemble.raw_scores(night.drop("wind_mph"), ORDER)
    with pytest.raises(FeaturesDiffer, match="extra `tail`"):
        ensemble.raw_scores(night.with_columns(tail=1), ORDER)
    with pytest.raises(FeaturesDiffer, match="another order from `hour` on"):
        ensemble.raw_scores(night.select(*ORDER, *FEATURES[1:], FEATURES[0]), ORDER)


def test_a_member_that_knows_other_features_or_another_scale_is_refused(
    several: TrainedModel, frame: pl.DataFrame, parameters: Parameters
) -> None:
    first = Part("first", 1, Model.load(several.members[0].text, FEATURES))
    minutes = frame.with_columns(label=pl.col("distance_mi") % 50)
    other = replace(parameters, objective="regression", rounds=2)
    [text] = train_again(Learning(whole(minutes)), other, 1).texts

    with pytest.raises(FeaturesDiffer, match="member `first` knows `hour`, which is no feature of the ensemble"):
        Ensemble.of([first], FEATURES[1:])
    with pytest.raises(ModelTextRefused, match="on one scale"):
        Ensemble.of([first, Part("other", 1, Model.load(text, FEATURES))], FEATURES)
    with pytest.raises(ModelTextRefused, match="has members, with weights"):
        Ensemble.of([replace(first, weight=0)], FEATURES)
    with pytest.raises(ModelTextRefused, match="has members"):
        Ensemble.of([], FEATURES)


def test_one_engine_scores_all_members_and_the_rule_counts_all_trees(ensemble: Ensemble) -> None:
    """Numba is loaded once for all: together they are worth it where one alone is not."""
    rows = 500_000

    assert ensemble.engine_for(rows) == KERNEL
    assert [part.model.engine_for(rows).partition(":")[0] for part in ensemble.parts] == [LIGHTGBM] * 4
    assert ensemble.engine_for(1000) == "lightgbm predict: 1,000 rows are too few for the kernel"


def test_what_the_kernel_cannot_have_of_one_member_is_lightgbms_for_all(
    several: TrainedModel, ensemble: Ensemble, night: pl.DataFrame
) -> None:
    last = ensemble.parts[-1]
    text = several.members[-1].text.replace("is_linear=0", "is_linear=1")
    linear = replace(last, model=replace(last.model, kernel=Kernel(text)))
    other = replace(ensemble, parts=(*ensemble.parts[:-1], linear))

    assert other.engine_for(10**9) == "lightgbm predict: linear_tree"
    assert other.raw_scores(night, ORDER).tobytes() == ensemble.raw_scores(night, ORDER).tobytes()


@pytest.mark.usefixtures("worth_it")
def test_the_kernel_has_to_pass_the_proof_once_as_an_ensemble(several: TrainedModel, night: pl.DataFrame) -> None:
    asked: list[tuple[str, ...]] = []

    def proof(by_kernel: Ensemble) -> None:
        asked.append(tuple(part.model.engine_for(1) for part in by_kernel.parts))

    model = several.scorer()
    assert isinstance(model, Ensemble)
    model = model.proven_by(proof)
    expected = model.raw_scores(night, ORDER)

    assert model.raw_scores(night, ORDER).tobytes() == expected.tobytes()
    assert asked == [(KERNEL,) * 4]
    assert model.probability(expected).tobytes() == model.only(LIGHTGBM).probability(expected).tobytes()


@pytest.mark.usefixtures("worth_it")
def test_a_kernel_that_differs_for_one_member_scores_nothing(
    several: TrainedModel, night: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = Kernel.scores, []

    def wrong_in_the_third(kernel: Kernel, *given: object) -> Floats:
        found = real(kernel, *given)  # type: ignore[arg-type]
        if kernel not in asked:
            asked.append(kernel)
        found[5] = np.nextafter(found[5], 0) if asked.index(kernel) == 2 else found[5]
        return found

    model = several.scorer()
    monkeypatch.setattr(Kernel, "scores", wrong_in_the_third)
    for _ in range(2):
        with pytest.raises(EnginesDiffer, match="1 of 1000 rows another raw score than LightGBM; nothing is scored"):
            model.raw_scores(night, ORDER)


def test_a_pattern_that_names_no_feature_stops_training(frame: pl.DataFrame, parameters: Parameters) -> None:
    told = replace(parameters, members=(Member("m", features=("tail_*",)),))

    with pytest.raises(FeaturesDiffer, match=r"member `m` names `tail_\*`, and no feature is called so"):
        train_again(Learning(whole(frame)), told, 1)
