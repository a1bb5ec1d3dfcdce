"""Windows over two clocks, against a sum written out one cutoff at a time."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.exact import NotWhole
from features.sweep import Windows, clip_history, nights_of, windows
from features.versions import VersionsTie, newest, with_superseded_day

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = Callable[..., pl.DataFrame]

DAYS = (1, 3, 7)
FIRST = date(2013, 3, 1)
DAY = timedelta(days=1)


def _as_of(*days: str, group: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"as_of": [date.fromisoformat(day) for day in days], "g": group})


def _sums(rows: pl.DataFrame, asked: pl.DataFrame, *days: int) -> dict[str, list[int]]:
    versions = with_superseded_day(rows, ("key",), "known")
    return windows(versions, by=("g",), sums=("n",), days=days, asked=asked).to_dict(as_series=False)


def test_a_row_counts_from_the_day_it_is_visible_to_the_end_of_the_window(table: Table) -> None:
    """Event on the 1st, visible on the 2nd: the three days before the cutoff hold it until the 4th."""
    rows = table(
        """
        key | g | event_day  | visible_day | known | n
        1   | a | 2013-03-01 | 2013-03-02  | 10    | 5
        """,
        g=pl.String(),
    )
    asked = _as_of("2013-03-01", "2013-03-02", "2013-03-04", "2013-03-05")

    assert _sums(rows, asked, 3) == {"n_3d": [0, 5, 5, 0]}


def test_a_late_row_counts_only_once_it_is_known_and_never_if_its_window_has_passed(table: Table) -> None:
    """Known two days late it is missing from the windows before, and a window of one day never holds it."""
    rows = table(
        """
        key | g | event_day  | visible_day | known | n
        1   | a | 2013-03-01 | 2013-03-04  | 40    | 5
        """,
        g=pl.String(),
    )
    asked = _as_of("2013-03-02", "2013-03-03", "2013-03-04", "2013-03-05")

    assert _sums(rows, asked, 1, 3) == {"n_1d": [0, 0, 0, 0], "n_3d": [0, 0, 5, 0]}


def test_a_correction_replaces_the_row_from_the_day_it_is_visible(table: Table) -> None:
    """The old figure counts on the 2nd, the new one on the 3rd; two corrections of one day leave the newest."""
    rows = table(
        """
        key | g | event_day  | visible_day | known | n
        1   | a | 2013-03-01 | 2013-03-02  | 10    | 5
        1   | a | 2013-03-01 | 2013-03-03  | 20    | 600
        1   | a | 2013-03-01 | 2013-03-03  | 25    | 7
        """,
        g=pl.String(),
    )

    assert _sums(rows, _as_of("2013-03-02", "2013-03-03", "2013-03-04"), 3) == {"n_3d": [5, 7, 7]}


def test_a_correction_may_move_a_row_to_another_group(table: Table) -> None:
    """A flight that was diverted to another group leaves nothing behind in the first."""
    rows = table(
        """
        key | g | event_day  | visible_day | known | n
        1   | a | 2013-03-01 | 2013-03-02  | 10    | 5
        1   | b | 2013-03-01 | 2013-03-03  | 20    | 5
        """,
        g=pl.String(),
    )
    asked = pl.concat([_as_of("2013-03-02", "2013-03-03"), _as_of("2013-03-02", "2013-03-03", group="b")])

    assert _sums(rows, asked, 3) == {"n_3d": [5, 0, 0, 5]}


def test_a_group_without_rows_or_with_a_null_sums_to_nothing(table: Table) -> None:
    """Null is no group: rows without one belong to none."""
    rows = table(
        """
        key | g | event_day  | visible_day | known | n
        1   | a | 2013-03-01 | 2013-03-02  | 10    | 5
        2   | - | 2013-03-01 | 2013-03-02  | 10    | 9
        """,
        g=pl.String(),
    )
    asked = pl.DataFrame({"as_of": [date(2013, 3, 2)] * 3, "g": ["a", "z", None]})

    assert _sums(rows, asked, 3) == {"n_3d": [5, 0, 0]}


def test_two_versions_known_in_the_same_instant_are_refused(table: Table) -> None:
    """Neither is the newer, and choosing one would be a coin toss."""
    rows = table(
        """
        key | event_day  | visible_day | known | n
        1   | 2013-03-01 | 2013-03-02  | 10    | 5
        1   | 2013-03-01 | 2013-03-02  | 10    | 6
        """
    )

    with pytest.raises(VersionsTie, match=r"1 row\(s\) have the same key"):
        with_superseded_day(rows, ("key",), "known")
    with pytest.raises(VersionsTie):
        newest(rows, ("key",), "known")


def test_the_newest_version_is_the_one_known_last(table: Table) -> None:
    rows = table(
        """
        key | visible_day | known | n
        1   | 2013-03-03  | 20    | 6
        1   | 2013-03-02  | 10    | 5
        2   | 2013-03-02  | 10    | 7
        """
    )

    assert newest(rows, ("key",), "known")["n"].to_list() == [6, 7]


def test_a_float_is_not_summed(table: Table) -> None:
    rows = table("key | g | event_day | visible_day | known | n", g=pl.String(), n=pl.Float64())

    with pytest.raises(NotWhole, match=r"n \(Float64\)"):
        _sums(rows, _as_of("2013-03-02"), 3)


def test_history_outside_every_window_is_left_out(table: Table) -> None:
    """Nights of 5 and 6 March, 3 days: what happened on the 1st expired, what is visible on the 7th lies ahead."""
    rows = table(
        """
        event_day  | visible_day
        2013-03-01 | 2013-03-02
        2013-03-02 | 2013-03-03
        2013-03-05 | 2013-03-06
        2013-03-05 | 2013-03-07
        """
    )

    kept = clip_history(rows, 3, pl.Series([date(2013, 3, 5), date(2013, 3, 6)]))

    assert kept["visible_day"].to_list() == [date(2013, 3, 3), date(2013, 3, 6)]


# Versions of a row: key, group, day of the event, then for each version how late it was known, and its figure.
VERSIONS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 12),
        st.lists(st.tuples(st.integers(0, 9), st.integers(-50, 50)), min_size=1, max_size=3),
    ),
    max_size=12,
)


def _rows(drawn: list[tuple[str, int, list[tuple[int, int]]]]) -> list[dict[str, object]]:
    """Versions of one key in the order in which they became known, many of them on the same day."""
    rows: list[dict[str, object]] = []
    for key, (group, event, versions) in enumerate(drawn):
        event_day = FIRST + DAY * event
        for place, (lag, figure) in enumerate(sorted(versions, key=lambda version: version[0])):
            known = {"key": key, "g": group, "known": 100 * lag + place, "n": figure}
            rows.append({**known, "event_day": event_day, "visible_day": event_day + DAY * (lag + 1)})
    return rows


def _one_cutoff(rows: list[dict[str, object]], group: str, as_of: date, days: int) -> int:
    """The claim, written out: of each row the newest version known by then, if it happened in the window."""
    newest_known: dict[object, dict[str, object]] = {}
    for row in sorted(rows, key=lambda row: row["known"]):  # type: ignore[arg-type,return-value]
        if row["visible_day"] <= as_of:  # type: ignore[operator]
            newest_known[row["key"]] = row
    inside = [row for row in newest_known.values() if as_of - DAY * days <= row["event_day"] < as_of]  # type: ignore[operator]
    return sum(row["n"] for row in inside if row["g"] == group)  # type: ignore[misc]


@settings(max_examples=150, deadline=None)
@given(VERSIONS, st.randoms(use_true_random=False))
def test_any_windows_equal_those_counted_one_cutoff_at_a_time(
    drawn: list[tuple[str, int, list[tuple[int, int]]]], chance: st.DrawFn
) -> None:
    """Late rows, corrections, corrections of one day: every sum of every window on every night, in any row order."""
    rows = _rows(drawn)
    nights = [FIRST + DAY * n for n in range(28)]
    asked = pl.DataFrame([(night, group) for group in "ba" for night in nights], schema=["as_of", "g"], orient="row")
    schema = {"key": pl.Int64, "g": pl.String, "known": pl.Int64, "n": pl.Int64}
    schema |= {"event_day": pl.Date, "visible_day": pl.Date}
    shuffled = rows.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    found = _sums(pl.DataFrame(shuffled, schema=schema), asked, *DAYS)

    for days in DAYS:
        expected = [_one_cutoff(rows, group, night, days) for night, group in asked.iter_rows()]
        assert found[f"n_{days}d"] == expected
    alone = [_sums(pl.DataFrame(shuffled, schema=schema), one, *DAYS) for one in asked.iter_slices(1)]
    assert found == {name: [sums[name][0] for sums in alone] for name in found}


@settings(max_examples=60, deadline=None)
@given(drawn=VERSIONS, cut=st.integers(1, 12), one_night=st.booleans())
def test_rows_reduced_in_pieces_are_those_reduced_at_once(
    drawn: list[tuple[str, int, list[tuple[int, int]]]], cut: int, *, one_night: bool
) -> None:
    """Whole event days at a time, as many rows are read: for one night, and for a month of them."""
    nights = [FIRST + DAY * 9] if one_night else [FIRST + DAY * n for n in range(28)]
    asked = pl.DataFrame([(night, group) for group in "ba" for night in nights], schema=["as_of", "g"], orient="row")
    schema = {"key": pl.Int64, "g": pl.String, "known": pl.Int64, "n": pl.Int64}
    schema |= {"event_day": pl.Date, "visible_day": pl.Date}
    rows = pl.DataFrame(_rows(drawn), schema=schema)
    versions = with_superseded_day(rows, ("key",), "known")
    early = pl.col("event_day") < FIRST + DAY * cut
    over = Windows(("g",), ("n",), DAYS, nights_of(asked))

    pieces = over.merged([over.reduced(versions.filter(early)), over.reduced(versions.filter(~early))])

    assert over.looked_up(pieces, asked).equals(over.looked_up(over.reduced(versions), asked))
