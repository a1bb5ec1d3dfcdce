"""From the text of a LightGBM model to its trees, or the reason why they are not for the kernel.

What the lines mean is what LightGBM 4.7 does with them when it predicts:

- `Tree::Tree(const char*, size_t*)` in src/io/tree.cpp reads a tree; `GBDT::LoadModelFromString` in
  src/boosting/gbdt_model_text.cpp reads what stands before the first.
- `Tree::NumericalDecision` and `CategoricalDecision` in include/LightGBM/tree.h decide where a value goes.
- `GBDT::PredictRaw` in src/boosting/gbdt_prediction.cpp starts at 0 and adds the leaf values in the order of the trees;
  it does not divide where the trees are averaged (`rf`), only `Predict` does.
- Shrinkage is in the leaf values already. All other lines of a tree say how it was trained.

A text with a line that is not known here is not for the kernel: it may mean something.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

type Integers = npt.NDArray[np.int64]
type Words = npt.NDArray[np.uint32]
type Floats = npt.NDArray[np.float64]

_VERSION = "v4"
_HEADER = frozenset(
    (
        *("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective"),
        *("average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_sizes"),
    )
)
_TREE = frozenset(
    (
        *("num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child"),
        *("right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight"),
        *("internal_count", "cat_boundaries", "cat_threshold", "is_linear", "shrinkage"),
    )
)
_DECISIONS = 12  # of the decision types: 1 categorical, 2 missing goes left, 4 zero is missing, 8 NaN is missing


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; node 0 is its root, a child is a later node, or `~leaf` where it is a leaf."""

    feature: Integers
    threshold: Floats
    """Values up to it go left; of a categorical node the number of its set."""
    decision: Integers
    left: Integers
    right: Integers
    leaf_value: Floats
    sets: tuple[Words, ...]
    """Codes that go left, as bits."""


@dataclass(frozen=True, eq=False)
class Forest:
    """All trees of a model in their order; tree t adds to the score of class `t % classes`."""

    features: int
    classes: int
    trees: tuple[Tree, ...]


class _Unknown(Exception):
    """Why a text is not for the kernel."""


def read_forest(text: str) -> Forest | str:
    """The trees of a model text whole and unchanged since `predict` wrote it; or why the kernel cannot have them."""
    head, *parts = text.partition("\nend of trees")[0].split("\nTree=")
    try:
        header = _lines(head.removeprefix("tree\n"), _HEADER)
        if header.get("version") != _VERSION:
            return f"model text {header.get('version')}, not {_VERSION}"
        classes = int(header["num_tree_per_iteration"])
        if len(parts) % classes:
            return f"{len(parts)} trees for {classes} classes"
        features = int(header["max_feature_idx"]) + 1
        return Forest(features, classes, tuple(_tree(part, features) for part in parts))
    except _Unknown as reason:
        return str(reason)


def _lines(part: str, known: frozenset[str]) -> dict[str, str]:
    found = dict(line.partition("=")[::2] for line in part.splitlines() if line)
    unknown = [name for name in found if name not in known]
    if unknown:
        raise _Unknown(f"`{unknown[0]}` in the model text")
    return found


def _tree(part: str, features: int) -> Tree:
    lines = part.partition("\n")[2]  # after its number
    if "\nis_linear=1" in lines:
        raise _Unknown("linear_tree")
    found = _lines(lines, _TREE)
    leaves = int(found["num_leaves"])
    nodes = leaves - 1
    tree = Tree(
        feature=_numbers(found, "split_feature", nodes, np.int64),
        threshold=_numbers(found, "threshold", nodes, np.float64),
        decision=_numbers(found, "decision_type", nodes, np.int64),
        left=_numbers(found, "left_child", nodes, np.int64),
        right=_numbers(found, "right_child", nodes, np.int64),
        leaf_value=_numbers(found, "leaf_value", leaves, np.float64),
        sets=_sets(found),
    )
    _check(tree, features)
    return tree


def _numbers(found: dict[str, str], name: str, count: int, dtype: type) -> npt.NDArray[Any]:
    read = float if dtype is np.float64 else int
    values = [read(one) for one in found[name].split()] if count else []
    if len(values) != count:
        raise _Unknown(f"`{name}` has {len(values)} values where there should be {count}")
    return np.array(values, dtype=dtype)


def _sets(found: dict[str, str]) -> tuple[Words, ...]:
    count = int(found["num_cat"])
    if not count:
        return ()
    bounds = _numbers(found, "cat_boundaries", count + 1, np.int64)
    words = _numbers(found, "cat_threshold", int(bounds[-1]), np.uint32)
    return tuple(words[low:high] for low, high in pairwise(bounds.tolist()))


def _check(tree: Tree, features: int) -> None:
    """Refuse what is not a tree, or decides in ways that are not known here."""
    nodes = len(tree.feature)
    children = np.concatenate([tree.left, tree.right])
    once = np.array_equal(np.sort(children), [*range(~nodes, 0), *range(1, nodes)]) if nodes else True
    if not once or (children[children >= 0] <= np.tile(np.arange(nodes), 2)[children >= 0]).any():
        raise _Unknown("a tree whose nodes do not follow their parents")
    if ((tree.feature < 0) | (tree.feature >= features)).any() or np.isnan(tree.threshold).any():
        raise _Unknown("a split of no feature, or at no number")
    if ((tree.decision < 0) | (tree.decision >= _DECISIONS)).any():
        raise _Unknown(f"decision type {tree.decision.max()}")
    numbers = tree.threshold[(tree.decision & 1) > 0]
    if len(numbers) and not (np.isin(numbers, np.arange(len(tree.sets))).all()):
        raise _Unknown("a categorical split without its set")
