"""What the kernel's loops read: each column's code of a value, and the trees as a list of steps.

A column is a feature as one kind of split sees it. The code of a value in it says how many of the column's thresholds
lie below, plus 1; 0 is "missing". So `value <= threshold k` is `code <= k + 1`, on small integers, and every value is
compared with each threshold once, not once a tree. A byte holds the codes of up to 254 thresholds, which is what
LightGBM's default of 255 bins makes; such a column is narrow. A column with more is wide: 16 bits. Categories that no
set of the model tells apart share a code, in the order that the sets give them; a set is a few runs of codes.

A test of a narrow column is `byte(code - shift) > bound`: a row that passes goes right. Missing goes left with shift
0; with shift 1 its code is the highest, and it goes right. The steps of a tree stand bottom up (see
`models.kernel.loops`); of two subtrees the one that needs more room is first, so that few results wait at a time
(Sethi and Ullman 1970). Where the second one is what a row that fails has to take, the test is turned around.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from models.kernel.trees import Floats, Forest, Tree

type Bytes = npt.NDArray[np.uint8]
type Shorts = npt.NDArray[np.uint16]
type Steps = npt.NDArray[np.int32]

ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold: what is no further from 0 is 0 (RowPairFunctionFromDenseMatrix, src/c_api.cpp)."""

TWO_LEAVES, ONE_LEAF, TWO_SUBTREES, WIDE_TEST, SET_PART, SET_LOOKUP = range(6)
"""What a step does; then follow its column, shift, bound, the leaf for rows that pass, the leaf for the others."""

_CATEGORICAL, _MISSING_LEFT, _ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2, 4, 8
_NARROW_MOST, _WIDE_MOST = 254, 65_534  # thresholds
_LEAVES_MOST = 65_536
_CLASSES_MOST = 255  # of a narrow categorical column; no row has the code 255
_SET_BITS_MOST = 2**27  # of all sets of a feature, side by side


@dataclass(frozen=True, eq=False)
class Column:
    """How the values of one feature become codes."""

    feature: int
    cuts: Floats
    """Thresholds, ascending, filled up with infinity to one less than a power of two; none if it is categorical."""
    nan_code: int
    zero_code: int
    class_of: Shorts
    """Of a categorical column, category to code; categories that no set tells apart have the same."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A model as the kernel reads it."""

    classes: int
    narrow: tuple[Column, ...]
    wide: tuple[Column, ...]
    steps: Steps
    """One row a step: what it does, and five numbers."""
    first_step: Steps
    """Of each tree, and the end."""
    sets: Bytes
    """For each set and code of its column: 1 where a row goes right."""
    leaf_value: Floats
    first_leaf: Steps
    leaves: int
    """Of the tree with the most."""
    room: int
    """How many results wait at most at a time."""


def plan_of(forest: Forest) -> Plan | str:
    """The plan of a model, or why there is none."""
    leaves = max((len(tree.leaf_value) for tree in forest.trees), default=0)
    if not leaves:
        return "no trees"
    if leaves > _LEAVES_MOST:
        return f"{leaves} leaves a tree"
    found = _columns(forest)
    if isinstance(found, str):
        return found
    steps, first_step, room = [], [0], 1
    for tree in forest.trees:
        steps += list(_steps(tree, found, needs := _needs(tree)))
        first_step.append(len(steps))
        room = max([room, *needs[:1]])
    return Plan(
        classes=forest.classes,
        narrow=tuple(found.narrow),
        wide=tuple(found.wide),
        steps=np.array(steps, dtype=np.int32).reshape(len(steps), 6),
        first_step=np.array(first_step, dtype=np.int32),
        sets=np.concatenate([np.zeros(1, dtype=np.uint8), *found.sets]),
        leaf_value=np.concatenate([tree.leaf_value for tree in forest.trees]),
        first_leaf=np.cumsum([0, *(len(tree.leaf_value) for tree in forest.trees)], dtype=np.int32),
        leaves=leaves,
        room=room,
    )


type _Key = tuple[int, int]


@dataclass(eq=False)
class _Columns:
    """The columns, and where each split finds its own: the place of a threshold, the start of a set."""

    narrow: list[Column] = field(default_factory=list)
    wide: list[Column] = field(default_factory=list)
    place: dict[_Key, int] = field(default_factory=dict)
    is_wide: dict[_Key, bool] = field(default_factory=dict)
    rank: dict[_Key, dict[float, int]] = field(default_factory=dict)
    set_at: dict[tuple[int, bytes], int] = field(default_factory=dict)
    parts: dict[tuple[int, bytes], list[tuple[int, int]]] = field(default_factory=dict)
    sets: list[Bytes] = field(default_factory=list)


def _key(feature: int, decision: int) -> _Key:
    """A feature and what is missing in it; a categorical split has no other way to treat a missing value."""
    return feature, _CATEGORICAL if decision & _CATEGORICAL else decision & (_ZERO_IS_MISSING | _NAN_IS_MISSING)


def _columns(forest: Forest) -> _Columns | str:
    thresholds: dict[_Key, set[float]] = {}
    sets: dict[_Key, set[bytes]] = {}
    for tree in forest.trees:
        for feature, decision, threshold in _splits(tree):
            key = _key(feature, decision)
            if decision & _CATEGORICAL:
                sets.setdefault(key, set()).add(tree.sets[int(threshold)].tobytes())
            else:
                thresholds.setdefault(key, set()).add(threshold)
    columns = _Columns()
    for key in sorted(thresholds):
        if len(thresholds[key]) > _WIDE_MOST:
            return f"{len(thresholds[key])} thresholds of a feature"
        _add_numeric(columns, key, sorted(thresholds[key]))
    for key in sorted(sets):
        refused = _add_categorical(columns, key, sorted(sets[key]))
        if refused:
            return refused
    return columns


def _splits(tree: Tree) -> Iterator[tuple[int, int, float]]:
    return zip(tree.feature.tolist(), tree.decision.tolist(), tree.threshold.tolist(), strict=True)


def _add(columns: _Columns, key: _Key, column: Column, *, wide: bool) -> None:
    among = columns.wide if wide else columns.narrow
    columns.place[key], columns.is_wide[key] = len(among), wide
    among.append(column)


def _add_numeric(columns: _Columns, key: _Key, cuts: list[float]) -> None:
    zero = 1 + int(np.searchsorted(cuts, 0.0))
    filled = np.full((1 << len(cuts).bit_length()) - 1, np.inf)
    filled[: len(cuts)] = cuts
    feature, missing = key
    column = Column(
        feature=feature,
        cuts=filled,
        nan_code=0 if missing else zero,  # where nothing is missing, NaN is 0
        zero_code=0 if missing & _ZERO_IS_MISSING else zero,
        class_of=np.zeros(0, dtype=np.uint16),
    )
    columns.rank[key] = {cut: place for place, cut in enumerate(cuts)}
    _add(columns, key, column, wide=len(cuts) > _NARROW_MOST)


def _add_categorical(columns: _Columns, key: _Key, sets: list[bytes]) -> str:
    """Add the column and its sets; says what is too much."""
    categories = 8 * max(map(len, sets))
    if categories * len(sets) > _SET_BITS_MOST:
        return f"{len(sets)} sets of up to {categories} categories"
    members = np.zeros((len(sets), categories), dtype=np.uint8)
    for place, one in enumerate(sets):
        bits = np.unpackbits(np.frombuffer(one, dtype=np.uint8), bitorder="little")
        members[place, : len(bits)] = bits
    in_no_set = np.zeros((len(sets), 1), dtype=np.uint8)
    together = np.packbits(np.hstack([in_no_set, members]), axis=0).T.copy()
    distinct, class_of = np.unique(together.view(f"V{together.shape[1]}").ravel(), return_inverse=True)
    if len(distinct) > _WIDE_MOST:
        return f"{len(distinct)} categories that are told apart"
    first = np.zeros(len(distinct), dtype=np.int64)
    first[class_of[::-1]] = np.arange(categories, -1, -1)
    right = 1 - np.hstack([in_no_set, members])[:, first]
    wide, at = len(distinct) > _CLASSES_MOST, 1 + sum(map(len, columns.sets))
    for place, one in enumerate(sets):
        columns.set_at[key[0], one] = at + place * len(distinct)
        columns.parts[key[0], one] = [] if wide else _parts(right[place])
    columns.sets += [right.ravel()] if wide else []
    none = int(class_of[0])
    column = Column(key[0], np.zeros(0), none, none, class_of[1:].astype(np.uint16))
    _add(columns, key, column, wide=wide)
    return ""


def _parts(right: Bytes) -> list[tuple[int, int]]:
    """The runs of codes that go left: the first code, and how many follow; a code that no row has if there are none."""
    edges = np.flatnonzero(np.diff(1 - right, prepend=0, append=0))
    runs = [(int(first), int(end - first - 1)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
    return runs or [(_CLASSES_MOST, 0)]


def _needs(tree: Tree) -> list[int]:
    """How many results wait at a time in the subtree of each node: the number of Strahler."""
    needs, lefts, rights = [1] * len(tree.feature), tree.left.tolist(), tree.right.tolist()
    for node in range(len(needs) - 1, -1, -1):
        left, right = (needs[child] if child >= 0 else 0 for child in (lefts[node], rights[node]))
        needs[node] = max(left, right) if left != right else left + 1
    return needs


def _steps(tree: Tree, columns: _Columns, needs: list[int]) -> Iterator[tuple[int, ...]]:
    if not needs:
        yield TWO_LEAVES, 0, 0, 0, 0, 0
        return
    lefts, rights, splits = tree.left.tolist(), tree.right.tolist(), list(_splits(tree))
    for node in _bottom_up(lefts, rights, needs):
        left, right = lefts[node], rights[node]
        test = yield from _test(tree, columns, *splits[node])
        if left < 0 and right < 0:
            yield TWO_LEAVES, *test, ~right, ~left
        elif right < 0:
            yield ONE_LEAF, *test, ~right, 0
        elif left < 0:
            yield ONE_LEAF, *_turned(test), ~left, 0
        elif needs[left] >= needs[right]:
            yield TWO_SUBTREES, *test, 0, 0
        else:
            yield TWO_SUBTREES, *_turned(test), 0, 0


def _bottom_up(lefts: list[int], rights: list[int], needs: list[int]) -> Iterator[int]:
    """Every node after those below it, the subtree that needs more room first."""
    waiting = [(0, False)]
    while waiting:
        node, below_done = waiting.pop()
        if below_done:
            yield node
            continue
        waiting.append((node, True))
        below = [child for child in (rights[node], lefts[node]) if child >= 0]
        below.sort(key=lambda child: needs[child])  # taken from the end: the left one where both need the same
        waiting += [(child, False) for child in below]


type _Test = tuple[int, int, int]


def _test(
    tree: Tree, columns: _Columns, feature: int, decision: int, threshold: float
) -> Generator[tuple[int, ...], None, _Test]:
    """The test of one split: column, shift, bound. Of a wide column it is a step of its own, which leaves 0 or 1."""
    key = _key(feature, decision)
    place, beside = columns.place[key], len(columns.narrow)
    if decision & _CATEGORICAL:
        one = (feature, tree.sets[int(threshold)].tobytes())
        if columns.is_wide[key]:
            yield SET_LOOKUP, place, 0, columns.set_at[one], 0, 0
            return beside, 0, 0
        parts = columns.parts[one]
        if len(parts) == 1:
            return place, *parts[0]
        for part in parts:
            yield SET_PART, place, *part, int(part is parts[0]), 0
        return beside, 0, 0
    rank = columns.rank[key][threshold]
    shift, bound = (1, rank) if key[1] and not decision & _MISSING_LEFT else (0, rank + 1)
    if columns.is_wide[key]:
        yield WIDE_TEST, place, shift, bound, 0, 0
        return beside, 0, 0
    return place, shift, bound


def _turned(test: _Test) -> _Test:
    """The test that exactly the others pass: an interval of bytes and the rest of the circle."""
    column, shift, bound = test
    return column, (shift + bound + 1) % 256, 254 - bound
