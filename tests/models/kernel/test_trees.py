"""What the kernel cannot have is refused by name, and LightGBM scores it."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from models.kernel.plan import plan_of
from models.kernel.trees import Forest, Tree, read_forest
from tests.models.kernel.generated import KINDS, stumps, train


@pytest.fixture(scope="module")
def text() -> str:
    return train(np.random.default_rng(1), KINDS["binary"], categories=16, rounds=2)


def refused(text: str) -> str:
    """Why the kernel does not take a model."""
    forest = read_forest(text)
    found = forest if isinstance(forest, str) else plan_of(forest)
    assert isinstance(found, str)
    return found


def test_linear_trees_are_for_lightgbm() -> None:
    draw = np.random.default_rng(1)
    matrix = draw.normal(size=(500, 2))
    told = {"objective": "regression", "linear_tree": True, "verbosity": -1, "num_threads": 1}
    linear = lightgbm.train(told, lightgbm.Dataset(matrix, matrix[:, 0], params=told), 2).model_to_string()

    assert refused(linear) == "linear_tree"


@pytest.mark.parametrize(
    ("line", "other", "reason"),
    [
        ("version=v4", "version=v5", "model text v5, not v4"),
        ("num_class=1", "num_class=1\nlink=log", "`link` in the model text"),
        ("num_cat=", "num_dog=1\nnum_cat=", "`num_dog` in the model text"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", "2 trees for 3 classes"),
        ("leaf_value=", "leaf_value=0.1 ", "`leaf_value` has 32 values where there should be 31"),
        ("left_child=", "left_child=0 ", "`left_child` has 31 values where there should be 30"),
        ("decision_type=", "decision_type=0 ", "`decision_type` has 31 values where there should be 30"),
    ],
)
def test_what_is_not_known_is_refused_by_name(text: str, line: str, other: str, reason: str) -> None:
    assert line in text
    assert refused(text.replace(line, other, 1)) == reason


@pytest.mark.parametrize(
    ("line", "other", "reason"),
    [
        ("left_child=-1", "left_child=0", "a tree whose nodes do not follow their parents"),
        ("right_child=-2", "right_child=-1", "a tree whose nodes do not follow their parents"),
        ("split_feature=0", "split_feature=1", "a split of no feature, or at no number"),
        ("threshold=0.5", "threshold=nan", "a split of no feature, or at no number"),
        ("decision_type=2", "decision_type=12", "decision type 12"),
        ("decision_type=2", "decision_type=3", "a categorical split without its set"),
    ],
)
def test_what_is_no_tree_is_refused(line: str, other: str, reason: str) -> None:
    assert refused(stumps([0.5], 2).replace(line, other, 1)) == reason


def test_a_child_before_its_parent_is_refused(text: str) -> None:
    """Two nodes of one tree point at each other; a walk would never end."""
    children = text.partition("left_child=")[2].partition("\n")[0].split()
    inner = next(place for place, child in enumerate(children) if place and int(child) > 0)
    assert refused(text.replace(" ".join(children), " ".join([*children[:inner], "0", *children[inner + 1 :]]), 1)) == (
        "a tree whose nodes do not follow their parents"
    )


def test_a_model_without_trees_is_refused() -> None:
    assert refused(stumps([], 2)) == "no trees"


def test_more_thresholds_than_two_bytes_have_are_refused() -> None:
    """A tree that asks one threshold after another."""
    nodes = np.arange(65_535)
    tree = Tree(nodes * 0, nodes + 0.5, nodes * 0, ~nodes, np.append(nodes[1:], ~65_535), np.zeros(65_536), ())

    assert plan_of(Forest(1, 1, (tree,))) == "65535 thresholds of a feature"
    assert plan_of(Forest(1, 1, (replace(tree, leaf_value=np.zeros(65_537)),))) == "65537 leaves a tree"
