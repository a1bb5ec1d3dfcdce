"""Golden rows: some rows that a model was trained on, with the raw scores that it gave them, to be asked again."""

from __future__ import annotations

import hashlib
import heapq
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from models.booster import Floats

MOST_ROWS = 1_000


def choose_rows(frame: pl.DataFrame, order: Sequence[str], seed: int, most: int = MOST_ROWS) -> pl.DataFrame:
    """The `most` rows of lowest rank in a lottery, in their order; all of them if there are no more.

    A row's rank is the SHA-256 of the JSON list of the seed and its values of `order` as text: it depends on the row
    alone, not on where it stands or on which others there are.
    """
    ranked = ((_rank(seed, row), place) for place, row in enumerate(frame.select(order).iter_rows()))
    places = sorted(place for _, place in heapq.nsmallest(most, ranked))
    return frame[places]


def bits_differing(expected: Floats, found: Floats) -> int:
    """How many raw scores are not the same 64 bits."""
    return int((expected.view(np.uint64) != found.view(np.uint64)).sum())


def _rank(seed: int, row: tuple[object, ...]) -> bytes:
    text = json.dumps([seed, *map(str, row)], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
