"""Scores from columns: spans of rows, each coded column by column and scored by one thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from models.kernel.loops import BLOCK, code_categories, code_numbers, logistic, score_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.kernel.plan import Bytes, Column, Plan, Shorts
    from models.kernel.trees import Floats

    type Read = Callable[[int, int, int], Floats]
    """Values of a feature from one row up to another, as float64, NaN where missing; called by several threads."""

_SPAN_BLOCKS = 16
_BYTE_LEAVES = 256


def score(plan: Plan, read: Read, rows: int, threads: int, most_rows: int) -> Floats:
    """One line a class, one raw score a row: the leaf values of its trees, added in their order.

    Neither `threads` nor `most_rows` (how many rows a thread takes at a time; whole blocks, at least one) changes
    a bit.
    """
    span = BLOCK * max(1, min(_SPAN_BLOCKS, most_rows // BLOCK))
    scores = np.empty((plan.classes, rows), dtype=np.float64)

    def fill(start: int) -> None:
        stop = min(start + span, rows)
        scores[:, start:stop] = _span(plan, read, start, stop)[:, : stop - start]

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, range(0, rows, span)):
            pass
    return scores


def probabilities(raw: Floats, slope: float) -> Floats:
    """One logistic of `slope * raw` a raw score, with the exponential of the C library."""
    found = np.empty(len(raw), dtype=np.float64)
    logistic(raw, slope, found)
    return found


def _span(plan: Plan, read: Read, start: int, stop: int) -> Floats:
    blocks = -(-(stop - start) // BLOCK)
    narrow = np.zeros((blocks, (len(plan.narrow) + 1) * BLOCK), dtype=np.uint8)
    wide = np.zeros((blocks, len(plan.wide) * BLOCK), dtype=np.uint16)
    for place, column in enumerate(plan.narrow):
        _code(column, read(column.feature, start, stop), narrow, place)
    for place, column in enumerate(plan.wide):
        _code(column, read(column.feature, start, stop), wide, place)
    work = np.empty(plan.room * BLOCK, dtype=np.uint8 if plan.leaves <= _BYTE_LEAVES else np.uint16)
    scores = np.empty((plan.classes, blocks * BLOCK), dtype=np.float64)
    score_blocks(narrow, wide, plan.steps, plan.first_step, plan.sets, plan.leaf_value, plan.first_leaf, work, scores)
    return scores


def _code(column: Column, values: Floats, codes: Bytes | Shorts, place: int) -> None:
    if len(column.cuts):
        code_numbers(values, column.cuts, column.nan_code, column.zero_code, codes, place)
    else:
        code_categories(values, column.class_of, column.nan_code, codes, place)
