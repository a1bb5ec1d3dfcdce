"""Sums of integers, one division."""

from __future__ import annotations

import polars as pl
import pytest

from features.exact import clipped, one_if, ratio, scaled, total, whole_minutes


def test_a_share_of_nothing_is_null_and_a_sum_of_nothing_is_zero() -> None:
    frame = pl.DataFrame({"late": [0, 1, None], "flown": [0, 3, 4]})

    assert frame.select(ratio("late", "flown"))["late"].to_list() == [None, 1 / 3, None]
    assert frame.clear().select(total("late")).item() == 0


@pytest.mark.parametrize("per_unit", [10, 100, 1_000, 1_000_000])
def test_a_division_is_correctly_rounded_in_a_crowd_and_alone(per_unit: int) -> None:
    """Polars multiplies by the reciprocal of a constant, except in a frame of one row; `score prove` found it."""
    numbers = range(-3_000, 3_000)
    frame = pl.DataFrame({"n": numbers}).with_columns(under=pl.lit(per_unit))
    expected = [n / per_unit for n in numbers]

    assert frame.select(scaled("n", per_unit)).to_series().to_list() == expected
    assert frame.select(ratio("n", "under")).to_series().to_list() == expected
    assert frame.select(ratio("n", pl.lit(per_unit))).to_series().to_list() == expected
    assert [one.select(scaled("n", per_unit)).item() for one in frame.iter_slices(1)] == expected
    assert [one.select(ratio("n", "under")).item() for one in frame.iter_slices(1)] == expected


@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
@pytest.mark.parametrize("nulls", [0, 1])
def test_a_division_is_that_of_ieee_754_for_any_number_of_rows_and_any_engine(rows: int, nulls: int) -> None:
    """A row alone is what it is among others. By a literal, Polars would multiply by the reciprocal of the divisor."""
    numbers = [None] * nulls + [10_209 + 7 * n for n in range(rows)]
    frame = pl.DataFrame({"n": numbers}, schema={"n": pl.Int32}).with_columns(ten=pl.lit(10))

    for divided in (scaled("n", 10), ratio("n", "ten"), ratio("n", pl.lit(10))):
        for found in (
            frame.select(divided),
            frame.with_columns(n=divided),
            frame.lazy().select(divided).collect(),
            frame.lazy().select(divided).collect(engine="streaming"),
        ):
            assert found.get_columns()[0].to_list() == [None if n is None else n / 10 for n in numbers]


def test_small_integers_do_not_overflow_when_summed() -> None:
    frame = pl.DataFrame({"n": pl.Series([127, 127], dtype=pl.Int8)})

    assert frame.select(total("n")).item() == 254


def test_an_integer_is_held_within_its_bounds_and_a_null_is_no_condition() -> None:
    frame = pl.DataFrame({"n": [-900, 5, 900, None]})

    assert frame.select(clipped("n", -60, 240))["n"].to_list() == [-60, 5, 240, None]
    assert frame.select(one_if(pl.col("n") > 0))["n"].to_list() == [0, 1, 1, 0]


def test_minutes_are_rounded_down_and_scaled_integers_are_in_their_unit() -> None:
    frame = pl.DataFrame({"a": [0, 0], "b": [119_999_999, -1], "t": [3901, None]})
    instants = frame.with_columns(pl.col("a", "b").cast(pl.Datetime("us", "UTC")))

    assert instants.select(whole_minutes("a", "b")).to_series().to_list() == [1, -1]
    assert frame.select(scaled("t", 100))["t"].to_list() == [39.01, None]
