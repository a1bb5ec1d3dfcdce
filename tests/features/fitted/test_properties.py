"""What holds for all transforms together: the order of rows, batches, and who else is there do not matter."""

from __future__ import annotations

from datetime import date

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.fitted import (
    Codes,
    ConstantImputation,
    Fitted,
    MedianImputation,
    MissingIndicator,
    QuantileBins,
    RandomSampleImputation,
    RareLabels,
    TargetEncoding,
    Winsorising,
    apply,
)
from tests.features.fitted.made import fitted_on, made

EVERY = (
    MissingIndicator(("share", "maker", "built_on")),
    RandomSampleImputation(("maker", "share"), seed=-3, most_values=5),
    RandomSampleImputation(("built_on",), seed=4, each_night=True),
    MedianImputation(("seats",)),
    Winsorising(("share", "seats"), "0.1", "0.8"),
    TargetEncoding(("maker", "seats", "is_jet"), weight=3, fold_days=2),
    TargetEncoding(("origin",), weight=1, suffix=""),
    ConstantImputation(("is_jet",), value=False),
    RareLabels(("maker",), "0.2"),
    QuantileBins(("share",), bins=4),
    Codes(("maker",), "own"),
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.1 + 0.2, 5e-324])
)
ROW = st.fixed_dictionaries(
    {
        "night": st.integers(0, 6),
        "share": st.none() | FLOATS,
        "seats": st.none() | st.integers(-(2**31), 2**31 - 1) | st.integers(0, 3),
        "maker": st.none() | st.sampled_from(["a", "b", "ü", '"']) | st.text(st.characters(exclude_categories=["Cs"])),
        "origin": st.none() | st.sampled_from(["EWR", "JFK"]),
        "is_jet": st.none() | st.booleans(),
        "built_on": st.none() | st.dates(),
        "label": st.integers(-3, 3),
    }
)
TYPES = {
    "share": pl.Float64,
    "seats": pl.Int32,
    "maker": pl.String,
    "origin": pl.String,
    "is_jet": pl.Boolean,
    "built_on": pl.Date,
}
FIRST_ROW = {"night": 0, "share": 0.5, "seats": 1, "maker": "a", "origin": "EWR", "is_jet": True, "label": 1}
ROWS = st.lists(ROW, min_size=1, max_size=25).map(lambda rows: [{**FIRST_ROW, "built_on": date(2000, 1, 1)}, *rows])


def frame_of(rows: list[dict]) -> pl.DataFrame:
    """Rows as a frame, with their label last."""
    columns = {name: pl.Series([row[name] for row in rows], dtype=kind) for name, kind in TYPES.items()}
    labels = [row["label"] for row in rows]
    return made(nights=[row["night"] for row in rows], **columns).with_columns(pl.Series("label", labels))


def learnt(frame: pl.DataFrame) -> Fitted:
    """What the transforms learn of a frame."""
    return fitted_on(frame.drop("label"), *EVERY, labels=frame["label"].to_list())


@given(ROWS, st.randoms())
@settings(deadline=None)
def test_the_order_of_the_training_rows_changes_no_bit_of_the_state(rows: list[dict], random: object) -> None:
    frame = frame_of(rows)
    places = list(range(frame.height))
    random.shuffle(places)  # type: ignore[attr-defined]

    assert learnt(frame[places]).to_json() == learnt(frame).to_json()


@given(ROWS, ROWS, st.integers(1, 9))
@settings(deadline=None)
def test_a_row_becomes_the_same_alone_in_batches_and_in_any_order(
    rows: list[dict], others: list[dict], size: int
) -> None:
    """Of rows that were trained on, and of others."""
    fitted = learnt(frame_of(rows))
    for frame in (frame_of(rows).drop("label"), frame_of(others).drop("label")):
        whole = apply(frame, fitted)
        assert pl.concat(apply(part, fitted) for part in frame.iter_slices(size)).equals(whole)
        assert pl.concat(apply(part, fitted) for part in frame.iter_slices(1)).equals(whole)
        assert apply(frame.reverse(), fitted).reverse().equals(whole)


@given(ROWS)
@settings(deadline=None)
def test_what_was_learnt_comes_back_from_json_to_the_bit(rows: list[dict]) -> None:
    fitted = learnt(frame_of(rows))
    back = Fitted.from_json(fitted.to_json())

    assert back.to_json() == fitted.to_json()
    assert repr(back) == repr(fitted)
