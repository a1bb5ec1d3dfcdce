"""The kernel's raw scores are LightGBM's, bit for bit, for models of every kind and the hardest values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.kernel.generated import (
    KINDS,
    MISSING,
    any_model,
    by_kernel,
    by_lightgbm,
    features,
    hard_values,
    plan,
    stumps,
    train,
)


def same(text: str, seed: int = 1, rows: int = 2500) -> None:
    """Hard values and ordinary ones, more than two blocks and a part of one."""
    draw, of = np.random.default_rng(seed), plan(text)
    hard = hard_values(draw, text, rows)
    ordinary = features(draw, rows, 40)[0][:, : hard.shape[1]]
    for matrix in (hard, ordinary if ordinary.shape == hard.shape else hard[:1]):
        assert by_kernel(of, matrix).tobytes() == by_lightgbm(text, matrix).tobytes()


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_kind_scores_the_same(kind: str, missing: str) -> None:
    same(train(np.random.default_rng(7), {**KINDS[kind], **MISSING[missing]}, leaves=15, rounds=4, categories=40))


@pytest.mark.parametrize("leaves", [2, 3, 31, 32, 64, 255, 256, 257, 300])
def test_trees_of_any_size_score_the_same(leaves: int) -> None:
    text = train(np.random.default_rng(leaves), KINDS["regression"], leaves=leaves, rounds=3)

    assert plan(text).leaves == leaves
    same(text)


@pytest.mark.parametrize("bins", [255, 600])
def test_more_thresholds_than_a_byte_has_score_the_same(bins: int) -> None:
    draw = np.random.default_rng(bins)
    text = train(draw, {**KINDS["regression"], "max_bin": bins}, leaves=300, rounds=12, rows=4000)

    assert bool(plan(text).wide) == (bins > 255)
    same(text)


@pytest.mark.parametrize("count", [1, 2, 253, 254, 255, 256, 1023])
@pytest.mark.parametrize("decision", [0, 2, 4, 6, 8, 10])
def test_any_number_of_thresholds_missing_either_way_scores_the_same(count: int, decision: int) -> None:
    """One tree a threshold; some lie among the numbers that LightGBM takes for zero, one is zero."""
    draw = np.random.default_rng(count)
    tiny = [-1e-35, -5e-324, 0.0, 5e-324, 9e-36, float(np.float32(1e-35)), 1.1e-35]
    text = stumps([*tiny[: count // 2], *draw.normal(size=count - len(tiny[: count // 2]))], decision)

    assert len(plan(text).wide) == (count > 254)
    same(text)


@pytest.mark.parametrize(("categories", "wide"), [(16, False), (300, True), (4000, False)])
def test_categories_by_the_thousand_score_the_same(categories: int, *, wide: bool) -> None:
    """A column is wide if its sets tell more than 255 kinds of categories apart."""
    text = train(np.random.default_rng(3), KINDS["binary"], leaves=31, rounds=4, rows=4000, categories=categories)

    assert bool(plan(text).wide) == wide
    same(text)


def test_trees_of_one_leaf_score_the_same() -> None:
    """There is nothing to split: LightGBM writes one leaf a tree."""
    text = train(np.random.default_rng(1), {**KINDS["binary"], "min_data_in_leaf": 1000}, rounds=3)

    assert plan(text).leaves == 1
    same(text)


def test_a_feature_that_is_missing_in_two_ways_scores_the_same() -> None:
    """As in a model that was trained further with another meaning of zero."""
    first = train(np.random.default_rng(5), KINDS["regression"], rounds=3)
    second = train(np.random.default_rng(5), {**KINDS["regression"], **MISSING["zero"]}, rounds=3)
    trees = [part.partition("\nend of trees")[0] for part in second.split("\nTree=")[1:]]
    head, _, tail = first.partition("\nend of trees")
    joined = "\nTree=".join([head, *trees]) + "\nend of trees" + tail
    sizes = joined.partition("tree_sizes=")[2].partition("\n")[0]
    joined = joined.replace(f"tree_sizes={sizes}\n", "", 1)  # LightGBM then looks for the trees itself

    assert len(plan(joined).first_step) == 7
    same(joined)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("most_rows", [1, 1024, 3000, 65_536])
def test_neither_threads_nor_the_cut_change_a_bit(threads: int, most_rows: int) -> None:
    draw = np.random.default_rng(2)
    text = train(draw, KINDS["multiclass"], categories=16)
    matrix = hard_values(draw, text, 20_000)

    assert by_kernel(plan(text), matrix, threads, most_rows).tobytes() == by_lightgbm(text, matrix).tobytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_model_is_drawn_scores_the_same(seed: int) -> None:
    """`bench/scorer.py --equality` draws as many as one likes."""
    text, said = any_model(seed)
    matrix = hard_values(np.random.default_rng(seed), text, 1500)

    assert by_kernel(plan(text), matrix).tobytes() == by_lightgbm(text, matrix).tobytes(), said
