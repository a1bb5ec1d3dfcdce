"""Which engine scores, what the kernel has to show before it does, and that nobody can tell afterwards."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.booster import Floats
from models.curve import Curve
from models.kernel import choice
from models.kernel.choice import KERNEL, LIGHTGBM, Kernel
from models.parameters import Parameters
from models.scorer import EnginesDiffer, Model
from models.training import TrainedModel, train
from tests.models.columns import FEATURES, ORDER
from tests.models.learning import learning


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return Model.load(trained.text, FEATURES)


@pytest.fixture(scope="module")
def night(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[-6000:].drop("label")


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM takes a second a tree."""
    monkeypatch.setattr(choice, "_PREDICT_NS", 1e9)


def wrong_in(places: list[int]) -> Callable[..., Floats]:
    """A kernel that is a bit off in some rows."""
    real = Kernel.scores

    def scores(kernel: Kernel, *told: object) -> Floats:
        found = real(kernel, *told)  # type: ignore[arg-type]
        found[places] = np.nextafter(found[places], 0)
        return found

    return scores


def test_both_engines_give_the_same_bits(model: Model, night: pl.DataFrame) -> None:
    """From a frame of floats, integers and booleans with gaps; also one of several chunks."""
    expected = model.only(LIGHTGBM).raw_scores(night, ORDER)
    chunks = pl.concat([night[:10], night[10:3000], night[3000:]], rechunk=False)

    assert model.only(KERNEL).raw_scores(night, ORDER).tobytes() == expected.tobytes()
    assert model.only(KERNEL).raw_scores(chunks, ORDER, threads=3, batch_rows=1024).tobytes() == expected.tobytes()


def test_a_small_night_is_lightgbms_and_a_large_one_the_kernels(model: Model) -> None:
    """The rule is a function of model, rows and threads alone; 40 trees of 15 leaves here."""
    assert model.engine_for(1000) == "lightgbm predict: 1,000 rows are too few for the kernel"
    assert model.engine_for(0).startswith(LIGHTGBM)
    assert model.engine_for(10_000_000) == KERNEL
    assert model.engine_for(1_500_000, threads=1) == KERNEL
    assert model.engine_for(1_500_000, threads=16).startswith(LIGHTGBM)


def test_where_nothing_can_be_kept_compiled_more_rows_are_needed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_can_keep", lambda: False)

    assert model.engine_for(3_000_000).startswith(LIGHTGBM)
    assert model.engine_for(100_000_000) == KERNEL


def test_what_the_kernel_cannot_have_is_lightgbms_by_name(
    trained: TrainedModel, model: Model, night: pl.DataFrame
) -> None:
    linear = replace(model, kernel=Kernel(trained.text.replace("is_linear=0", "is_linear=1")))

    assert linear.engine_for(10**9) == "lightgbm predict: linear_tree"
    assert linear.raw_scores(night, ORDER).tobytes() == model.raw_scores(night, ORDER).tobytes()


def test_a_tree_of_very_many_leaves_is_lightgbms(frame: pl.DataFrame, parameters: Parameters) -> None:
    many = replace(parameters, rounds=2, tunables=(("min_data_in_leaf", 1), ("num_leaves", 6000)))
    model = Model.load(train(learning(frame, many), many, 2).text, FEATURES)

    assert "leaves is slower in the kernel" in model.engine_for(10**9)


@pytest.mark.usefixtures("worth_it")
def test_the_parts_of_a_night_are_scored_by_one_engine(
    model: Model, night: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Model, "engine_for", lambda _model, rows, _threads: asked.append(rows) or LIGHTGBM)
    parts = [model.raw_scores(part, ORDER, of_rows=6000) for part in (night[:4000], night[4000:])]

    assert asked == [6000, 6000]
    assert np.concatenate(parts).tobytes() == model.only(LIGHTGBM).raw_scores(night, ORDER).tobytes()


@pytest.mark.usefixtures("worth_it")
def test_a_kernel_that_differs_from_lightgbm_on_the_first_rows_scores_nothing(
    trained: TrainedModel, night: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.load(trained.text, FEATURES)
    monkeypatch.setattr(Kernel, "scores", wrong_in([5, 77]))

    for _ in range(2):  # it is asked again until it passes
        with pytest.raises(EnginesDiffer, match="2 of 1000 rows another raw score than LightGBM; nothing is scored"):
            model.raw_scores(night, ORDER)


@pytest.mark.usefixtures("worth_it")
def test_the_kernel_has_to_pass_the_proof_once_before_it_scores(trained: TrainedModel, night: pl.DataFrame) -> None:
    asked: list[str] = []
    model = Model.load(trained.text, FEATURES).proven_by(lambda kernel: asked.append(kernel.engine_for(1)))

    assert asked == []
    expected = model.raw_scores(night, ORDER)
    assert model.raw_scores(night, ORDER).tobytes() == expected.tobytes()
    assert asked == [KERNEL]


@pytest.mark.usefixtures("worth_it")
def test_a_kernel_that_does_not_pass_the_proof_scores_nothing(trained: TrainedModel, night: pl.DataFrame) -> None:
    class ProofFailed(Exception):
        pass

    def proof(_kernel: Model) -> None:
        raise ProofFailed

    model = Model.load(trained.text, FEATURES).proven_by(proof)
    for _ in range(2):
        with pytest.raises(ProofFailed):
            model.raw_scores(night, ORDER)


@pytest.fixture(scope="module")
def proven(trained: TrainedModel) -> Model:
    """A model whose kernel has scored."""
    model = Model.load(trained.text, FEATURES)
    model._asked.passed = True
    return model


@given(st.lists(st.floats(allow_nan=False) | st.floats(-750, 750)))
def test_the_compiled_logistic_is_the_same_to_the_bit(model: Model, proven: Model, raw: list[float]) -> None:
    values = np.array(raw, dtype=np.float64)

    assert proven.probability(values).tobytes() == model.probability(values).tobytes()


def test_the_compiled_logistic_is_the_same_on_a_million_values(model: Model, proven: Model) -> None:
    """Ordinary scores, scores near the ends of the exponential, and any finite 64 bits."""
    draw = np.random.default_rng(4)
    bits = draw.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64)
    values = np.concatenate(
        [draw.normal(size=500_000) * 4, draw.uniform(-746, 746, 300_000), bits[np.isfinite(bits)], [710.0, -709.8]]
    )

    assert proven.probability(values).tobytes() == model.probability(values).tobytes()


def test_a_logistic_that_would_differ_is_not_used(proven: Model, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another C library, or a vector library under numba, could make it."""
    real = choice.logistic
    monkeypatch.setattr("models.curve.logistic", lambda slope: lambda raw: np.nextafter(real(slope)(raw), 1))
    fresh = replace(proven, curve=Curve("logistic", 1.0))

    assert fresh.probability(np.array([0.3, 1.7])).tobytes() == model.probability(np.array([0.3, 1.7])).tobytes()
    assert math.isclose(fresh.probability(np.array([0.0]))[0], 0.5)


def test_numba_is_not_loaded_for_a_small_night() -> None:
    """Loading it takes as long as scoring such a night."""
    script = "import sys, models.scorer, models.training; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert said.split() == ["False", "False"]
