"""The contract of a feature frame, and its fingerprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.contract import (
    ColumnsDiffer,
    Feature,
    FeatureSet,
    FeatureSetRefused,
    RowsDiffer,
    type_named,
    type_text,
)
from features.fitted import Codes, Fitted, State

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = ("flight",)
SET = FeatureSet(
    "late",
    1,
    (
        Feature("minute", pl.Int32(), "minute of the day"),
        Feature("late_share_7d", pl.Float64(), "share late"),
        Feature("carrier_code", pl.String(), "carrier"),
    ),
)


def _frame(**columns: object) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "as_of": [date(2013, 9, 1)] * 2,
            "flight": [1, 2],
            "minute": pl.Series([300, 310], dtype=pl.Int32),
            "late_share_7d": [0.5, None],
            "carrier_code": ["UA", None],
        }
    )
    return frame.with_columns(**columns)  # type: ignore[arg-type]


def test_a_frame_with_exactly_the_columns_is_given_back() -> None:
    """Features may be null."""
    frame = _frame()

    assert SET.conform(frame, KEY) is frame


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda frame: frame.drop("late_share_7d", "minute"), "missing minute, late_share_7d"),
        (lambda frame: frame.drop("flight"), "missing flight"),
        (lambda frame: frame.with_columns(surprise=1), "extra surprise"),
        (lambda frame: frame.with_columns(pl.col("minute").cast(pl.Int64)), r"retyped minute \(Int64, not Int32\)"),
        (lambda frame: frame.select(frame.columns[::-1]), "reordered carrier_code, late_share_7d"),
        (lambda frame: frame.rename({"minute": "hour"}), "missing minute; extra hour"),
    ],
)
def test_a_frame_that_differs_is_refused_in_one_line_that_names_the_columns(
    broken: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    with pytest.raises(ColumnsDiffer, match=f"^not the columns of late version 1: {message}[^\n]*$"):
        SET.conform(broken(_frame()), KEY)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: _frame(flight=pl.lit(1)), "primary_key in 2 row"),
        (lambda: _frame(flight=pl.lit(None, pl.Int64)), r"flight\|nullability in 2 row"),
        (lambda: _frame(late_share_7d=pl.lit(float("nan"))), r"late_share_7d\|nan in 2 row"),
        (lambda: _frame(late_share_7d=pl.lit(float("inf"))), r"late_share_7d\|inf in 2 row"),
    ],
)
def test_rows_that_are_not_allowed_are_counted(broken: Callable[[], pl.DataFrame], message: str) -> None:
    with pytest.raises(RowsDiffer, match=message):
        SET.conform(broken(), KEY)


def test_the_fingerprint_is_of_name_version_and_ordered_typed_columns_and_of_nothing_else() -> None:
    """Written out: the SHA-256 of the canonical JSON. A meaning may be reworded; all else is another set."""
    assert SET.fingerprint == "6e45da45bae156115c9fec6c7431cdf11ce3bee033be8b8c99cd4c21f4a6e459"
    reworded = replace(SET, features=tuple(replace(feature, meaning="else") for feature in SET.features))
    retyped = replace(SET, features=(replace(SET.features[0], dtype=pl.Int64()), *SET.features[1:]))
    others = [replace(SET, version=2), replace(SET, name="x"), replace(SET, features=SET.features[::-1]), retyped]

    assert reworded.fingerprint == SET.fingerprint
    assert len({SET.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_text_becomes_codes_and_nothing_else_changes() -> None:
    assert SET.texts == ("carrier_code",)
    assert Fitted((State(Codes(SET.texts), ("text",), (("UA",),)),)).columns(SET).schema == {
        **SET.schema,
        "carrier_code": pl.Int32(),
    }


def test_a_name_given_twice_or_a_type_that_no_feature_has_is_refused() -> None:
    with pytest.raises(FeatureSetRefused, match="late declares minute twice"):
        FeatureSet("late", 1, (SET.features[0], SET.features[0]))
    with pytest.raises(FeatureSetRefused, match="Categorical"):
        FeatureSet("late", 1, (Feature("carrier", pl.Categorical(), "carrier"),))
    assert type_text(pl.Float64) == "float64"
    assert type_named("float64") == pl.Float64
    with pytest.raises(FeatureSetRefused, match="'categorical' is no type of a feature frame; its types are int8"):
        type_named("categorical")
