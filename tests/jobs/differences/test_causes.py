"""The arithmetic of causes, and how their figures are shown."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.differences.causes import Cause, Link, attribute, listed, require_exact, shortened, suspects
from jobs.differences.showing import histogram, signed
from jobs.differences.swapping import Waypoint
from jobs.screen import bars, narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

SCORES = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)


def both(a: Sequence[float], b: Sequence[float]) -> pl.DataFrame:
    return pl.DataFrame({"score": a, "score_b": b}, schema={"score": pl.Float64, "score_b": pl.Float64})


def link(*causes: str, why: Sequence[str] = (), **changes: float) -> Link:
    """A link with changes by place, written `at0=0.5`."""
    return Link(causes, tuple(why), {int(place.removeprefix("at")): Fraction(by) for place, by in changes.items()})


def way(made_of: str) -> list[Waypoint]:
    """Waypoints that are made of one letter each, and nothing that could be executed."""
    return [Waypoint(f"to {place}", (letter,), pl.DataFrame) for place, letter in enumerate(made_of)]


@pytest.mark.parametrize(
    ("made_of", "left"),
    [("abc", [0, 1, 2]), ("abbc", [0, 1, 3]), ("abcbd", [0, 1, 4]), ("abca", [0]), ("aabbcc", [0, 2, 4])],
)
def test_what_lies_between_two_waypoints_that_are_the_same_is_left_out(made_of: str, left: list[int]) -> None:
    """Also where it leads away and back; the cause of the next one stays its own."""
    assert [each.cause for each in shortened(way(made_of))] == [f"to {place}" for place in left]


def test_what_is_on_record_as_it_was_is_not_suspected() -> None:
    """The code of today is another, but that of both runs is one; nobody knows which environment the second had."""
    way = [
        Waypoint("feature code", (), pl.DataFrame, ("then", "today")),
        Waypoint("new rows", (), pl.DataFrame),
        Waypoint("feature code", (), pl.DataFrame, ("today", "then")),
        Waypoint("environment", (), pl.DataFrame, ("here", "unknown")),
    ]

    assert suspects(way[:1]) == ("feature code",)
    assert suspects(way[:2]) == ("feature code", "new rows")
    assert suspects(way[:3]) == ("new rows",)
    assert suspects(way) == ("new rows", "environment")
    assert suspects([way[0], way[2]]) == ("feature code",)  # something it must have been


def test_a_cause_that_is_swapped_twice_is_added_up() -> None:
    """What comes to nothing is no movement; the order is that of the swaps."""
    causes, together = attribute(
        [link("environment", at0=0.25, at1=0.5), link("model", at1=1.0), link("environment", at0=-0.25, at1=0.25)],
        both([0.0, 0.0], [0.0, 1.75]),
        another_night=False,
    )
    found = {each.name: each for each in causes}

    assert next(iter(found)) == "environment"
    assert found["environment"].changes == {1: Fraction(3, 4)}
    assert found["model"].changes == {1: Fraction(1)}
    assert (together.sum, together.mean, together.largest) == (Fraction(7, 4), Fraction(7, 8), Fraction(7, 4))
    assert (found["environment"].share, found["model"].share) == (Fraction(3, 7), Fraction(4, 7))


def test_several_gaps_are_one_remainder_with_all_their_causes_and_reasons() -> None:
    """In the order of swaps, each once; a link of one cause is that cause, wherever it stands."""
    causes, _ = attribute(
        [
            link("feature code", "environment", why=["no frame"], at0=1.0),
            link("new rows", at0=1.0),
            link("feature code", "model", why=["no frame", "no model"], at0=1.0),
        ],
        both([0.0], [3.0]),
        another_night=False,
    )

    assert causes[-1].name == "cannot be told apart: environment, feature code and model"
    assert causes[-1].causes == ("environment", "feature code", "model")
    assert causes[-1].why == ("no frame", "no model")
    assert causes[-1].sum == 2
    assert {each.name: each.sum for each in causes[:-1] if each.changes} == {"new rows": 1}


def test_a_gap_that_moved_nothing_is_no_remainder() -> None:
    """There is nothing in it to tell apart."""
    causes, _ = attribute(
        [link("environment", "feature code", why=["no frame"]), link("model", at0=1.0)],
        both([0.0], [1.0]),
        another_night=False,
    )

    assert [each.name for each in causes if each.causes] == []


@given(st.lists(st.tuples(SCORES, SCORES, SCORES), min_size=1, max_size=8))
def test_causes_add_up_where_floats_would_not(rows: list[tuple[float, float, float]]) -> None:
    """Any three waypoints: the two differences are the whole, without a rounding."""
    first, second, third = (list(column) for column in zip(*rows, strict=True))
    links = [
        Link(
            (name,),
            (),
            {at: Fraction(b) - Fraction(a) for at, (a, b) in enumerate(zip(one, two, strict=True)) if a != b},
        )
        for name, one, two in (("new rows", first, second), ("model", second, third))
    ]
    causes, together = attribute(links, both(first, third), another_night=False)

    assert sum(each.sum for each in causes) == together.sum
    assert together.sum == sum(map(Fraction, third)) - sum(map(Fraction, first))


def test_causes_that_do_not_add_up_are_a_bug() -> None:
    """For one entity, though the sums agree; and for all."""
    with pytest.raises(ArithmeticError, match="every entity"):
        require_exact({"model": {0: Fraction(2), 1: Fraction(1)}}, {0: Fraction(1), 1: Fraction(2)})
    with pytest.raises(ArithmeticError):
        require_exact({"model": {0: Fraction(1) + Fraction(1, 2**80)}}, {0: Fraction(1)})
    with pytest.raises(ArithmeticError):
        attribute([link("model", at0=1.0)], both([0.0], [math.nextafter(1.0, 2)]), another_night=False)


def test_the_largest_change_keeps_its_sign() -> None:
    """Of equals it is the positive one, whichever entity comes first."""
    assert Cause("model", {0: Fraction(1), 1: Fraction(-2)}, 2, Fraction(1)).largest == -2
    assert Cause("model", {0: Fraction(-2), 1: Fraction(2)}, 2, Fraction(1)).largest == 2
    assert Cause("model", {}, 0, Fraction(0)).largest == Cause("model", {}, 0, Fraction(0)).mean == 0


def test_names_are_listed_as_one_says_them() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_a_histogram_counts_every_entity_once() -> None:
    """Bins of one width, their far end is part of them; those that did not move stand between."""
    changes = [Fraction(n, 100) for n in (-12, -2, -1, 1, 2, 3, 5)] + [Fraction(0)]

    assert histogram(changes, 4) == [
        ("-0.12 to -0.10", 1), ("-0.10 to -0.08", 0), ("-0.08 to -0.06", 0), ("-0.06 to -0.04", 0),
        ("-0.04 to -0.02", 0), ("-0.02 to 0", 2), ("no change", 5), ("0 to +0.02", 2), ("+0.02 to +0.04", 1),
        ("+0.04 to +0.06", 1),
    ]  # fmt: skip


@given(st.lists(st.floats(-1e12, 1e12).filter(bool).map(Fraction), min_size=1, max_size=30), st.integers(0, 5))
def test_six_bins_a_side_hold_changes_of_any_size(changes: list[Fraction], unmoved: int) -> None:
    """From a bit to billions; in any order of entities."""
    rows = histogram(changes, unmoved)

    assert sum(count for _, count in rows) == len(changes) + unmoved
    assert len(rows) <= 13
    assert rows[0][1] or rows[0][0] == "no change"
    assert rows[-1][1] or rows[-1][0] == "no change"
    assert histogram(changes[::-1], unmoved) == rows


def test_a_change_that_decimals_do_not_show_is_shown_all_the_same() -> None:
    """One bit is not nothing, and nothing is not a small change."""
    assert [signed(Fraction(each)) for each in (0, 0.25, -0.0625, 2.0**-53)] == [
        "0",
        "+0.250000",
        "-0.062500",
        "+1e-16",
    ]
    assert signed(Fraction(1, 100_000), decimals=4) == "+1e-05"


def test_bars_show_every_count_that_is_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """One among many thousands is still seen; nothing is not."""
    bars([("few", 1), ("none", 0), ("many", 100_000), ("half", 50_000)])

    assert capsys.readouterr().out.splitlines() == [
        " few        1  ▏", "none        0", f"many  100,000  {'█' * 40}", f"half   50,000  {'█' * 20}",
    ]  # fmt: skip


def test_a_last_cell_is_cut_to_a_narrow_terminal_and_never_to_nothing() -> None:
    """80 columns, two between cells; what stands before it is whole."""
    (short,) = narrowed(("table", "values"), [("weather", "a " * 60)])
    (wide,) = narrowed(("table", "values"), [("w" * 90, "a " * 60)])

    assert len(short[0]) + 2 + len(short[1]) <= 80
    assert short[1].endswith(" ...")
    assert (wide[0], len(wide[1])) == ("w" * 90, 19)
