"""What stands for a missing value, and the mark that it was missing."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from features.fitted import ConstantImputation, MedianImputation, MissingIndicator, NothingToLearn
from tests.features.fitted.made import applied, fitted_on, made


@pytest.mark.parametrize(
    ("values", "median"),
    [([9, 1, 5], 5), ([9, 1, 5, 3], 3), ([2, 2, 8, 9], 2), ([7], 7), ([-(2**63), 2**63 - 1], -(2**63))],
)
def test_the_median_is_a_value_that_occurred_of_two_in_the_middle_the_lower(values: list[int], median: int) -> None:
    """Nulls do not count; an integer stays one."""
    found = applied(made(wind=[None, *values, None]), MedianImputation(("wind",)))

    assert found["wind"].to_list() == [median, *values, median]
    assert found.schema == {"wind": pl.Int64}


def test_the_median_of_floats_is_one_of_them_to_the_bit() -> None:
    """Not the mean of two, which another order of adding could round otherwise; and the two zeros are one."""
    found = applied(made(share=[0.1, 0.1 + 0.2, 0.3, 1e300, None]), MedianImputation(("share",)))
    zeros = fitted_on(made(share=[-0.0, 0.0, 0.0]), MedianImputation(("share",)))

    assert found["share"].to_list()[-1] == 0.3
    assert zeros.to_json() == fitted_on(made(share=[0.0, -0.0, -0.0]), MedianImputation(("share",))).to_json()
    assert '"learnt":[0.0]' in zeros.to_json()


def test_a_constant_fills_a_column_of_each_type_and_its_type_stays() -> None:
    frame = made(
        wind=pl.Series([None, 1], dtype=pl.Int8),
        share=[None, 0.5],
        maker=[None, "Boeing"],
        is_jet=[None, True],
        built_on=[None, date(1999, 1, 1)],
    )
    constants = (-1, 0.25, "unknown", False, date(1990, 1, 1))
    transforms = [ConstantImputation((name,), value) for name, value in zip(frame.columns[2:], constants, strict=True)]

    found = frame.drop("as_of", "number").schema
    filled = applied(frame.drop("maker"), *(each for each in transforms if each.columns != ("maker",)))

    assert filled.row(0) == (-1, 0.25, False, date(1990, 1, 1))
    assert filled.schema == {name: found[name] for name in filled.columns}


def test_a_constant_text_becomes_a_label_of_its_own() -> None:
    found = applied(made(maker=["b", None, "a"]), ConstantImputation(("maker",), "unknown"))

    assert found["maker"].to_list() == [1, 2, 0]


def test_a_missing_value_is_marked_before_it_is_filled() -> None:
    found = applied(made(wind=[3, None]), MissingIndicator(("wind",)), MedianImputation(("wind",)))

    assert found.to_dict(as_series=False) == {"wind": [3, 3], "wind_missing": [0, 1]}
    assert found.schema["wind_missing"] == pl.Int8


def test_a_column_without_a_value_has_no_median() -> None:
    empty = made(wind=pl.Series([None, None], dtype=pl.Int64))

    with pytest.raises(NothingToLearn, match="`wind` is null in all 2 training rows, so median imputation learns"):
        fitted_on(empty, MedianImputation(("wind",)))
