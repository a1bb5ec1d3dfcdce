"""Tables piece by piece: all rows once, whole event days, and the same figures as at once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.pieces import pieces, pieces_of_history
from features.sweep import clip_history
from features.trailing import Figure, Group, Trailing, summed
from features.versions import with_superseded_day

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = date(2013, 3, 1)
DAY = timedelta(days=1)


def _rows(per_day: Sequence[int]) -> pl.DataFrame:
    """So many rows on each day, one in three known two days late, one in four of them with a correction."""
    days = [day for day, count in enumerate(per_day) for _ in range(count)]
    found = [(n, day, n % 3, 2 if n % 3 == 0 else 0) for n, day in enumerate(days)]
    found += [(n, day, n % 3 + 10, 3) for n, day in enumerate(days) if n % 4 == 0]
    return pl.DataFrame(
        [(n, "ab"[n % 2], FIRST + DAY * day, FIRST + DAY * (day + 1 + late), 100 * late + n, n * known)
         for n, day, known, late in found],
        schema={"key": pl.Int64, "g": pl.String, "event_day": pl.Date, "visible_day": pl.Date, "known": pl.Int64,
                "n": pl.Int64},
        orient="row",
    )  # fmt: skip


@pytest.mark.parametrize("most_rows", [1, 7, 20, 10_000])
def test_every_row_comes_once_and_days_stay_whole(most_rows: int) -> None:
    """A day that alone has more rows than a piece may hold is a piece."""
    rows = _rows([5, 0, 9, 3, 12, 1])

    found = list(pieces(rows.lazy(), most_rows))

    assert pl.concat(found).sort(rows.columns).equals(rows.sort(rows.columns))
    days = [set(piece["event_day"]) for piece in found]
    assert sum(map(len, days)) == len(set().union(*days))
    assert [min(each) for each in days] == sorted(min(each) for each in days)
    assert all(piece.height <= most_rows or len(day) == 1 for piece, day in zip(found, days, strict=True))


def test_a_table_without_rows_is_one_piece_without_rows() -> None:
    assert [piece.height for piece in pieces(_rows([]).lazy())] == [0]


def test_a_history_is_clipped_to_what_counts() -> None:
    """The same rows as `clip_history` leaves."""
    rows, nights = _rows([4] * 12), pl.Series([FIRST + DAY * 8, FIRST + DAY * 9])

    found = pl.concat(pieces_of_history(rows.lazy(), 3, nights, most_rows=5))

    assert found.sort(rows.columns).equals(clip_history(rows, 3, nights).sort(rows.columns))


@pytest.mark.parametrize("nights", [(9,), (3, 9, 10)])
def test_figures_of_pieces_are_those_of_the_whole(nights: tuple[int, ...]) -> None:
    """One night and several, corrections and late rows included."""
    rows = _rows([7, 3, 0, 8, 20, 2, 6, 5, 9])
    trailing = Trailing((Group("g", ("g",), ""),), (Figure("n", "n", None, ""), Figure("m", "n", "known", "")), (2, 7))
    asked = pl.DataFrame({"as_of": [FIRST + DAY * n for n in nights for _ in "ab"], "g": list("ab") * len(nights)})

    def versions(piece: pl.DataFrame) -> pl.DataFrame:
        return with_superseded_day(piece, ("key",), "known")

    in_pieces = summed((trailing,), map(versions, pieces(rows.lazy(), 9)), tuple(FIRST + DAY * n for n in nights))

    assert in_pieces.columns(asked).equals(trailing.columns(versions(rows), asked))
    assert in_pieces.columns(asked)["g_n_7d"].sum() > 0
