"""Winsorising and quantile bins."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.fitted import NothingToLearn, QuantileBins, Winsorising
from features.fitted.order_statistics import at_share, ordered
from tests.features.fitted.made import applied, fitted_on, made


@given(
    st.lists(st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=40),
    st.fractions(0, 1, max_denominator=1000),
)
def test_a_quantile_is_the_least_value_that_the_share_does_not_exceed(values: list[int], share: Fraction) -> None:
    """Counted by brute force, in fractions."""
    found = at_share(ordered(pl.Series(values, dtype=pl.Int64)), share)

    enough = [value for value in values if Fraction(sum(each <= value for each in values), len(values)) >= share]
    assert found == min(enough)


def test_values_are_held_within_the_quantiles_of_training() -> None:
    frame = made(delay=list(range(1, 101)))
    night = made(delay=[-(2**40), 1, 2, 50, 98, 100, 2**40, None])

    assert applied(frame, Winsorising(("delay",)), to=night)["delay"].to_list() == [1, 1, 2, 50, 98, 99, 99, None]
    wide = applied(frame, Winsorising(("delay",), "0", "1"), to=night)["delay"].to_list()
    assert wide == [1, 1, 2, 50, 98, 100, 100, None]


def test_winsorising_keeps_the_type_and_floats_to_the_bit() -> None:
    frame = made(share=[0.1, 0.1 + 0.2, 0.7, 0.9], seats=pl.Series([1, 2, 3, 4], dtype=pl.Int16))
    found = applied(frame, Winsorising(("share", "seats"), "0.5", "0.75"))

    assert found.to_dict(as_series=False) == {"share": [0.1 + 0.2, 0.1 + 0.2, 0.7, 0.7], "seats": [2, 2, 3, 3]}
    assert found.schema == {"share": pl.Float64, "seats": pl.Int16}


def test_a_value_on_a_border_lies_in_the_lower_bin() -> None:
    frame = made(delay=[1, 2, 3, 4, 5, 6, 7, 8])

    assert applied(frame, QuantileBins(("delay",), bins=4))["delay"].to_list() == [0, 0, 1, 1, 2, 2, 3, 3]
    night = made(delay=[-9, 2, 3, 6, 99, None])
    found = applied(frame, QuantileBins(("delay",), bins=4), to=night)["delay"]
    assert (found.to_list(), found.dtype) == ([0, 0, 1, 2, 3, None], pl.Int32)


def test_ties_make_fewer_bins() -> None:
    """Half of the values are 0: borders that would fall there are one."""
    frame = made(rain=[0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
    state = fitted_on(frame, QuantileBins(("rain",), bins=5, suffix="_bin"))

    assert state.states[0].learnt == ((0, 2),)
    found = applied(frame, QuantileBins(("rain",), bins=5, suffix="_bin"))
    assert found["rain_bin"].to_list() == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    assert found["rain"].equals(frame["rain"])


def test_bins_grow_with_the_value() -> None:
    """Whatever the training values are."""

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=30), st.integers(2, 12))
    def grow(values: list[float], bins: int) -> None:
        found = applied(made(x=values), QuantileBins(("x",), bins=bins))["x"].to_list()
        by_value = sorted(zip(values, found, strict=True))
        assert all(one[1] <= other[1] for one, other in pairwise(by_value))
        assert all(one[1] == other[1] for one, other in pairwise(by_value) if one[0] == other[0])
        assert max(found) < bins

    grow()


@pytest.mark.parametrize("transform", [Winsorising(("wind",)), QuantileBins(("wind",))])
def test_a_column_without_a_value_has_no_quantile(transform: Winsorising | QuantileBins) -> None:
    with pytest.raises(NothingToLearn, match="`wind` is null in all 1 training rows"):
        fitted_on(made(wind=pl.Series([None], dtype=pl.Float64)), transform)
