"""The loops of the kernel: values to codes, codes to leaves, leaves to scores; compiled by numba, for blocks of rows.

The idea is QuickScorer's (Lucchese et al., SIGIR 2015) and RapidScorer's (Ye et al., KDD 2018): do not walk each row
down each tree, which is a chain of branches that no processor can foresee; visit all nodes of a tree in a fixed order,
and for each test many rows at once, by comparing small integers that lie side by side. They keep for each row a mask
of the leaves that it may still reach. Here a row keeps the number of the leaf that it would reach *from this node*,
worked out from the bottom to the top:

    leaf(node) = leaf(right child) if code > bound else leaf(left child)

That is one comparison and one selection of bytes a node, whatever the number of leaves, where masks grow with it; the
compiler makes of it 16, 32 or 64 rows an instruction, as the processor has them. The result at the root is the leaf
itself. What waits for its sibling lies on a stack (`work`), a block of rows a place.

The leaf values are added in the order of the trees, each row by itself: so every score is, to the last bit, what
LightGBM's `predict` adds up, for any number of threads and any cut into blocks. No sum is reordered: numba's fastmath
is off.
"""

import math

import numpy as np
import numpy.typing as npt

from models.kernel.compiling import compiled, inlined
from models.kernel.plan import ONE_LEAF, SET_LOOKUP, SET_PART, TWO_LEAVES, TWO_SUBTREES, ZERO, Bytes, Shorts, Steps
from models.kernel.trees import Floats

type Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
type Code = np.uint8 | np.uint16

BLOCK = 1024  # rows; the codes of a block stay in the processor's first or second cache for all trees
_BLOCK = np.uint64(BLOCK)
_OVERFLOW = 709.782712893384  # the last of which math.exp gives a number; beyond, a probability of 0
_byte, _place = np.uint8, np.uint64  # unsigned: a step that wraps around is meant, an index that does not is faster


@compiled(
    "void(Array(float64, 1, 'C', readonly=True), float64[::1], uint8, uint8, uint8[:,::1], uint64)",
    "void(Array(float64, 1, 'C', readonly=True), float64[::1], uint16, uint16, uint16[:,::1], uint64)",
)
def code_numbers(
    values: Floats, cuts: Floats, nan_code: Code, zero_code: Code, codes: Codes, column: np.uint64
) -> None:
    """Write the codes of one numeric column: 1 + how many cuts lie below, found by halving them, all rows in step."""
    below = np.empty(BLOCK, np.uint32)
    block_values = np.empty(BLOCK, np.float64)
    first = column * _BLOCK
    for block in range(len(codes)):
        rows = min(BLOCK, len(values) - block * BLOCK)
        for row in range(rows):
            block_values[row] = values[block * BLOCK + row]
        below[:] = 0
        half = np.uint32((len(cuts) + 1) >> 1)
        while half > 0:
            for row in range(BLOCK):
                place = below[row]
                if cuts[np.uint32(place + half - np.uint32(1))] < block_values[row]:
                    place += half
                below[row] = place
            half >>= np.uint32(1)
        written = codes[block]
        for row in range(BLOCK):
            value, code = block_values[row], below[row] + np.uint32(1)
            if abs(value) <= ZERO:
                code = np.uint32(zero_code)
            if np.isnan(value):
                code = np.uint32(nan_code)
            written[first + _place(row)] = code


@compiled(
    "void(Array(float64, 1, 'C', readonly=True), uint16[::1], uint16, uint8[:,::1], uint64)",
    "void(Array(float64, 1, 'C', readonly=True), uint16[::1], uint16, uint16[:,::1], uint64)",
)
def code_categories(values: Floats, class_of: Shorts, none: Code, codes: Codes, column: np.uint64) -> None:
    """Write the codes of one categorical column; LightGBM cuts a value to a whole number, and none is negative."""
    first = column * BLOCK
    for row in range(len(values)):
        value, code = values[row], none
        if value > -1.0 and value < len(class_of):
            code = class_of[int(value)]
        codes[row // BLOCK, first + row % BLOCK] = code


@inlined
def two_leaves(
    codes: Bytes, column: np.uint64, shift: Code, bound: Code, work: Codes, top: np.uint64, passing: Code, other: Code
) -> None:
    """Open a place: a leaf for the rows that pass the test, another for the others."""
    for row in range(_BLOCK):
        leaf = other
        if _byte(codes[column + row] - shift) > bound:
            leaf = passing
        work[top + row] = leaf


@inlined
def one_leaf(
    codes: Bytes, column: np.uint64, shift: Code, bound: Code, work: Codes, top: np.uint64, passing: Code
) -> None:
    """A leaf for the rows that pass; the others keep what the subtree gave them."""
    for row in range(_BLOCK):
        leaf = work[top + row]
        if _byte(codes[column + row] - shift) > bound:
            leaf = passing
        work[top + row] = leaf


@inlined
def two_subtrees(codes: Bytes, column: np.uint64, shift: Code, bound: Code, work: Codes, top: np.uint64) -> None:
    """The rows that pass take what the second subtree gave, which is gone then."""
    above = top + _BLOCK
    for row in range(_BLOCK):
        leaf = work[top + row]
        passing = work[above + row]
        if _byte(codes[column + row] - shift) > bound:
            leaf = passing
        work[top + row] = leaf


@inlined
def wide_test(wide: Shorts, column: np.uint64, shift: Code, bound: Code, codes: Bytes, beside: np.uint64) -> None:
    """Write whether a row passes the test of a wide column, into the place beside the narrow ones."""
    for row in range(_BLOCK):
        codes[beside + row] = np.uint16(wide[column + row] - shift) > bound


@inlined
def set_part(codes: Bytes, column: np.uint64, shift: Code, bound: Code, beside: np.uint64) -> None:
    """Write 0 for the rows whose code is in this run of a set."""
    for row in range(_BLOCK):
        went = codes[beside + row]
        if _byte(codes[column + row] - shift) <= bound:
            went = _byte(0)
        codes[beside + row] = went


@inlined
def set_lookup(wide: Shorts, column: np.uint64, sets: Bytes, start: np.uint64, codes: Bytes, beside: np.uint64) -> None:
    """Write whether a row passes the test of a set of a wide column."""
    for row in range(_BLOCK):
        codes[beside + row] = sets[start + wide[column + row]]


@compiled(
    *(
        "void(uint8[:,::1], uint16[:,::1], int32[:,::1], int32[::1], uint8[::1], float64[::1], int32[::1],"
        f" {leaf}[::1], float64[:,::1])"
        for leaf in ("uint8", "uint16")
    )
)
def score_blocks(  # noqa: C901 - one branch a kind of step
    narrow: Bytes,
    wide: Shorts,
    steps: Steps,
    first_step: Steps,
    sets: Bytes,
    leaf_value: Floats,
    first_leaf: Steps,
    work: Codes,
    scores: Floats,
) -> None:
    """Add up the leaf values of all trees: one line of `scores` a class; `narrow` ends with room for one test."""
    bottom = work[:BLOCK]
    for block in range(len(narrow)):
        codes, wide_codes = narrow[block], wide[block]
        beside = _place(len(codes)) - _BLOCK
        scores[:, block * BLOCK : (block + 1) * BLOCK] = 0.0
        for tree in range(len(first_step) - 1):
            top = _place(0)
            for step in range(first_step[tree], first_step[tree + 1]):
                kind, column = steps[step, 0], _place(steps[step, 1]) * _BLOCK
                shift, bound = _byte(steps[step, 2]), _byte(steps[step, 3])
                passing, other = work.dtype.type(steps[step, 4]), work.dtype.type(steps[step, 5])
                if kind == ONE_LEAF:
                    one_leaf(codes, column, shift, bound, work, top - _BLOCK, passing)
                elif kind == TWO_LEAVES:
                    two_leaves(codes, column, shift, bound, work, top, passing, other)
                    top += _BLOCK
                elif kind == TWO_SUBTREES:
                    top -= _BLOCK
                    two_subtrees(codes, column, shift, bound, work, top - _BLOCK)
                elif kind == SET_PART:
                    if passing:
                        codes[len(codes) - BLOCK :] = 1
                    set_part(codes, column, shift, bound, beside)
                elif kind == SET_LOOKUP:
                    set_lookup(wide_codes, column, sets, _place(steps[step, 3]), codes, beside)
                else:
                    wide_test(wide_codes, column, np.uint16(steps[step, 2]), np.uint16(steps[step, 3]), codes, beside)
            added = scores[tree % len(scores), block * BLOCK : (block + 1) * BLOCK]
            values = leaf_value[first_leaf[tree] : first_leaf[tree + 1]]
            for row in range(BLOCK):
                added[row] += values[bottom[row]]


@compiled("void(float64[::1], float64, float64[::1])")
def logistic(raw: Floats, slope: float, probability: Floats) -> None:
    """Write the probability of each raw score, as `models.scorer` does: `math.exp` is the C library's own here too."""
    for row in range(len(raw)):
        x = -(slope * raw[row])
        probability[row] = 0.0 if x > _OVERFLOW else 1.0 / (1.0 + math.exp(x))
